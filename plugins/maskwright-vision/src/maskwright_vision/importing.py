"""Weights of other programs as our parts: transformers folders, official MAE checkpoints, timm's ViT.

An importer gets a path and gives (Params, part). All go through the official names of tensors (`official_weights`) and
the settings of encoder:vit and objective:mae.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import RecipeError, UserError
from maskwright_torch.part import State, differences
from maskwright_vision.checkpoint_files import (
    OF_ENCODER,
    OF_OBJECTIVE,
    Weights,
    as_weights,
    note,
    read_weights,
    sidecar,
)
from maskwright_vision.official_weights import (
    compare,
    encoder_from_official,
    has_decoder,
    mae_from_official,
    sizes_of,
    without_decoder,
)
from maskwright_vision.params_models import Mae, Vit
from maskwright_vision.positions import sin_cos_table
from maskwright_vision.transformers_config import CONFIG, MLP_OF_DECODER, WEIGHTS, read_folder, read_table
from maskwright_vision.transformers_weights import to_official
from maskwright_vision.vit import VisionTransformer

HEADS = {192: 3, 384: 6, 512: 16, 768: 12, 1024: 16, 1280: 16}
"""Attention heads of the published sizes by width (512: MAE's decoder); a file of tensors does not tell them."""


def from_transformers(path: Path) -> tuple[Any, nn.Module]:
    """A folder with ViTMAEForPreTraining, ViTMAEModel, ViTModel or a ViT with a head."""
    config = read_folder(path, "vit", "vit_mae")
    state, left = _folder_state(path)
    if left:
        note(f"left behind: {', '.join(left)}; they are no part of the encoder")
    objective = config.objective if has_decoder(state) else {}
    made = _assembled(path, CONFIG, _params(str(path), Vit, config.encoder), objective, state)
    _remark(state, config.model_type == "vit_mae")
    return made


def from_official(path: Path) -> tuple[Any, nn.Module]:
    """A checkpoint of the official MAE code: pre-trained with or without decoder, or fine-tuned."""
    weights = _without_head(read_weights(path))
    made = _from_file(weights)
    _remark(weights.tensors, of_mae=True)
    return made


def from_timm(path: Path) -> tuple[Any, nn.Module]:
    """timm's plain ViT: a .safetensors or .pth file, or a folder with config.json as on its hub."""
    file = path / WEIGHTS if path.is_dir() else path
    weights = _without_head(read_weights(file))
    if path.is_dir() and (path / CONFIG).is_file():
        weights = attrs.evolve(weights, told=weights.told | _from_hub(path / CONFIG))
    if has_decoder(weights.tensors):
        raise UserError(f"{file} has a decoder", where=str(file), cure="--from mae-official")
    made = _from_file(weights)
    _remark(weights.tensors, of_mae=False)
    return made


def encoder_of_folder(path: Path, model_type: str, params: Vit) -> VisionTransformer:
    """The encoder of a transformers folder as `params` want it: another picture size, no final norm …"""
    own = _params(str(path), Vit, read_folder(path, model_type).encoder)
    state = without_decoder(_folder_state(path)[0])
    return _assembled(path, CONFIG, params, {}, state, own)[1]


def _remark(state: State, of_mae: bool) -> None:
    """What a checkpoint that was read well still lacks."""
    if of_mae and not has_decoder(state):
        note(
            "this is an encoder without its decoder: it gives features, but fills nothing in; objective:mae around it "
            "trains on with a new decoder"
        )
    if not bool(state["pos_embed"].any()):
        note("its table of positions is all zeros: this network was never told where a patch lies")


def _without_head(weights: Weights) -> Weights:
    """Without a classifier, and without the norm that it has of its own where it reads the mean of the patches."""
    state = {name: t for name, t in weights.tensors.items() if not name.startswith(("head.", "fc_norm."))}
    left = sorted(weights.tensors.keys() - state.keys())
    if left:
        note(f"left behind: {', '.join(left)}; a classifier is no part of the encoder")
    pool = {"pool": "mean"} if "fc_norm.weight" in weights.tensors else {}
    return attrs.evolve(weights, tensors=state, told=pool | weights.told)


def _folder_state(folder: Path) -> tuple[State, list[str]]:
    names = (WEIGHTS, "pytorch_model.bin")
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        pieces = (folder / f"{WEIGHTS}.index.json").is_file()
        raise UserError(
            f"{folder} has no {WEIGHTS}",
            where=str(folder),
            why="its weights are in several pieces" if pieces else f"it has neither {' nor '.join(names)}",
            cure='save_pretrained(folder, max_shard_size="20GB")' if pieces else "save the model again",
        )
    return to_official(read_weights(found[0]).tensors, str(found[0]))


def _from_hub(path: Path) -> dict[str, Any]:
    """Pixel statistics and pooling in the config.json of a timm model."""
    table = read_table(path)
    told = {"pool": {"token": "class", "avg": "mean"}.get(str(table.get("global_pool")))}
    pretrained = table.get("pretrained_cfg", table)
    if isinstance(pretrained, dict):
        told |= {key: pretrained.get(key) for key in ("mean", "std")}
    return {key: value for key, value in told.items() if value is not None}


def _from_file(weights: Weights) -> tuple[Any, nn.Module]:
    """A part from tensors with official names, where the sizes are read from the tensors themselves."""
    where, state = str(weights.path), weights.tensors
    beside = sidecar(weights.path)
    sizes = sizes_of(state, where)
    full = has_decoder(state)
    told = {key: weights.told[key] for key in (*OF_ENCODER, *OF_OBJECTIVE) if key in weights.told}
    encoder = {key: sizes[key] for key in ("width", "patch", "channels", "depth")} | {
        "mlp_ratio": sizes["hidden"] / sizes["width"],
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "final_norm": "norm.weight" in state,
        "heads": told.get("heads", HEADS.get(sizes["width"])),
        "image": told.get("image", _side(sizes)),
    }
    for key, why in (
        ("heads", f"a state of width {sizes['width']} is none of the published sizes {_list(HEADS)}"),
        ("image", f"{sizes['places'] - 1} positions form no square"),
    ):
        if encoder[key] is None:
            raise _untold(where, key, why, {"heads": 3, "image": [32, 64]}[key], beside)
    encoder |= {key: told[key] for key in OF_ENCODER if key in told}
    objective: dict[str, Any] = {}
    if full:
        width = sizes["decoder_width"]
        objective = {"decoder_width": width, "decoder_depth": sizes["decoder_depth"]}
        objective |= {"eps": told["eps"]} if "eps" in told else {}
        objective["decoder_heads"] = told.get("decoder_heads", HEADS.get(width))
        if objective["decoder_heads"] is None:
            raise _untold(where, "decoder_heads", f"a decoder of width {width} is not MAE's (512)", 2, beside)
        if "target" not in told:
            why = "whether it predicts pixels or normalised pixels does not show in the weights"
            raise _untold(where, "target", why, "normalised", beside)
        objective |= {key: told[key] for key in ("target", "ratio") if key in told}
    said = beside.name if beside.is_file() else "the file"
    return _assembled(weights.path, said, _params(where, Vit, encoder), objective, state)


def _side(sizes: Mapping[str, int]) -> int | None:
    count = sizes["places"] - 1
    return math.isqrt(count) * sizes["patch"] if count > 0 and math.isqrt(count) ** 2 == count else None


def _list(numbers: Mapping[int, int]) -> str:
    return ", ".join(map(str, numbers))


def _untold(where: str, key: str, why: str, example: Any, beside: Path) -> UserError:
    return UserError(
        f'{where} does not tell "{key}"',
        where=where,
        why=why,
        cure=f"write it into {beside}: {json.dumps({key: example})}",
    )


def _params(where: str, make: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Params from settings that come from outside."""
    try:
        made = make(**settings)
        wrong = [f"{name}: {message}" for name, message in made.check()]
    except ValueError as error:
        wrong = [str(error)]
    if wrong:
        raise _cannot_be(where, wrong)
    return made


def _cannot_be(where: str, wrong: list[str]) -> UserError:
    return UserError(
        f"{where} is no network that encoder:vit and objective:mae can be",
        where=where,
        why="; ".join(wrong),
        cure="mend the settings that stand in or beside the weights",
    )


def _assembled(
    path: Path, said: str, params: Vit, objective: dict[str, Any], state: State, own: Vit | None = None
) -> tuple[Any, Any]:
    """(Params, part) with the weights in it. `own`: settings that the weights have, where `params` want others."""
    own = own or params
    where = str(path)
    state = as_weights(state, where)
    height, width = own.image if isinstance(own.image, list) else (own.image, own.image)
    grid = (height // own.patch, width // own.patch)
    wanted = _wanted(own, objective, grid)
    compare(wanted, sizes_of(state, where), said, where)
    table = state["pos_embed"]
    if table.shape == (1, wanted["places"], own.width) and not _is_sin_cos(table[0], grid):
        params = attrs.evolve(params, positions="learned")
    ratio = objective.get("ratio", 0.75)
    if type(ratio) not in (int, float) or not 0 <= ratio <= 1:  # a table would name any component
        raise _cannot_be(where, [f"ratio: expected a number from 0 to 1, found {ratio!r}"])
    whole = _params(where, Mae, {**objective, "encoder": params}) if objective else params
    try:
        part = whole.build()
    except RecipeError as error:
        raise _cannot_be(where, [str(mistake) for mistake in error.mistakes]) from None
    ours = mae_from_official(state, grid) if objective else part.adapt(encoder_from_official(state, grid))
    wrong = list(differences(part, ours, []))
    if wrong:
        raise UserError(
            f"the weights in {where} are not those of {'an MAE' if objective else 'a plain ViT'}",
            where=where,
            why="; ".join(wrong[:6]) + (f"; and {len(wrong) - 6} more" if len(wrong) > 6 else ""),
            cure="give a checkpoint of MAE or of a plain ViT, saved whole",
        )
    part.load_state_dict(ours)
    return whole, part


def _is_sin_cos(table: Tensor, grid: tuple[int, int]) -> bool:
    """Whether a table can be made anew for another grid; any other one has to be resampled."""
    width = table.shape[1]
    return width % 4 == 0 and torch.allclose(table, sin_cos_table(width, grid), atol=1e-4)


def _wanted(params: Vit, objective: Mapping[str, Any], grid: tuple[int, int]) -> dict[str, int]:
    """The sizes that settings ask for."""
    wanted = {key: getattr(params, key) for key in ("width", "patch", "channels", "depth")}
    wanted |= {"hidden": round(params.width * params.mlp_ratio), "places": 1 + grid[0] * grid[1]}
    if objective:
        wanted |= {key: objective[key] for key in ("decoder_width", "decoder_depth")}
        wanted["decoder_hidden"] = MLP_OF_DECODER * objective["decoder_width"]
        wanted["predicted"] = params.patch**2 * params.channels
    return wanted
