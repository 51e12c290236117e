"""evaluator:gradient-check — is the meta-gradient right, how far is first order from it, and what does depth cost?

Along random directions the exact gradient is compared with finite differences of the loss. One number to look at when
training does not do what it should. The memory that autograd holds between the two passes is counted for each
depth, tensor by tensor, before a run is out of it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import torch
from torch import Tensor

from maskwright.contracts import Dataset, Findings
from maskwright.schedules import Curve
from maskwright.step import Step
from maskwright_meta.first_update import batch_for, copy_in_double, gradient, trained
from maskwright_meta.memory import held_bytes
from maskwright_meta.meta import Meta
from maskwright_meta.unroll import Order
from maskwright_torch.contracts import Batch
from maskwright_torch.gradients import seed_modules
from maskwright_torch.noise import uniform

WHERE = "evaluator:gradient-check"
BYTES = 2 * 2**20
"""What a MiB of float32 is in float64, in which everything here is computed."""


class GradientCheck:
    """Finite differences, first against second order, and memory for each depth."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "finite_difference_error": "min",
        "first_to_second": "min",
        "cosine_first_second": "max",
    }

    def __init__(self, rows: int, directions: int, epsilon: float, split: str) -> None:
        self.rows, self.directions, self.epsilon, self.split = rows, directions, epsilon, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        objective = copy_in_double(subject, WHERE)
        at = Step(step.seed).fork("gradient-check")
        batch = batch_for(objective, data, self.split, self.rows, at, WHERE)
        deepest, own = objective.episodes.layout.deepest, objective.inner.order
        self._set(objective, "first", deepest)
        first = gradient(objective, batch, at)
        self._set(objective, "second", deepest)
        second = gradient(objective, batch, at)
        errors, rows = [], []
        for number in range(self.directions):
            direction = self._direction(objective, at.at(number))
            along = float(second @ direction)
            found = self._difference(objective, batch, at, direction)
            size = max(abs(along), abs(found), float(second.norm() * direction.norm()) * 1e-3)
            errors.append(abs(found - along) / size if size else 0.0)
            rows.append(
                {
                    "id": f"direction-{number}",
                    "gradient": along,
                    "finite difference": found,
                    "error": errors[-1],
                }
            )
        norms = max(float(second.norm()), 1e-300), max(float(first.norm()), 1e-300)
        values = {
            "finite_difference_error": max(errors),
            "first_to_second": float((first - second).norm()) / norms[0],
            "cosine_first_second": float(first @ second) / (norms[0] * norms[1]),
        }
        memory = []
        for depth in range(deepest + 1):
            self._set(objective, own, depth)
            memory.append(self._memory(objective, batch, at))
        return Findings(
            values=values,
            rows=rows,
            tables={f"what autograd holds for one update, {self.rows} rows in a chunk": memory},
        )

    def _set(self, objective: Meta, order: Order, depth: int) -> None:
        objective.inner = attrs.evolve(objective.inner, order=order)
        objective.depth = Curve(lambda progress: float(depth), (float(depth), float(depth)))

    def _direction(self, objective: Meta, step: Step) -> Tensor:
        count = sum(p.numel() for p in trained(objective))
        return 2 * uniform(step.stream("direction"), torch.zeros(1, dtype=torch.int64), count)[0] - 1

    def _difference(self, objective: Meta, batch: Batch, step: Step, direction: Tensor) -> float:
        values = []
        for sign in (1, -1):
            self._move(objective, direction, sign * self.epsilon)
            with torch.no_grad():
                values.append(float(objective(batch, step).value))
            self._move(objective, direction, -sign * self.epsilon)
        return (values[0] - values[1]) / (2 * self.epsilon)

    def _move(self, objective: Meta, direction: Tensor, length: float) -> None:
        place = 0
        with torch.no_grad():
            for parameter in trained(objective):
                part = direction[place : place + parameter.numel()].view_as(parameter)
                parameter += length * part
                place += parameter.numel()

    def _memory(self, objective: Meta, batch: Batch, step: Step) -> dict[str, Any]:
        """Sizes of the tensors that are held when the loss is there, each storage once, in float32."""
        depth = objective.depth_at(step)
        seed_modules(step)
        held = held_bytes(lambda: objective(batch, step))
        return {
            "depth": depth,
            "backward passes": objective.episodes.layout.episodes * objective.inner.passes(depth),
            "MiB in float32": round(held / BYTES, 4),
        }
