"""Using a trained part: items in, arrays out, in evaluation mode and without gradients."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Prepare
from maskwright_torch.noise import identities

Item = Mapping[str, Any]

ROWS_AT_ONCE = 64


@contextlib.contextmanager
def in_use(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every sub-module is in the mode it was in."""
    before = {inner: inner.training for inner in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for inner, mode in before.items():
            inner.training = mode


def prepared(module: nn.Module, prepare: Prepare, items: Sequence[Item], step: Step) -> dict[str, Tensor]:
    """A batch where the module is. A row is known by its item's id, so that its noise does not depend on the others."""
    batch = prepare(items, step)
    batch[ROWS] = identities([str(item["id"]) for item in items])
    like = next(module.parameters(), torch.zeros(()))
    return {
        name: tensor.to(like.device, like.dtype if tensor.is_floating_point() else None)
        for name, tensor in batch.items()
    }


def in_batches(
    module: nn.Module, prepare: Prepare, items: Iterable[Item], step: Step, size: int = ROWS_AT_ONCE
) -> Iterator[tuple[tuple[Item, ...], dict[str, Tensor]]]:
    """(items, their batch), a piece at a time, so that a long stream is never held whole."""
    stream = iter(items)
    while piece := tuple(islice(stream, size)):
        yield piece, prepared(module, prepare, piece, step)
