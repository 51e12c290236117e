"""masker:pairs — two tokens of each text, a given distance apart, each a block of its own."""

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_text.word_groups import NONE
from maskwright_torch.contracts import Units
from maskwright_torch.noise import uniform


class PairMasker(nn.Module):
    """Where the pair stands, and which of the two is the first block, is drawn; the ratio plays no part."""

    def __init__(self, distance: int) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return self.blocks(units, ratio, step) != NONE

    def blocks(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        """0 and 1 for the two tokens, NONE for the others; a row that is too short has none."""
        valid = units.valid
        blocks = torch.full(valid.shape, NONE, device=valid.device)
        if valid.shape[1] <= self.distance:
            return blocks
        fits = valid[:, : -self.distance] & valid[:, self.distance :]
        noise = uniform(step.stream("mask"), units.rows, fits.shape[1])
        start = noise.masked_fill(~fits, torch.inf).argmin(dim=1, keepdim=True)
        first = (uniform(step.fork("order").stream("mask"), units.rows, 1) < 0.5).long()
        found = fits.any(dim=1, keepdim=True)
        blocks.scatter_(1, start, torch.where(found, first, NONE))
        return blocks.scatter_(1, start + self.distance, torch.where(found, 1 - first, NONE))
