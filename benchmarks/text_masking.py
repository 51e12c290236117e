"""Speed of the maskers of text, each against the loop over rows that does the same in plain Python.

Section "masking" of `python benchmarks/text.py`. 256 rows of 512 tokens, words of one and more, 15 % hidden, one
thread, medians; both take turns, with the same tensors in and out. Wanted: a million tokens in a second.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from maskwright import Step
from maskwright_text.maskers import SpanMasker, TokenMasker, WholeWordMasker
from maskwright_text.pmlm_blocks import BlockwiseMasker
from maskwright_text.weighted import WeightedMasker
from maskwright_torch.contracts import Units
from maskwright_torch.noise import uniform

ROWS, LENGTH, RATIO = 256, 512, 0.15
VOCABULARY = 8192

Row = tuple[list[bool], list[int], list[int], list[int]]
"""valid, word, tag, tokens"""
Loop = Callable[[Row, np.random.Generator], set[int]]


def batch() -> Units:
    """A special token at both ends of each text, padding behind it; texts of 384 to 512 tokens."""
    rows = torch.arange(ROWS)
    draws = uniform(1, rows, LENGTH)
    ends = (384 + uniform(2, rows, 1)[:, 0] * (LENGTH - 384 + 1)).long()[:, None]
    place = torch.arange(LENGTH)
    valid = (place > 0) & (place < ends - 1)
    starts = draws < 0.65
    starts[:, 1] = True
    word = ((starts & valid).cumsum(dim=1) - 1).masked_fill(~valid, -1)
    tags = (uniform(3, rows, LENGTH) * 17).long()
    tag = tags.gather(1, word.clamp(min=0)).masked_fill(~valid, -1)
    tokens = (uniform(4, rows, LENGTH) ** 3 * VOCABULARY).long()
    return Units(valid, (LENGTH,), place, rows, {"word": word, "tag": tag, "tokens": tokens})


# -- the same row by row -------------------------------------------------------------------------------------


def budget(valid: list[bool]) -> int:
    return math.floor(RATIO * sum(valid) + 0.5)


def words_of(row: Row) -> list[list[int]]:
    """Places of each word's tokens."""
    words: list[list[int]] = []
    last = -1
    for place, (valid, word) in enumerate(zip(row[0], row[1], strict=True)):
        if valid and word == last:
            words[-1].append(place)
        elif valid:
            words.append([place])
        last = word if valid else -1
    return words


def walk(words: list[list[int]], most: int) -> set[int]:
    hidden: set[int] = set()
    for word in words:
        if len(hidden) + len(word) <= most:
            hidden.update(word)
        if len(hidden) == most:
            break
    return hidden


def tokens_loop(row: Row, chance: np.random.Generator) -> set[int]:
    places = [place for place, valid in enumerate(row[0]) if valid]
    chance.shuffle(places)
    return set(places[: budget(row[0])])


def words_loop(row: Row, chance: np.random.Generator) -> set[int]:
    words = words_of(row)
    chance.shuffle(words)
    return walk(words, budget(row[0]))


def paper_loop(row: Row, chance: np.random.Generator) -> set[int]:
    words = words_of(row)
    chance.shuffle(words)
    weights = [0.5] * 17
    return walk([word for word in words if chance.random() < weights[row[2][word[0]]]], budget(row[0]))


def race_loop(feature: int) -> Loop:
    weights = [0.5] * VOCABULARY

    def loop(row: Row, chance: np.random.Generator) -> set[int]:
        times = []
        for word in words_of(row):
            weight = sum(weights[row[feature][place]] for place in word) / len(word)
            times.append((-math.log1p(-chance.random()) / weight, word))
        return walk([word for _, word in sorted(times)], budget(row[0]))

    return loop


def spans_loop(row: Row, chance: np.random.Generator) -> set[int]:
    places = [place for place, valid in enumerate(row[0]) if valid]
    most, hidden = budget(row[0]), set[int]()
    while len(hidden) < most:
        start = places[int(chance.random() * len(places))]
        length = int(chance.geometric(0.2))
        if length > 10:
            continue
        for place in range(start, start + length):
            if place < len(row[0]) and row[0][place] and len(hidden) < most:
                hidden.add(place)
    return hidden


def blocks_loop(row: Row, chance: np.random.Generator) -> set[int]:
    words, most, hidden = words_of(row), RATIO * sum(row[0]), set[int]()
    while len(hidden) < most:
        start = int(chance.random() * len(words))
        length = 2 + int(chance.random() * 5) if chance.random() < 0.4 else 1
        block = [place for word in words[start : start + length] for place in word]
        if not hidden.intersection(block):
            hidden.update(block)
    return hidden


def weighted(source: str, mode: str = "corrected") -> WeightedMasker:
    made = WeightedMasker(source, mode)  # type: ignore[arg-type]
    made.set_vocabulary(VOCABULARY)
    return made


PAIRS: dict[str, tuple[torch.nn.Module, Loop]] = {
    "tokens": (TokenMasker(), tokens_loop),
    "whole-word": (WholeWordMasker(), words_loop),
    "spans": (SpanMasker(), spans_loop),
    "weighted, pos-loss": (weighted("pos-loss"), race_loop(2)),
    "weighted, pos-loss, paper": (weighted("pos-loss", "paper"), paper_loop),
    "weighted, token-loss": (weighted("token-loss"), race_loop(3)),
    "weighted, frequency": (weighted("frequency"), race_loop(3)),
    "pmlm-blocks": (BlockwiseMasker(), blocks_loop),
}


def looped(loop: Loop, units: Units, chance: np.random.Generator) -> torch.Tensor:
    """The same tensors in and out as for the masker."""
    names = ("word", "tag", "tokens")
    columns = [units.valid.tolist(), *(units.features[name].tolist() for name in names)]
    hidden = torch.zeros_like(units.valid)
    for number, row in enumerate(zip(*columns, strict=True)):
        hidden[number, list(loop(row, chance))] = True
    return hidden


def seconds(masker: torch.nn.Module, loop: Loop, units: Units, repeats: int) -> list[float]:
    """Medians of the masker and of the loop."""
    ratio = torch.full((ROWS,), RATIO, dtype=torch.float64)
    chance = np.random.Generator(np.random.Philox(key=Step().stream("loop")))
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 1):  # the first one warms up
        start = time.perf_counter()
        masker(units, ratio, Step(number=number))
        middle = time.perf_counter()
        looped(loop, units, chance)
        end = time.perf_counter()
        times[0].append(middle - start)
        times[1].append(end - middle)
    return [statistics.median(values[1:]) for values in times]


def sections(quick: bool) -> dict[str, dict[str, Any]]:
    """One thread, whatever the others have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    units, found = batch(), {}
    for name, (masker, loop) in PAIRS.items():
        own, plain = seconds(masker, loop, units, 2 if quick else 11)
        found[f"masking {ROWS} x {LENGTH} tokens, {RATIO:.0%}, one thread: {name}"] = {
            "milliseconds": round(1e3 * own, 1),
            "million tokens a second": round(ROWS * LENGTH / own / 1e6, 2),
            "plain loop over rows, milliseconds": round(1e3 * plain, 1),
            "ratio": round(plain / own, 1),
        }
    torch.set_num_threads(before)
    return found
