"""dataset:passages — the texts of another data set, joined and cut again into passages of about one length.

Packing is done here, on raw text, so that any encoder can read what comes out. The length is counted in words that
stand between white space.
"""

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from maskwright.contracts import Dataset, plain
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.text_data import digest
from maskwright_text.word_offsets import spaced_words

_REMEMBERED = 8  # texts whose words are known; a book that is cut into thousands of passages is read once


@attrs.frozen(eq=False)
class Cut:
    """The passages of one split. Words are counted from 0 through all texts that are kept, one after the other."""

    texts: np.ndarray
    """int64 (texts,): places in the inner split of those that are kept."""
    firsts: np.ndarray
    """int64 (texts + 1,): number of the first word of each, and how many words there are."""
    edges: np.ndarray
    """int64 (passages + 1,): number of the first word of each passage, and how many words there are."""
    short: int
    """Texts that are dropped."""


class Passages:
    """Passages of `inner`; they keep `tags`, and other fields as in the text that they begin in."""

    def __init__(self, inner: Dataset, words: int, join: bool, fewest: int) -> None:
        self._inner, self._settings = plain(inner), (words, join, fewest)
        self._cuts = {split: self._cut(split) for split in self._inner.splits()}
        if not sum(self._length(cut) for cut in self._cuts.values()):
            raise UserError(
                "no text is left to make passages of",
                where="dataset:passages",
                why=f"all {sum(cut.short for cut in self._cuts.values())} texts have fewer than {fewest} words",
                cure=f"lower fewest = {fewest}",
            )
        self._words = functools.lru_cache(_REMEMBERED)(self._read)

    def splits(self) -> tuple[str, ...]:
        return self._inner.splits()

    def length(self, split: str) -> int:
        self._inner.length(split)  # says which splits there are
        return self._length(self._cuts[split])

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        if not 0 <= index < self.length(split):
            raise IndexError(f'there are {self.length(split)} passages in "{split}", none at {index}')
        cut = self._cuts[split]
        first, after = int(cut.edges[index]), int(cut.edges[index + 1])
        place = int(np.searchsorted(cut.firsts, first, side="right")) - 1
        made: dict[str, Any] = {}
        pieces, tags, at = [], [], 0
        while place < len(cut.texts) and cut.firsts[place] < after:
            item, spans = self._words(split, int(cut.texts[place]))
            begin = max(first - int(cut.firsts[place]), 0)
            end = min(after - int(cut.firsts[place]), len(spans))
            left, right = int(spans[begin, 0]), int(spans[end - 1, 1])
            if not made:
                made = {**item, "id": f"{item['id']}#{begin}"}
            pieces.append(item["text"][left:right])
            tags += [
                (start - left + at, stop - left + at, tag)
                for start, stop, tag in item.get("tags", ())
                if start >= left and stop <= right
            ]
            at += right - left + 1
            place += 1
        made["text"] = " ".join(pieces)
        if "tags" in made:
            made["tags"] = tags
        return made

    def about(self, split: str) -> Mapping[str, Any]:
        about, short = dict(self._inner.about(split)), self._cuts[split].short
        if short:
            total, fewest = short + len(self._cuts[split].texts), self._settings[2]
            told = f"{short} of {total} texts of {split} have fewer than {fewest} words and are dropped"
            about["notices"] = [*about.get("notices", ()), told]
        return about | {"count": self.length(split)}

    def fingerprint(self) -> str:
        return digest(["passages", self._inner.fingerprint(), self._settings])

    @staticmethod
    def _length(cut: Cut) -> int:
        return len(cut.edges) - 1

    def _cut(self, split: str) -> Cut:
        words, join, fewest = self._settings
        step, total = Step(), self._inner.length(split)
        counts = np.zeros(total, dtype=np.int64)
        for place in range(total):
            item = self._inner.item(split, place, step)
            if join and "label" in item:
                raise UserError(
                    "passages would join texts of different classes",
                    where=f"{split}, {item['id']}",
                    why="the texts have a label, and join = true puts several into one passage",
                    cure="join = false cuts every text by itself",
                )
            counts[place] = len(item["text"].split())
        texts = np.flatnonzero(counts >= fewest)
        firsts = np.concatenate([[0], np.cumsum(counts[texts])])
        edges = _edges(firsts[[0, -1]] if join and len(texts) else firsts, words)
        return Cut(texts, firsts, edges, total - len(texts))

    def _read(self, split: str, place: int) -> tuple[Mapping[str, Any], np.ndarray]:
        """The item, and int64 (words, 2): the characters of its words."""
        item = self._inner.item(split, place, Step())
        return item, np.array(spaced_words(item["text"]), dtype=np.int64).reshape(-1, 2)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_words"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._words = functools.lru_cache(_REMEMBERED)(self._read)


def _edges(firsts: np.ndarray, words: int) -> np.ndarray:
    """Cuts after every `words` words of each stretch; what is left over is a passage where it is half as long, else
    it stays with the one before."""
    lengths = np.diff(firsts)
    counts = np.maximum((lengths + words // 2) // words, 1)
    starts = np.repeat(firsts[:-1], counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.concatenate([starts + within * words, firsts[-1:]])
