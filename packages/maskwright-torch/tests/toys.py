"""A tiny objective and data set for tests of the engine's functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskwright import Step, UserError
from maskwright_torch.contracts import Batch, Loss, Term
from maskwright_torch.noise import uniform
from maskwright_torch.part import Part, seeded


class Numbers:
    """`samples` (3,) for each item: a function of its index."""

    def __init__(self, count: int = 20) -> None:
        self.count = count
        self.seen: list[tuple[int, int]] = []

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        return self.count

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        if index == 13 and self.count == 14:
            raise UserError("item 13 is broken", where="the file", why="it is torn", cure="mend it")
        self.seen.append((step.number, index))
        noise = uniform(step.stream("augment"), torch.tensor([0]), 3)[0].numpy()
        return {"id": f"i{index}", "numbers": np.array([index, index % 3, 1.0]) + 0.01 * noise}

    def about(self, split: str) -> Mapping[str, Any]:
        return {}

    def fingerprint(self) -> str:
        return "0" * 64


def prepare(items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
    return {"numbers": torch.tensor(np.stack([item["numbers"] for item in items]))}


class Regression(Part):
    """Hides units by noise of the row and predicts a sum: the count of a row differs from row to row.

    `terms` is 1, or 2 with different counts and weights.
    """

    prepare = staticmethod(prepare)

    def __init__(self, terms: int = 1, can_count: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.terms = terms
        self.inner = seeded(4, lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)))
        self.dropout = nn.Dropout(dropout)
        if can_count:
            self.counts = self._counts

    def hidden(self, batch: Batch, step: Step) -> Tensor:
        return uniform(step.stream("mask"), batch["rows"], 3) < 0.6

    def forward(self, batch: Batch, step: Step) -> Loss:
        hidden = self.hidden(batch, step)
        x = batch["numbers"].to(self.inner[0].weight.dtype) / 10
        error = (self.inner(self.dropout(x.masked_fill(hidden, 0))) - x).square()
        main = Term((error * hidden).sum(), hidden.sum().to(error.dtype))
        parts = {"rows_mean": x[:, 0].mean()}
        if self.terms == 1:
            return Loss({"loss": main}, parts)
        own = Term(error[:, 0].sum(), error.new_tensor(float(len(error))), weight=0.3)
        return Loss({"hidden": main, "first": own}, parts)

    def _counts(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        hidden = self.hidden(batch, step)
        return {"hidden": hidden.sum().double(), "first": torch.tensor(float(len(hidden)))}
