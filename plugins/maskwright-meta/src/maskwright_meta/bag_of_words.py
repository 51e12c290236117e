"""encoder:bag-of-words — the mean of the words' vectors, then a small network with ReLU.

`B` batch, `W` most words of a text, `E` numbers in a word's vector, `D` width.
"""

import functools
import itertools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Batch, Encoded, Space, Units
from maskwright_torch.part import Part

PADDING = -1


@functools.lru_cache(maxsize=1 << 16)
def bucket_of(word: str, buckets: int) -> int:
    return zlib.crc32(word.encode()) % buckets


@attrs.frozen
class PrepareWords:
    """Items with `text` -> `words` int64 (B, W), rows of the table, -1 beyond the end; `label` where all have one."""

    buckets: int

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        rows = [[bucket_of(word, self.buckets) for word in self._words(item)] for item in items]
        longest = max(map(len, rows), default=0)
        words = [row + [PADDING] * (longest - len(row)) for row in rows]
        batch = {"words": torch.tensor(words, dtype=torch.int64).reshape(len(items), longest)}
        if all("label" in item for item in items):
            batch["label"] = torch.tensor([int(item["label"]) for item in items], dtype=torch.int64)
        return batch

    def _words(self, item: Mapping[str, Any]) -> list[str]:
        words = str(item.get("text", "")).split()
        if not words:
            raise UserError(
                f'the item "{item.get("id", "")}" has no words',
                where="encoder:bag-of-words",
                why="its text is empty, or it has no field text",
                cure="leave it out, or data with texts",
            )
        return words


class BagOfWords(Part):
    """Words whose hash is the same share a vector."""

    def __init__(self, buckets: int, embedding: int, width: int, depth: int) -> None:
        super().__init__()
        self.prepare = PrepareWords(buckets)
        self.width, self.depth = embedding, depth
        self.pooled_width = width if depth else embedding
        self.space = Space((0,), vocabulary=buckets)
        self.table = nn.Parameter(torch.empty(buckets, embedding).normal_())
        sizes = [embedding, *([width] * depth)]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def reset(self) -> None:
        """New weights, as at the start."""
        nn.init.normal_(self.table)
        for layer in self.layers:
            layer.reset_parameters()

    def layer_of(self, name: str) -> int:
        """0 for the table, k + 1 for hidden layer k."""
        return 0 if name == "table" else int(name.split(".")[1]) + 1

    def targets(self, batch: Batch) -> Tensor:
        return batch["words"].clamp(min=0)

    def with_values(self, batch: Batch, values: Tensor) -> dict[str, Tensor]:
        return {**batch, "words": torch.where(batch["words"] == PADDING, PADDING, values)}

    def units(self, batch: Batch) -> Units:
        words = batch["words"]
        position = torch.arange(words.shape[1], device=words.device)
        return Units(words != PADDING, (words.shape[1],), position, batch[ROWS])

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        """Hidden words are left out of the mean; their states are 0."""
        words = batch["words"]
        seen = words != PADDING if hidden is None else (words != PADDING) & ~hidden
        states = torch.where(seen[..., None], nn.functional.embedding(words.clamp(min=0), self.table), 0.0)
        x = states.sum(dim=1) / seen.sum(dim=1).clamp(min=1)[:, None]
        for layer in self.layers:
            x = layer(x).relu()
        index = torch.arange(words.shape[1], device=words.device).expand(words.shape)
        return Encoded(states, index, words != PADDING, x, states[:, :0])
