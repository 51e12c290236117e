"""Encoders whose linear maps leave out zeros, for use after single weights were pruned.

Dense kernels multiply zeros like any other number. torch's compressed rows (CSR) skip them: at 97 % zeros a map takes a
fraction of the time, at 50 % longer than before. `evaluator:latency` measures which it is.
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SparseLinear(nn.Module):
    """A linear map from compressed rows; only for inference."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that CSR is in beta state
            self.register_buffer("weight", weight.to_sparse_csr())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        out = (self.weight @ rows.T).T.reshape(*x.shape[:-1], -1)
        return out if self.bias is None else out + self.bias


class PlainLinear(nn.Module):
    """A linear map as it is without masks over it; only for inference."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


def with_sparse_maps(encoder: Any, paths: Sequence[str]) -> Any:
    """A copy of an encoder whose maps at these paths skip their zeros; what is masked counts as zero."""
    return _with_maps(encoder, paths, SparseLinear)


def with_plain_maps(encoder: Any, paths: Sequence[str]) -> Any:
    """A copy whose maps at these paths hold their masked weights, so that no mask is multiplied in at each pass."""
    return _with_maps(encoder, paths, PlainLinear)


@torch.no_grad()
def _with_maps(encoder: Any, paths: Sequence[str], make: Callable[[Tensor, Tensor | None], nn.Module]) -> Any:
    # Wherever the copy would hold a map, it holds the new one; what holds no weights, such as a tokenizer, is shared.
    instead: dict[int, Any] = {id(part): part for part in (encoder.prepare, getattr(encoder, "codec", None))}
    for path in paths:
        layer = encoder.get_submodule(path)
        bias = None if layer.bias is None else layer.bias.detach().clone()
        instead[id(layer)] = make(layer.weight.detach().clone(), bias)
    return copy.deepcopy(encoder, instead)
