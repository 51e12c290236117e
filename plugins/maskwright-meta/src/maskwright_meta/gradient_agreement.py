"""evaluator:gradient-agreement — do tasks pull the encoder the same way?

The cosine of the gradients of every two tasks, by the weights that they share. With a small inner rate one meta-step
raises what is left over of plain training: the agreement of the tasks that it puts together (arXiv:1803.02999).
"""

from collections.abc import Mapping
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
        encoder = getattr(next(iter(objective.tasks.values())), "encoder", objective)
        shared = [p for p in encoder.parameters() if p.requires_grad]
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
        own = (
            objective.tasks[family_of(name)]
            if len(objective.tasks) > 1
            else next(iter(objective.tasks.values()))
        )
        batch = Compute(torch.device("cpu"), "fp64").put(collate(items, rows, own.prepare, step))
        with torch.enable_grad():
            found = torch.autograd.grad(own(batch, step).value, shared, allow_unused=True)
        return flat(found, shared)


def _cosine(first: Tensor, second: Tensor) -> float:
    norms = float(first.norm() * second.norm())
    return float(first @ second) / norms if norms else 0.0
