"""One update of a meta-objective outside of training: its batch, and losses that checks can ask for."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.meta import Meta
from maskwright_torch.batches import collate
from maskwright_torch.contracts import Batch
from maskwright_torch.device import Compute

Loss = Callable[[], Tensor]


def copy_in_double(subject: Any, where: str) -> Meta:
    """A copy that computes in float64 and without dropout; UserError where the subject is no objective:meta."""
    if not isinstance(subject, Meta):
        raise UserError(
            f"{type(subject).__name__} is no objective:meta",
            where=where,
            why="what is judged is the gradient through its inner steps",
            cure='on = "objective", in a run of such an objective',
        )
    made = copy.deepcopy(subject).cpu().double()
    made.eval()
    return made


def batch_for(objective: Meta, data: Dataset, split: str, rows: int, step: Step, where: str) -> Batch:
    """A batch of one update, with `rows` rows in each chunk."""
    if split not in data.splits():
        raise UserError(
            f'the data has no split "{split}"', where=where, cure=f"it has {', '.join(data.splits())}"
        )
    layout = objective.episodes.layout
    order = objective.order(step, data, split, rows * layout.episodes * layout.chunks)
    objective.chunk = rows
    places = [index for _, index in order.places(0)]
    items = [data.item(split, index, step.fork(index)) for index in places]
    made = collate(items, places, objective.prepare, step)
    return Compute(torch.device("cpu"), "fp64").put(made)


def trained(objective: Meta) -> list[Tensor]:
    return [parameter for parameter in objective.parameters() if parameter.requires_grad]


def gradient(objective: Meta, batch: Batch, step: Step) -> Tensor:
    """The gradient of the loss as one vector; 0 where a parameter has none."""
    parameters = trained(objective)
    with torch.enable_grad():
        value = objective(batch, step).value
        found = torch.autograd.grad(value, parameters, allow_unused=True)
    return flat(found, parameters)


def flat(found: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, parameters, strict=True)]
    ).detach()
