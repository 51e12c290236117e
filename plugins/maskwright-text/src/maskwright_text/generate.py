"""pipeline:generate — items with `text` -> the same items with what a model writes from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from maskwright.folder import write_atomic
from maskwright.step import Step
from maskwright_text.choosing import Decoding
from maskwright_text.notices import note
from maskwright_text.reading import read_texts
from maskwright_text.seq2seq_batches import OnLong, refuse_cut
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
        step, stream = attrs.evolve(step.fork("generate", step.number), number=0, total=1), iter(items)
        count = cut = 0
        while piece := list(islice(stream, self.decoding.rows * READ_AHEAD)):
            texts = self.objective.generate(piece, step, self.decoding)
            lost = [found[0].cut for found in texts]
            if self.on_long == "error":
                refuse_cut(piece, lost, "text", self.objective.source_length, "a run with a longer encoder")
            count, cut = count + len(piece), cut + sum(map(bool, lost))
            for item, found in zip(piece, texts, strict=True):
                several = (
                    {"candidates": [_fields(each) for each in found]} if self.decoding.candidates > 1 else {}
                )
                yield {**item, **_fields(found[0]), "source_cut": found[0].cut, **several}
        if cut:
            note(
                f"{cut} of {count} texts did not fit and were read in part: source_cut says how many tokens were not"
            )

    def read(self, argument: str) -> Iterator[Item]:
        """Items from a .txt file, a text a line, or as everywhere."""
        return read_texts(argument)

    def write_all(self, items: Sequence[Item], path: Path) -> bool:
        """`.txt`: what was written alone, a line for each item in their order."""
        if path.suffix != ".txt":
            return False
        lines = [" ".join(item["generated"].split()) for item in items]
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
        return True


def _fields(found: Generated) -> dict[str, Any]:
    return {"generated": found.text, "complete": found.complete, "score": round(found.score, 6)}
