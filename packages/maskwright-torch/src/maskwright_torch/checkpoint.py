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
from maskwright.metrics import read_metrics
from maskwright.report import flatten
from maskwright_torch.best import best_number
from maskwright_torch.optim import load_optimiser, optimiser_tensors
from maskwright_torch.part import (
    WEIGHTS,
    State,
    digest,
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
    text = {"aliases": aliases, **state}
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
    load_state(objective, tensors, str(found.path), may_lack_frozen=True)
    check_frozen(objective, state["frozen"], "", found)
    load_optimiser(optimiser, objective, read_tensors(found.path / OPTIMISER))
    return state


def check_frozen(part: nn.Module, recorded: Mapping[str, str], path: str, found: Checkpoint) -> None:
    """UserError where a frozen part, which was read again from its source, is not the one that was used."""
    names = {name for name, _ in part.named_modules(remove_duplicate=False)}
    for name, before in recorded.items():
        inner = name.removeprefix(path).removeprefix(".") if path else name
        if (path and name != path and not name.startswith(f"{path}.")) or inner not in names:
            continue
        now = digest(part.get_submodule(inner))
        if now != before:
            raise UserError(
                f'the frozen part "{name}" is not the one this run was begun with',
                where=str(found.path),
                why=f"sha256 {now[:12]}, was {before[:12]}; it was read again from its source",
                cure="put the run or file it comes from back as it was",
            )


FREE = ("workers", "device", "parallel")
"""Settings that change nothing about the result and may differ when a run goes on."""


def settings_of(run: Any) -> dict[str, str]:
    """Path -> value of every setting that the result depends on."""
    return {path: value for path, value in flatten(run.plan.resolved()) if path not in FREE}


def check_settings(run: Any, state: Mapping[str, Any], found: Checkpoint) -> None:
    """UserError that lists what was changed since the run was begun."""
    before, now = state["settings"], settings_of(run)
    changed = [
        f"{path}: {before.get(path, '(absent)')} -> {now.get(path, '(absent)')}"
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]
    if changed:
        raise UserError(
            "this run was begun with other settings",
            where=f"{run.folder / 'resolved.json'}, against {found.path}",
            why="; ".join(changed[:8]),
            cure="put them back, or begin a new run that takes its parts from this one (from-run)",
        )


def find(run: Path, at: str) -> Checkpoint:
    """The checkpoint `last`, `best` or of a step."""
    folder = run / "checkpoints"
    latest = latest_checkpoint(folder)
    if latest is None:
        raise UserError(f"{run} has no checkpoint yet", where=str(folder), cure=f"maskwright resume {run}")
    there = {found.number: found for found in all_checkpoints(folder)}
    if at == "last":
        if (newest := max(there)) != latest.number:  # never older weights without a word
            raise UserError(
                f"the checkpoint {there[newest].path} is damaged",
                where=str(there[newest].path),
                cure=f"maskwright resume {run}, or remove the folder to take that of step {latest.number}",
            )
        return latest
    if at == "best":
        number = best_number(read_json(latest)["best"], read_metrics(run), there.keys())
    else:
        number = int(at) if at.isdigit() else None
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
    if lacking and not tensors:  # frozen there: the weights are those of its source, which was read before
        check_frozen(part, state["frozen"], path, found)
        return
    inner = [name.removeprefix(f"{path}.") if path else name for name in state["frozen"]]
    own = {n: t for n, t in part.state_dict().items() if any(n.startswith(f"{i}.") for i in inner)}
    load_state(part, {**own, **tensors}, f"{found.path}, part {path or '(all)'}")
    check_frozen(part, state["frozen"], path, found)
