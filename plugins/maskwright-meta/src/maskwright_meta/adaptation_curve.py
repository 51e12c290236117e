"""evaluator:adaptation-curve — how well unseen tasks are learned from a few labels in a few steps.

For each task of the split, number of shots and seed, some items of each class are learned from, and the others are
judged after each number of steps. Beside the accuracy stands what the pre-training and the steps cost in gradient
evaluations: a comparison at equal updates favours the deeper arm.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import torch

from maskwright.charts import Series, line_chart
from maskwright.contracts import Dataset, Figure, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.adapting import WHERE, Budget, Head, fine_tuned, objective_for, rates_for
from maskwright_meta.episode_order import tasks_in
from maskwright_torch.contracts import ROWS
from maskwright_torch.inference import in_use, prepared
from maskwright_torch.noise import identities, uniform

CURVE = "curve.jsonl"


@attrs.frozen
class Point:
    """The accuracy of one task, number of shots and seed, after each number of steps."""

    task: str
    shots: int
    seed: int
    judged: int
    accuracy: tuple[float, ...]


class AdaptationCurve:
    """Shots × steps × seeds on every task of a split."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"accuracy/*": "max", "area/*": "max"}

    def __init__(
        self, shots: Sequence[int], budget: Budget, seeds: int, head: Head, most: int, tasks: int, split: str
    ) -> None:
        self.shots, self.budget, self.seeds, self.head = shots, budget, seeds, head
        self.most, self.tasks, self.split = most, tasks, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        if self.split not in data.splits():
            raise UserError(
                f'the data has no split "{self.split}"',
                where=WHERE,
                cure=f"it has {', '.join(data.splits())}",
            )
        places = tasks_in(data, self.split) or {"all": (0, data.length(self.split))}
        chosen = list(places.items())[: self.tasks or None]
        points = []
        for name, (first, count) in chosen:
            items = [data.item(self.split, first + n, step) for n in range(count)]
            points += self._task(subject, name, items, Step(step.seed).fork("adapt", name))
        values, table = {}, []
        for shots in self.shots:
            found = np.array([p.accuracy for p in points if p.shots == shots])  # (tasks × seeds, steps)
            errors = standard_error(found, len(chosen)).tolist()
            for number, accuracy, error in zip(self.budget.steps, found.T, errors, strict=True):
                values[f"accuracy/{_shots(shots)}/{number}-steps"] = float(accuracy.mean())
                table.append(self._row(shots, number, accuracy, error))
            values[f"area/{_shots(shots)}"] = area(self.budget.steps, found.mean(axis=0).tolist())
        cost = self._cost(subject, step)
        return Findings(
            values=values,
            rows=[
                {"id": f"{p.task}/{_shots(p.shots)}/{p.seed}", "accuracy": float(np.mean(p.accuracy))}
                for p in points
            ],
            tables={f"{len(chosen)} tasks, {self.seeds} draws of labels each{cost}": table},
            files={CURVE: self._lines(points)},
            figures=lambda: [self._figure(points)],
        )

    def _task(self, subject: Any, name: str, items: Sequence[Any], step: Step) -> list[Point]:
        if not items:
            raise UserError(
                f"the task {name} has no items in {self.split}", where=WHERE, cure="leave it out of the data"
            )
        labels = np.array([int(item["label"]) for item in items])
        objective = objective_for(subject, name, int(labels.max()) + 1, self.head, step)
        rates = rates_for(subject, objective, self.budget.rate)
        found = []
        for shots in self.shots:
            for seed in range(self.seeds):
                known, asked = self._drawn(name, items, labels, shots, step.at(seed))
                with in_use(objective):
                    support, query = (
                        prepared(objective, objective.prepare, [items[n] for n in part], step)
                        for part in (known, asked)
                    )
                    predicted = fine_tuned(
                        objective, support, query, self.budget, rates, self.head, step.at(seed)
                    )
                right = torch.from_numpy(labels[asked])
                accuracy = tuple(float((one == right).double().mean()) for one in predicted)
                found.append(Point(name, shots, seed, len(query[ROWS]), accuracy))
        return found

    def _drawn(
        self, name: str, items: Sequence[Any], labels: np.ndarray, shots: int, step: Step
    ) -> tuple[list[int], list[int]]:
        """Items to learn from, `shots` of each class (0: all but as many as are judged), and items to judge."""
        draws = uniform(step.stream("labels"), identities([str(item["id"]) for item in items]), 1)[:, 0]
        order = draws.argsort(stable=True).numpy()
        if shots == 0:
            half = len(order) // 2
            if not half:
                raise UserError(
                    f"the task {name} has one item only: none to learn from and another to judge by",
                    where=WHERE,
                    cure="leave it out of the data",
                )
            return order[half:].tolist(), order[: min(half, self.most or half)].tolist()
        known: list[int] = []
        for label in sorted(set(labels.tolist())):
            own = order[labels[order] == label]
            if len(own) <= shots:
                raise UserError(
                    f"label {label} of the task {name} has {len(own)} items, too few for {shots} shots and a test",
                    where=WHERE,
                    cure=f"shots={max(len(own) - 1, 1)}, or leave the task out",
                )
            known += own[:shots].tolist()
        taken = set(known)
        return known, [int(n) for n in order if n not in taken][: self.most or None]

    def _row(self, shots: int, steps: int, accuracy: np.ndarray, error: float) -> dict[str, Any]:
        return {
            "shots": shots or "all", "steps": steps, "gradient evaluations": steps,
            "accuracy": float(accuracy.mean()), "s.e.": error, "lowest": float(accuracy.min()),
        }  # fmt: skip

    def _cost(self, subject: Any, step: Step) -> str:
        if not hasattr(subject, "spent") or not step.number:
            return ""  # judged outside of its run, nobody knows for how long it was trained
        return f"; pre-training: {step.number} updates, {subject.spent(step)} gradient evaluations"

    def _lines(self, points: Sequence[Point]) -> bytes:
        lines = [
            json.dumps(
                {
                    "task": p.task,
                    "shots": p.shots,
                    "steps": number,
                    "seed": p.seed,
                    "metric": "accuracy",
                    "value": value,
                }
            )
            for p in points
            for number, value in zip(self.budget.steps, p.accuracy, strict=True)
        ]
        return ("\n".join(lines) + "\n").encode()

    def _figure(self, points: Sequence[Point]) -> Figure:
        series = []
        for shots in self.shots:
            found = np.array([p.accuracy for p in points if p.shots == shots])
            error = standard_error(found, len({p.task for p in points}))
            line = zip(self.budget.steps, found.mean(axis=0).tolist(), error.tolist(), strict=True)
            series.append(Series(_shots(shots), list(line)))
        drawn = line_chart(series, "steps of fine-tuning", "accuracy")
        return Figure("adaptation", "Accuracy on unseen tasks, with one standard error.", drawn.encode())


def _shots(count: int) -> str:
    return f"{count}-shots" if count else "all-shots"


def standard_error(accuracy: np.ndarray, tasks: int) -> np.ndarray:
    """Of the mean over tasks, after each number of steps; of a single task, over its draws of labels.

    `accuracy`: (tasks × seeds, steps). Draws of one task are not independent of each other, so each task counts once.
    """
    found = accuracy.reshape(tasks, -1, accuracy.shape[1]).mean(axis=1) if tasks > 1 else accuracy
    if len(found) == 1:
        return np.zeros(found.shape[1])
    return found.std(axis=0, ddof=1) / math.sqrt(len(found))


def area(steps: Sequence[int], accuracy: Sequence[float]) -> float:
    """Mean height of the curve over log(1 + steps), so that the first steps count as much as they matter."""
    x = [math.log1p(number) for number in steps]
    if len(x) == 1 or x[-1] == x[0]:
        return float(accuracy[-1])
    parts = [(x[n + 1] - x[n]) * (accuracy[n] + accuracy[n + 1]) / 2 for n in range(len(x) - 1)]
    return sum(parts) / (x[-1] - x[0])
