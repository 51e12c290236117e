"""config.json and preprocessor_config.json of a transformers folder <-> settings of encoder:vit and objective:mae.

Imports nothing heavy: settings are checked with it before anything is built.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"

MLP_OF_DECODER = 4
"""Hidden width of our decoder's MLPs over its width."""

# What transformers takes for a key that a config leaves out.
_ENCODER = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "patch_size": 16, "num_channels": 3, "image_size": 224, "layer_norm_eps": 1e-12, "qkv_bias": True,
    "hidden_act": "gelu",
}  # fmt: skip
_DECODER = {
    "decoder_hidden_size": 512, "decoder_num_hidden_layers": 8, "decoder_num_attention_heads": 16,
    "decoder_intermediate_size": 2048, "mask_ratio": 0.75, "norm_pix_loss": False,
}  # fmt: skip

# Of pictures with three channels, where a folder does not say: the processor of ViT maps pixels to [-1, 1], MAE was
# trained with ImageNet's statistics.
_STATISTICS = {"vit": ([0.5] * 3, [0.5] * 3), "vit_mae": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}


@attrs.frozen
class FolderConfig:
    """What a folder says about its network."""

    model_type: str
    encoder: dict[str, Any]
    """Settings of encoder:vit."""
    objective: dict[str, Any]
    """Settings of objective:mae; empty for a plain ViT."""


def read_table(path: Path) -> dict[str, Any]:
    """The JSON table in a file; UserError that names it."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read", where=str(path), why=str(error), cure="copy or save it again"
        ) from None
    if not isinstance(table, dict):
        raise UserError(f"{path} holds no table", where=str(path), cure="copy or save it again")
    return table


def read_folder(folder: Path, *model_types: str) -> FolderConfig:
    """The settings of a folder that holds one of these model types."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(
            f"{folder} is no folder of a transformers model",
            where=str(folder),
            why=f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder",
            cure=f"give the folder that save_pretrained wrote: {CONFIG} and {WEIGHTS}",
        )
    config = _Values(path, read_table(path))
    found = config.table.get("model_type")
    if found not in model_types:
        cure = {"vit": "encoder:hf-vit", "vit_mae": "encoder:hf-vitmae"}.get(str(found))
        raise UserError(
            f"{path} is about a model of the type {found!r}, wanted {' or '.join(map(repr, model_types))}",
            where=f"{path}: model_type",
            cure=f"{cure} reads it" if cure else "give a ViT or ViTMAE folder",
        )
    if any((config.table.get("pruned_heads") or {}).values()):
        raise UserError(
            f"the model in {folder} lacks heads",
            where=f"{path}: pruned_heads",
            why="transformers has removed some, and later versions cannot open it either",
            cure="the model as it was before; encoder:vit has the setting shape for what is pruned here",
        )
    encoder = _encoder(config)
    encoder |= _pixels(folder / PREPROCESSOR, str(found), encoder["channels"])
    return FolderConfig(str(found), encoder, _objective(config, encoder) if found == "vit_mae" else {})


def is_vit(folder: Path) -> bool:
    """Whether a folder says that it holds a ViT or a ViTMAE."""
    path = folder / CONFIG
    return path.is_file() and read_table(path).get("model_type") in ("vit", "vit_mae")


@attrs.frozen
class _Values:
    """Values of a config, each checked when it is asked for."""

    path: Path
    table: Mapping[str, Any]

    def get(self, key: str, kind: type) -> Any:
        value = self.table.get(key, {**_ENCODER, **_DECODER}[key])
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, value, {int: "a whole number", float: "a number"}.get(kind, kind.__name__))
        return value

    def positive(self, key: str) -> int:
        value = self.get(key, int)
        if value < 1:
            raise self.wrong(key, value, "a number of at least 1")
        return value

    def wrong(self, key: str, value: Any, wanted: str) -> UserError:
        return UserError(
            f"{self.path}: {key} is {str(value)[:60]!r}, wanted {wanted}",
            where=f"{self.path}: {key}",
            cure="mend the file, or save the model again",
        )

    def sides(self, key: str) -> list[int]:
        """A side, or [height, width], as [height, width]."""
        value = self.table.get(key, _ENCODER[key])
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) != 2 or not all(type(side) is int and side >= 1 for side in sides):
            raise self.wrong(key, value, "a whole number, or two of them")
        return sides


def _encoder(config: _Values) -> dict[str, Any]:
    patch, image = config.sides("patch_size"), config.sides("image_size")
    if patch[0] != patch[1]:
        raise config.wrong("patch_size", patch, "square patches")
    if config.get("hidden_act", str) != "gelu":
        raise config.wrong("hidden_act", config.get("hidden_act", str), "'gelu', which our blocks compute")
    width = config.positive("hidden_size")
    return {
        "image": image[0] if image[0] == image[1] else image,
        "patch": patch[0],
        "channels": config.positive("num_channels"),
        "width": width,
        "depth": config.positive("num_hidden_layers"),
        "heads": config.positive("num_attention_heads"),
        "mlp_ratio": config.positive("intermediate_size") / width,
        "eps": float(config.get("layer_norm_eps", float)),
        "qkv_bias": config.get("qkv_bias", bool),
    }


def _objective(config: _Values, encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "decoder_width": config.positive("decoder_hidden_size"),
        "decoder_depth": config.get("decoder_num_hidden_layers", int),
        "decoder_heads": config.positive("decoder_num_attention_heads"),
        "eps": encoder["eps"],
        "target": "normalised" if config.get("norm_pix_loss", bool) else "pixels",
        "ratio": float(config.get("mask_ratio", float)),
    }


def _pixels(path: Path, model_type: str, channels: int) -> dict[str, Any]:
    """Pixel statistics for pixels in [0, 1], and how a picture of another shape is made to fit."""
    mean, std = _STATISTICS[model_type] if channels == 3 else ([0.5] * channels, [0.5] * channels)
    if not path.is_file():
        return {"mean": mean, "std": std, "fit": "stretch"}
    table = read_table(path)
    if table.get("do_normalize", True) is False:
        mean, std = [0.0] * channels, [1.0] * channels
    else:
        mean, std = (
            _numbers(path, table, key, values) for key, values in (("image_mean", mean), ("image_std", std))
        )
    # A processor multiplies bytes by this factor before it normalises; our pixels are bytes / 255 already.
    (factor,) = _numbers(path, table, "rescale_factor", [1 / 255]) if table.get("do_rescale", True) else [1.0]
    if factor <= 0:
        raise _no_numbers(path, "rescale_factor", factor)
    scale = 255 * factor
    return {
        "mean": [value / scale for value in (mean * channels if len(mean) == 1 else mean)],
        "std": [value / scale for value in (std * channels if len(std) == 1 else std)],
        "fit": "crop" if table.get("do_center_crop") is True else "stretch",
    }


def _numbers(path: Path, table: Mapping[str, Any], key: str, usual: list[float]) -> list[float]:
    """A number or a list of them, as a list."""
    found = table.get(key, usual)
    values = found if isinstance(found, list) else [found]
    if not values or not all(type(v) in (int, float) and math.isfinite(v) for v in values):
        raise _no_numbers(path, key, found)
    return [float(v) for v in values]


def _no_numbers(path: Path, key: str, found: Any) -> UserError:
    return UserError(
        f"{path}: {key} is {str(found)[:60]!r}, wanted numbers above 0",
        where=f"{path}: {key}",
        cure="mend the file, or save the model again",
    )


def config_of(encoder: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    """config.json for these settings: of ViTMAEForPreTraining with an objective, else of ViTModel."""
    config = {
        "architectures": ["ViTMAEForPreTraining" if objective else "ViTModel"],
        "model_type": "vit_mae" if objective else "vit",
        "dtype": "float32",
        "image_size": encoder["image"],
        "patch_size": encoder["patch"],
        "num_channels": encoder["channels"],
        "hidden_size": encoder["width"],
        "num_hidden_layers": encoder["depth"],
        "num_attention_heads": encoder["heads"],
        "intermediate_size": round(encoder["width"] * encoder["mlp_ratio"]),
        "layer_norm_eps": encoder["eps"],
        "qkv_bias": encoder["qkv_bias"],
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
    }
    if objective:
        config |= {
            "decoder_hidden_size": objective["decoder_width"],
            "decoder_num_hidden_layers": objective["decoder_depth"],
            "decoder_num_attention_heads": objective["decoder_heads"],
            "decoder_intermediate_size": MLP_OF_DECODER * objective["decoder_width"],
            "mask_ratio": objective["ratio"],
            "norm_pix_loss": objective["target"] == "normalised",
        }
    return config


def preprocessor_of(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """preprocessor_config.json for these settings. It knows no padding, and cuts only squares out of the middle."""
    image = encoder["image"]
    square = isinstance(image, int)
    height, width = (image, image) if square else image
    crops = square and encoder["fit"] == "crop"
    size = {"height": height, "width": width}
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": image} if crops else size,
        "resample": 3,
        "do_center_crop": crops,
        "crop_size": size,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(encoder["mean"]),
        "image_std": list(encoder["std"]),
    }
