"""Names of tensors in BERT and its relatives <-> in encoder:text. Queries, keys and values: there three maps, here one.

`bert.encoder.layer.0.attention.self.query.weight` without the first word: names within the network.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_torch.part import State

POSITIONS, SEGMENTS = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
PARTS = ("query", "key", "value")
"""In the order in which our fused map has them."""

_WHOLE = {
    "tokens.weight": "embeddings.word_embeddings.weight",
    "positions.weight": POSITIONS,
    "segments.weight": SEGMENTS,
    "norm_in.weight": "embeddings.LayerNorm.weight",
    "norm_in.bias": "embeddings.LayerNorm.bias",
}
_IN_BLOCK = {
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_NORMS = {
    False: {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"},
    True: {"norm1": "attention.LayerNorm", "norm2": "intermediate.LayerNorm"},
}
"""By pre_norm: BERT has its norms after each part, RoBERTa-PreLayerNorm before."""


def _pairs(depth: int, pre_norm: bool) -> dict[str, str]:
    """Our name -> theirs, of all tensors but queries, keys and values."""
    made = dict(_WHOLE)
    for number in range(depth):
        for ours, theirs in (_IN_BLOCK | _NORMS[pre_norm]).items():
            for end in ("weight", "bias"):
                made[f"blocks.{number}.{ours}.{end}"] = f"encoder.layer.{number}.{theirs}.{end}"
    if pre_norm:
        made |= {"norm.weight": "LayerNorm.weight", "norm.bias": "LayerNorm.bias"}
    return made


def to_ours(state: Mapping[str, Tensor], depth: int, pre_norm: bool, where: str) -> State:
    """Weights of encoder:text from theirs; what else they have, such as a pooler, is left out."""
    made: State = {}
    try:
        for ours, theirs in _pairs(depth, pre_norm).items():
            made[ours] = state[theirs]
        for number in range(depth):
            for end in ("weight", "bias"):
                at = f"encoder.layer.{number}.attention.self."
                made[f"blocks.{number}.attn.qkv.{end}"] = torch.cat([state[f"{at}{p}.{end}"] for p in PARTS])
    except KeyError as error:
        raise UserError(
            f"{where} lacks weights of its model",
            where=where,
            why=f"{error.args[0]} is missing",
            cure="save the model again, whole",
        ) from None
    return made


def from_ours(state: Mapping[str, Tensor], depth: int, pre_norm: bool) -> State:
    """Their weights from those of encoder:text; a relative bias is not among them."""
    made = {theirs: state[ours] for ours, theirs in _pairs(depth, pre_norm).items()}
    for number in range(depth):
        for end in ("weight", "bias"):
            pieces = state[f"blocks.{number}.attn.qkv.{end}"].chunk(3)
            for part, piece in zip(PARTS, pieces, strict=True):
                made[f"encoder.layer.{number}.attention.self.{part}.{end}"] = piece.clone()
    return made
