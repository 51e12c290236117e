"""dataset:key-values — generated: sentences of "key: value" pairs, with a class, and a span to write again.

One model can be asked three things about the same sentences. Hidden words can be told from others: two keys have the
same span of random words for a value, and what the other keys have follows from the class of the sentence. The class
can be named. And the span can be written, as it stands or backwards, whichever the pair `order` says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.step import Step
from maskwright_text.text_data import SplitRows, digest

HOLDERS = 2
"""Keys that have the span."""
KEPT, TURNED = "kept", "turned"


@attrs.frozen(eq=False)
class Sentences:
    """What sentences are made of; S of them."""

    label: np.ndarray
    """int16 (S,)"""
    keys: np.ndarray
    """int16 (S, facts + 2): first those of the facts, then those that have the span; none twice."""
    facts: np.ndarray
    """int16 (S, facts): the words that facts have."""
    span: np.ndarray
    """int16 (S, span)"""
    turned: np.ndarray
    """bool (S,): the span is to be written backwards."""
    places: np.ndarray
    """int16 (S, facts + 3): the order of the pairs; the last number is the pair that says how to write."""

    def content(self) -> list[Any]:
        """Plain data, all of it."""
        return [array.tolist() for array in attrs.astuple(self)]


class KeyValues(SplitRows):
    """Texts, labels and what is to be written, from numbers."""

    def __init__(self, made: Sentences, chosen: Mapping[str, np.ndarray], classes: int) -> None:
        names = [f"class-{number}" for number in range(classes)]
        facts = {"notices": ["these texts are generated"], "generated": True, "classes": names}
        super().__init__("key-values", chosen, facts, digest(made.content()))
        self._made = made

    def _item(self, row: int) -> dict[str, Any]:
        made = self._made
        span, turned = _words(made.span[row]), bool(made.turned[row])
        values = [*([word] for word in _words(made.facts[row])), *[span] * HOLDERS]
        pairs = [
            f"k{key}: {' '.join(value)}" for key, value in zip(made.keys[row].tolist(), values, strict=True)
        ]
        pairs.append(f"order: {TURNED if turned else KEPT}")
        return {
            "id": f"row-{row:06d}",
            "text": " ".join(pairs[place] for place in made.places[row].tolist()),
            "label": int(made.label[row]),
            "summary": " ".join(span[::-1] if turned else span),
        }


def key_values(
    keys: int,
    words: int,
    classes: int,
    facts: int,
    span: int,
    noise: float,
    turned: float,
    train: int,
    test: int,
    seed: int,
) -> KeyValues:
    """`keys`, `words`, `classes`: how many there are; `facts`, `span`: pairs and words of a sentence.

    `noise`: share of facts whose word is any; `turned`: share of spans to be written backwards.
    """
    step, count = Step(seed), train + test
    rng = _rng(step, "classes")
    # (classes, keys): no two classes have the same word for a key.
    usual = np.stack([rng.permutation(words)[:classes] for _ in range(keys)], axis=1)
    rng = _rng(step, "sentences")
    label = rng.integers(classes, size=count)
    chosen_keys = rng.random((count, keys)).argsort(axis=1)[:, : facts + HOLDERS]
    any_word = rng.integers(words, size=(count, facts))
    is_noise = rng.random((count, facts)) < noise
    told = np.where(is_noise, any_word, usual[label[:, None], chosen_keys[:, :facts]])
    made = Sentences(
        label=label.astype(np.int16),
        keys=chosen_keys.astype(np.int16),
        facts=told.astype(np.int16),
        span=rng.integers(words, size=(count, span)).astype(np.int16),
        turned=rng.random(count) < turned,
        places=rng.random((count, facts + HOLDERS + 1)).argsort(axis=1).astype(np.int16),
    )
    return KeyValues(made, {"train": np.arange(train), "test": np.arange(train, count)}, classes)


def _words(numbers: np.ndarray) -> Sequence[str]:
    return [f"v{number}" for number in numbers.tolist()]


def _rng(step: Step, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=step.stream(stream)))
