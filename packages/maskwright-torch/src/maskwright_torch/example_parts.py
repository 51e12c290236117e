"""Tiny items and encoders for the contract checks of parts that work with any encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Baseline, Batch, Encoded, Space, Units
from maskwright_torch.part import Part, seeded

SIZE, CLASSES = 8, ("rising", "falling")
WIDTH, DEPTH = 16, 2

Item = Mapping[str, Any]


def example_items(train: int = 12, test: int = 6) -> dict[str, list[dict[str, Any]]]:
    """Split -> items with `vector` (SIZE,): ramps, every second one rising, the others falling."""
    return {
        split: [_item(split, number) for number in range(count)]
        for split, count in (("train", train), ("test", test))
    }


def _item(split: str, number: int) -> dict[str, Any]:
    ramp = np.linspace(-1, 1, SIZE) + 0.05 * number
    vector = (ramp if number % 2 == 0 else ramp[::-1]).astype(np.float32)
    return {"id": f"{split}-{number:02d}", "vector": vector, "label": number % 2}


def prepare(items: Sequence[Item], step: Step) -> dict[str, Tensor]:
    """`vector` (B, SIZE), and `label` where all items have one."""
    batch = {"vector": torch.from_numpy(np.stack([item["vector"] for item in items]))}
    if all("label" in item for item in items):
        batch["label"] = torch.tensor([int(item["label"]) for item in items])
    return batch


class HeavierHalf(Part):
    """An encoder without weights: [1, 0] where the second half of the numbers is larger, else [0, 1]."""

    width = pooled_width = 2
    space = Space((SIZE,), values=1)

    def __init__(self) -> None:
        super().__init__()
        self.prepare = prepare

    def targets(self, batch: Batch) -> Tensor:
        return batch["vector"][..., None]

    def units(self, batch: Batch) -> Units:
        valid = torch.ones(len(batch[ROWS]), SIZE, dtype=torch.bool)
        return Units(valid, (SIZE,), torch.arange(SIZE), batch[ROWS])

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        first, second = (half.mean(dim=1) for half in batch["vector"].chunk(2, dim=1))
        states = torch.stack([first < second, first >= second], dim=1).to(first.dtype)[:, None]
        return encoded(states, states[:, 0])


class SmallNetwork(HeavierHalf):
    """An encoder with weights in layers. Its states are those of the numbers; the pooled vector is their mean."""

    width = pooled_width = WIDTH

    def __init__(self, depth: int = DEPTH) -> None:
        super().__init__()
        self.depth = depth
        self.embed = nn.Linear(SIZE + 1, WIDTH)
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.norm = nn.LayerNorm(WIDTH)

    def reset(self) -> None:
        """New weights, as at the start."""
        for layer in (self.embed, *self.blocks, self.norm):
            layer.reset_parameters()

    def layer_of(self, name: str) -> int:
        """0 for what comes before the blocks, k + 1 for block k, depth + 1 for what follows."""
        if name.startswith("embed"):
            return 0
        return int(name.split(".")[1]) + 1 if name.startswith("blocks.") else self.depth + 1

    def baseline(self, known: Sequence[Item], asked: Sequence[Item], step: Step) -> Baseline:
        """The numbers themselves."""
        first, second = (np.stack([item["vector"] for item in items]) for items in (known, asked))
        return Baseline("numbers", "the numbers", first, second)

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        numbers = self.targets(batch)
        place = torch.eye(SIZE, dtype=numbers.dtype, device=numbers.device).expand(len(numbers), -1, -1)
        x = self.embed(torch.cat([place * numbers, numbers], dim=2))
        for block in self.blocks:
            x = x + block(x).tanh()
        x = self.norm(x)
        return encoded(x, x.mean(dim=1))


def encoded(states: Tensor, pooled: Tensor) -> Encoded:
    """All states (B, M, D) in order, without a class token."""
    index = torch.arange(states.shape[1], device=states.device).expand(states.shape[:2])
    return Encoded(states, index, torch.ones_like(index, dtype=torch.bool), pooled, states[:, :0])


def example_encoder() -> SmallNetwork:
    return seeded(0, SmallNetwork)
