"""Tiny pictures and an encoder that cannot be beaten on them, for the contract checks of the evaluators."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Baseline, Batch, Encoded, Space, Units
from maskwright_vision.pictures import ImagePrepare, raw_pixels

SIDE, CLASSES = 8, ("left", "right")


def shaded_pictures(train: int = 12, test: int = 6) -> dict[str, list[dict[str, Any]]]:
    """Split -> items: 8x8 grey ramps, every second one darker on the left, the others darker on the right."""
    return {
        split: [_item(split, number) for number in range(count)]
        for split, count in (("train", train), ("test", test))
    }


def _item(split: str, number: int) -> dict[str, Any]:
    ramp = np.linspace(20, 200, SIDE) + 3 * number
    rows = np.tile(ramp if number % 2 == 0 else ramp[::-1], (SIDE, 1)) + np.arange(SIDE)[:, None]
    pixels = rows.round().astype(np.uint8)[..., None]
    return {"id": f"{split}-{number:02d}", "pixels": pixels, "label": number % 2}


class SideOfTheLight(nn.Module):
    """An encoder without weights: [1, 0] where the left half is darker, else [0, 1]."""

    width = pooled_width = 2
    space = Space((1, 1), values=SIDE * SIDE)

    def __init__(self) -> None:
        super().__init__()
        self.prepare = ImagePrepare(SIDE, SIDE, 1, (0.5,), (0.5,))

    def baseline(self, known: list[dict[str, Any]], asked: list[dict[str, Any]], step: Step) -> Baseline:
        return raw_pixels(self.prepare, known, asked, step)

    def targets(self, batch: Batch) -> Tensor:
        return batch["pixels"].flatten(1)[:, None]

    def units(self, batch: Batch) -> Units:
        valid = torch.ones(len(batch[ROWS]), 1, dtype=torch.bool)
        return Units(valid, (1, 1), torch.arange(1), batch[ROWS])

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        pixels = batch["pixels"]
        left, right = (half.mean(dim=(1, 2, 3)) for half in pixels.chunk(2, dim=3))
        states = torch.stack([left < right, left >= right], dim=1).to(pixels.dtype)[:, None]
        index = torch.zeros(len(states), 1, dtype=torch.int64)
        return Encoded(states, index, index == 0, states[:, 0], states[:, :0])
