"""Running loss of each class of tokens: what tells the weighted masker how hard a class is for the model right now."""

from typing import Literal

import torch
from torch import Tensor, nn

from maskwright_torch.ranks import all_sum

Mode = Literal["corrected", "paper"]

LEAST_SPREAD = 1e-4
"""Stands for a standard deviation of 0: all classes are then alike."""

ROUNDING = 1e-12
"""A standard deviation below this share of the largest score is rounding, and counts as 0."""


class RunningLosses(nn.Module):
    """An exponential mean of the losses of each class, over the steps in which the class was hidden.

    Buffers: `scores` float64 (C,), begun at 0, and `counts` int64 (C,), how often each was updated. They change between
    steps only, so that all pieces of a batch are masked alike.
    """

    scores: Tensor
    counts: Tensor
    step_sums: Tensor
    step_counts: Tensor

    def __init__(self, classes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("scores", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        # Of the step that is under way; a checkpoint is written between steps.
        self.register_buffer("step_sums", torch.zeros(classes, dtype=torch.float64), persistent=False)
        self.register_buffer("step_counts", torch.zeros(classes, dtype=torch.float64), persistent=False)

    def observe(self, classes: Tensor, losses: Tensor) -> None:
        """Losses (n,) of tokens with these classes, int64 (n,); several calls in one step add up."""
        self.step_sums.index_add_(0, classes, losses.detach().double())
        self.step_counts.index_add_(0, classes, torch.ones_like(losses, dtype=torch.float64))

    def finish_step(self) -> None:
        """The mean loss of each class in this step, over all ranks, enters its score. Others keep theirs."""
        sums, counts = all_sum(self.step_sums), all_sum(self.step_counts)
        seen = counts > 0
        mean = sums / counts.clamp(min=1)
        self.scores.copy_(
            torch.where(seen, self.momentum * self.scores + (1 - self.momentum) * mean, self.scores)
        )
        self.counts += seen
        self.step_sums.zero_()
        self.step_counts.zero_()

    def corrected(self) -> Tensor:
        """float64 (C,): scores without the pull towards the 0 they began at; 0 for a class never seen.

        A class that is seen in one step of 20 otherwise looks easy for thousands of steps, is hidden less for it, and
        stays there.
        """
        gathered = 1 - self.momentum ** self.counts.double()
        return self.scores / torch.where(self.counts > 0, gathered, 1.0)

    def weights(self, mode: Mode, sharpness: float) -> Tensor:
        """float64 (C,) in (0, 1): sigmoid of `sharpness` times the standard score of each class.

        Paper: over all classes, as they stand. Corrected: over those that were seen; the others are taken as average.
        """
        if mode == "paper":
            return torch.sigmoid(sharpness * standard_scores(self.scores, torch.ones_like(self.counts)))
        return torch.sigmoid(sharpness * standard_scores(self.corrected(), self.counts > 0))


def standard_scores(scores: Tensor, known: Tensor) -> Tensor:
    """float64 (C,): distance from the mean of the known scores in (unbiased) standard deviations; 0 where unknown."""
    known = known.double()
    count = known.sum()
    mean = (scores * known).sum() / count.clamp(min=1)
    apart = (scores - mean) * known
    spread = ((apart**2).sum() / (count - 1).clamp(min=1)).sqrt()
    return apart / torch.where(spread > ROUNDING * scores.abs().max(), spread, LEAST_SPREAD)
