"""What can be pruned of an encoder, and what is refused."""

import math
from typing import Any

import torch
from torch import nn

from maskwright.catalogue import catalogue
from maskwright.errors import UserError
from maskwright_torch.contracts import Group

WHERE = "objective:cap"


def share_of(total: int, share: float) -> int:
    """floor(total * share), where rounding of the share does not count: 0.3 of 10 is 3."""
    return math.floor(total * share + 1e-6)


def groups_of(encoder: Any) -> list[Group]:
    """The units that can be removed from an encoder; UserError where it does not say, or they cannot be."""
    if not hasattr(encoder, "prunable"):
        known = [x.name for x in catalogue().of_kind("encoder") if "prunable" in x.component.provides]
        raise UserError(
            f"{type(encoder).__name__} does not say what can be pruned",
            where=WHERE,
            why="its heads and neurons are known to itself alone, and it has no prunable()",
            cure=f"an encoder with the tag prunable: {', '.join(known) or 'none is installed'}; or give yours "
            "prunable(), compact(kept) and shape, and declare the tag",
        )
    groups = list(encoder.prunable())
    for group in groups:
        for path in (*group.inputs, group.output):
            refuse_frozen(linear_at(encoder, path), path)
    refuse_tied(encoder, {path for group in groups for path in (*group.inputs, group.output)})
    return groups


def linear_at(encoder: nn.Module, path: str) -> nn.Linear:
    """The linear map of that path; UserError where it is none that can be pruned."""
    layer = encoder.get_submodule(path)
    if isinstance(layer, nn.Linear) and layer.weight.is_floating_point() and layer.weight.element_size() > 1:
        return layer
    kind = f" of {layer.weight.dtype}" if isinstance(getattr(layer, "weight", None), torch.Tensor) else ""
    raise UserError(
        f"{path} cannot be pruned: it is a {type(layer).__name__}{kind}",
        where=f"{WHERE}, encoder",
        why="only linear maps with weights of 16 bits or more can; quantised ones hold no gradient",
        cure="prune first, quantise afterwards",
    )


def refuse_frozen(layer: nn.Linear, path: str) -> None:
    """Checkpoints leave frozen weights out, so what is pruned of them would be whole again when the run is read."""
    if not layer.weight.requires_grad:
        raise UserError(
            f"{path} cannot be pruned: its weight is frozen",
            where=f"{WHERE}, encoder",
            why="a run keeps no frozen weights: it would end pruned in memory alone",
            cure="train what is pruned, inner.trained_blocks=-1; or prune first, freeze afterwards",
        )


def refuse_tied(encoder: nn.Module, paths: set[str]) -> None:
    """A weight that another layer reads too would be pruned there as well."""
    owners: dict[int, list[str]] = {}
    for name, parameter in encoder.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for names in owners.values():
        if len(names) > 1 and any(name.rpartition(".")[0] in paths for name in names):
            raise UserError(
                f"{names[0]} and {names[1]} are one tensor",
                where=f"{WHERE}, encoder",
                why="what is pruned in one would be missing in the other",
                cure="an encoder that does not tie them",
            )
