"""Maskers of tokens: any token alike, whole words, spans. What may be hidden is for `units.valid` to say."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_text.word_groups import fill_budget, groups_of
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

Sampling = Literal["exact", "bernoulli", "stochastic", "upstream"]

UPSTREAM_MOST = 512
"""The official collator of time-variant masking never hides more tokens of a row."""


def upstream_counts(units: Units, ratio: Tensor) -> Tensor:
    """int64 (B,): tokens to hide by the official collator, which counts special tokens into the length of a text.

    `units` have the feature `real`. Python's round() and this one take halves to the even number.
    """
    return (units.features["real"].sum(dim=1) * ratio).round().clamp(1, UPSTREAM_MOST).long()


class TokenMasker(nn.Module):
    """Any token alike; `sampling` says how many."""

    def __init__(self, sampling: Sampling = "exact") -> None:
        super().__init__()
        self.sampling = sampling
        self.features = ("real",) if sampling == "upstream" else ()

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        noise = uniform(step.stream("mask"), units.rows, units.valid.shape[1])
        if self.sampling == "bernoulli":
            return units.valid & (noise < ratio[:, None])
        return hide_lowest(noise, units.valid, self.counts(units, ratio, step))

    def counts(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        """int64 (B,): tokens to hide in each row."""
        if self.sampling == "upstream":
            return upstream_counts(units, ratio)
        if self.sampling == "stochastic":
            # floor(x + u) is floor(x), or one more with the probability of what was cut off.
            draw = uniform(step.stream("count"), units.rows, 1)[:, 0]
            return torch.floor(ratio * units.valid.sum(dim=1) + draw).long()
        return counts_of(ratio, units.valid)


class WholeWordMasker(nn.Module):
    """Words in random order, each hidden whole if it still fits into the budget of tokens, else skipped."""

    features = ("word",)

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        groups = groups_of(units, whole_words=True)
        order = uniform(step.stream("mask"), units.rows, groups.sizes.shape[1])
        taken = fill_budget(order, groups.sizes, counts_of(ratio, units.valid))
        return groups.tokens(taken)


class SpanMasker(nn.Module):
    """Spans of geometric length from uniform starts, one after the other until the count is reached; the last is cut.

    SpanBERT (arXiv:1907.10529). Each place draws a length and a rank; a token's score is the best rank among the spans
    over it. Spans never cross a special token. With `words`, lengths are counted in words and words are hidden whole.
    """

    def __init__(self, stop: float = 0.2, longest: int = 10, words: bool = False) -> None:
        super().__init__()
        self.stop, self.longest, self.words = stop, longest, words
        self.features = ("word",) if words else ()

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        groups = groups_of(units, whole_words=self.words)
        count = groups.sizes.shape[1]
        rank = uniform(step.stream("mask"), units.rows, count)
        length = self.lengths(uniform(step.stream("lengths"), units.rows, count))
        length = torch.minimum(length, groups.ahead())
        best = rank.clone()
        for shift in range(1, min(self.longest, count)):
            covering = torch.where(length > shift, rank, torch.inf)[:, :-shift]
            best[:, shift:] = torch.minimum(best[:, shift:], covering)
        return groups.tokens(fill_budget(best, groups.sizes, counts_of(ratio, units.valid)))

    def lengths(self, draws: Tensor) -> Tensor:
        """int64: lengths 1 to `longest` with probability in proportion to (1 - stop) ** length, from uniform draws."""
        if self.stop == 1:
            return torch.ones_like(draws, dtype=torch.int64)
        reach = 1 - (1 - self.stop) ** self.longest  # P(length <= longest) without a limit
        tail = torch.log1p(-draws * reach) / math.log1p(-self.stop)
        return (tail.floor() + 1).long().clamp(1, self.longest)
