"""What a linear model sees of a text without any encoder: the control that probes print beside it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer

from maskwright.errors import UserError
from maskwright_torch.contracts import Baseline

Item = Mapping[str, Any]
WORD = r"(?u)\b\w+\b"


def tfidf(known: Sequence[Item], asked: Sequence[Item]) -> Baseline:
    """TF-IDF of words and pairs of words, with weights learned from the known texts alone."""
    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=WORD)
    texts = [_text(item) for item in known]
    if not any(re.search(WORD, text) for text in texts):
        raise UserError(
            f"none of {len(texts)} texts to learn from has a word in it",
            where="tfidf, the control beside an encoder of texts",
            why="a word is a run of letters or digits",
            cure="data with words in its train split",
        )
    return Baseline(
        "tfidf",
        "TF-IDF of words and pairs of words",
        vectors.fit_transform(texts),
        vectors.transform([_text(item) for item in asked]),
    )


def _text(item: Item) -> str:
    """Both texts of a pair in one."""
    return " ".join(item[name] for name in ("text", "other") if name in item)
