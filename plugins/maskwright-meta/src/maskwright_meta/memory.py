"""What autograd holds between the two passes, and whether a machine has room for it.

An inner step that the gradient goes back through keeps its graph until then: k steps hold k + 1 graphs. Found out by
one step, before a run is out of memory at its first update.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError

GIB = 2**30


def held_bytes(forward: Callable[[], object], besides: Iterable[Tensor] = ()) -> int:
    """Bytes of the tensors that autograd holds when `forward` is through, each storage once, and none of `besides`."""
    known = {tensor.untyped_storage().data_ptr() for tensor in besides}
    held: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor.detach())  # an address must not be given to another tensor meanwhile
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(held.values())


def tensors_in(batch: Mapping[str, Any]) -> Iterator[Tensor]:
    """Those of a batch, and of the batches in it."""
    for value in batch.values():
        if isinstance(value, Tensor):
            yield value
        else:
            yield from tensors_in(value)


def bytes_of_machine(device: torch.device) -> int:
    """All memory of the device, free or not."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def least_bytes(one_step: int, depth: int, episodes: int) -> float:
    """A bound from below for `episodes` at `depth`, by what an episode of one inner step holds: a step's graph is no
    smaller than that of the loss after it."""
    return episodes * one_step * (depth + 1) / 2


def check_room(one_step: int, depth: int, episodes: int, device: torch.device) -> None:
    """UserError where not even the bound fits into the machine."""
    least, room = least_bytes(one_step, depth, episodes), bytes_of_machine(device)
    if least <= room:
        return
    raise UserError(
        f"an update would hold {least / GIB:.1f} GiB at least, and the machine has {room / GIB:.1f} GiB",
        where=f"objective:meta, {episodes} episodes at once with {depth} inner steps",
        why=f"every inner step keeps its graph; an episode of one step holds {one_step / GIB:.3f} GiB",
        cure="objective.recompute=true, objective.order=first, or a larger accumulate: fewer episodes at once",
    )
