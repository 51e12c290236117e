"""Names and shapes of the official MAE checkpoints (and of timm's ViT) <-> ours.

Names of blocks are the same. What differs: they embed patches by a convolution (D, C, p, p), we by a linear map
(D, p*p*C) on patches flattened as (row, column, channel); and we keep the grid of the position table beside it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_torch.part import State, inside

EMBED = "patch_embed.proj.weight"
DECODER = ("mask_token", "decoder_")
"""How the names begin that a decoder adds."""

NAMES = {
    "width": "width", "patch": "patch", "channels": "channels", "depth": "blocks", "hidden": "hidden width of MLPs",
    "places": "rows of the position table", "decoder_width": "decoder width", "decoder_depth": "decoder blocks",
    "decoder_hidden": "hidden width of decoder MLPs", "predicted": "numbers predicted for a patch",
}  # fmt: skip
"""Sizes that tensors tell, in words."""


def has_decoder(state: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(DECODER) for name in state)


def without_decoder(state: Mapping[str, Tensor]) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(DECODER)}


def encoder_to_official(state: Mapping[str, Tensor], patch: int) -> State:
    """State of a VisionTransformer -> official names. A mask token of the control (vit-full) is not among them."""
    made = {name: tensor for name, tensor in state.items() if name not in ("table_grid", "mask_token")}
    flat = made.pop("patch_embed.weight")
    conv = flat.reshape(len(flat), patch, patch, -1).permute(0, 3, 1, 2).contiguous()
    made["patch_embed.proj.bias"] = made.pop("patch_embed.bias")
    return {**made, EMBED: conv}


def encoder_from_official(state: Mapping[str, Tensor], grid: tuple[int, int]) -> State:
    """Official names -> state of a VisionTransformer whose table covers `grid`."""
    made = dict(state)
    if EMBED in made:
        conv = made.pop(EMBED)
        made["patch_embed.weight"] = conv.permute(0, 2, 3, 1).flatten(1).contiguous()
    if "patch_embed.proj.bias" in made:
        made["patch_embed.bias"] = made.pop("patch_embed.proj.bias")
    return {**made, "table_grid": torch.tensor(grid)}


def mae_to_official(state: Mapping[str, Tensor], patch: int) -> State:
    """State of a Mae on a VisionTransformer -> official names."""
    rest = {name: tensor for name, tensor in state.items() if name.startswith(DECODER)}
    return {**encoder_to_official(inside(state, "encoder"), patch), **rest}


def mae_from_official(state: Mapping[str, Tensor], grid: tuple[int, int]) -> State:
    """Official names -> state of a Mae on a VisionTransformer."""
    encoder = encoder_from_official(without_decoder(state), grid)
    rest = {name: tensor for name, tensor in state.items() if name.startswith(DECODER)}
    return {**{f"encoder.{name}": tensor for name, tensor in encoder.items()}, **rest}


def sizes_of(state: Mapping[str, Tensor], where: str) -> dict[str, int]:
    """The sizes of NAMES that tensors with official names tell; UserError when they are no vision transformer."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    needed = {EMBED: 4, "pos_embed": 3, "cls_token": 3, "blocks.0.mlp.fc1.weight": 2}
    if has_decoder(state):
        needed |= {"decoder_embed.weight": 2, "decoder_pred.weight": 2}
    wrong = [name for name, axes in needed.items() if len(shapes.get(name, ())) != axes]
    if wrong or shapes[EMBED][2] != shapes[EMBED][3]:
        found = [
            f"{name} {shapes[name]}" if name in shapes else f"{name} is missing" for name in wrong or [EMBED]
        ]
        raise UserError(
            f"{where} holds no weights of a vision transformer with square patches and a class token",
            where=where,
            why=f"{'; '.join(found)}; it has {', '.join(list(shapes)[:6]) or 'nothing'} …",
            cure="--from transformers"
            if _is_transformers(state)
            else "give a checkpoint of MAE or of a plain ViT",
        )
    width, channels, patch, _ = shapes[EMBED]
    sizes = {
        "width": width,
        "patch": patch,
        "channels": channels,
        "depth": _blocks(state, "blocks."),
        "hidden": shapes["blocks.0.mlp.fc1.weight"][0],
        "places": shapes["pos_embed"][1],
    }
    if has_decoder(state):
        sizes["decoder_width"] = shapes["decoder_embed.weight"][0]
        sizes["decoder_depth"] = _blocks(state, "decoder_blocks.")
        sizes["predicted"] = shapes["decoder_pred.weight"][0]
        if sizes["decoder_depth"]:
            sizes["decoder_hidden"] = shapes.get("decoder_blocks.0.mlp.fc1.weight", (0,))[0]
    return sizes


def _is_transformers(state: Mapping[str, Tensor]) -> bool:
    return any(name.removeprefix("vit.") == "embeddings.cls_token" for name in state)


def _blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[1] for name in state if name.startswith(prefix)})


def compare(wanted: Mapping[str, int], found: Mapping[str, int], said_by: str, where: str) -> None:
    """UserError with a table of both where sizes differ."""
    rows = [(NAMES[key], wanted[key], found[key]) for key in NAMES if key in wanted and key in found]
    if all(said == is_there for _, said, is_there in rows):
        return
    head = f"{'':<28} {said_by:>16} {'weights':>10}"
    lines = [f"{name:<28} {said:>16} {there:>10}{' ←' * (said != there)}" for name, said, there in rows]
    raise UserError(
        f"the weights in {where} are not of the size that {said_by} says",
        where=where,
        why="\n         ".join([head.strip().rjust(len(head)), *lines]),
        cure=f"give weights and {said_by} that belong together",
    )
