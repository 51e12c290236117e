"""Small networks, and files as other programs write them, for the tests of formats."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from maskwright_torch.noise import identity, uniform
from maskwright_vision.params_models import Mae, Vit
from maskwright_vision.positions import sin_cos_table

State = dict[str, Tensor]

TOLD = {"heads": 2, "decoder_heads": 2, "target": "normalised"}
"""What nobody can read off the tensors of `official_state`."""


def numbers(name: str, *shape: int) -> Tensor:
    """float32 in [-0.5, 0.5), another one for each name."""
    drawn = uniform(7, torch.tensor([identity(name)]), math.prod(shape))
    return (drawn[0] - 0.5).float().reshape(shape)


def block(prefix: str, width: int, hidden: int) -> State:
    """One block by its official names."""
    shapes = {
        "norm1.weight": (width,), "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
        "norm2.weight": (width,), "norm2.bias": (width,),
        "mlp.fc1.weight": (hidden, width), "mlp.fc1.bias": (hidden,),
        "mlp.fc2.weight": (width, hidden), "mlp.fc2.bias": (width,),
    }  # fmt: skip
    return {prefix + name: numbers(prefix + name, *shape) for name, shape in shapes.items()}


def official_state(
    width: int = 24, channels: int = 3, grid: tuple[int, int] = (4, 4), decoder: int = 16, patch: int = 4
) -> State:
    """Two encoder blocks and one decoder block (none with decoder=0), written out name by name."""
    state = {
        "cls_token": numbers("cls_token", 1, 1, width),
        "pos_embed": sin_cos_table(width, grid)[None],
        "patch_embed.proj.weight": numbers("patch_embed.proj.weight", width, channels, patch, patch),
        "patch_embed.proj.bias": numbers("patch_embed.proj.bias", width),
        **block("blocks.0.", width, 4 * width),
        **block("blocks.1.", width, 4 * width),
        "norm.weight": numbers("norm.weight", width),
        "norm.bias": numbers("norm.bias", width),
    }
    if decoder:
        values = patch * patch * channels
        state |= {
            "mask_token": numbers("mask_token", 1, 1, decoder),
            "decoder_pos_embed": sin_cos_table(decoder, grid)[None],
            "decoder_embed.weight": numbers("decoder_embed.weight", decoder, width),
            "decoder_embed.bias": numbers("decoder_embed.bias", decoder),
            **block("decoder_blocks.0.", decoder, 4 * decoder),
            "decoder_norm.weight": numbers("decoder_norm.weight", decoder),
            "decoder_norm.bias": numbers("decoder_norm.bias", decoder),
            "decoder_pred.weight": numbers("decoder_pred.weight", values, decoder),
            "decoder_pred.bias": numbers("decoder_pred.bias", values),
        }
    return state


def write_checkpoint(path: Path, state: State, told: dict[str, Any] | None = None, **more: Any) -> Path:
    """A .pth as the official scripts write it, and what it leaves out beside it."""
    torch.save({"model": state, **more}, path)
    if told:
        path.with_suffix(".json").write_text(json.dumps(told))
    return path


def vit(**settings: Any) -> Vit:
    return Vit(**{"image": 16, "patch": 4, "channels": 3, "width": 24, "depth": 2, "heads": 2, **settings})


def mae(encoder: Vit | None = None, **settings: Any) -> Mae:
    small = {"decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2, **settings}
    return Mae(encoder=encoder or vit(), **small)


CONFIG = {
    "model_type": "vit_mae", "image_size": 16, "patch_size": 4, "num_channels": 3, "hidden_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96, "layer_norm_eps": 1e-6,
    "qkv_bias": True, "hidden_act": "gelu", "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 64, "mask_ratio": 0.6, "norm_pix_loss": True,
}  # fmt: skip


def write_folder(
    folder: Path, tensors: State, config: dict[str, Any], pixels: dict[str, Any] | None = None
) -> Path:
    """A folder as transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if pixels is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    save_file(tensors, str(folder / "model.safetensors"), {"format": "pt"})
    return folder


def assert_same_weights(one: Any, other: Any) -> None:
    """Every tensor bit for bit."""
    before, after = one.state_dict(), other.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
