"""Folders that leave out the zeros of masked weights, and the way back.

A matrix is held as compressed rows: `NAME.values`, `NAME.columns` and `NAME.starts`, where each row begins in the two.
Columns take two bytes where there are few enough, so a float32 weight that is kept takes six: at 97 % zeros a matrix
takes about a twentieth. What is read back has the zeros in place again, and the same bits.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import write_folder
from maskwright_cap.cap import Cap
from maskwright_cap.exporting import CONFIG, WEIGHTS, built_by, save_codec, write_json
from maskwright_cap.importing import built_from, read_config
from maskwright_cap.pruned_sides import plain_state
from maskwright_torch.part import State, read_tensors

FORMAT = "maskwright sparse encoder"
PARTS = ("values", "columns", "starts")


def to_sparse(part: Cap, out: Path, *, recipe: Mapping[str, Any] | None = None) -> None:
    """A folder with the inner objective, of whose masked matrices only what is kept is written.

    `recipe`: the table of the objective that prunes. With it the folder says how its network is built, and can be
    imported again.
    """
    if part.masks is None:
        raise UserError(
            "heads and neurons were pruned: there are no zeros to leave out",
            where="export --to sparse",
            cure="--to compact, which holds no more than what is left",
        )
    state = plain_state(part.inner)
    named = {id(module): f"{name}.weight" for name, module in part.inner.named_modules()}
    names = []
    for path in part.masks.paths:
        layer: Any = part.encoder.get_submodule(path)
        names.append(named[id(layer)])
        # With its mask; the state holds it whole as long as it learns.
        state[names[-1]] = layer.weight.detach().cpu()
    config = {"format": FORMAT, "matrices": {name: list(state[name].shape) for name in names}}

    def fill(folder: Path) -> None:
        save_file(without_zeros(state, names), str(folder / WEIGHTS), {"format": "pt"})
        write_json(folder / CONFIG, config | built_by(recipe, part.inner))
        save_codec(part.encoder, folder)

    write_folder(out, fill)


def from_sparse(path: Path) -> tuple[Any, Any]:
    """What `maskwright export RUN FOLDER --to sparse` wrote: the objective, with zeros in its encoder."""
    config = read_config(path, FORMAT, "sparse")
    state = with_zeros(read_tensors(path / WEIGHTS), config.get("matrices"), str(path))
    return built_from(path, config, state, "sparse")


def without_zeros(state: Mapping[str, Tensor], names: Iterable[str]) -> State:
    """The tensors, each matrix of these names (rows, columns) as its compressed rows."""
    found = dict(state)
    for name in names:
        weight = found.pop(name)
        kept, columns = weight != 0, torch.int16 if weight.shape[1] < 2**15 else torch.int32
        found[f"{name}.values"] = weight[kept]
        found[f"{name}.columns"] = kept.nonzero()[:, 1].to(columns)
        found[f"{name}.starts"] = torch.cat([torch.zeros(1), kept.sum(dim=1).cumsum(0)]).to(torch.int32)
    return found


def with_zeros(state: Mapping[str, Tensor], matrices: Any, where: str) -> State:
    """The tensors, matrices as they were; `matrices`: the shape of each by its name."""
    found = dict(state)
    try:
        for name, (rows, columns) in dict(matrices).items():
            values, at, starts = (found.pop(f"{name}.{part}") for part in PARTS)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that CSR is in beta state
                made = torch.sparse_csr_tensor(
                    starts, at.to(torch.int32), values, (rows, columns), check_invariants=True
                )
            found[name] = made.to_dense()
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"the matrices of {where} do not fit together",
            where=f"{where}/{CONFIG}: matrices",
            why=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
            cure="export the run again:  maskwright export RUN FOLDER --to sparse --part objective",
        ) from None
    return found
