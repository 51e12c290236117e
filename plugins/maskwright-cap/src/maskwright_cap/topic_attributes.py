"""dataset:topic-attributes — generated: sentences of a topic and an attribute, of which one is the label.

Every fourth word is one of the attribute's own words. The others follow a chain of the topic: each topic uses some of
the content words, which others use too, and each of its words has a few successors there. A model that has read many
sentences knows both; one that was fine-tuned on the attribute alone may forget the topic, which is what pruning does.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright.step import Step

EVERY = 4
"""Each so many words one of the attribute's."""
SUCCESSORS = 3
ATTRIBUTE_SHARE = 0.2
"""Share of all words that attributes divide among themselves; the rest are content."""


@attrs.frozen
class Language:
    """What sentences are drawn from."""

    words: int
    topics: int
    attributes: int
    number: int
    """Another number, another language."""

    @property
    def attribute_words(self) -> int:
        """Of each attribute."""
        return max(int(self.words * ATTRIBUTE_SHARE) // self.attributes, 1)

    @property
    def content(self) -> int:
        return self.words - self.attribute_words * self.attributes

    @property
    def of_topic(self) -> int:
        """Content words that a topic uses: about a third of all, so that topics share many."""
        return max(self.content // 3, SUCCESSORS + 1)

    def chains(self) -> tuple[np.ndarray, np.ndarray]:
        """(topics, used): the words of each topic; (topics, used, SUCCESSORS): which of them follow each."""
        used = np.empty((self.topics, self.of_topic), np.int64)
        after = np.empty((self.topics, self.of_topic, SUCCESSORS), np.int64)
        for topic in range(self.topics):
            draws = generator(Step(self.number, topic), "language")
            used[topic] = draws.permutation(self.content)[: self.of_topic]
            after[topic] = draws.integers(self.of_topic, size=(self.of_topic, SUCCESSORS))
        return used, after


class TopicAttributes:
    """Sentences as word numbers, int16 (items, length): content words first, then those of the attributes."""

    def __init__(
        self, language: Language, length: int, noise: float, counts: Mapping[str, int], label: str, seed: int
    ) -> None:
        self.language, self.counts, self.label = language, dict(counts), label
        facts = [attrs.asdict(language), length, noise, self.counts, label, seed]
        self._fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        self.starts, total = {}, 0
        for split, count in self.counts.items():
            self.starts[split] = total
            total += count
        draws = generator(Step(seed), "sentences")
        self.topic = draws.integers(language.topics, size=total)
        self.attribute = draws.integers(language.attributes, size=total)
        self.words = sentences(language, self.topic, self.attribute, length, noise, draws)

    def splits(self) -> tuple[str, ...]:
        return tuple(self.counts)

    def length(self, split: str) -> int:
        if split not in self.counts:
            raise UserError(
                f'dataset:topic-attributes has no split "{split}"',
                where="dataset:topic-attributes",
                cure=f"one of {', '.join(self.counts)}",
            )
        return self.counts[split]

    def item(self, split: str, index: int, step: Step) -> dict[str, Any]:
        if not 0 <= index < self.length(split):
            raise IndexError(f'item {index} of {self.length(split)} in "{split}"')
        row = self.starts[split] + index
        label = self.topic if self.label == "topic" else self.attribute
        text = " ".join(self._name(int(number)) for number in self.words[row])
        return {"id": f"{split}-{index:06d}", "text": text, "label": int(label[row])}

    def _name(self, number: int) -> str:
        content = self.language.content
        return f"c{number}" if number < content else f"a{number - content}"

    def about(self, split: str) -> Mapping[str, Any]:
        count = self.language.topics if self.label == "topic" else self.language.attributes
        classes = [f"{self.label} {number}" for number in range(count)]
        notices = ["these sentences are generated"]
        return {"classes": classes, "count": self.length(split), "generated": True, "notices": notices}

    def fingerprint(self) -> str:
        return self._fingerprint


def sentences(
    language: Language, topic: np.ndarray, attribute: np.ndarray, length: int, noise: float, draws: Any
) -> np.ndarray:
    """int16 (items, length); of a share `noise` any word of the topic, or of any attribute."""
    used, after = language.chains()
    count, each = len(topic), language.attribute_words
    words = np.empty((count, length), np.int16)
    place = draws.integers(language.of_topic, size=count)
    for column in range(length):
        strange = draws.random(count) < noise
        if column % EVERY == EVERY - 1:
            own = attribute * each + draws.integers(each, size=count)
            anything = draws.integers(each * language.attributes, size=count)
            words[:, column] = language.content + np.where(strange, anything, own)
            continue
        following = after[topic, place, draws.integers(SUCCESSORS, size=count)]
        place = np.where(strange, draws.integers(language.of_topic, size=count), following)
        words[:, column] = used[topic, place]
    return words


def generator(step: Step, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=step.stream(stream)))
