"""Names of tensors in BERT and its relatives <-> in encoder:text. Queries, keys and values: there three maps, here one.

`bert.encoder.layer.0.attention.self.query.weight` without the first word: names within the network.
"""

import re
from collections.abc import Mapping, Sequence

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
_LEFT_OUT = ("pooler.", "embeddings.position_ids")
"""Beginnings of names that encoder:text needs nothing of: the pooler, and the numbers 0, 1, 2 … as a tensor."""
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


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
    """Weights of encoder:text from theirs; only a pooler is left out."""
    made: State = {}
    try:
        if not any(name.startswith(last := f"encoder.layer.{depth - 1}.") for name in state):
            raise KeyError(f"{last}*")  # before anything is done for each of so many layers
        _refuse_more(state, depth, pre_norm, where)
        for ours, theirs in _pairs(depth, pre_norm).items():
            made[ours] = state[theirs]
        for number in range(depth):
            for end in ("weight", "bias"):
                names = _parts(number, end)
                made[f"blocks.{number}.attn.qkv.{end}"] = _joined(
                    [state[name] for name in names], names, where
                )
    except KeyError as error:
        raise UserError(
            f"{where} lacks weights of its model",
            where=where,
            why=f"{error.args[0]} is missing",
            cure="save the model again, whole",
        ) from None
    return made


def _parts(number: int, end: str) -> list[str]:
    """Names of queries, keys and values of a layer; `end` is weight or bias."""
    return [f"encoder.layer.{number}.attention.self.{part}.{end}" for part in PARTS]


def _refuse_more(state: Mapping[str, Tensor], depth: int, pre_norm: bool, where: str) -> None:
    """UserError where there are weights of which nothing would be made: the model would not be theirs."""
    read = set(_pairs(depth, pre_norm).values())
    read |= {name for number in range(depth) for end in ("weight", "bias") for name in _parts(number, end)}
    more = sorted(name for name in state if name not in read and not name.startswith(_LEFT_OUT))
    if not more:
        return
    deeper = {int(match[1]) for name in more if (match := _LAYER.match(name))}
    what = (
        f"{where} has a layer {max(deeper)}, its configuration says {depth} layers, 0 to {depth - 1}"
        if deeper and max(deeper) >= depth
        else f"{where} has weights for which encoder:text has no place"
    )
    raise UserError(
        what,
        where=where,
        why=", ".join(more[:4]) + (f" and {len(more) - 4} more" if len(more) > 4 else ""),
        cure="give weights and config.json that belong together",
    )


def _joined(parts: Sequence[Tensor], names: Sequence[str], where: str) -> Tensor:
    """Queries, keys and values as our one map."""
    shapes = [tuple(part.shape) for part in parts]
    if len(set(shapes)) > 1 or not shapes[0]:
        raise UserError(
            f"{where}: queries, keys and values of a layer are of different shapes",
            where=where,
            why=", ".join(f"{name}: {shape}" for name, shape in zip(names, shapes, strict=True)),
            cure="save the model again, whole",
        )
    return torch.cat(list(parts))


def from_ours(state: Mapping[str, Tensor], depth: int, pre_norm: bool) -> State:
    """Their weights from those of encoder:text; a relative bias is not among them."""
    made = {theirs: state[ours] for ours, theirs in _pairs(depth, pre_norm).items()}
    for number in range(depth):
        for end in ("weight", "bias"):
            pieces = state[f"blocks.{number}.attn.qkv.{end}"].chunk(3)
            for name, piece in zip(_parts(number, end), pieces, strict=True):
                made[name] = piece.clone()
    return made
