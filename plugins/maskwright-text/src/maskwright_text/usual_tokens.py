"""Tokens that stand for text: the ones to draw at random, to predict and to write."""

from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor, nn

from maskwright_torch.contracts import Space


class UsualTokens(nn.Module):
    """Calling it gives their ids, int64 in rising order, on the device of the module.

    Special tokens are none, nor are rows of the table for which the tokenizer has no token. How many it has is known
    when it has been trained, later than the table is made: so it is asked at each call, which costs next to nothing.
    """

    ids: Tensor

    def __init__(self, space: Space, codec: Any = None) -> None:
        super().__init__()
        self.codec, self.specials = codec, sorted(set(space.specials))
        ids = torch.ones(space.vocabulary, dtype=torch.bool)
        ids[self.specials] = False
        self.register_buffer("ids", ids.nonzero()[:, 0], persistent=False)

    def forward(self) -> Tensor:
        if self.codec is None:
            return self.ids
        # Of the ids below, those that are special are missing. Comparing all of them would wait for a GPU.
        return self.ids[: self.codec.known - bisect_left(self.specials, self.codec.known)]


def unusual_tokens(space: Space, codec: Any) -> list[int]:
    """The others, in rising order: special tokens, and rows without a token."""
    return sorted({*space.specials, *range(codec.known, space.vocabulary)})
