"""Names of tensors in files that transformers writes for ViT and ViTMAE <-> official names.

vit.encoder.layer.0.attention.attention.query.weight    what it writes to disk, and what we write
decoder.decoder_encoder.layer.0.…                       its decoder blocks since 5.23; decoder.decoder_layers.0.… before
vit.layers.0.attention.q_proj.weight                    its own names in memory, which files may come to have
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_torch.part import State

LEFT_BEHIND = ("pooler.", "classifier.", "embeddings.mask_token")
"""Heads of ViT models, and the token of a masked model: no part of the encoder."""

_WHOLE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "layernorm.": "norm.",
}
_IN_BLOCK = {
    "layernorm_before.": "norm1.",
    "attention.output.dense.": "attn.proj.",
    "attention.o_proj.": "attn.proj.",
    "layernorm_after.": "norm2.",
    "intermediate.dense.": "mlp.fc1.",
    "mlp.fc1.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
    "mlp.fc2.": "mlp.fc2.",
}
_SPLIT = re.compile(r"attention\.(?:attention\.)?(query|key|value|q_proj|k_proj|v_proj)\.(weight|bias)$")
_BLOCK = re.compile(r"^(?:encoder\.layer|layers)\.(\d+)\.(.+)$")
_DECODER_BLOCK = re.compile(r"^decoder\.(?:decoder_encoder\.layer|decoder_layers)\.(\d+)\.(.+)$")

PARTS = ("query", "key", "value")
"""In the order in which the official fused map has them."""


def to_official(tensors: Mapping[str, Tensor], where: str) -> tuple[State, list[str]]:
    """Official names, and the names of heads that were left behind."""
    made: State = {}
    split: dict[str, dict[str, Tensor]] = {}
    left: list[str] = []
    for name, tensor in tensors.items():
        inner = name.removeprefix("vit.")
        if inner.startswith(LEFT_BEHIND):
            left.append(name)
            continue
        block, rest = _place(inner)
        if block and (match := _SPLIT.match(rest)):
            part = next(part for part in PARTS if part[0] == match[1][0])
            split.setdefault(f"{block}attn.qkv.{match[2]}", {})[part] = tensor
        elif block:
            made[block + _renamed(rest, _IN_BLOCK)] = tensor
        else:
            made[_renamed(rest, _WHOLE)] = tensor
    for name, parts in split.items():
        if set(parts) != set(PARTS):
            raise UserError(
                f"{where} has not all of queries, keys and values",
                where=where,
                why=f"of {name} it has only {', '.join(parts)}",
                cure="save the model again",
            )
        made[name] = torch.cat([parts[part] for part in PARTS])
    return made, left


def _place(inner: str) -> tuple[str, str]:
    """The block that a tensor belongs to, empty for none, and its name in there."""
    for pattern, prefix in ((_BLOCK, "blocks"), (_DECODER_BLOCK, "decoder_blocks")):
        if match := pattern.match(inner):
            return f"{prefix}.{match[1]}.", match[2]
    # The decoder's other tensors have their official names, `decoder.decoder_pred.weight`.
    return "", inner.removeprefix("decoder.")


def _renamed(name: str, table: Mapping[str, str]) -> str:
    """By the beginning of the name; an unknown one stays as it is and is told when weights are put in."""
    for before, after in table.items():
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name


def from_official(state: Mapping[str, Tensor]) -> State:
    """Names on disk of ViTModel, or of ViTMAEForPreTraining where there is a decoder."""
    decoder = any(name.startswith("decoder_") for name in state)
    prefix = "vit." if decoder else ""
    whole = {after: before for before, after in _WHOLE.items()}
    in_block: dict[str, str] = {}
    for before, after in _IN_BLOCK.items():
        in_block.setdefault(after, before)  # the first of two spellings is the one on disk
    made: State = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if first not in ("blocks", "decoder_blocks"):
            own = name.startswith(("decoder_", "mask_token"))
            made[f"decoder.{name}" if own else prefix + _renamed(name, whole)] = tensor
            continue
        number, _, rest = rest.partition(".")
        at = prefix + "encoder.layer." if first == "blocks" else "decoder.decoder_encoder.layer."
        if rest.startswith("attn.qkv."):
            for part, piece in zip(PARTS, tensor.chunk(3), strict=True):
                made[f"{at}{number}.attention.attention.{part}.{rest.rpartition('.')[2]}"] = piece.clone()
        else:
            made[f"{at}{number}.{_renamed(rest, in_block)}"] = tensor
    return made
