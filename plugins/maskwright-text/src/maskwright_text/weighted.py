"""Masking by content: words of classes that are hard for the model, or rare, are hidden more often."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.maskers import upstream_counts
from maskwright_text.running_losses import Mode, RunningLosses
from maskwright_text.upos import IF_UNTAGGED, UPOS
from maskwright_text.word_groups import fill_budget, groups_of
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of
from maskwright_torch.noise import uniform
from maskwright_torch.ranks import all_sum

Rounding = Literal["exact", "upstream"]
Source = Literal["pos-loss", "token-loss", "frequency", "uniform"]

CLASS = {"pos-loss": "tag", "token-loss": "tokens", "frequency": "tokens"}
"""Source of the weights -> the feature that says which class a token has."""


class WeightedMasker(nn.Module):
    """Words with larger weights are hidden more often. A word's weight is the mean of its tokens'.

    Mode `corrected`: words are drawn without replacement, each in proportion to its weight among those left. Mode
    `paper` (arXiv:2208.10806): words in random order, each accepted with the probability of its weight; it may run out
    of words before the budget is full. Frequencies give no probabilities: their weights shrink as more is seen. There a
    word is accepted with its share of the largest weight in its text, so that training on does not hide less and less.

    The weights are those of the last finished step. Who trains with it calls `observe` with the losses of the hidden
    tokens; `after_step` takes them in.
    """

    losses: RunningLosses | None
    seen: Tensor
    step_seen: Tensor

    if_missing: Mapping[str, str] = {"tag": IF_UNTAGGED}

    def __init__(
        self,
        source: Source = "pos-loss",
        mode: Mode = "corrected",
        momentum: float = 0.999,
        sharpness: float = 2.0,
        power: float = 0.5,
        whole_words: bool = True,
        rounding: Rounding = "exact",
    ) -> None:
        super().__init__()
        self.source, self.mode, self.whole_words = source, mode, whole_words
        self.momentum, self.sharpness, self.power = momentum, sharpness, power
        self.feature = CLASS.get(source, "")
        self.rounding = rounding
        wanted = {"word": whole_words, "real": rounding == "upstream", self.feature: bool(self.feature)}
        self.features = tuple(name for name, is_wanted in wanted.items() if is_wanted)
        self.set_vocabulary(0)

    def set_vocabulary(self, size: int) -> None:
        """How many tokens there are; the objective says it before weights are loaded. Parts of speech are 17."""
        classes = len(UPOS) if self.source == "pos-loss" else size
        self.losses = RunningLosses(classes, self.momentum) if self.source.endswith("-loss") else None
        if self.source == "frequency":
            self.register_buffer("seen", torch.zeros(classes, dtype=torch.int64))
            self.register_buffer("step_seen", torch.zeros(classes, dtype=torch.int64), persistent=False)

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        groups = groups_of(units, self.whole_words)
        weights = groups.means(self.token_weights(units))
        upstream = self.rounding == "upstream"
        budget = upstream_counts(units, ratio) if upstream else counts_of(ratio, units.valid)
        draws = uniform(step.stream("mask"), units.rows, groups.sizes.shape[1])
        if self.mode == "corrected":
            # The first of several exponential clocks to ring is each with probability rate / sum of rates.
            times = -torch.log1p(-draws) / weights.clamp(min=torch.finfo(torch.float64).tiny)
            return groups.tokens(fill_budget(times, groups.sizes, budget))
        sure = weights.amax(dim=1, keepdim=True) if self.source == "frequency" else 1.0
        chance = uniform(step.fork("accept").stream("mask"), units.rows, draws.shape[1])
        accepted = chance * sure < weights
        return groups.tokens(fill_budget(draws, groups.sizes * accepted, budget, at_least_one=False))

    def token_weights(self, units: Units) -> Tensor:
        """float64 (B, N): the weight of each token's class; anything where the token is not valid."""
        if not self.feature:
            return torch.ones(units.valid.shape, dtype=torch.float64, device=units.valid.device)
        weights = self.weights()
        classes = units.features[self.feature]
        wrong = units.valid & ((classes < 0) | (classes >= len(weights)))
        if bool(wrong.any()):
            self._refuse(classes[wrong], len(weights))
        classes = classes.masked_fill(~units.valid, 0)
        if self.source == "frequency" and self.training:
            self.step_seen.index_add_(0, classes.flatten(), units.valid.flatten().long())
        return weights[classes]

    def weights(self) -> Tensor:
        """float64 (C,): the weight of each class now."""
        if self.losses is not None:
            return self.losses.weights(self.mode, self.sharpness)
        if self.source == "frequency":
            # One more of each, so that a token that was never seen has the largest weight, 1.
            return (self.seen.double() + 1) ** -self.power
        return torch.ones(0, dtype=torch.float64)

    def observe(self, classes: Mapping[str, Tensor], losses: Tensor) -> None:
        """The losses (n,) of the hidden tokens, with what the masker's `features` are for each of them, int64 (n,)."""
        if self.losses is not None:
            self.losses.observe(classes[self.feature], losses)

    def after_step(self, step: Step) -> None:
        """What was observed in this step, on all ranks, counts from now on."""
        if self.losses is not None:
            self.losses.finish_step()
        elif self.source == "frequency":
            self.seen += all_sum(self.step_seen)
            self.step_seen.zero_()

    def table(self, most: int = 50) -> list[dict[str, Any]]:
        """For reports: name or token, score, weight and count of the classes seen, those of largest weight first."""
        if not self.feature:
            return []
        counts = self.seen if self.losses is None else self.losses.counts
        weights, scores = self.weights(), self._scores()
        order = weights.masked_fill(counts == 0, -1.0).argsort(descending=True, stable=True)
        return [
            {
                "class": UPOS[number] if self.feature == "tag" else number,
                "score": float(scores[number]),
                "weight": float(weights[number]),
                "count": int(counts[number]),
            }
            for number in order[: min(most, int((counts > 0).sum()))].tolist()
        ]

    def for_log(self) -> dict[str, Tensor]:
        """Score and weight of each part of speech now. Tokens would be thousands of lines: `table` has the foremost."""
        if self.feature != "tag":
            return {}
        columns = {"score": self._scores(), "weight": self.weights()}
        return {
            f"{word}/{name}": value
            for word, values in columns.items()
            for name, value in zip(UPOS, values, strict=True)
        }

    def _scores(self) -> Tensor:
        """What the weights are made of: running losses, or how often a token was seen."""
        if self.losses is None:
            return self.seen.double()
        return self.losses.corrected() if self.mode == "corrected" else self.losses.scores

    def _refuse(self, wrong: Tensor, classes: int) -> None:
        example = int(wrong[0])
        if self.feature == "tag":
            raise UserError(
                f"{len(wrong)} tokens have the part of speech {example}, there are 0 to {classes - 1}",
                where="masker.source = pos-loss",
                cure="give each word a Universal POS tag, X where there is no other, or source = token-loss",
            )
        raise UserError(
            f"token {example} is beyond the {classes} tokens that the masker knows",
            where=f"masker.source = {self.source}",
            cure="set_vocabulary(size) with the size of the encoder's vocabulary; objective:mlm does it",
        )
