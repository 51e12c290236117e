"""Counter-based noise: a function of (key, row, unit), so nothing random is ever saved.

A row's numbers do not depend on the batch around it, the size of micro-batches, the rank or the device: two halves of a
batch are masked exactly as the whole. The mixing is splitmix64 in wrapping 64-bit integers (Steele, Lea & Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 on int64: a bijection that spreads every bit."""
    x = (x ^ _shifted(x, 30)) * _signed(FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(SECOND)
    return x ^ _shifted(x, 31)


def bits(key: int, rows: Tensor, count: int) -> Tensor:
    """int64 (B, count) of 64 random bits each; `rows` (B,) are identities, `key` is `step.stream(...)`."""
    # The row is mixed before the key is added: rows 0, 1, 2 … of one key must not be rows 1, 2, 3 … of the next.
    row = mix(mix(rows) + _signed(key))
    unit = torch.arange(1, count + 1, device=rows.device) * _signed(GOLDEN)
    return mix(row[:, None] + unit)


def uniform(key: int, rows: Tensor, count: int) -> Tensor:
    """float64 (B, count) in [0, 1), from the upper 53 bits."""
    return _shifted(bits(key, rows, count), 11).double() * 2.0**-53


def identity(name: str) -> int:
    """A row identity for an item that is known by its name (in pipelines), whatever batch it comes in."""
    return _signed(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big"))


def identities(names: Sequence[str]) -> Tensor:
    """`identity` of several names, int64 (B,)."""
    return torch.tensor([identity(name) for name in names], dtype=torch.int64)


def permutation(key: int, count: int) -> Tensor:
    """int64 (count,): an order of `count` things."""
    return bits(key, torch.zeros(1, dtype=torch.int64), count)[0].argsort(stable=True)
