"""Tokens as units without any network: enough of an encoder to choose masks and to corrupt tokens."""

from typing import Any

import torch
from torch import Tensor, nn

from maskwright_torch.contracts import ROWS, Batch, Prepare, Space, Units


class TokenUnits:
    """The half of the encoder contract that needs no weights. Batches have `tokens real special` (B, T)."""

    def __init__(self, space: Space, prepare: Prepare | None = None) -> None:
        self.space, self.prepare = space, prepare

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

    def make_head(self) -> Any:
        """Nothing is predicted here."""
        return nn.Identity()
