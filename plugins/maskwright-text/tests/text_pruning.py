"""Zeros in place of heads and neurons, for tests of encoders that lack them."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


@contextlib.contextmanager
def fed_zeros(encoder: Any, kept: Sequence[Tensor]) -> Iterator[None]:
    """The maps that read units find zeros for all but these."""
    hooks = []
    for group, units in zip(encoder.prunable(), kept, strict=True):
        stays = torch.zeros(group.count).index_fill(0, units, 1)
        gate = stays.repeat_interleave(group.size)
        read = encoder.get_submodule(group.output)
        hooks.append(read.register_forward_pre_hook(lambda _, given, gate=gate: (given[0] * gate,)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def some_of(encoder: Any) -> list[Tensor]:
    """Every other unit, up to the last; no heads in the first block, and no neurons in the last."""
    kept = [torch.arange(group.count - 1, -1, -2).flip(0) for group in encoder.prunable()]
    return [kept[0][:0], *kept[1:-1], kept[0][:0]]
