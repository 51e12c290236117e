"""Files with weights of other programs, read without running anything that is in them."""

import argparse
import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright_torch.part import State, read_tensors
from maskwright_vision.transformers_config import read_table

OURS = "maskwright"
"""Key, in a .pth or in the metadata of a safetensors file, of settings that tensors cannot tell."""

OF_ENCODER = ("heads", "image", "eps", "mean", "std", "fit", "pool", "positions")
OF_OBJECTIVE = ("decoder_heads", "target", "ratio")
"""Those settings: of encoder:vit, of objective:mae."""

PICKLED = (".pth", ".pt", ".bin", ".ckpt")


@attrs.frozen
class Weights:
    """What is in a file: tensors by name, and the settings that it or a file beside it states."""

    path: Path
    tensors: State
    told: dict[str, Any]


def note(text: str) -> None:
    """A line for the person who imports or exports; what is asked for still happens."""
    print(f"note: {text}", file=sys.stderr)


def sidecar(path: Path) -> Path:
    """Where somebody can write what a checkpoint leaves out: `vit.pth` -> `vit.json`."""
    return path.with_suffix(".json")


def read_weights(path: Path) -> Weights:
    """A .pth or .safetensors file; what stands in its sidecar wins over what it says itself."""
    if path.suffix == ".safetensors":
        tensors, told = read_tensors(path), _metadata(path)
    elif path.suffix in PICKLED:
        tensors, told = _pickled(path)
    else:
        raise UserError(
            f"{path} is no file of weights",
            where=str(path),
            why="it is a folder" if path.is_dir() else f'its name ends in "{path.suffix}"',
            cure=f"give a file that ends in .safetensors, {', '.join(PICKLED)}",
        )
    if sidecar(path).is_file():
        told = told | read_table(sidecar(path))
    return Weights(path, tensors, told)


def as_weights(tensors: Mapping[str, Tensor], where: str) -> State:
    """The tensors in float32, which holds every half-precision number exactly."""
    made: State = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise _unusable(where, f"{name} has the type {str(tensor.dtype).removeprefix('torch.')}")
        made[name] = tensor.detach().to(torch.float32)
        if not bool(made[name].isfinite().all()):
            raise _unusable(where, f"{name} has a NaN or an infinite number")
    return made


def _unusable(where: str, why: str) -> UserError:
    return UserError(
        f"{where} holds numbers that are no weights",
        where=where,
        why=why,
        cure="take an earlier checkpoint of that training, in floating point",
    )


def _metadata(path: Path) -> dict[str, Any]:
    """Settings in the metadata of a safetensors file."""
    try:
        with safe_open(str(path), "pt") as file:
            told = json.loads((file.metadata() or {}).get(OURS, "{}"))
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path} is damaged", where=str(path), why=str(error), cure="save it again") from None
    return told if isinstance(told, dict) else {}


def _pickled(path: Path) -> tuple[State, dict[str, Any]]:
    """torch.load takes tensors and plain values only; the one class let through is a bare holder of attributes."""
    if not path.is_file():
        raise UserError(f"{path} is missing", where=str(path), cure="check the path")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise _unreadable(path, error) from None
    if not isinstance(data, dict):
        raise UserError(
            f"{path} holds {type(data).__name__}, no table of tensors",
            where=str(path),
            cure='save {"model": state}',
        )
    state = data.get("model", data.get("state_dict", data))
    if not isinstance(state, dict) or not state or not all(isinstance(t, Tensor) for t in state.values()):
        raise UserError(
            f"{path} holds no table of tensors",
            where=str(path),
            why=f"it has {', '.join(map(str, list(data)[:6])) or 'nothing'}; tensors are looked for in "
            '"model", in "state_dict", or right in the file',
            cure='save {"model": state}',
        )
    told = _from_arguments(data.get("args"))
    own = data.get(OURS)
    told |= own if isinstance(own, dict) else {}
    # Data parallel training puts this before every name.
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}, told


def _unreadable(path: Path, error: Exception) -> UserError:
    text = str(error)
    if "Unsupported global" in text or "Weights only load failed" in text:
        found = re.search(r"GLOBAL (\S+)", text)
        what = f"an object of {found[1]}" if found else "something else than tensors and plain values"
        return UserError(
            f"{path} is not opened, because that could run code",
            where=str(path),
            why=f"it holds {what}, or is damaged",
            cure='where it comes from, save only its tensors: torch.save({"model": state}, path)',
        )
    why = (
        f"{type(error).__name__}: {text.strip().splitlines()[0][:200]}"
        if text.strip()
        else type(error).__name__
    )
    return UserError(f"{path} is no sound checkpoint", where=str(path), why=why, cure="copy it again")


def _from_arguments(arguments: Any) -> dict[str, Any]:
    """What the official training script wrote down about its run."""
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    if not isinstance(arguments, dict):
        return {}
    told: dict[str, Any] = {}
    if isinstance(arguments.get("norm_pix_loss"), bool):
        told["target"] = "normalised" if arguments["norm_pix_loss"] else "pixels"
    names = {"mask_ratio": "ratio", "input_size": "image"}
    return told | {ours: arguments[theirs] for theirs, ours in names.items() if theirs in arguments}


def write_weights(path: Path, tensors: State, told: Mapping[str, Any]) -> None:
    """A .safetensors or .pth file with settings beside the tensors."""
    if path.suffix == ".safetensors":
        write_atomic(path, save(tensors, {"format": "pt", OURS: json.dumps(dict(told), sort_keys=True)}))
    elif path.suffix in (".pth", ".pt"):
        buffer = io.BytesIO()
        torch.save({"model": tensors, OURS: dict(told)}, buffer)
        write_atomic(path, buffer.getvalue())
    else:
        raise UserError(
            f"{path} is no name for a file of weights",
            where=str(path),
            cure="a name that ends in .pth or .safetensors",
        )
