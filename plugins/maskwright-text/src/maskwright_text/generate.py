"""pipeline:generate — items with `text` -> the same items with what a model writes from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from maskwright.folder import write_atomic
from maskwright.step import Step
from maskwright_text.decoding_settings import Decoding
from maskwright_text.notices import note
from maskwright_text.reading import read_texts
from maskwright_text.seq2seq_batches import OnLong, refuse_cut, source_of
from maskwright_torch.contracts import Generated

Item = Mapping[str, Any]

READ_AHEAD = 16
"""Batches that are read at once, so that texts of like length can be written for together."""


class Generate:
    """Adds `generated`, `complete` (not cut at the greatest length), `score` and `source_cut`, tokens not read.

    With several candidates for an item `candidates` has them all, the best first.
    """

    def __init__(self, objective: Any, decoding: Decoding, on_long: OnLong = "cut") -> None:
        self.objective, self.decoding, self.on_long = objective, decoding, on_long

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        # Whatever moment of a run it is asked for, a step draws the same.
        step = attrs.evolve(step.fork("generate", step.number), number=0, total=1)
        if self.on_long == "error":
            items = list(items)
            self._refuse_long(items)
        stream, count, cut = iter(items), 0, 0
        while piece := list(islice(stream, self.decoding.rows * READ_AHEAD)):
            texts = self._written(piece, step)
            count, cut = count + len(piece), cut + sum(bool(found[0].cut) for found in texts)
            for item, found in zip(piece, texts, strict=True):
                several = (
                    {"candidates": [_fields(each) for each in found]} if self.decoding.candidates > 1 else {}
                )
                yield {**item, **_fields(found[0]), "source_cut": found[0].cut, **several}
        if cut:
            note(
                f"{cut} of {count} texts did not fit and were read in part: source_cut says how many tokens were not"
            )

    def _written(self, items: Sequence[Item], step: Step) -> list[list[Generated]]:
        """For each item its texts; nothing from nothing, without asking the model."""
        filled = [bool(source_of(item).strip()) for item in items]
        asked = [item for item, has in zip(items, filled, strict=True) if has]
        found = iter(self.objective.generate(asked, step, self.decoding) if asked else [])
        return [next(found) if has else [Generated("", True, 0.0)] for has in filled]

    def _refuse_long(self, items: Sequence[Item]) -> None:
        """UserError where one does not fit, before the first is written from."""
        limit = self.objective.source_length
        cut = [max(length - limit, 0) for length in self.objective.sources.whole_lengths(items)]
        refuse_cut(items, cut, "text", limit, "a run with a longer encoder", where="pipeline:generate")

    def read(self, argument: str) -> Iterator[Item]:
        """Items from a .txt file, a text a line and blank ones too, so that lines stay in place; or as everywhere."""
        return read_texts(argument, blank=True)

    def write_all(self, items: Sequence[Item], path: Path) -> bool:
        """`.txt`: what was written alone, a line for each item in their order."""
        if path.suffix != ".txt":
            return False
        lines = [" ".join(item["generated"].split()) for item in items]
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
        return True


def _fields(found: Generated) -> dict[str, Any]:
    return {"generated": found.text, "complete": found.complete, "score": round(found.score, 6)}
