"""Maskers that know that patches lie on a grid. All of them hide exactly floor(ratio * N + 0.5) patches."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Units
from maskwright_torch.maskers import Rounding
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

TRIES = 40
"""Rectangles drawn for each picture at most; what is still missing then is filled up at random."""


class BlockMasker(nn.Module):
    """Rectangles one after the other until the count is reached; the last one is cut (BEiT, arXiv:2106.08254).

    Each patch's score is the number of the first rectangle that covers it, and its noise breaks ties: what the last
    rectangle has too much is left out at random, what no rectangle covers comes last.
    """

    def __init__(self, smallest: int, aspect: float) -> None:
        super().__init__()
        self.smallest, self.aspect = smallest, aspect

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        rows, columns = units.grid
        counts = counts_of(ratio, units.valid)
        first = self.first_cover(units, counts, step)
        noise = uniform(step.stream("mask"), units.rows, rows * columns)
        return hide_lowest(first + noise, units.valid, counts)

    def first_cover(self, units: Units, counts: Tensor, step: Step) -> Tensor:
        """float64 (B, N): number of the first rectangle over each patch, TRIES where there is none."""
        rows, columns = units.grid
        draws = uniform(step.stream("rectangles"), units.rows, TRIES * 4).view(-1, TRIES, 4)
        largest = counts.clamp(min=1).double()[:, None]
        smallest = torch.minimum(largest, torch.tensor(float(self.smallest), dtype=torch.float64))
        area = smallest + draws[..., 0] * (largest - smallest)
        aspect = torch.exp(math.log(self.aspect) * (1 - 2 * draws[..., 1]))
        height = (area * aspect).sqrt().round().clamp(1, rows)
        width = (area / aspect).sqrt().round().clamp(1, columns)
        top = (draws[..., 2] * (rows - height + 1)).floor()
        left = (draws[..., 3] * (columns - width + 1)).floor()
        row = torch.arange(rows, device=draws.device)[None, None, :, None]
        column = torch.arange(columns, device=draws.device)[None, None, None, :]
        inside = (
            (row >= top[..., None, None])
            & (row < (top + height)[..., None, None])
            & (column >= left[..., None, None])
            & (column < (left + width)[..., None, None])
        ).flatten(2)
        number = torch.arange(TRIES, device=draws.device, dtype=torch.float64)[None, :, None]
        return torch.where(inside, number, float(TRIES)).amin(dim=1)


class GridMasker(nn.Module):
    """Keeps every second patch of every second row first, then the rest in an even order (ordered dithering).

    At ratio 3/4 this is the paper's grid; the grid is shifted at random by one patch for each picture and step.
    """

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        rows, columns = units.grid
        shift = (uniform(step.stream("mask"), units.rows, 2) * 2).floor().long()  # (B, 2) of 0 or 1
        row = torch.arange(rows, device=shift.device)[None, :, None] + shift[:, 0, None, None]
        column = torch.arange(columns, device=shift.device)[None, None, :] + shift[:, 1, None, None]
        # Corner of each 2 x 2 square -> how late it is hidden: the kept corner last.
        late = torch.tensor([[3.0, 1.0], [0.0, 2.0]], dtype=torch.float64, device=shift.device)
        score = late[row % 2, column % 2]
        finer = late[(row // 2) % 2, (column // 2) % 2] / 4
        return hide_lowest((score + finer).flatten(1), units.valid, counts_of(ratio, units.valid))


class FixedMasker(nn.Module):
    """The same patches in every picture: those with the highest `noise`, as MAE keeps the lowest."""

    def __init__(self, noise: Sequence[float], rounding: Rounding = "nearest") -> None:
        super().__init__()
        self.rounding = rounding
        self.register_buffer("noise", torch.tensor(list(noise), dtype=torch.float64), persistent=False)

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        count = units.valid.shape[1]
        if len(self.noise) != count:
            raise UserError(
                f"{len(self.noise)} numbers are given for {count} patches",
                where="masker.noise",
                why=f"the grid is {' x '.join(map(str, units.grid))}",
                cure="one number for each patch, row by row",
            )
        counts = counts_of(ratio, units.valid)
        if self.rounding == "upstream":
            counts = count - (count * (1 - ratio)).to(torch.int64)
        # Stable from the other end: of equal numbers the first ones stay visible.
        order = (-self.noise.to(units.rows.device)).expand(len(units.rows), -1).flip(1)
        return hide_lowest(order, units.valid.flip(1), counts).flip(1)
