"""What a checkpoint of a training run holds, and how it is read back. No file of it can run code.

model.safetensors      the objective's state, frozen parts left out
optimizer.safetensors  what the optimiser remembers, `parameter/key`
state.json             aliases of shared tensors, hashes of frozen parts, running means of the log
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from maskwright.checkpoints import Checkpoint, Content, all_checkpoints, is_sound, latest_checkpoint
from maskwright.errors import UserError
from maskwright_torch.optim import load_optimiser, optimiser_tensors
from maskwright_torch.part import (
    WEIGHTS,
    State,
    frozen_digests,
    inside,
    load_state,
    read_tensors,
    state_of,
    with_aliases,
)

OPTIMISER, STATE = "optimizer.safetensors", "state.json"


def _write(tensors: State, path: Path) -> None:
    save_file(tensors, str(path))


def files_of(
    objective: nn.Module, optimiser: torch.optim.Optimizer, state: Mapping[str, Any], keep_frozen: bool
) -> dict[str, Content]:
    """The files of a checkpoint, ready to be written."""
    tensors, aliases = state_of(objective, keep_frozen=keep_frozen)
    text = {"aliases": aliases, "frozen": frozen_digests(objective), **state}
    return {
        WEIGHTS: partial(_write, tensors),
        OPTIMISER: partial(_write, optimiser_tensors(optimiser, objective)),
        STATE: (json.dumps(text, indent=1) + "\n").encode(),
    }


def read_json(found: Checkpoint) -> dict[str, Any]:
    return json.loads(found.read(STATE))


def load(found: Checkpoint, objective: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint back; the rest of its state."""
    state = read_json(found)
    tensors = with_aliases(read_tensors(found.path / WEIGHTS), state["aliases"])
    now = frozen_digests(objective)
    for name, before in state["frozen"].items():
        if now.get(name) != before:
            raise UserError(
                f'the frozen part "{name}" is not the one this run was begun with',
                where=str(found.path),
                why=f"sha256 {str(now.get(name))[:12]}, was {before[:12]}; it was read again from its source",
                cure="put the run or file it comes from back as it was",
            )
    load_state(objective, tensors, str(found.path), may_lack_frozen=True)
    load_optimiser(optimiser, objective, read_tensors(found.path / OPTIMISER))
    return state


def find(run: Path, at: str) -> Checkpoint:
    """The checkpoint `last`, `best` or of a step."""
    folder = run / "checkpoints"
    latest = latest_checkpoint(folder)
    if latest is None:
        raise UserError(f"{run} has no checkpoint yet", where=str(folder), cure=f"maskwright resume {run}")
    there = {found.number: found for found in all_checkpoints(folder)}
    if at == "last":
        return latest
    number = read_json(latest)["best"]["number"] if at == "best" else int(at) if at.isdigit() else None
    if number is None or number not in there:
        why = (
            "it followed no metric, or had no value yet" if at == "best" else "it was not kept, or never made"
        )
        known = ", ".join(map(str, there))
        raise UserError(
            f'{run} has no checkpoint "{at}"',
            where=str(folder),
            why=why,
            cure=f'at = "last", or one of {known}',
        )
    if not is_sound(there[number].path):
        path = there[number].path
        raise UserError(
            f"the checkpoint {path} is damaged", where=str(path), cure='take another: at = "last"'
        )
    return there[number]


def restore(found: Checkpoint, part: nn.Module, path: str) -> None:
    """Give one part of the objective (the path in the objective, empty: all of it) its weights."""
    state = read_json(found)
    tensors = inside(with_aliases(read_tensors(found.path / WEIGHTS), state["aliases"]), path)
    lacking = [name for name in state["frozen"] if name == path or path.startswith(f"{name}.") or name == ""]
    if lacking and not tensors:
        return  # frozen there: the weights are those of its source, which was read before
    inner = [name.removeprefix(f"{path}.") if path else name for name in state["frozen"]]
    own = {n: t for n, t in part.state_dict().items() if any(n.startswith(f"{i}.") for i in inner)}
    load_state(part, {**own, **tensors}, f"{found.path}, part {path or '(all)'}")
