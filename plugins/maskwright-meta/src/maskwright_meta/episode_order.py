"""Which items make up each batch: tasks are drawn first, then items of them.

A data set says where its tasks are by `about(split)["tasks"]`: name -> [first item, number of items]. Names of the form
"family/task" belong together: the family is drawn by p(T), then one of its tasks, each alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.layout import Layout
from maskwright_meta.sampling import Episode, TaskSampler

TASKS = "tasks"
"""Key of `about` under which a data set says where its tasks are."""


def family_of(task: str) -> str:
    """The word before the first slash."""
    return task.partition("/")[0]


def tasks_in(data: Dataset, split: str) -> dict[str, tuple[int, int]]:
    """Task -> (first item, number of items); empty where the data know of none.

    UserError where these are not its places: a wrapper took items out and hands on what its inner data say.
    """
    found = data.about(split).get(TASKS, {})
    places = {str(name): (int(first), int(count)) for name, (first, count) in found.items()}
    if places and (total := sum(count for _, count in places.values())) != data.length(split):
        raise UserError(
            f'the data has {data.length(split)} items in "{split}", and says that its tasks have {total}',
            where="data",
            why="items were chosen from data with tasks, so nobody knows any more where a task is",
            cure="choose from each set first: dataset:tasks around dataset:subset",
        )
    return places


def check_untold(data: Dataset, split: str, step: Step) -> None:
    """UserError where items name their task and the data do not say where tasks are: chunks would mix them."""
    if data.length(split) and "task" in data.item(split, 0, step):
        raise UserError(
            "items name their task, and the data do not say where each task is",
            where="data",
            why='an inner step is made on one task, so whole tasks have to be found: about(split)["tasks"]',
            cure="put each task into a set of its own under dataset:tasks, or train at depth 0 with deepest = 0",
        )


def sizes_of(tasks: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Family -> items of all its tasks."""
    sizes: dict[str, int] = {}
    for name, (_, count) in tasks.items():
        sizes[family_of(name)] = sizes.get(family_of(name), 0) + count
    return sizes


def class_counts(about: Mapping[str, Any]) -> dict[str, int]:
    """Task -> number of its classes, of those whose data say so."""
    own = {task: len(names) for task, names in about.get("classes_of", {}).items()}
    for name, inner in about.get("sets", {}).items():
        told = class_counts(inner)
        own |= {f"{name}/{task}": count for task, count in told.items()}
        if not told and "classes" in inner:
            own[name] = len(inner["classes"])
    return own


@attrs.frozen
class EpisodeOrder:
    """Places of items as `maskwright_torch.batches.Order` gives them, but by task."""

    step: Step
    tasks: Sequence[tuple[tuple[int, int], ...]]
    """For each family: (first, count) of each of its tasks."""
    sampler: TaskSampler
    """Draws families."""
    layout: Layout
    episode: Episode
    chunk: int
    replacement: bool

    @property
    def unit(self) -> int:
        """Rows of an episode, which stay together."""
        return self.chunk * self.layout.chunks

    def places(self, number: int) -> list[tuple[int, int]]:
        """(number, index) of each row of batch `number`: items are augmented anew in every batch."""
        found = []
        for episode in range(self.layout.episodes):
            rng = _rng(self.step.fork("episode", episode).at(number), "tasks")
            turn = number * self.layout.episodes + episode
            found += [(number, index) for index in self._episode(rng, turn)]
        return found

    def _episode(self, rng: np.random.Generator, turn: int) -> list[int]:
        draws = rng.random(self.layout.chunks).tolist()
        families = self.sampler.episode(self.episode, self.layout.deepest, draws, turn)
        members = [self._member(rng, family) for family in families]
        if self.episode == "same":
            members = members[:1] * len(members)
        drawn = {member: self._items(rng, member, members.count(member)) for member in dict.fromkeys(members)}
        return [index for member in members for index in drawn[member].pop()]

    def _member(self, rng: np.random.Generator, family: int) -> tuple[int, int]:
        own = self.tasks[family]
        return own[int(rng.integers(len(own)))] if len(own) > 1 else own[0]

    def _items(self, rng: np.random.Generator, member: tuple[int, int], chunks: int) -> list[list[int]]:
        """Items for the chunks of one task in one episode, no item twice."""
        first, count = member
        chosen = rng.choice(count, chunks * self.chunk, replace=self.replacement)
        return (first + chosen).reshape(chunks, self.chunk).tolist()


def _rng(step: Step, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=step.stream(stream)))


def episode_order(
    step: Step,
    tasks: Mapping[str, tuple[int, int]],
    sampler: TaskSampler,
    layout: Layout,
    episode: Episode,
    batch: int,
    replacement: bool,
) -> EpisodeOrder:
    """UserError where an episode could ask a task for more items than it has."""
    chunk = layout.rows_of_chunk(batch)
    check_sizes(tasks, chunk * layout.chunks, replacement)
    check_held_out(episode, sampler)
    families: dict[str, list[tuple[int, int]]] = {}
    for name, place in tasks.items():
        families.setdefault(family_of(name), []).append(place)
    members = [tuple(own) for own in families.values()]
    return EpisodeOrder(step, members, sampler, layout, episode, chunk, replacement)


def check_held_out(episode: Episode, sampler: TaskSampler) -> None:
    """UserError where there is nothing to hold out from."""
    drawn = sum(chance > 0 for chance in sampler.chances)
    if episode == "held-out" and drawn < 2:
        raise UserError(
            "there is one task only, and none to hold out from it",
            where='objective:meta, episode = "held-out"',
            why="the loss after the inner steps is of a task that they have not seen"
            + (", and a task of weight 0 is never drawn" if drawn < len(sampler.chances) else ""),
            cure='episode = "same", or a further task',
        )


def check_enough(count: int, wanted: int) -> None:
    """UserError where plain data do not fill an episode."""
    if count < wanted:
        raise UserError(
            f"the data has {count} items, and an episode takes {wanted}",
            where="data",
            why="an episode holds no item twice",
            cure="a smaller batch, a smaller deepest, or more data",
        )


def check_sizes(tasks: Mapping[str, tuple[int, int]], wanted: int, replacement: bool) -> None:
    empty = [name for name, (_, count) in tasks.items() if count == 0]
    short = empty if replacement else [name for name, (_, count) in tasks.items() if count < wanted]
    if short:
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        raise UserError(
            f"too few items in {', '.join(f'{name} ({tasks[name][1]})' for name in short[:3])}{more}",
            where="data",
            why=f"an episode may take {wanted} items of one task, none twice",
            cure="a smaller batch, a smaller deepest, or objective.replacement=true, which may take one twice"
            if not empty
            else "leave empty tasks out",
        )


def about_tasks(tasks: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """What a data set says of its tasks in `about`."""
    return {TASKS: {name: [first, count] for name, (first, count) in tasks.items()}}
