"""A writer made of a table, whose every text has a probability that can be worked out by hand."""

import itertools
import math

import torch
from torch import Tensor

from maskwright_torch.noise import identities, uniform

END = 0


class TableWriter:
    """`size` tokens, the first is the end. What follows a text depends on all of it, and on the item."""

    def __init__(self, size: int, items: int = 1, spread: float = 4.0) -> None:
        self.size, self.spread = size, spread
        self.source = torch.arange(items)[:, None]

    def next(self, texts: Tensor) -> Tensor:
        names = [
            f"{item} {text}" for item, text in zip(self.source[:, 0].tolist(), texts.tolist(), strict=True)
        ]
        return (uniform(3, identities(names), self.size) * self.spread).log_softmax(dim=1)

    def select(self, rows: Tensor) -> None:
        self.source = self.source[rows]


class NoRules:
    """Any token may follow."""

    sep, min_length = END, 0
    never: tuple[int, ...] = ()

    def __call__(self, log_probs: Tensor, place: int, texts: Tensor) -> Tensor:
        return log_probs


def all_texts(size: int, limit: int, item: int = 0) -> list[tuple[list[int], float, bool]]:
    """(tokens without the end, log-probability, whether it ended) of every text that can be written."""
    found = []
    for length in range(limit + 1):
        for text in itertools.product(range(1, size), repeat=length):
            total = 0.0
            whole = [*text, END] if length < limit else list(text)
            for place, token in enumerate(whole):
                writer = TableWriter(size)
                writer.source = torch.tensor([[item]])
                before = torch.tensor([whole[:place]], dtype=torch.int64)
                total += float(writer.next(before)[0, token])
            found.append((list(text), total, length < limit))
    assert math.isclose(sum(math.exp(total) for _, total, _ in found), 1.0, rel_tol=1e-9)
    return found
