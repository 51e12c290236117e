"""Mixup and cutmix: each picture blended with, or patched by, a partner of its batch (arXiv:1710.09412, 1905.04899).

For encoders whose batch has `pixels` (B, C, H, W): tokens cannot be blended. Partners are a function of the step and of
which rows the batch holds, not of their order.
"""

import attrs
import numpy as np
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Batch
from maskwright_torch.noise import uniform


@attrs.frozen
class Mixing:
    """How strongly pictures are mixed. Where both kinds are on, a coin decides for each batch."""

    mixup: float = 0.0
    """Both numbers of the beta distribution that the own share is drawn from; 0: never."""
    cutmix: float = 0.0
    probability: float = 1.0
    """Share of the batches that are mixed at all."""

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and max(self.mixup, self.cutmix) > 0

    def of(self, batch: Batch, step: Step) -> tuple[Batch, Tensor, float]:
        """The mixed batch, int64 (B,) the row of each row's partner, and the share that is the row's own."""
        if "pixels" not in batch:
            raise UserError(
                "mixup and cutmix mix pixels, and this encoder reads none",
                where="objective:classify, settings mixup and cutmix",
                why=f"the batch holds {', '.join(sorted(batch))}",
                cure="mixup=0 cutmix=0",
            )
        draw = np.random.Generator(np.random.Philox(key=step.stream("mixing")))
        mixed, coin = draw.random(2)
        partner = partners(batch[ROWS], step)
        if mixed >= self.probability:
            return batch, partner, 1.0
        pixels = batch["pixels"]
        if self.cutmix > 0 and (self.mixup == 0 or coin < 0.5):
            top, bottom, left, right = _box(
                pixels.shape[-2:], float(draw.beta(self.cutmix, self.cutmix)), draw
            )
            made = pixels.clone()
            made[..., top:bottom, left:right] = pixels[partner][..., top:bottom, left:right]
            own = 1.0 - (bottom - top) * (right - left) / (pixels.shape[-2] * pixels.shape[-1])
        else:
            own = float(draw.beta(self.mixup, self.mixup))
            made = own * pixels + (1 - own) * pixels[partner]
        return {**batch, "pixels": made}, partner, own


def partners(rows: Tensor, step: Step) -> Tensor:
    """int64 (B,): a ring through all rows in random order; each row's partner is the next one."""
    order = uniform(step.stream("partners"), rows, 1)[:, 0].argsort(stable=True)
    return torch.empty_like(order).scatter_(0, order, order.roll(-1))


def _box(sides: torch.Size, own: float, draw: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a rectangle over 1 - own of the picture, cut off at its edges."""
    found: list[int] = []
    for side in sides:
        half = side * (1 - own) ** 0.5 / 2
        middle = draw.random() * side
        found += [max(round(middle - half), 0), min(round(middle + half), side)]
    return found[0], found[1], found[2], found[3]
