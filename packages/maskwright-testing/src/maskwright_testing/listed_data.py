"""Small data sets in memory, for components that need data to be shown at work."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maskwright.errors import UserError
from maskwright.findings import plain_value
from maskwright.step import Step

SPLITS = {"train": 8, "test": 4}
"""Split -> items of the sample data."""

CLASSES = ("even", "odd")


class ListedData:
    """A data set whose items are written out: `ListedData({"train": [{"id": "a", "text": "one"}]})`."""

    def __init__(
        self, items: Mapping[str, Sequence[Mapping[str, Any]]], about: Mapping[str, Any] | None = None
    ) -> None:
        self._items = {split: [dict(item) for item in entries] for split, entries in items.items()}
        self._about = dict(about or {})

    def splits(self) -> tuple[str, ...]:
        return tuple(self._items)

    def length(self, split: str) -> int:
        return len(self._split(split))

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        entries = self._split(split)
        if not 0 <= index < len(entries):
            raise IndexError(f"item {index} of {len(entries)} in split {split!r}")
        return dict(entries[index])

    def about(self, split: str) -> Mapping[str, Any]:
        self._split(split)
        return dict(self._about)

    def fingerprint(self) -> str:
        text = json.dumps(plain_value(self._items), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _split(self, split: str) -> list[dict[str, Any]]:
        if split not in self._items:
            known = ", ".join(self._items)
            raise UserError(f'the data has no split "{split}"', cure=f"it has: {known}")
        return self._items[split]


WORDS = ("river", "stone", "cloud", "lamp", "garden", "window", "paper", "boat")


def _text(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (1, 2, 3, 5))


_PLAIN_FIELDS = {
    "text": _text,
    "other": lambda n: _text(n + 1),
    "name": lambda n: f"name {n}",
    "label": lambda n: n % len(CLASSES),
    "query": _text,
    "document": _text,
    "question": lambda n: f"which word comes first in number {n}?",
    "answer": lambda n: _text(n).split()[0],
    "summary": lambda n: _text(n).split()[0],
    "caption": _text,
    "face": lambda n: f"face {n % 2}",
    "aliases": lambda n: [_text(n + 1)],
}
"""Field -> value for item number n, for the fields that need no numpy."""


def sample_data(fields: Iterable[str] = ("text", "label")) -> ListedData:
    """Eight training and four test items with `id` and the given fields.

    Fields with a meaning of their own (pictures, tables, graphs) are not made up here: a component that reads
    those offers `example_data`.
    """
    wanted = sorted(set(fields) - {"id"})
    unknown = [field for field in wanted if field not in _PLAIN_FIELDS]
    if unknown:
        raise UserError(
            f"there is no sample data with the fields {', '.join(unknown)}",
            why=f"known are {', '.join(_PLAIN_FIELDS)}",
            cure="add the classmethod example_data to the Params class",
        )
    items: dict[str, list[dict[str, Any]]] = {}
    first = 0
    for split, count in SPLITS.items():
        items[split] = [
            {"id": f"{split}-{n}", **{field: _PLAIN_FIELDS[field](first + n) for field in wanted}}
            for n in range(count)
        ]
        first += count
    return ListedData(items, {"classes": list(CLASSES)} if "label" in wanted else {})
