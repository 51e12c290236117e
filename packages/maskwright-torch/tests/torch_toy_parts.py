"""What the toy components build. `B` batch, `N` = 4 cells, 2 numbers in each, `D` width."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright import Step, UserError
from maskwright_torch.contracts import ROWS, Batch, Encoded, Filled, Loss, Space, Units
from maskwright_torch.masking import choose, positions_of, take
from maskwright_torch.part import Part

CELLS = 4


class WaveData:
    """Item n: a sine at eight places, with a frequency of its own."""

    def __init__(self, count: int) -> None:
        self.count = count

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        if split != "train":
            raise UserError(f'there is no split "{split}"', cure="train")
        return self.count

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        if index >= self.length(split):
            raise IndexError(index)
        places = torch.arange(2.0 * CELLS).view(CELLS, 2)
        return {"id": f"wave {index}", "cells": torch.sin(places * (0.3 + 0.1 * index)).numpy()}

    def about(self, split: str) -> Mapping[str, Any]:
        return {"items": self.length(split)}

    def fingerprint(self) -> str:
        return f"{self.count:064x}"


def prepare(items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
    """`cells` (B, N, 2), and `label` where all items have one."""
    batch = {"cells": torch.stack([torch.as_tensor(item["cells"]) for item in items])}
    if all("label" in item for item in items):
        batch["label"] = torch.tensor([int(item["label"]) for item in items])
    return batch


class Cells(Part):
    """The states of the cells do not look at each other; the pooled vector is their mean."""

    space = Space((CELLS,), values=2)

    def __init__(self, width: int, hides: Literal["drop", "replace"]) -> None:
        super().__init__()
        self.width = self.pooled_width = width
        self.hides, self.prepare = hides, prepare
        self.embed = nn.Linear(2, width)
        self.place = nn.Parameter(torch.empty(CELLS, width).normal_())
        if hides == "replace":
            self.mask = nn.Parameter(torch.empty(width).normal_())

    def targets(self, batch: Batch) -> Tensor:
        return batch["cells"]

    def with_values(self, batch: Batch, values: Tensor) -> dict[str, Tensor]:
        return {**batch, "cells": values}

    def units(self, batch: Batch) -> Units:
        valid = torch.ones(len(batch[ROWS]), CELLS, dtype=torch.bool)
        return Units(valid, (CELLS,), torch.arange(CELLS), batch[ROWS])

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        index = torch.arange(CELLS).expand(len(batch[ROWS]), -1)
        if hidden is not None and self.hides == "drop":
            index = positions_of(~hidden)
        states = self.embed(take(batch["cells"], index))
        if hidden is not None and self.hides == "replace":
            states = torch.where(hidden[..., None], self.mask, states)
        states = (states + self.place[index]).tanh()
        valid = torch.ones_like(index, dtype=torch.bool)
        return Encoded(states, index, valid, states.mean(dim=1), states[:, :0])


class Guesser(Part):
    """Each cell is guessed from the pooled vector and its place; `slow` follows the bias after every step."""

    def __init__(self, encoder: Any, masker: Any, ratio: Any) -> None:
        super().__init__()
        self.encoder, self.masker, self.ratio, self.prepare = encoder, masker, ratio, encoder.prepare
        self.head = nn.Linear(encoder.width, CELLS * 2)
        self.register_buffer("slow", torch.zeros(CELLS * 2))

    def guess(self, batch: Batch, hidden: Tensor) -> Tensor:
        return (self.head(self.encoder(batch, hidden).pooled) + self.slow).view(-1, CELLS, 2)

    def forward(self, batch: Batch, step: Step) -> Loss:
        hidden = choose(self.encoder, self.masker, self.ratio, batch, step)
        errors = (self.guess(batch, hidden) - batch["cells"]).square().mean(dim=-1)
        return Loss.of((errors * hidden).sum(), hidden.sum().to(errors.dtype))

    def after_step(self, step: Step) -> None:
        self.slow.lerp_(self.head.bias.detach(), 0.1)

    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        guess = self.guess(batch, hidden)
        return Filled(torch.where(hidden[..., None], guess, batch["cells"]), guess.abs().sum(dim=-1))

    def fields(
        self, item: Mapping[str, Any], batch: Batch, row: int, filled: Filled, hidden: Tensor
    ) -> dict[str, Any]:
        return {"filled": filled.values[row].numpy(), "hidden": hidden[row].numpy()}
