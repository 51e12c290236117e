"""Settings of tokenizers, the encoder and the mlm objective. Imports nothing heavy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from maskwright.catalogue import catalogue
from maskwright.errors import UserError
from maskwright.params import is_params, params, setting, slot

_BYTES = 261
SHAPE_HELP = "written by pruning: [heads, neurons] of each block; empty: all blocks alike"

ADD_TOKENS = (
    'tokens to add to the tokenizer where it lacks them; ["[MASK]"] is its mask token where it has none'
)

EXAMPLE_TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "a lazy dog sleeps while the fox runs",
    "every good dog likes a long walk in the park",
    "the fox and the dog are good friends now",
)


def example_texts(make_data: Any) -> Any:
    """Four short sentences for the contract checks, the same in both splits."""
    items = [{"id": str(n), "text": text, "label": n % 2} for n, text in enumerate(EXAMPLE_TEXTS)]
    return make_data({"train": items, "test": items})


EXPORTS = {
    "transformers": "maskwright_text.exporting:to_transformers",
    "transformers-zero-filled": "maskwright_text.exporting:to_transformers_zero_filled",
    "unilm": "maskwright_text.exporting:to_unilm",
}
IMPORTS = {
    "transformers": "maskwright_text.importing:from_transformers",
    "unilm": "maskwright_text.importing:from_unilm",
}


def ratio_mistakes(ratio: Any, floor: float = 0.0, cap: float = 1.0) -> Iterator[tuple[str, str]]:
    """For `check`: a schedule of the ratio that leaves [0, 1], or never hides anything."""
    try:
        schedule = ratio.build() if is_params(ratio) else ratio
    except UserError:
        return  # building it for the run will say so
    low, high = getattr(schedule, "range", (0.0, 1.0))
    if low < 0 or high > 1 or high == 0:
        yield "ratio", f"a share of the tokens is above 0 and at most 1, found {describe_range(low, high)}"
    elif low == high and floor <= cap and not floor <= low <= cap:
        yield "ratio", f"{low:g} lies outside of floor and cap, {floor:g} to {cap:g}: change these, too"


def masker_mistakes(masker: Any) -> Iterator[tuple[str, str]]:
    """For `check`: a masker that cannot be shown at work on a text without a run."""
    found = catalogue().of_class(type(masker))
    if found is None:
        return
    if lacking := found.component.expects - {"tokens"}:
        yield (
            "masker",
            f"masker:{found.name} hides units with {', '.join(sorted(lacking))}, a text has tokens",
        )
    elif hasattr(masker, "tags") and "stateful" in masker.tags():
        yield (
            "masker",
            f"masker:{found.name} goes by what it remembers of a training run, and here is none\n"
            "judge a run with evaluator:mask-report, or take a masker without memory",
        )


def describe_range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


@params
class Subwords:
    """A tokenizer that is trained on the train split of a run's data, once, and kept with the run."""

    vocabulary: int = setting(8000, ge=10, help="most tokens; fewer where the texts hold fewer")
    model: Literal["bpe", "wordpiece", "words"] = setting(
        "bpe",
        help="bpe: pieces of bytes, nothing is unknown; wordpiece: as BERT; words: whole words",
    )
    lowercase: bool = setting(False, help="make text lower case first")
    split: str = setting("train", help="split whose texts it is trained on")

    def tags(self):
        return {"fitted"}

    def check(self):
        if self.model == "bpe" and self.vocabulary < _BYTES:
            yield (
                "vocabulary",
                f"{self.vocabulary} is too few: bpe begins with {_BYTES} tokens, one for each byte",
            )

    def build(self):
        from maskwright_text.codecs import Subwords as Built

        return Built(self.vocabulary, self.model, self.lowercase, self.split)

    @classmethod
    def example(cls):
        return cls(vocabulary=60, model="words")

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)


@params
class Tokenizer:
    """A tokenizer that exists: a `tokenizer.json`, a folder with one, or one with a BERT vocab.txt."""

    path: Path = setting(help="tokenizer.json, or a folder that transformers saved")
    vocabulary: int = setting(
        0, ge=0, help="written by import: rows of the table that the weights have; 0: one for each token"
    )
    specials: list[int] = setting(
        [],
        ge=0,
        help="written by import: ids of pad, unk, cls, sep, mask, and of others that stand for no text. With it "
        "the tokenizer is kept in the run, and path is only where it came from",
    )
    add_tokens: list[str] = setting([], help=ADD_TOKENS)

    def tags(self):
        return {"fitted"}

    def check(self):
        if bool(self.specials) != bool(self.vocabulary):
            yield "specials", "vocabulary and specials go together: give both, or neither"
        elif self.specials and (len(self.specials) < 5 or max(self.specials) >= self.vocabulary):
            yield "specials", f"wanted at least 5 ids below vocabulary, found {self.specials}"

    def build(self):
        if self.specials:
            from maskwright_text.kept_tokenizer import KeptTokenizer

            return KeptTokenizer(self.path, self.vocabulary, self.specials, self.add_tokens)
        from maskwright_text.codecs import Loaded

        return Loaded(self.path, add=self.add_tokens)

    @classmethod
    def example(cls, folder, make_data):
        from maskwright.step import Step

        made = Subwords.example().build()
        made.fit(example_texts(make_data), Step())
        made.save(folder / "tokenizer")
        return cls(path=folder / "tokenizer")


@params
class TextEncoder:
    """A transformer over tokens. Hidden tokens enter as the mask token."""

    codec: Any = slot("codec", default="subwords", help="tokenizer: text to tokens and back")
    length: int = setting(128, ge=3, help="most tokens of a text, special ones too; longer texts are cut")
    width: int = setting(256, ge=2, help="numbers in a state; a multiple of heads")
    depth: int = setting(4, ge=1, help="transformer blocks")
    heads: int = setting(4, ge=1, help="attention heads")
    mlp_ratio: float = setting(4.0, gt=0, help="hidden width of the MLPs over width")
    pre_norm: bool = setting(True, help="norm before each part, which trains easily; false: after, as BERT")
    dropout: float = setting(0.0, ge=0, lt=1, help="share of numbers set to 0 in training")
    eps: float = setting(1e-12, gt=0, help="epsilon of the norms")
    pool: Literal["mean", "first"] = setting(
        "mean", help="the pooled vector: mean of the tokens' states, or the state of [CLS]"
    )
    relative: int = setting(
        0, ge=0, help="buckets of a learned bias for relative positions (UniLMv2: 32); 0: none"
    )
    reach: int = setting(128, ge=2, help="distance from which on all are one bucket, with relative")
    shape: list[list[int]] = setting([], ge=0, help=SHAPE_HELP)

    def check(self):
        if self.width % self.heads:
            yield "width", f"{self.width} is no multiple of {self.heads} heads"
        if self.relative % 4:
            yield (
                "relative",
                f"{self.relative} is no multiple of 4: each direction has exact and wider buckets",
            )
        if self.relative and self.reach <= self.relative // 4:
            yield (
                "reach",
                f"{self.reach} is too near: with relative = {self.relative} distances below {self.relative // 4} are "
                "exact, and wider buckets go on from there",
            )
        from maskwright_torch.block_shapes import shape_mistake

        whole = [[self.heads, round(self.width * self.mlp_ratio)]] * self.depth
        if self.shape and (mistake := shape_mistake(self.shape, whole)):
            yield "shape", mistake

    def build(self, seed: int):
        from maskwright_text.text_batches import TextPrepare
        from maskwright_text.transformer import TextTransformer
        from maskwright_torch.part import seeded

        prepare = TextPrepare(self.codec, self.length)
        names = "width depth heads mlp_ratio pre_norm dropout eps pool relative reach"
        settings = {name: getattr(self, name) for name in names.split()}
        made = seeded(seed, lambda: TextTransformer(self.codec, prepare, **settings))
        return made.with_shape(self.shape) if self.shape else made

    @classmethod
    def exports(cls):
        return EXPORTS

    @classmethod
    def example(cls):
        return cls(codec=Subwords.example(), length=16, width=16, depth=2, heads=2)

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)


@params
class Mlm:
    """Masked language model: predict hidden tokens from the others."""

    encoder: Any = slot(
        "encoder", default="text", needs={"torch", "tokens", "vocabulary"}, help="what is trained"
    )
    masker: Any = slot(
        "masker", default="random", needs={"torch"}, over="encoder", help="which tokens are hidden"
    )
    ratio: Any = slot("schedule", default=0.15, help="share of the tokens that is hidden")
    floor: float = setting(0.02, ge=0, le=1, help="lowest ratio, whatever the schedule says")
    cap: float = setting(0.95, ge=0, le=1, help="highest ratio, whatever the schedule says")
    at_least_one: bool = setting(
        True,
        help="hide a token of every text that has any; of short texts more is then hidden on average than a masker "
        "means to that draws how much (tokens: bernoulli, stochastic)",
    )
    mask_share: float = setting(0.8, ge=0, le=1, help="share of hidden tokens that the mask token replaces")
    random_share: float = setting(
        0.1, ge=0, le=1, help="share that a random token replaces; the rest stays as it is"
    )

    default_pipeline = "fill"

    def check(self):
        if self.mask_share + self.random_share > 1 + 1e-12:
            yield "random_share", f"{self.mask_share} + {self.random_share} is more than 1"
        if self.floor > self.cap:
            yield "floor", f"{self.floor} is above the cap {self.cap}"
        yield from ratio_mistakes(self.ratio, self.floor, self.cap)

    def build(self, seed: int):
        from maskwright_text.mlm import Mlm as Built
        from maskwright_text.token_masking import Corruption
        from maskwright_torch.part import seeded

        corruption = Corruption(self.mask_share, self.random_share)
        settings = {name: getattr(self, name) for name in ("at_least_one", "floor", "cap")}
        return seeded(
            seed, lambda: Built(self.encoder, self.masker, self.ratio, corruption=corruption, **settings)
        )

    @classmethod
    def exports(cls):
        return EXPORTS

    @classmethod
    def imports(cls):
        return IMPORTS

    @classmethod
    def recognises(cls, format, path):
        from maskwright_text.foreign_config import is_text_model

        return format != "transformers" or is_text_model(path)

    @classmethod
    def example(cls):
        return cls(encoder=TextEncoder.example(), ratio=0.4)

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)
