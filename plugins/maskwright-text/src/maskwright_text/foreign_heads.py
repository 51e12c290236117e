"""Heads of foreign masked language models as our VocabularyHead, and back."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright_text.foreign_config import FolderConfig
from maskwright_text.vocabulary import Activation, VocabularyHead

_LARGE_EPS = 1e-5
"""Of ModernBERT's norms, where its config does not say."""


def make_head(config: FolderConfig, width: int, table: Tensor, weights: Mapping[str, Tensor] | None) -> Any:
    """A head for states of `width` and the table (V, E): with the weights of the folder's own, or new."""
    eps = config.table.get("norm_eps", _LARGE_EPS) if config.model_type == "modernbert" else None
    eps = config.table.get("layer_norm_eps", 1e-12) if eps is None else eps
    # A model may leave out the bias of one of the two maps; ours has both or none, the missing one starts at 0.
    bias = weights is None or "dense.bias" in weights or "norm.bias" in weights
    head = VocabularyHead(
        width, table.shape[1], table.shape[0], eps=float(eps), activation=activation_of(config), bias=bias
    )
    if weights is not None:
        state = {name: torch.zeros_like(tensor) for name, tensor in head.state_dict().items()}
        head.load_state_dict(state | dict(weights))
    return head.to(table.device, table.dtype)


def activation_of(config: FolderConfig) -> Activation:
    """What the head computes between its map and its norm."""
    from transformers.activations import ACT2FN

    key = config.architecture.head.activation
    name = config.table.get(key, "gelu") if key else "gelu"
    return F.gelu if name == "gelu" else ACT2FN[name]


def put_head(config: FolderConfig, model: Any, head: VocabularyHead) -> None:
    """The weights of our head in transformers' model; a bias that it does not have must be 0 in ours."""
    names, state = config.architecture.head, model.state_dict()
    for ours, theirs in (
        ("dense.weight", f"{names.dense}.weight"), ("dense.bias", f"{names.dense}.bias"),
        ("norm.weight", f"{names.norm}.weight"), ("norm.bias", f"{names.norm}.bias"), ("bias", names.bias),
    ):  # fmt: skip
        tensor = head.state_dict().get(ours)
        if tensor is not None and theirs in state:
            with torch.no_grad():
                state[theirs].copy_(tensor)
