"""Which side of a split something falls on: a function of its name alone, so adding data moves nothing.

`h` is blake2b, not Python's `hash`, which changes from process to process.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")

NGRAM = 5  # words in a row that count as copied
OVERLAP = 0.30  # a held-out text with this share of its 5-grams in the training texts is dropped


def h(name: str) -> int:
    """A whole number in 0..99, the same on every machine."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % 100


def three_way(name: str) -> str:
    """test (10 %), validation (10 %) or train."""
    return "test" if h(name) < 10 else "validation" if h(name) < 20 else "train"


def two_way(name: str) -> str:
    """test (20 %) or train: the split of the small tasks."""
    return "test" if h(name) < 20 else "train"


def ngrams(words: Sequence[str]) -> set[int]:
    """64-bit hashes of the word 5-grams; a text shorter than that has none."""
    windows = zip(*(words[start:] for start in range(NGRAM)), strict=False)
    return {_key(" ".join(window)) for window in windows}


def without_copies(
    held_out: Iterable[Item], train: Iterable[Item], words: Callable[[Item], Sequence[str]]
) -> Iterator[Item]:
    """The held-out items of which less than 30 % of the word 5-grams occur in some training item.

    Near-duplicates (the docstrings of sibling methods) are frequent in API text: without this filter a 4-gram
    model looks better than it is (benchmarks/embedded_text.py ngrams prints by how much).
    """
    seen: set[int] = set()
    for item in train:
        seen |= ngrams(words(item))
    for item in held_out:
        own = ngrams(words(item))
        if not own or len(own & seen) < OVERLAP * len(own):
            yield item


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
