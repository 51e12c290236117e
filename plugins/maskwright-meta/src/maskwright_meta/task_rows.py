"""What data sets of tasks have in common: items of one task after those of another, and where they are."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.episode_order import about_tasks

Item = Mapping[str, Any]


def digest(value: Any) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class TaskRows:
    """`tasks`: split -> task -> its items. Every item comes with the field `task`."""

    def __init__(
        self,
        name: str,
        tasks: Mapping[str, Mapping[str, Sequence[Item]]],
        facts: Mapping[str, Any],
        fingerprint: str,
    ) -> None:
        self._name, self._facts, self._fingerprint = name, dict(facts), fingerprint
        self._tasks = {split: list(own.items()) for split, own in tasks.items()}
        self._starts = {split: starts_of(len(rows) for _, rows in own) for split, own in self._tasks.items()}

    def splits(self) -> tuple[str, ...]:
        return tuple(self._tasks)

    def length(self, split: str) -> int:
        return self._known(split)[-1]

    def _known(self, split: str) -> list[int]:
        if split not in self._tasks:
            raise UserError(
                f'dataset:{self._name} has no split "{split}"',
                where=f"dataset:{self._name}",
                why=f"it has {', '.join(self._tasks)}",
                cure="name one of these, or give data with such a split",
            )
        return self._starts[split]

    def item(self, split: str, index: int, step: Step) -> Item:
        place, inside = place_of(self._known(split), index, f"dataset:{self._name}")
        task, rows = self._tasks[split][place]
        return {**rows[inside], "task": task}

    def about(self, split: str) -> Mapping[str, Any]:
        starts = self._known(split)
        places = {task: (starts[n], len(rows)) for n, (task, rows) in enumerate(self._tasks[split])}
        return {**self._facts, "count": starts[-1], **about_tasks(places)}

    def fingerprint(self) -> str:
        return self._fingerprint


def starts_of(lengths: Iterable[int]) -> list[int]:
    """Where each part begins, and where the last one ends."""
    return [0, *accumulate(lengths)]


def place_of(starts: Sequence[int], index: int, where: str) -> tuple[int, int]:
    """Which part holds the item `index`, and which item it is in that part."""
    if not 0 <= index < starts[-1]:
        raise IndexError(f"{where} has {starts[-1]} items in this split, none at {index}")
    place = bisect_right(starts, index) - 1
    return place, index - starts[place]
