"""A data set held in memory: named splits, each a list of items with an `id`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from maskwright.errors import UserError
from maskwright.step import Step


class Items:
    """A Dataset over lists that are made once and never change.

    `facts` is what `about` answers for every split; `counts` of the split are added.
    """

    def __init__(
        self, name: str, splits: Mapping[str, Sequence[Mapping[str, Any]]], facts: Mapping[str, Any]
    ):
        self._name = name
        self._splits = dict(splits)
        self._facts = dict(facts)
        self._places: dict[str, dict[str, int]] = {}

    def splits(self) -> tuple[str, ...]:
        return tuple(self._splits)

    def length(self, split: str) -> int:
        return len(self._items(split))

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        items = self._items(split)
        if not 0 <= index < len(items):
            raise IndexError(
                f"dataset:{self._name} has {len(items)} items in split {split!r}, none at {index}"
            )
        return dict(items[index])

    def find(self, split: str, id: str) -> Mapping[str, Any]:
        """The item called `id`."""
        items = self._items(split)
        if split not in self._places:
            self._places[split] = {item["id"]: place for place, item in enumerate(items)}
        place = self._places[split].get(id)
        if place is None:
            raise UserError(
                f"dataset:{self._name} has no item {id!r} in split {split!r}",
                where=f"dataset:{self._name}",
                why=f"none of its {len(items)} items has this id",
                cure="take an id that this data set gave out, and the same settings and package versions",
            )
        return dict(items[place])

    def about(self, split: str) -> Mapping[str, Any]:
        return {**self._facts, "count": self.length(split)}

    def fingerprint(self) -> str:
        """sha256 over the splits, each as its items sorted by id."""
        digest = hashlib.sha256()
        for split, items in self._splits.items():
            digest.update(f"{split}\n".encode())
            for item in sorted(items, key=lambda item: item["id"]):
                digest.update(json.dumps(item, sort_keys=True).encode())
                digest.update(b"\n")
        return digest.hexdigest()

    def _items(self, split: str) -> Sequence[Mapping[str, Any]]:
        if split not in self._splits:
            raise UserError(
                f"dataset:{self._name} has no split {split!r}",
                where=f"dataset:{self._name}",
                why=f"with these settings it has {', '.join(self._splits)}",
                cure="name one of these splits",
            )
        return self._splits[split]
