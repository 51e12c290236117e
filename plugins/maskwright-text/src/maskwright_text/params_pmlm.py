"""Settings of pseudo-masked language models: the objective and the pipeline that shows its layout. Nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot
from maskwright_text.params_models import (
    EXPORTS,
    Mlm,
    TextEncoder,
    example_texts,
    masker_mistakes,
    ratio_mistakes,
)


@params
class Pairs:
    """Two tokens of each text, a given distance apart, each a block of its own; the ratio plays no part."""

    distance: int = setting(5, ge=1, help="tokens from one to the other")

    def build(self):
        from maskwright_text.token_pairs import PairMasker

        return PairMasker(self.distance)

    @classmethod
    def example(cls):
        return cls(distance=2)


@params
class Pmlm:
    """Predict hidden tokens all at once, and block by block, in one pass (UniLMv2): one model reads and writes."""

    encoder: Any = slot(
        "encoder",
        default="text",
        needs={"torch", "tokens", "vocabulary", "takes:attention"},
        help="what is trained",
    )
    masker: Any = slot(
        "masker",
        default="pmlm-blocks",
        needs={"torch"},
        over="encoder",
        help="which tokens are hidden, best in blocks",
    )
    ratio: Any = slot("schedule", default=0.15, help="share of the tokens that is hidden")
    ae: float = setting(1.0, ge=0, help="weight of the loss of all hidden tokens at once; logged in any case")
    par: float = setting(1.0, ge=0, help="weight of the loss block by block; logged in any case")
    order: Literal["random", "left-to-right", "single"] = setting(
        "random",
        help="of a masker without blocks, each run of hidden tokens is one: their order; single: all are one block",
    )
    floor: float = setting(0.02, ge=0, le=1, help="lowest ratio, whatever the schedule says")
    cap: float = setting(0.95, ge=0, le=1, help="highest ratio, whatever the schedule says")
    at_least_one: bool = setting(True, help="hide a token of every text that has two or more")
    mask_share: float = setting(
        0.8, ge=0, le=1, help="share of hidden tokens that the mask token replaces in the text itself"
    )
    random_share: float = setting(
        0.1, ge=0, le=1, help="share that a random token replaces; the rest stays as it is"
    )

    default_pipeline = "fill"

    def check(self):
        yield from Mlm.check(self)
        if self.ae == self.par == 0:
            yield "ae", "both weights are 0: nothing would be learned"

    def build(self, seed: int):
        from maskwright_text.pmlm import Pmlm as Built
        from maskwright_text.token_masking import Corruption
        from maskwright_torch.part import seeded

        corruption = Corruption(self.mask_share, self.random_share)
        names = ("ae", "par", "order", "at_least_one", "floor", "cap")
        settings = {name: getattr(self, name) for name in names}
        return seeded(
            seed, lambda: Built(self.encoder, self.masker, self.ratio, corruption=corruption, **settings)
        )

    @classmethod
    def exports(cls):
        return EXPORTS

    @classmethod
    def example(cls):
        return cls(encoder=TextEncoder.example(), ratio=0.4)

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)


@params
class ShowPseudo:
    """Show the extended input of PMLM for a text, and who reads whom. Words go by white space. Needs no run."""

    masker: Any = slot("masker", default="pmlm-blocks", needs={"torch"}, help="which words are hidden")
    ratio: Any = slot("schedule", default=0.3, help="share of the words that is hidden")
    order: Literal["random", "left-to-right", "single"] = setting(
        "random", help="order of the runs of hidden words, for a masker without blocks; single: one block"
    )
    blocks: list[list[int]] = setting(
        [],
        help="places of words by block, in the order of prediction, counted from 0: [[3, 4], [1]]; empty: drawn",
    )

    def check(self):
        yield from masker_mistakes(self.masker)
        yield from ratio_mistakes(self.ratio)

    def build(self):
        from maskwright_text.show_pseudo import ShowPseudo as Built

        return Built(self.masker, self.ratio, self.order, self.blocks)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)
