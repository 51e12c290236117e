"""Settings of the maskers of text. Imports nothing heavy."""

from typing import Literal

from maskwright.params import params, setting
from maskwright_text.upos import IF_UNTAGGED

_WORDS = [0, 0, 1, 2, 2, 2, 3, 4, 4, 5]
_TAGS = [7, 7, 1, 15, 15, 15, 5, 7, 7, 12]


def _example_features(cls, count):
    """Words of one to three tokens, and as they go: parts of speech, tokens, what is real."""
    rounds, places = zip(*(divmod(place, len(_WORDS)) for place in range(count)), strict=True)
    words = _WORDS[-1] + 1
    return {
        "word": [words * done + _WORDS[place] for done, place in zip(rounds, places, strict=True)],
        "tag": [_TAGS[place] for place in places],
        "tokens": [5 + place for place in places],
        "real": [True] * count,
    }


@params
class Tokens:
    """Any token alike."""

    sampling: Literal["exact", "bernoulli", "stochastic", "upstream"] = setting(
        "exact",
        help="exact: floor(ratio * n + .5) of n tokens; bernoulli: each by itself; stochastic: ratio * n, rounded "
        "up or down by chance, which needs at_least_one=false of the objective to be true of short texts; "
        "upstream: as the official collator, 1 to 512, special tokens counted into n",
    )

    def tags(self):
        tags = set() if self.sampling == "exact" else {"inexact-count"}
        return tags if self.sampling == "upstream" else tags | {"follows-ratio"}

    def build(self):
        from maskwright_text.maskers import TokenMasker

        return TokenMasker(self.sampling)

    @classmethod
    def example(cls):
        return cls()


@params
class WholeWord:
    """Words in random order, each hidden whole if it still fits into the count of tokens, else skipped."""

    def build(self):
        from maskwright_text.maskers import WholeWordMasker

        return WholeWordMasker()

    @classmethod
    def example(cls):
        return cls()

    example_features = classmethod(_example_features)


@params
class Spans:
    """Spans of geometric length (SpanBERT); the count is exact unless whole words are hidden."""

    stop: float = setting(0.2, gt=0, le=1, help="chance that a span ends after each token (or word)")
    longest: int = setting(10, ge=1, help="longest span")
    words: bool = setting(False, help="count lengths in words, and hide words whole")

    def tags(self):
        return {"inexact-count"} if self.words else set()

    def build(self):
        from maskwright_text.maskers import SpanMasker

        return SpanMasker(self.stop, self.longest, self.words)

    @classmethod
    def example(cls):
        return cls()

    example_features = classmethod(_example_features)


@params
class Weighted:
    """Words that are hard for the model right now, or rare, are hidden more often."""

    source: Literal["pos-loss", "token-loss", "frequency", "uniform"] = setting(
        "pos-loss",
        help="pos-loss, token-loss: running loss of each part of speech or token; frequency: rare tokens more often; "
        "uniform: any word alike",
    )
    mode: Literal["corrected", "paper"] = setting(
        "corrected",
        help="corrected: rare classes are judged by what was seen of them, and the count is filled; paper: scores "
        "begin at 0, words are accepted with the probability of their weight (of frequencies: relative to the "
        "largest in the text)",
    )
    momentum: float = setting(0.999, ge=0, lt=1, help="share of a running loss that each update keeps")
    sharpness: float = setting(2.0, ge=0, help="how much harder classes are preferred; 0: not at all")
    power: float = setting(
        0.5, ge=0, help="frequency: the weight of a token seen n times is (n + 1) ** -power"
    )
    whole_words: bool = setting(True, help="hide words whole; else each token by itself")
    rounding: Literal["exact", "upstream"] = setting(
        "exact",
        help="count of tokens to hide. exact: floor(ratio * n + .5) of n tokens; upstream: as the official collator, "
        "1 to 512, special tokens counted into n",
    )

    def tags(self):
        tags = set() if self.source == "uniform" else {"stateful"}
        exact = self.fills_the_count and self.rounding == "exact"
        tags |= {"follows-ratio"} if exact else set()
        return tags if exact and not self.whole_words else tags | {"inexact-count"}

    def reads(self):
        return {"tags": IF_UNTAGGED} if self.source == "pos-loss" else {}

    @property
    def fills_the_count(self):
        """Whether it goes on until no word fits any more."""
        return self.mode == "corrected"

    def build(self):
        from maskwright_text.weighted import WeightedMasker

        return WeightedMasker(
            self.source, self.mode, self.momentum, self.sharpness, self.power, self.whole_words, self.rounding
        )

    @classmethod
    def example(cls):
        return cls()

    example_features = classmethod(_example_features)


@params
class PmlmBlocks:
    """Blocks of one word, or of several, in the order in which they are predicted (UniLMv2)."""

    ngram_prob: float = setting(0.4, ge=0, le=1, help="share of the drawn blocks that have several words")
    shortest: int = setting(2, ge=1, help="fewest words of such a block")
    longest: int = setting(6, ge=1, help="most words of such a block")
    whole_words: bool = setting(True, help="count lengths in words, and hide words whole; else in tokens")

    def check(self):
        if self.longest < self.shortest:
            yield "longest", f"{self.longest} is less than shortest, {self.shortest}"

    def build(self):
        from maskwright_text.pmlm_blocks import BlockwiseMasker

        return BlockwiseMasker(self.ngram_prob, self.shortest, self.longest, self.whole_words)

    @classmethod
    def example(cls):
        return cls()

    example_features = classmethod(_example_features)
