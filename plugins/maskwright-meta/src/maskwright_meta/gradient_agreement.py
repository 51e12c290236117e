"""evaluator:gradient-agreement — do tasks pull the encoder the same way?

The cosine of the gradients of every two tasks, by the trained weights that all of them hold. With a small inner rate
one meta-step raises, beside plain training, the agreement of the tasks that it puts together (arXiv:1803.02999).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.episode_order import family_of, tasks_in
from maskwright_meta.first_update import copy_in_double, flat
from maskwright_meta.meta import Meta
from maskwright_torch.batches import collate
from maskwright_torch.device import Compute
from maskwright_torch.noise import permutation

WHERE = "evaluator:gradient-agreement"


class GradientAgreement:
    """Mean, lowest and share of opposed pairs over the tasks of a split."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "cosine": "max", "lowest_cosine": "max", "opposed": "min",
    }  # fmt: skip

    def __init__(self, rows: int, tasks: int, split: str) -> None:
        self.rows, self.tasks, self.split = rows, tasks, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        objective = copy_in_double(subject, WHERE)
        if self.split not in data.splits():
            raise UserError(
                f'the data has no split "{self.split}"',
                where=WHERE,
                cure=f"it has {', '.join(data.splits())}",
            )
        known = objective.tasks.keys()
        found = tasks_in(data, self.split)
        places = {n: p for n, p in found.items() if len(known) == 1 or family_of(n) in known}
        names = list(places)[: self.tasks or None]
        if len(names) < 2:
            raise UserError(
                f'the split "{self.split}" has {len(names)} tasks that the objective knows: nothing to compare',
                where=WHERE,
                cure="data with two tasks or more, such as dataset:tasks",
            )
        at = Step(step.seed).fork("gradient-agreement")
        shared = _shared([_objective_of(objective, name) for name in names])
        gradients = [self._gradient(objective, data, name, places[name], shared, at) for name in names]
        rows = [
            {"id": f"{names[a]} × {names[b]}", "cosine": _cosine(gradients[a], gradients[b])}
            for a, b in combinations(range(len(names)), 2)
        ]
        cosines = np.array([row["cosine"] for row in rows])
        values = {
            "cosine": float(cosines.mean()),
            "lowest_cosine": float(cosines.min()),
            "opposed": float((cosines < 0).mean()),
        }
        return Findings(values=values, rows=rows, tables={f"{len(names)} tasks": [values]})

    def _gradient(
        self,
        objective: Any,
        data: Dataset,
        name: str,
        place: tuple[int, int],
        shared: list[Tensor],
        step: Step,
    ) -> Tensor:
        first, count = place
        chosen = permutation(step.fork(name).stream("items"), count)[: self.rows].tolist()
        rows = [first + n for n in chosen]
        items = [data.item(self.split, row, step.fork(row)) for row in rows]
        own = _objective_of(objective, name)
        batch = Compute(torch.device("cpu"), "fp64").put(collate(items, rows, own.prepare, step))
        with torch.enable_grad():
            found = torch.autograd.grad(own(batch, step).value, shared, allow_unused=True)
        return flat(found, shared)


def _objective_of(objective: Meta, task: str) -> Any:
    """What learns a task of the data: the objective of its name, or the only one."""
    return objective.tasks[family_of(task) if len(objective.tasks) > 1 else objective.names[0]]


def _shared(objectives: Sequence[Any]) -> list[Tensor]:
    """The trained parameters that all of them hold; UserError where there is none."""
    first, *others = objectives
    held = [set(map(id, own.parameters())) for own in others]
    found = [p for p in first.parameters() if p.requires_grad and all(id(p) in own for own in held)]
    if not found:
        raise UserError(
            "the tasks share no weight that is trained: there are no gradients to compare",
            where=WHERE,
            why="each has an encoder of its own, or what they share is frozen",
            cure='share an encoder, encoder = { ref = "objective.tasks.NAME.encoder" }, and train it',
        )
    return found


def _cosine(first: Tensor, second: Tensor) -> float:
    norms = float(first.norm() * second.norm())
    return float(first @ second) / norms if norms else 0.0
