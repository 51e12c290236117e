"""Tiny data and pipelines for the contract checks of the evaluators."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from maskwright.step import Step
from maskwright_samples.items import Items

_WORDS = ("wood", "iron", "glass", "stone", "paper", "cloth")


def axes_of_items(noise: float) -> Callable[[Iterable[Mapping[str, Any]], Step], Iterator[Mapping[str, Any]]]:
    """A pipeline: each of six words, or labels, is an axis. Without noise nothing can be better on the data below."""

    def pipeline(items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        for item in items:
            words = str(item["text"]).split()
            vector = np.array([float(words.count(word)) for word in _WORDS])
            draw = np.random.Generator(np.random.Philox(key=step.fork(item["id"]).stream("noise")))
            yield {**item, "vector": vector + noise * draw.normal(size=len(_WORDS))}

    return pipeline


def search_items() -> Items:
    """Six documents; every second query has two right ones, of gain 2 and 1."""
    corpus = [{"id": f"d-{word}", "document": f"{word} {word} things"} for word in _WORDS]
    queries = []
    for place, word in enumerate(_WORDS):
        other = _WORDS[(place + 1) % len(_WORDS)]
        both = place % 2 == 0
        queries.append(
            {
                "id": f"q-{word}",
                "query": f"{word} {word} {other}" if both else word,
                "relevant": {f"d-{word}": 2, f"d-{other}": 1} if both else {f"d-{word}": 1},
            }
        )
    return Items("example", {"corpus": corpus, "test": queries}, {})


def labelled_items() -> Items:
    """Texts of three classes, told apart by one word."""
    splits = {
        split: [
            {"id": f"{split}{n}", "text": f"{_WORDS[n % 3]} number {n}", "label": n % 3} for n in range(count)
        ]
        for split, count in (("train", 30), ("test", 15))
    }
    return Items("example", splits, {"classes": list(_WORDS[:3])})
