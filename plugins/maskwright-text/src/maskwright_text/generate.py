"""pipeline:generate — items with `text` -> the same items with what a model writes from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from maskwright.folder import write_atomic
from maskwright.step import Step
from maskwright_text.choosing import Decoding
from maskwright_text.reading import read_texts
from maskwright_torch.contracts import Generated

Item = Mapping[str, Any]


class Generate:
    """Adds `generated`, `complete` (not cut at the greatest length), `score` and `source_cut`, tokens not read.

    With several candidates for an item `candidates` has them all, the best first.
    """

    def __init__(self, objective: Any, decoding: Decoding, batch: int) -> None:
        self.objective, self.decoding, self.batch = objective, decoding, batch

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        # Whatever moment of a run it is asked for, a step draws the same.
        step, stream = attrs.evolve(step.fork("generate", step.number), number=0, total=1), iter(items)
        while piece := list(islice(stream, self.batch)):
            texts = self.objective.generate(piece, step, self.decoding)
            for item, found in zip(piece, texts, strict=True):
                several = (
                    {"candidates": [_fields(each) for each in found]} if self.decoding.candidates > 1 else {}
                )
                yield {**item, **_fields(found[0]), "source_cut": found[0].cut, **several}

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
