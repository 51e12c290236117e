"""How near a written answer is to the right ones, as SQuAD judges it (arXiv:1606.05250): exact match and F1 of words.

Upper case, punctuation and English articles do not count. Of several right answers the nearest counts.
"""

import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = {"a", "an", "the"}
_NO_MARKS = str.maketrans("", "", string.punctuation)


def answer_scores(written: str, right: Sequence[str]) -> dict[str, float]:
    """`answer_exact`, 0 or 1, and `answer_f1`, between 0 and 1."""
    own = _words(written)
    pairs = [(float(own == words), _f1(own, words)) for words in map(_words, right)]
    return {"answer_exact": max(exact for exact, _ in pairs), "answer_f1": max(f1 for _, f1 in pairs)}


def _words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_NO_MARKS).split() if word not in _ARTICLES]


def _f1(written: Sequence[str], right: Sequence[str]) -> float:
    """Of the words that both have; of two answers without a word 1."""
    if not written or not right:
        return float(written == right)
    both = (Counter(written) & Counter(right)).total()
    return 2 * both / (len(written) + len(right))
