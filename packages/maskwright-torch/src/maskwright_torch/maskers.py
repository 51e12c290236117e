"""Maskers that know nothing about the modality."""

from typing import Literal

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

Rounding = Literal["nearest", "upstream"]


class RandomMasker(nn.Module):
    """Every valid unit is as likely to be hidden as any other."""

    def __init__(self, rounding: Rounding = "nearest") -> None:
        super().__init__()
        self.rounding = rounding

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        noise = uniform(step.stream("mask"), units.rows, units.valid.shape[1])
        if self.rounding == "nearest":
            return hide_lowest(noise, units.valid, counts_of(ratio, units.valid))
        # The official MAE keeps int(L * (1 - ratio)) patches, in floating point: 9, not 10, of 100 at ratio 0.9.
        valid = units.valid.sum(dim=1)
        return hide_lowest(noise, units.valid, valid - (valid * (1 - ratio)).to(torch.int64))
