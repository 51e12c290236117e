"""Settings of the evaluators of masked language models, and of the picture of masks. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot
from maskwright_text.params_models import example_texts, masker_mistakes, ratio_mistakes

_MOST = "items to judge at most, the first ones of the split; 0: all"


def _texts_and_model(make_data: Any, **changes: Any) -> tuple[Any, Any]:
    """A tiny model, and the sentences that its tokenizer was trained on."""
    from maskwright_text.example_texts import example_model

    data = example_texts(make_data)
    return example_model(data, **changes), data


def _pairs_and_model(make_data: Any) -> tuple[Any, Any]:
    from maskwright_text.example_texts import example_model, pair_items

    data = make_data(pair_items())
    return example_model(data), data


@params
class TokenLoss:
    """Loss of hidden tokens at a fixed ratio under masks that never change, beside token frequencies."""

    ratio: float = setting(
        0.15, gt=0, le=1, help="share of the tokens that is hidden, one of each text at least"
    )
    corrupt: bool = setting(
        False,
        help="false: hidden tokens enter as the mask token; true: as in training, some random or as they are",
    )
    seed: int = setting(0, ge=0, help="what the masks are drawn from; the seed of the run plays no part")
    whole_words: bool = setting(
        False, help="true: words are hidden whole, for models that were trained so; false: any token alike"
    )
    split: str = setting("test", help="split whose texts are judged")
    most: int = setting(500, ge=0, help=_MOST)
    batch: int = setting(32, ge=1, help="texts at a time")

    def build(self):
        from maskwright_text.token_loss import TokenLoss as Built

        return Built(self.ratio, self.corrupt, self.seed, self.split, self.most, self.batch, self.whole_words)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(ratio=0.3), *_texts_and_model(make_data)

    @classmethod
    def perfect(cls, make_data):
        from maskwright_text.example_texts import AllKnowing

        model, data = _texts_and_model(make_data)
        return (
            AllKnowing(model),
            data,
            {"loss": 0.0, "perplexity": 1.0, "accuracy": 1.0, "one_mask_loss": 0.0},
        )


@params
class MinimalPairs:
    """Pairs of sentences: how often the model finds the good one likelier than the bad one (as in BLiMP).

    Pairs with words that the tokenizer does not know are left out, and counted.
    """

    score: Literal["pll", "pll-word-l2r"] = setting(
        "pll", help="pll: each token hidden in turn; pll-word-l2r: with it the later tokens of its word"
    )
    by: str = setting("label", help="field that pairs are grouped by; label: where they have one")
    split: str = setting("test", help="split whose pairs are judged")
    most: int = setting(
        0,
        ge=0,
        help="pairs to judge at most, drawn from all of the split by the seed of the run; 0: all",
    )
    batch: int = setting(256, ge=1, help="rows at a time; a sentence has a row for each of its tokens")

    def build(self):
        from maskwright_text.minimal_pairs import MinimalPairs as Built

        return Built(self.score, self.by, self.split, self.most, self.batch)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(by="phenomenon"), *_pairs_and_model(make_data)

    @classmethod
    def perfect(cls, make_data):
        from maskwright_text.example_texts import AllKnowing

        model, data = _pairs_and_model(make_data)
        best = {"accuracy": 1.0, "accuracy/agreement": 1.0, "accuracy/order": 1.0}
        return AllKnowing(model, unknown=["sleep", "run"]), data, best


@params
class MaskReport:
    """What is hidden as training goes on: how much, of what, and where in a text, with pictures."""

    moments: int = setting(
        5, ge=2, help="moments of the run to look at, its beginning and its end among them"
    )
    split: str = setting("test", help="split whose texts are masked")
    most: int = setting(200, ge=0, help=_MOST)
    pictures: int = setting(1, ge=0, help="texts to draw, the first ones that are not too short")

    def build(self):
        from maskwright_text.mask_report import MaskReport as Built

        return Built(self.moments, self.split, self.most, self.pictures)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(moments=3), *_texts_and_model(make_data, ratio={"use": "mrd-linear", "p": 0.3})


@params
class ShowMasks:
    """Draw on a text what a masker hides as training goes on. Needs no run."""

    masker: Any = slot("masker", default="random", needs={"torch"}, help="which tokens are hidden")
    ratio: Any = slot("schedule", default="mrd-cosine", help="share of the tokens that is hidden")
    codec: Any = slot(
        "codec", optional=True, help="tokenizer; none: words and marks of punctuation are the tokens"
    )
    floor: float = setting(0.02, ge=0, le=1, help="lowest ratio, whatever the schedule says")
    cap: float = setting(0.95, ge=0, le=1, help="highest ratio, whatever the schedule says")
    moments: int = setting(5, ge=2, help="moments of a training run, its beginning and its end among them")
    steps: list[int] = setting(
        [], ge=0, help="show these steps of a run of `total` steps in place of moments"
    )
    total: int = setting(0, ge=0, help="steps of the run, for `steps`")
    at_least_one: bool = setting(True, help="hide a token of every text, as objective:mlm does")
    shown: int = setting(
        700, ge=1, help="characters of a text that are shown; all of it is masked and counted"
    )

    def check(self):
        if self.floor > self.cap:
            yield "floor", f"{self.floor} is above the cap {self.cap}"
        if self.steps and max(self.steps) > self.total:
            yield (
                "total",
                f"{self.total} steps are less than step {max(self.steps)}: give the length of the run",
            )
        yield from ratio_mistakes(self.ratio)
        yield from masker_mistakes(self.masker)

    def build(self):
        from maskwright_text.show_masks import ShowMasks as Built

        names = "masker ratio codec floor cap at_least_one moments steps total shown"
        return Built(**{name: getattr(self, name) for name in names.split()})

    @classmethod
    def example(cls):
        return cls(masker="whole-word", moments=3)
