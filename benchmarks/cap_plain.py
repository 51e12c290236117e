"""A transformer of given sizes and nothing else: what a compact encoder can be measured against."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskwright_torch.part import seeded

Shape = Sequence[Sequence[int]]
"""[heads, neurons] of each block."""


def multiplications(shape: Shape, width: int, head: int, tokens: int) -> int:
    """Of all blocks, for one token. `head`: the size of a head.

    With a = heads x head: 4 x width x a for the maps around attention, 2 x tokens x a for attention itself, and
    2 x width x neurons for the MLP.
    """
    return sum((4 * width + 2 * tokens) * heads * head + 2 * width * neurons for heads, neurons in shape)


class PlainBlock(nn.Module):
    """Attention and MLP, the norm after each."""

    def __init__(self, width: int, head: int, heads: int, neurons: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * heads * head), nn.Linear(heads * head, width)
        self.fc1, self.fc2 = nn.Linear(width, neurons), nn.Linear(neurons, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        read = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.proj(read))
        return self.norm2(x + self.fc2(F.gelu(self.fc1(x))))


class PlainEncoder(nn.Module):
    """Tables of tokens and positions, a norm, and blocks of these sizes."""

    def __init__(self, shape: Shape, width: int, head: int, vocabulary: int, tokens: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(tokens, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(PlainBlock(width, head, *sizes) for sizes in shape))

    def forward(self, batch: dict[str, Any]) -> Tensor:
        tokens = batch["tokens"]
        place = torch.arange(tokens.shape[1], device=tokens.device)
        return self.blocks(self.norm(self.tokens(tokens) + self.positions(place)))


def plain_encoder(shape: Shape, width: int, head: int, vocabulary: int, tokens: int) -> PlainEncoder:
    """With weights that are drawn the same each time."""
    return seeded(1, lambda: PlainEncoder(shape, width, head, vocabulary, tokens)).eval()
