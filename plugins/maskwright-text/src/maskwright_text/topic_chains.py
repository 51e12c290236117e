"""dataset:topic-chains — generated: sentences whose content words follow one another as their topic says.

Every third word is a function word, drawn from a few with unequal frequencies whatever stands beside it: common and
soon learned. The others are content words: each topic has a cycle of its own through all of them, and the next word is
the next one of the cycle or, for a share `noise`, any word. To predict one, a model has to recognise the topic and to
look at its neighbours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskwright.step import Step
from maskwright_text.text_data import SplitRows, digest

FUNCTION_TAG, CONTENT_TAG = "DET", "NOUN"
EVERY = 3
"""Each so many words a function word."""


class TopicChains(SplitRows):
    """Texts from word numbers, int16 (rows, words): function words first, then content words."""

    def __init__(
        self, words: np.ndarray, chosen: Mapping[str, np.ndarray], functions: int, facts: Mapping[str, Any]
    ) -> None:
        super().__init__("topic-chains", chosen, facts, digest([words.tolist(), functions]))
        self._words, self._functions = words, functions

    def _item(self, row: int) -> dict[str, Any]:
        words = [_name(int(number), self._functions) for number in self._words[row]]
        tags, start = [], 0
        for word, number in zip(words, self._words[row], strict=True):
            tag = FUNCTION_TAG if number < self._functions else CONTENT_TAG
            tags.append((start, start + len(word), tag))
            start += len(word) + 1
        return {"id": f"row-{row:06d}", "text": " ".join(words), "tags": tags}


def topic_chains(
    content: int, functions: int, topics: int, length: int, noise: float, train: int, test: int, seed: int
) -> TopicChains:
    """`content`, `functions`: numbers of words; `length`: words of a sentence; `train`, `test`: sentences."""
    step = Step(seed)
    cycles = np.stack([_rng(step.at(topic), "cycle").permutation(content) for topic in range(topics)])
    rng = _rng(step, "sentences")
    count = train + test
    topic = rng.integers(topics, size=count)
    place = rng.integers(content, size=count)  # where in its topic's cycle a sentence is
    frequency = 1 / np.arange(1, functions + 1)
    words = np.empty((count, length), np.int16)
    for column in range(length):
        if column % EVERY == EVERY - 1:
            words[:, column] = rng.choice(functions, size=count, p=frequency / frequency.sum())
            continue
        place = np.where(rng.random(count) < noise, rng.integers(content, size=count), (place + 1) % content)
        words[:, column] = functions + cycles[topic, place]
    chosen = {"train": np.arange(train), "test": np.arange(train, count)}
    facts = {"notices": ["these texts are generated"], "generated": True}
    return TopicChains(words, chosen, functions, facts)


def _rng(step: Step, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=step.stream(stream)))


def _name(number: int, functions: int) -> str:
    return f"f{number}" if number < functions else f"c{number - functions}"
