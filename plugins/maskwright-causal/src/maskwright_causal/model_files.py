"""A fitted model as two files: settings and names in model.json, numbers in arrays.npz. No pickle."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.errors import UserError

from .tables_in import Tables

FORMAT = 1
ARRAYS = ("coef_", "penalised_coef_", "noise_variance_", "means_", "counts_", "order_index_", "_intervened")
NUMBERS = ("alpha_", "objective_", "converged_")


def save(model: Any, folder: Path) -> None:
    """Write both files; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "format": FORMAT,
        "settings": model.get_params(),
        "variables": list(model.feature_names_in_),
        "tasks": list(model.task_names_),
        "numbers": {name: getattr(model, name) for name in NUMBERS},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{name.strip("_"): getattr(model, name) for name in ARRAYS})
    _write(folder / "arrays.npz", buffer.getvalue())
    _write(folder / "model.json", json.dumps(text, indent=1, default=_plain).encode())


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    os.replace(draft, path)


def _plain(value: Any) -> Any:
    """numpy numbers and arrays among the settings become JSON's own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise UserError(
        f"the setting {value!r} cannot be saved", where="save", cure="use plain numbers, texts and lists"
    )


def load(cls: type, folder: Path) -> Any:
    """Rebuild a model; anything that does not fit together is refused."""
    try:
        text = json.loads((folder / "model.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as file:
            arrays = {name: file[name.strip("_")] for name in ARRAYS}
        if text["format"] != FORMAT:
            raise UserError(
                f"the model in {folder} has format {text['format']}, this version reads {FORMAT}",
                where=str(folder / "model.json"),
                cure="load it with the version that saved it",
            )
        model = cls(**text["settings"])
        variables, tasks = tuple(map(str, text["variables"])), [str(t) for t in text["tasks"]]
        numbers = {name: text["numbers"][name] for name in NUMBERS}
    except FileNotFoundError as error:
        raise UserError(
            f"there is no saved model in {folder}",
            where=str(error.filename),
            cure="give the folder that save() wrote",
        ) from None
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the saved model in {folder} is damaged", where=str(folder), why=str(error), cure="save it again"
        ) from None
    k, p = len(tasks), len(variables)
    shapes = {
        "coef_": (k, p, p), "penalised_coef_": (k, p, p), "noise_variance_": (k, p), "means_": (k, p),
        "counts_": (k,), "order_index_": (p,), "_intervened": (k, p),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise UserError(
                f"the saved model in {folder} is damaged",
                where=str(folder / "arrays.npz"),
                why=f"{name.strip('_')} has shape {arrays[name].shape}, {k} tasks of {p} variables need {shape}",
                cure="save it again",
            )
    if sorted(arrays["order_index_"].tolist()) != list(range(p)):
        raise UserError(
            f"the saved model in {folder} is damaged", where=str(folder / "arrays.npz"),
            why="the order is not a permutation", cure="save it again",
        )  # fmt: skip
    for name, value in {**arrays, **numbers}.items():
        setattr(model, name, value)
    model.task_names_ = tasks
    model.feature_names_in_ = np.array(variables, dtype=object)
    model.n_features_in_ = p
    model.order_ = [variables[i] for i in model.order_index_]
    model._tables = Tables((), variables, tuple(tasks))
    return model
