"""dataset:tied-words — generated: random words, then the same words once more, in the same order.

With a word and its twin both hidden, nothing tells what they are, and once one of them is known, so is the other. Words
predicted apart from each other cost 2 ln K nats for K words, words predicted one after the other ln K.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskwright.step import Step
from maskwright_text.text_data import SplitRows, digest


class TiedWords(SplitRows):
    """Texts from word numbers, int16 (rows, distance)."""

    def __init__(self, words: np.ndarray, chosen: Mapping[str, np.ndarray]) -> None:
        facts = {"notices": ["these texts are generated"], "generated": True}
        super().__init__("tied-words", chosen, facts, digest(words.tolist()))
        self._words = words

    def _item(self, row: int) -> dict[str, Any]:
        once = [f"w{number}" for number in self._words[row]]
        return {"id": f"row-{row:06d}", "text": " ".join(once + once)}


def tied_words(words: int, distance: int, train: int, test: int, seed: int) -> TiedWords:
    """`words`: how many there are; `distance`: from a word to its twin; `train`, `test`: texts."""
    rng = np.random.Generator(np.random.Philox(key=Step(seed).stream("words")))
    count = train + test
    drawn = rng.integers(words, size=(count, distance)).astype(np.int16)
    return TiedWords(drawn, {"train": np.arange(train), "test": np.arange(train, count)})
