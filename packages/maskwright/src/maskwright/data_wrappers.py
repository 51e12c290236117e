"""Data sets made of data sets: fewer items, fewer classes, several in one."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from maskwright.contracts import Dataset, plain
from maskwright.errors import UserError
from maskwright.step import Step


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def hash_order(data: Dataset, split: str, salt: str) -> list[int]:
    """Indices of a split, ordered by a hash of each item's id: independent of the order in the file."""
    step = Step()
    ids = [str(data.item(split, i, step)["id"]) for i in range(data.length(split))]
    return sorted(range(len(ids)), key=lambda i: _digest(salt, ids[i]))


class Selection:
    """Some items of each split, by index."""

    def __init__(self, data: Dataset, chosen: Mapping[str, Sequence[int]], label: str) -> None:
        self.data, self.chosen, self.label = data, dict(chosen), label

    def splits(self) -> tuple[str, ...]:
        return self.data.splits()

    def length(self, split: str) -> int:
        return len(self.chosen[split]) if split in self.chosen else self.data.length(split)

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return self.data.item(split, self.chosen[split][index] if split in self.chosen else index, step)

    def about(self, split: str) -> Mapping[str, Any]:
        return {**self.data.about(split), "selection": self.label}

    def plain(self) -> "Selection":
        return Selection(plain(self.data), self.chosen, self.label)

    def fingerprint(self) -> str:
        words = [f"{split}:{','.join(map(str, indices))}" for split, indices in sorted(self.chosen.items())]
        return _digest(self.data.fingerprint(), *words)


def subset(data: Dataset, count: int, splits: Sequence[str], salt: str) -> Selection:
    """At most `count` items of each of `splits`, chosen by hash of their ids."""
    for split in splits:
        if split not in data.splits():
            raise UserError(f'the data has no split "{split}"', cure=f"it has: {', '.join(data.splits())}")
    chosen = {split: sorted(hash_order(data, split, salt)[:count]) for split in splits}
    return Selection(data, chosen, f"{count} items of {', '.join(splits)}")


def few_shot(data: Dataset, shots: int, salt: str) -> Selection:
    """`shots` items of each class in `train`; the other splits stay whole."""
    step = Step()
    taken: dict[int, int] = {}
    chosen = []
    for index in hash_order(data, "train", salt):
        label = int(data.item("train", index, step)["label"])
        if taken.get(label, 0) < shots:
            taken[label] = taken.get(label, 0) + 1
            chosen.append(index)
    short = sorted(label for label, count in taken.items() if count < shots)
    if short:
        raise UserError(
            f"{len(short)} classes have fewer than {shots} items in train",
            why=f"labels {short[:8]}",
            cure="lower shots, or drop these classes with dataset:classes",
        )
    return Selection(data, {"train": sorted(chosen)}, f"{shots} shots a class")


def classes(data: Dataset, keep: Sequence[int]) -> Selection:
    """Items whose label is in `keep`; labels stay as they are, so that class names still fit."""
    step, wanted = Step(), set(keep)
    chosen = {
        split: [i for i in range(data.length(split)) if int(data.item(split, i, step)["label"]) in wanted]
        for split in data.splits()
    }
    if not any(chosen.values()):
        raise UserError(f"no item has a label in {sorted(wanted)}", cure="see about()['classes'] of the data")
    return Selection(data, chosen, f"classes {sorted(wanted)}")


class Concat:
    """Several data sets one after another; ids are prefixed with their number."""

    def __init__(self, parts: Sequence[Dataset]) -> None:
        self.parts = list(parts)

    def splits(self) -> tuple[str, ...]:
        return tuple(s for s in self.parts[0].splits() if all(s in part.splits() for part in self.parts))

    def length(self, split: str) -> int:
        return sum(part.length(split) for part in self.parts)

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        left = index
        for number, part in enumerate(self.parts):
            if left < part.length(split):
                item = part.item(split, left, step)
                return {**item, "id": f"{number}:{item['id']}"}
            left -= part.length(split)
        raise IndexError(f"item {index} of {self.length(split)}")

    def about(self, split: str) -> Mapping[str, Any]:
        """What all parts say alike (their classes, say), and each part's own words."""
        each = [dict(part.about(split)) for part in self.parts]
        alike = {
            key: value for key, value in each[0].items() if all(about.get(key) == value for about in each)
        }
        return {**alike, "parts": each}

    def plain(self) -> "Concat":
        return Concat([plain(part) for part in self.parts])

    def fingerprint(self) -> str:
        return _digest(*(part.fingerprint() for part in self.parts))
