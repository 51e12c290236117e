"""Follows the best value of one metric, so that its checkpoint is kept."""

import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs

from maskwright.build import Evaluation
from maskwright.contracts import Findings
from maskwright.errors import UserError


@attrs.define
class Best:
    """The best so far of `evaluator/metric`; an empty name follows nothing. Part of every checkpoint's state."""

    metric: str = ""
    direction: Literal["max", "min"] = "max"
    number: int | None = None
    value: float = float("nan")

    def note(self, number: int, found: Mapping[str, Findings]) -> bool:
        """Whether these findings, made after `number` steps, are the best yet."""
        name, _, metric = self.metric.partition("/")
        if name not in found:
            return False
        if metric not in found[name].values:
            raise UserError(
                f'{name} did not report "{metric}"',
                where="best",
                why="the data or the part it judged do not allow it",
                cure=f"best is one of: {', '.join(f'{name}/{known}' for known in found[name].values)}",
            )
        value = float(found[name].values[metric])
        better = value > self.value if self.direction == "max" else value < self.value
        if value != value or (self.number is not None and not better):
            return False
        self.number, self.value = number, value
        return True

    def spare(self) -> frozenset[int]:
        """The checkpoint that pruning must leave alone."""
        return frozenset() if self.number is None else frozenset({self.number})

    def state(self) -> dict[str, Any]:
        value = None if self.number is None else self.value
        return {"metric": self.metric, "direction": self.direction, "number": self.number, "value": value}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take up what a checkpoint says."""
        if state["number"] is not None:
            self.number, self.value = int(state["number"]), float(state["value"])


def best_number(
    state: Mapping[str, Any], logged: Iterable[Mapping[str, Any]], numbers: Collection[int]
) -> int | None:
    """The checkpoint with the best value that was logged. The last evaluation comes after the last checkpoint."""
    values = {
        entry["step"]: entry["value"]
        for entry in logged
        if entry["name"] == state["metric"] and entry["value"] is not None and entry["step"] in numbers
    }
    if not values:
        return None
    sign = 1 if state["direction"] == "max" else -1
    return max(values, key=lambda step: (sign * values[step], -step))


def best_of(metric: str, evaluations: Sequence[Evaluation]) -> Best:
    """Follow `metric`; UserError where no evaluator reports it."""
    if not metric:
        return Best()
    name, _, inner = metric.partition("/")
    offered = {entry.name: dict(entry.evaluator.metrics) for entry in evaluations}
    for pattern, direction in offered.get(name, {}).items():
        if fnmatch.fnmatchcase(inner, pattern):
            return Best(metric, direction)
    known = [f"{entry}/{metric}" for entry, metrics in offered.items() for metric in metrics]
    raise UserError(
        f'no evaluator reports "{metric}"',
        where="best",
        cure=f"best is one of: {', '.join(known) or '(add an evaluator first)'}",
    )
