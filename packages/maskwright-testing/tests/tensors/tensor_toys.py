"""An encoder and an objective on words, small enough to be understood and to be broken in one place."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from kit_toys import toy
from torch import Tensor, nn

from maskwright import Step
from maskwright_torch.contracts import ROWS, Baseline, Batch, Encoded, Filled, Loss, Space, Units
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.masking import choose, positions_of, take
from maskwright_torch.part import Part, seeded

ENCODER = {"provides": {"torch", "pooled", "hides:drop"}, "consumes": {"text"}}
OBJECTIVE = {"provides": {"torch", "fills"}, "consumes": {"text"}}


def built(part: Any, **members: Any) -> type:
    """A Params class whose part has weights of its seed, and texts of different lengths as data."""
    texts = ("a few short words", "one and two", "there are five words here", "no more words", "so it ends")
    items = {"train": [{"id": f"item {n}", "text": text} for n, text in enumerate(texts)]}
    return toy(
        part,
        build=lambda self, seed: seeded(seed, part),
        example_data=classmethod(lambda cls, make_data: make_data(items)),
        **members,
    )


class Lengths:
    """Texts -> `values` (B, N, 2): length and first letter of each word; `valid` (B, N) where there is one."""

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        words = [item["text"].split() for item in items]
        longest = max(map(len, words))
        values = torch.zeros(len(items), longest, 2)
        for row, found in enumerate(words):
            values[row, : len(found)] = torch.tensor([[len(word) / 4, ord(word[0]) / 128] for word in found])
        lengths = torch.tensor([len(found) for found in words])
        return {"values": values, "valid": torch.arange(longest) < lengths[:, None]}


class Words(Part):
    """A state for each word that is not hidden, which knows of the others that are not. Units are words."""

    width = pooled_width = 4
    space = Space((), values=2)

    def __init__(self) -> None:
        super().__init__()
        self.prepare = Lengths()
        self.embed = nn.Linear(2, self.width)

    def targets(self, batch: Batch) -> Tensor:
        return batch["values"]

    def units(self, batch: Batch) -> Units:
        valid = batch["valid"]
        return Units(valid, (valid.shape[1],), torch.arange(valid.shape[1]), batch[ROWS])

    def baseline(self, known: Sequence[Any], asked: Sequence[Any], step: Step) -> Baseline:
        counts = [torch.tensor([[len(item["text"].split())] for item in items]) for items in (known, asked)]
        return Baseline("counts", "numbers of words", *(side.numpy() for side in counts))

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        index = positions_of(torch.ones_like(batch["valid"]) if hidden is None else ~hidden)
        values, valid = take(batch["values"], index), batch["valid"].gather(1, index)
        return self.encoded(self.embed(values).tanh(), index, valid)

    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        """States that have seen each other."""
        weights = valid[..., None].to(states.dtype)
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1)
        place = torch.sin(index[..., None] * torch.arange(1, 5))
        return Encoded(states + mean[:, None] + place.to(states.dtype), index, valid, mean, states[:, :0])


class Guess(Part):
    """Predicts hidden words from the mean of the visible ones."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Words()
        self.masker, self.ratio = RandomMasker(), lambda progress, u=0.0: 0.5
        self.prepare = self.encoder.prepare
        self.head = nn.Linear(4, 2)

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        """(B, N, 2): the same prediction for every word of a row."""
        weights = (batch["valid"] & ~hidden)[..., None].to(self.head.weight.dtype)
        states = self.encoder.embed(batch["values"]).tanh() * weights
        return self.head(states.sum(dim=1) / weights.sum(dim=1).clamp(min=1))[:, None].expand_as(
            batch["values"]
        )

    def hidden(self, batch: Batch, step: Step) -> Tensor:
        return choose(self.encoder, self.masker, self.ratio, batch, step)

    def forward(self, batch: Batch, step: Step) -> Loss:
        hidden = self.hidden(batch, step)
        errors = (self.predicted(batch, hidden) - batch["values"]).square().mean(dim=-1)
        counts = hidden.sum().to(errors.dtype)
        return Loss.of((errors * hidden).sum(), counts, {"rows": errors.mean(dim=1).mean()})

    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        values = torch.where(hidden[..., None], self.predicted(batch, hidden), batch["values"])
        return Filled(values, batch["valid"].float())

    def fields(
        self, item: Mapping[str, Any], batch: Batch, row: int, filled: Filled, hidden: Tensor
    ) -> dict[str, Any]:
        return {"filled": filled.values[row].numpy(), "hidden": hidden[row].numpy()}
