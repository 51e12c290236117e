"""A word n-gram model with interpolated Kneser-Ney smoothing: the yardstick for what a text corpus can teach.

Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995, in the interpolated form: the
highest order counts occurrences, every lower order counts the different words that an n-gram was seen after.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

START, UNKNOWN = 0, 1  # codes; words of the vocabulary follow


def tokens(text: str) -> list[str]:
    """Lower-case words and single punctuation marks."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


class Vocabulary:
    """Words seen at least twice; all others are one unknown word."""

    def __init__(self, texts: Iterable[Sequence[str]], fewest: int = 2):
        counts = Counter(word for text in texts for word in text)
        known = sorted(word for word, count in counts.items() if count >= fewest)
        self.codes = {word: code for code, word in enumerate(known, start=2)}

    def __len__(self) -> int:
        return len(self.codes) + 1  # and the unknown word

    def encode(self, text: Sequence[str]) -> list[int]:
        return [self.codes.get(word, UNKNOWN) for word in text]


class KneserNey:
    """P(word | up to order - 1 words before it); texts are independent of one another."""

    def __init__(self, order: int, size: int, texts: Iterable[Sequence[int]]):
        self.order, self.size = order, size
        counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
        for text in texts:
            padded = [START] * (order - 1) + list(text)
            counts[-1].update(zip(*(padded[start:] for start in range(order)), strict=False))
        for length in range(order - 1, 0, -1):  # of "a b c" seen n times, "b c" was seen after one more word
            counts[length - 1].update(gram[1:] for gram in counts[length])
        self.counts = counts
        self.totals: list[Counter[tuple[int, ...]]] = []
        self.kinds: list[Counter[tuple[int, ...]]] = []
        self.discounts = []
        for level in counts:
            total: Counter[tuple[int, ...]] = Counter()
            kinds: Counter[tuple[int, ...]] = Counter()
            for gram, count in level.items():
                total[gram[:-1]] += count
                kinds[gram[:-1]] += 1
            self.totals.append(total)
            self.kinds.append(kinds)
            once = sum(count == 1 for count in level.values())
            twice = sum(count == 2 for count in level.values())
            self.discounts.append(once / (once + 2 * twice) if once else 0.0)

    def probability(self, history: tuple[int, ...], word: int) -> float:
        """`history`: the order - 1 words before, padded with START."""
        found = 1 / self.size
        for level in range(self.order):
            before = history[len(history) - level :]
            total = self.totals[level].get(before, 0)
            if total == 0:
                break
            discount = self.discounts[level]
            own = max(self.counts[level].get((*before, word), 0) - discount, 0.0)
            found = (own + discount * self.kinds[level][before] * found) / total
        return found

    def perplexity(self, texts: Iterable[Sequence[int]]) -> float:
        """exp of the mean negative log probability of all words."""
        total, count = 0.0, 0
        for text in texts:
            padded = (START,) * (self.order - 1) + tuple(text)
            for place in range(len(text)):
                history = padded[place : place + self.order - 1]
                total -= math.log(self.probability(history, padded[place + self.order - 1]))
                count += 1
        return math.exp(total / count)


def perplexities(train: Sequence[str], test: Sequence[str], orders: Iterable[int]) -> dict[int, float]:
    """Perplexity on `test` of a model of each order fitted on `train`."""
    cut = [tokens(text) for text in train]
    vocabulary = Vocabulary(cut)
    known, asked = (
        [vocabulary.encode(text) for text in cut],
        [vocabulary.encode(tokens(text)) for text in test],
    )
    return {order: KneserNey(order, len(vocabulary), known).perplexity(asked) for order in orders}
