"""The data sets of this plugin: rows of files, by split. Their text is read when an item is asked for."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.text_files import TextFile
from maskwright_text.text_splits import arrange, hash_share


def digest(value: Any) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class SplitRows:
    """What every data set here has in common: `chosen` holds the row numbers of each split, int64."""

    def __init__(
        self, name: str, chosen: Mapping[str, np.ndarray], facts: Mapping[str, Any], content: Any
    ) -> None:
        self._name, self._chosen, self._facts = name, dict(chosen), dict(facts)
        rows = {
            split: hashlib.sha256(part.astype("<i8").tobytes()).hexdigest()
            for split, part in self._chosen.items()
        }
        self._fingerprint = digest([name, rows, list(rows), content, self._facts.get("classes")])

    def splits(self) -> tuple[str, ...]:
        return tuple(self._chosen)

    def length(self, split: str) -> int:
        if split not in self._chosen:
            raise UserError(
                f'dataset:{self._name} has no split "{split}"',
                where=f"dataset:{self._name}",
                why=f"it has {', '.join(self._chosen)}",
                cure="name one of these, or give data with such a split",
            )
        return len(self._chosen[split])

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        if not 0 <= index < self.length(split):
            raise IndexError(
                f'dataset:{self._name} has {self.length(split)} items in "{split}", none at {index}'
            )
        return self._item(int(self._chosen[split][index]))

    def about(self, split: str) -> Mapping[str, Any]:
        return {**self._facts, "count": self.length(split)}

    def fingerprint(self) -> str:
        """sha256 over the content of the files, the splits, and how rows are made of them."""
        return self._fingerprint

    def _item(self, row: int) -> dict[str, Any]:
        raise NotImplementedError


@attrs.frozen(eq=False)
class Spans:
    """Rows of one file: bytes from `starts` to `ends`, beginning in line `lines` (from 1). int64 (rows,) each."""

    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def identities(self, file: TextFile) -> Iterator[str]:
        """The id of each row."""
        return (f"{file.name}:{line}" for line in self.lines.tolist())


Read = Callable[[TextFile, str, str], dict[str, Any]]
"""(file, text of the row, where it stands) -> fields; the label, where there is one, still as a word."""


class TextRows(SplitRows):
    """Rows of text files."""

    def __init__(
        self,
        name: str,
        files: Sequence[TextFile],
        spans: Sequence[Spans],
        read: Read,
        chosen: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        content: Any,
    ) -> None:
        super().__init__(name, chosen, facts, content)
        self._files, self._spans, self._read = list(files), list(spans), read
        self._firsts = first_rows(spans)
        self._numbers = {word: number for number, word in enumerate(facts.get("classes", ()))}

    def _item(self, row: int) -> dict[str, Any]:
        place = int(np.searchsorted(self._firsts, row, side="right")) - 1
        file, spans, at = self._files[place], self._spans[place], row - int(self._firsts[place])
        line = int(spans.lines[at])
        text = file.piece(int(spans.starts[at]), int(spans.ends[at])).decode("utf-8")
        fields = self._read(file, text, f"{file.shown}, line {line}")
        if "label" in fields:
            fields["label"] = self._numbers[fields["label"]]
        return {"id": f"{file.name}:{line}", **fields}


def first_rows(parts: Iterable[Any]) -> np.ndarray:
    """int64: the number of the first row of each part, when all are counted in one go, and how many there are."""
    return np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])


def arrange_files(
    counts: Sequence[int],
    splits: Sequence[str | None],
    identities: Callable[[int], Iterable[str]],
    test_share: float,
    valid_share: float,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Row numbers by split, and sentences on how; `identities` are the ids in a file, which decide what is cut off."""
    firsts = first_rows([range(count) for count in counts])
    given: dict[str, list[np.ndarray]] = {}
    for place, split in enumerate(splits):
        given.setdefault(split or "train", []).append(np.arange(firsts[place], firsts[place + 1]))
    joined = {split: np.concatenate(parts) for split, parts in given.items()}

    def draws() -> np.ndarray:
        trained = [place for place, split in enumerate(splits) if (split or "train") == "train"]
        names = (name for place in trained for name in identities(place))
        return np.fromiter((hash_share(name) for name in names), dtype=np.float64)

    return arrange(joined, draws, test_share, valid_share)


def sorted_classes(words: Iterable[str], where: str) -> list[str]:
    """By name; by number where all of them are whole numbers, so that class 10 does not come before class 2."""
    words = set(words)
    if len(words) == 1:
        raise UserError(
            f'all texts are of one class, "{words.pop()}"',
            where=where,
            why="with one class there is nothing to tell apart",
            cure="leave the label out, or give data with several classes",
        )
    if all(word.isdecimal() and word.isascii() for word in words):
        return sorted(words, key=lambda word: (int(word), word))
    return sorted(words)


def notice_new_classes(
    codes: np.ndarray, chosen: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[str]:
    """A sentence on classes that are judged but never trained; `codes` (rows,) are places in `names`."""
    if "train" not in chosen:
        return []
    known = set(np.unique(codes[chosen["train"]]).tolist())
    new = sorted(names[code] for code in set(np.unique(codes).tolist()) - known)
    return [f"classes without training texts: {', '.join(new[:5])} ({len(new)} in all)"] if new else []
