"""Which parameters inner steps change: all, the heads, or the heads and the last layers of the encoder."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from maskwright.errors import UserError
from maskwright_torch.functional import named

Adapted = Literal["all", "heads", "last-n"]


def keys_of(tasks: nn.ModuleDict) -> dict[str, dict[str, str]]:
    """Task -> (name of a parameter in its objective -> its name among all of them, the same for a shared one)."""
    keys = {id(parameter): key for key, parameter in named(tasks).items()}
    return {
        task: {name: keys[id(parameter)] for name, parameter in named(objective).items()}
        for task, objective in tasks.items()
    }


def adapted_keys(tasks: nn.ModuleDict, which: Adapted, last: int) -> set[str]:
    """Names of what inner steps change; UserError where that is nothing, or cannot be told.

    A tensor that a head shares with its encoder (the table of tokens) counts as the encoder's: a tied weight is adapted
    as a whole or not at all.
    """
    every = {key: parameter for key, parameter in named(tasks).items() if parameter.requires_grad}
    if which == "all":
        found = set(every)
    else:
        layers = _layers(tasks, which, last)
        found = {key for key, parameter in every.items() if layers.get(id(parameter), True)}
    if not found:
        raise UserError(
            "inner steps would change nothing",
            where=f'objective:meta, adapted = "{which}"',
            why=f"of {len(named(tasks))} parameters {len(every)} are trained, and none of those is adapted",
            cure='adapted = "all", or freeze less',
        )
    return found


def _layers(tasks: nn.ModuleDict, which: Adapted, last: int) -> Mapping[int, bool]:
    """Identity of each parameter of an encoder -> whether it is adapted all the same."""
    found: dict[int, bool] = {}
    for task, objective in tasks.items():
        encoder: Any = getattr(objective, "encoder", None)
        if encoder is None:
            continue
        if which == "last-n" and not hasattr(encoder, "layer_of"):
            raise UserError(
                "this encoder does not say which layer a weight belongs to",
                where=f"the encoder of the task {task}",
                why="it has no layer_of(name) and depth",
                cure='adapted = "all" or "heads"',
            )
        for name, parameter in encoder.named_parameters():
            found[id(parameter)] = which == "last-n" and encoder.layer_of(name) > encoder.depth - last
    return found
