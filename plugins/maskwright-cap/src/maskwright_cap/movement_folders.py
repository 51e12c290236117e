"""Folders of movement pruning (Sanh, Wolf & Rush, arXiv:2005.07683): a BERT with `*.mask_scores` beside its weights.

The masks are multiplied into the weights once. What comes out is a plain BERT with zeros, which whatever reads folders
of transformers makes an encoder of. Which method was used stands in config.json; the threshold does not.
"""

import importlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import save_file
from torch import Tensor

from maskwright.catalogue import catalogue
from maskwright.component import KINDS
from maskwright.errors import UserError
from maskwright.folder import read_table
from maskwright.step import Step
from maskwright_cap.choosing import Lowest, hidden_of
from maskwright_cap.layers import share_of
from maskwright_cap.masks import kept_above
from maskwright_torch.part import State, read_tensors

CONFIG, WEIGHTS, OLD_WEIGHTS = "config.json", "model.safetensors", "pytorch_model.bin"
SCORES, METHOD = "mask_scores", "pruning_method"
TOKENIZER = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
METHODS = ("topK", "threshold", "sigmoied_threshold")
"""As config.json spells them: a share of each matrix; scores above a number; their sigmoid above it."""


def from_movement(path: Path, *, threshold: float | None = None, method: str = "") -> tuple[Any, Any]:
    """`threshold`: the final one of that training, which must be given; for topK the share that is kept."""
    config = read_table(_file(path, CONFIG), "copy the folder again")
    plain = multiplied(_weights(path), method or str(config.get(METHOD)), threshold, str(path))
    told = {name: value for name, value in config.items() if name not in (METHOD, "mask_init", "mask_scale")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / CONFIG).write_text(json.dumps({**told, "model_type": "bert"}), encoding="utf-8")
        save_file(plain, str(folder / WEIGHTS), {"format": "pt"})
        for file in TOKENIZER:
            if (path / file).is_file():
                shutil.copyfile(path / file, folder / file)
        params, part = _reader(folder)(folder)
    return _moved(params, folder.absolute(), path.absolute()), part


def multiplied(state: Mapping[str, Tensor], method: str, threshold: float | None, where: str) -> State:
    """The weights times their masks, without the scores; all other tensors as they are."""
    scores = {name.removesuffix(SCORES): s for name, s in state.items() if name.endswith(f".{SCORES}")}
    if not scores:
        raise UserError(
            f"{where} holds no {SCORES}",
            where=where,
            cure="--from transformers reads a plain folder; its zeros stay zeros",
        )
    limit = _threshold(method, threshold, where)
    made = {name: tensor.clone() for name, tensor in state.items() if not name.endswith(f".{SCORES}")}
    for name, score in scores.items():
        weight = made.get(f"{name}weight")
        if weight is None or weight.shape != score.shape:
            shape = None if weight is None else tuple(weight.shape)
            raise UserError(
                f"{name}{SCORES} has no weight of its shape",
                where=where,
                why=f"scores are {tuple(score.shape)}, weights {shape}",
                cure="a folder in which each weight has a score of its own",
            )
        made[f"{name}weight"] = weight * kept(score, method, limit).to(weight.dtype)
    return made


def kept(score: Tensor, method: str, threshold: float) -> Tensor:
    """bool, as `score`: what that method keeps of a matrix."""
    if method == "topK":
        flat = score.flatten()
        gone = len(flat) - share_of(len(flat), threshold)
        return ~hidden_of(Lowest(), flat, torch.ones_like(flat, dtype=torch.bool), gone, Step()).view_as(
            score
        )
    return kept_above(score if method == "threshold" else score.sigmoid(), threshold)


def _threshold(method: str, given: float | None, where: str) -> float:
    if method not in METHODS:
        raise UserError(
            f"the masks of {where} were made by {method!r}",
            where=f"{where}/{CONFIG}: {METHOD}",
            why=f"masks are made from scores by {', '.join(METHODS)}",
            cure=f"if config.json is wrong, name the method:  --set method={METHODS[0]}",
        )
    means, fits = {
        "topK": ("the share of the weights that is kept, above 0 and at most 1", lambda t: 0 < t <= 1),
        "threshold": ("a number that scores must exceed", math.isfinite),
        "sigmoied_threshold": ("what sigmoid(score) must exceed, between 0 and 1", lambda t: 0 < t < 1),
    }[method]
    if given is None or not fits(given):
        raise UserError(
            f"{method} needs a threshold" if given is None else f"threshold = {given:g} is none for {method}",
            where=where,
            why=f"there it is {means}; no file of the folder tells it",
            cure="the final threshold of that training:  --set threshold=0.1",
        )
    return given


def _weights(folder: Path) -> State:
    if (folder / WEIGHTS).is_file():
        return read_tensors(folder / WEIGHTS)
    file = _file(folder, OLD_WEIGHTS)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise UserError(
            f"{file} is no state dict",
            where=str(file),
            why=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
            cure="copy it again; a file that holds more than tensors is never opened",
        ) from None
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise UserError(f"{file} is no state dict", where=str(file), cure="save model.state_dict()")
    return found


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise UserError(
            f"{folder} is no folder of movement pruning",
            where=str(folder),
            why=f"it has no {name}" if folder.is_dir() else "it is a file",
            cure=f"the folder that save_pretrained wrote, with {CONFIG}, weights and tokenizer",
        )
    return folder / name


def _reader(folder: Path) -> Any:
    """The importer of an installed component that recognises this folder of transformers."""
    for kind in KINDS:
        for listed in catalogue().of_kind(kind):
            cls = None if listed.is_file else listed.params_class()
            target = cls.imports().get("transformers") if hasattr(cls, "imports") else None
            if target and (not hasattr(cls, "recognises") or cls.recognises("transformers", folder)):
                module, _, name = target.partition(":")
                return getattr(importlib.import_module(module), name)
    raise UserError(
        "nothing that is installed makes an encoder of a BERT",
        where="import --from movement",
        cure="pip install maskwright-text",
    )


def _moved(value: Any, before: Path, now: Path) -> Any:
    """Params that name the folder they were read from, with another name for it."""
    if value == before:
        return now
    if not attrs.has(type(value)):
        return value
    fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    return attrs.evolve(value, **{name: _moved(inner, before, now) for name, inner in fields.items()})
