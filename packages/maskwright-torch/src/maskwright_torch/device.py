"""Where tensors live and in which precision they are multiplied."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError

Precision = Literal["fp32", "bf16", "fp64"]


@attrs.frozen
class Compute:
    """A device and a precision."""

    device: torch.device
    precision: Precision = "fp32"

    def put(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch on the device; numbers as wide as the weights."""
        return {
            name: self.put(value) if isinstance(value, Mapping) else self._put(value)
            for name, value in batch.items()
        }

    def _put(self, tensor: Tensor) -> Tensor:
        wide = self.precision == "fp64" and tensor.is_floating_point()
        return tensor.to(self.device, torch.float64 if wide else None, non_blocking=True)

    def place(self, module: torch.nn.Module) -> None:
        module.to(self.device)
        if self.precision == "fp64":
            module.double()

    def autocast(self) -> Any:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()


def compute_for(device: str, precision: Precision) -> Compute:
    """`auto` takes the GPU of this rank where there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f'the device "{device}" is not available',
            where="device",
            why=str(error).strip().splitlines()[0],
            cure="device=auto takes what there is",
        ) from None
    if precision == "bf16" and found.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("this GPU has no bf16", where="precision", cure="precision=fp32")
    return Compute(found, precision)


@contextlib.contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same bits each time; on a CPU they do anyway."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
