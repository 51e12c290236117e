"""dataset:tasks — several data sets as the tasks of one, by their names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from maskwright.contracts import Dataset, plain
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.episode_order import about_tasks, tasks_in
from maskwright_meta.task_rows import digest, place_of, starts_of


@attrs.frozen
class Table:
    """What one split is made of."""

    sets: Sequence[tuple[str, Dataset]]
    starts: Sequence[int]
    """Where each set begins, and where the last one ends."""
    inner: Sequence[Mapping[str, tuple[int, int]]]
    """The tasks that each set has itself."""


class NamedSets:
    """The items of one set after those of another. A set that has tasks of its own gives them as "set/task"."""

    def __init__(self, sets: Mapping[str, Dataset]) -> None:
        self._sets = dict(sets)
        self._tables: dict[str, Table] = {}

    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(split for data in self._sets.values() for split in data.splits()))

    def _table(self, split: str) -> "Table":
        """Asked for every item, so it is made once."""
        if split not in self._tables:
            found = [(name, data) for name, data in self._sets.items() if split in data.splits()]
            if not found:
                raise UserError(
                    f'no set has the split "{split}"',
                    where="dataset:tasks",
                    cure=f"one of {', '.join(self.splits())}",
                )
            starts = starts_of(data.length(split) for _, data in found)
            self._tables[split] = Table(found, starts, [tasks_in(data, split) for _, data in found])
        return self._tables[split]

    def length(self, split: str) -> int:
        return self._table(split).starts[-1]

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        table = self._table(split)
        place, inside = place_of(table.starts, index, "dataset:tasks")
        name, data = table.sets[place]
        item = data.item(split, inside, step)
        task = f"{name}/{item['task']}" if table.inner[place] else name
        return {**item, "id": f"{name}:{item['id']}", "task": task}

    def about(self, split: str) -> Mapping[str, Any]:
        places: dict[str, tuple[int, int]] = {}
        own: dict[str, Any] = {}
        table = self._table(split)
        for start, (name, data), inner in zip(table.starts[:-1], table.sets, table.inner, strict=True):
            for task, (first, count) in inner.items():
                places[f"{name}/{task}"] = start + first, count
            if not inner:
                places[name] = start, data.length(split)
            own[name] = {key: value for key, value in data.about(split).items() if key != "tasks"}
        notices = dict.fromkeys(text for about in own.values() for text in about.get("notices", ()))
        classes = _classes([about["classes"] for about in own.values() if "classes" in about])
        return {
            "count": self.length(split), "sets": own, "notices": list(notices), **classes, **about_tasks(places),
        }  # fmt: skip

    def plain(self) -> "NamedSets":
        return NamedSets({name: plain(data) for name, data in self._sets.items()})

    def fingerprint(self) -> str:
        return digest([[name, data.fingerprint()] for name, data in self._sets.items()])


def _classes(found: Iterable[Sequence[Any]]) -> dict[str, list[str]]:
    """Names of classes where all sets have the same ones; else numbers, which mean what each set says."""
    lists = [[str(name) for name in names] for names in found]
    if not lists:
        return {}
    longest = max(map(len, lists))
    return {"classes": lists[0] if lists.count(lists[0]) == len(lists) else [str(n) for n in range(longest)]}
