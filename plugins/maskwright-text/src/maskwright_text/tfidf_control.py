"""What a linear model sees of a text without any encoder: the control that probes print beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer

from maskwright_torch.contracts import Baseline

Item = Mapping[str, Any]


def tfidf(known: Sequence[Item], asked: Sequence[Item]) -> Baseline:
    """TF-IDF of words and pairs of words, with weights learned from the known texts alone."""
    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    return Baseline(
        "tfidf",
        "TF-IDF of words and pairs of words",
        vectors.fit_transform([_text(item) for item in known]),
        vectors.transform([_text(item) for item in asked]),
    )


def _text(item: Item) -> str:
    """Both texts of a pair in one."""
    return " ".join(item[name] for name in ("text", "other") if name in item)
