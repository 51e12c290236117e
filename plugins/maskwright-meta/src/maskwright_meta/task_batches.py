"""Rows of several tasks in one batch: each objective prepares its own, and finds them under its name."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.episode_order import family_of
from maskwright_meta.layout import Layout
from maskwright_meta.sampling import Episode, TaskSampler
from maskwright_torch.contracts import ROWS, Batch, Prepare
from maskwright_torch.noise import identities, uniform

TASK = "task"
"""Key of the objective's number of each row, and the field of an item that names its task."""

Item = Mapping[str, Any]


@attrs.frozen
class PrepareTasks:
    """Items -> `task` int64 (B,), and for each task that occurs a batch of its rows, in their order.

    Items name their task in the field `task`. Items without it are of no task in particular: each chunk is then given
    to a task that is drawn by the step and its first item, so the draw is the same in any process and piece.
    """

    names: tuple[str, ...]
    prepares: tuple[Prepare, ...]
    sampler: TaskSampler
    """For items without task."""
    episode: Episode
    layout: Layout
    chunk: int | None = None

    def __call__(self, items: Sequence[Item], step: Step) -> dict[str, Any]:
        if any(TASK in item for item in items):
            numbers = [self._number(item) for item in items]
        else:
            numbers = self._drawn(items, step)
        batch: dict[str, Any] = {TASK: torch.tensor(numbers, dtype=torch.int64)}
        for number, (name, prepare) in enumerate(zip(self.names, self.prepares, strict=True)):
            own = [item for item, task in zip(items, numbers, strict=True) if task == number]
            if own:
                batch[name] = prepare(own, step)
        return batch

    def _number(self, item: Item) -> int:
        name = family_of(str(item.get(TASK)))
        if name in self.names:
            return self.names.index(name)
        raise UserError(
            f'the item "{item.get("id", "")}" belongs to the task "{item.get(TASK)}", which has no objective',
            where="objective:meta, tasks",
            why=f"the objectives are {', '.join(self.names)}",
            cure="give data sets and objectives the same names",
        )

    def _drawn(self, items: Sequence[Item], step: Step) -> list[int]:
        chunk = self.layout.chunk_in(len(items), self.chunk)
        firsts = identities([str(item["id"]) for item in items[::chunk]])
        draws = uniform(step.stream("task"), firsts, 1)[:, 0].tolist()
        found: list[int] = []
        size = self.layout.chunks
        for start in range(0, len(draws), size):
            own = draws[start : start + size]
            for task in self.sampler.episode(self.episode, self.layout.deepest, own, step.number):
                found += [task] * chunk
        return found


def rows_of_task(batch: Batch, name: str, number: int, places: Tensor) -> dict[str, Tensor]:
    """The rows at `places`, int64, which are all of task `number`, as its objective `name` takes them."""
    inside = torch.cumsum(batch[TASK] == number, 0)[places] - 1
    own = {key: tensor[inside] for key, tensor in batch[name].items()}
    return own | {ROWS: batch[ROWS][places]}
