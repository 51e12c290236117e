"""Data parallelism under `torchrun`: who we are, sums over all, and the end of the group.

Every rank plans and builds the same recipe; rank 0 alone owns the run folder (`maskwright.followers`).
"""

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from maskwright.errors import UserError

GONE = ("connection", "closed by peer", "reset by peer", "timed out", "remote process")
"""Words of the errors by which a dead partner shows; others are faults of our own."""

PATIENCE = datetime.timedelta(hours=12)
"""The others wait while the first rank evaluates; a dead partner is noticed by its connection, not by this."""


@attrs.frozen
class Ranks:
    """This process among those of the run; one process alone is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, on every rank."""
        if self.size > 1:
            with _partners():
                dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank: all of them must leave the loop at the same step."""
        return flag if self.size == 1 else bool(self.sum(_on_device(torch.tensor(float(flag)))))

    def from_first(self, numbers: Sequence[int]) -> list[int]:
        """Whole numbers that rank 0 knows, on every rank (as many as were given)."""
        tensor = torch.tensor(list(numbers), dtype=torch.int64)
        if self.size > 1:
            tensor = _on_device(tensor)
            with _partners():
                dist.broadcast(tensor, 0)
        return tensor.tolist()

    def text_from_first(self, text: str) -> str:
        """A text that rank 0 knows, on every rank."""
        data = text.encode() if self.is_first else b""
        (length,) = self.from_first([len(data)])
        return bytes(self.from_first(data if self.is_first else [0] * length)).decode()

    def wait(self) -> None:
        """Until all ranks are here: without it at the end, some abort while others still send."""
        if self.size > 1:
            with _partners():
                dist.barrier()


def _on_device(tensor: Tensor) -> Tensor:
    return tensor.cuda() if dist.get_backend() == "nccl" else tensor


def all_sum(tensor: Tensor) -> Tensor:
    """For `after_step`: the sum over all ranks; alone, the tensor itself."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


@contextlib.contextmanager
def _partners() -> Iterator[None]:
    """A partner that died shows as an error of the connection."""
    try:
        yield
    except (RuntimeError, ConnectionError) as error:
        if not any(word in str(error).lower() for word in GONE):
            raise
        raise UserError(
            "another process of this run is gone",
            why=str(error).strip().splitlines()[0][:200],
            cure="the last checkpoint is kept:  torchrun … -m maskwright resume RUN",
        ) from error


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The group that `torchrun` started, or just this process."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size < 2:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
