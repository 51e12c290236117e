"""Hide units in stripes. `B` rows of a batch, `N` units of a row."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

Direction = Literal["vertical", "horizontal"]


class StripesMasker(nn.Module):
    """Runs of `width` neighbours take turns: those of turn 0, one in `every`, are hidden before those of turn 1."""

    def __init__(self, width: int, every: int, direction: Direction) -> None:
        super().__init__()
        self.width, self.every, self.direction = width, every, direction

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        """`ratio` float64 (B,) -> bool (B, N), True where hidden."""
        # Streams of their own names: where stripes begin says nothing about which of them go first.
        draw = uniform(step.stream("acme-stripes/offset"), units.rows, 1)  # (B, 1) in [0, 1)
        offset = (draw * (self.width * self.every)).long()
        across = self.across(units)  # (N,)
        run = (across + offset) // self.width  # (B, N): number of the run that each unit is in
        most = (int(across.max()) + self.width * self.every) // self.width + 1
        order = uniform(step.stream("acme-stripes/order"), units.rows, most)  # (B, runs)
        # Within a run all scores are equal, and of equal scores the first go: a run is cut at its end.
        scores = run % self.every + order.gather(1, run)
        return hide_lowest(scores, units.valid, counts_of(ratio, units.valid))

    def across(self, units: Units) -> Tensor:
        """int64 (N,): where each unit lies on the axis that stripes follow one another on."""
        axis = len(units.grid) - 1 if self.direction == "vertical" else 0
        later = math.prod(units.grid[axis + 1 :])
        index = torch.arange(units.valid.shape[1], device=units.valid.device)
        return index // later % units.grid[axis]
