"""Tokens as units: the part of the encoder contract that needs no weights."""

import torch
from torch import Tensor

from maskwright_torch.contracts import ROWS, Batch, Space, Units


class OverTokens:
    """What all encoders of texts have in common. Batches have `tokens real special` (B, T)."""

    def targets(self, batch: Batch) -> Tensor:
        """int64 (B, T)"""
        return batch["tokens"]

    def with_values(self, batch: Batch, values: Tensor) -> dict[str, Tensor]:
        """The batch with other tokens, int64 (B, T)."""
        return {**batch, "tokens": values}

    def units(self, batch: Batch) -> Units:
        count = batch["tokens"].shape[1]
        position = torch.arange(count, device=batch["tokens"].device)
        return Units(batch["real"] & ~batch["special"], (count,), position, batch[ROWS])


class TokenUnits(OverTokens):
    """Without any network: enough to choose masks and to corrupt tokens."""

    def __init__(self, space: Space) -> None:
        self.space = space
