"""pipeline:tfidf: words of a text, weighted by how rare they are. Fitted, torch-free, sparse."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.step import Step

_WEIGHTS, _SETTINGS = "weights.npz", "vocabulary.json"


class TfIdfVectors:
    """Adds `vector`, a sparse row (1, vocabulary) of length 1, to items with a `text`.

    Counts are damped (1 + log) and weighted by log((1 + n) / (1 + n_t)) + 1, scikit-learn's smoothed form. A text
    without known words gets a row of zeros.
    """

    def __init__(self, split: str, field: str, min_count: int, longest: int, stop_words: bool):
        self._split, self._field = split, field
        self._options = {
            "sublinear_tf": True,
            "min_df": min_count,
            "ngram_range": (1, longest),
            "stop_words": "english" if stop_words else None,
        }
        self._vectorizer: TfidfVectorizer | None = None

    def fit(self, data: Dataset, step: Step) -> None:
        """Learn vocabulary and weights from one field of one split."""
        items = (data.item(self._split, index, step) for index in range(data.length(self._split)))
        texts = [item.get(self._field) for item in items]
        if not texts or any(not isinstance(text, str) for text in texts):
            raise UserError(
                f"tfidf cannot be fitted on split {self._split!r}, field {self._field!r}",
                where="pipeline:tfidf, settings split and field",
                why="the split is empty" if not texts else "not every item has this field as a text",
                cure="set split and field to where the data set has its texts, e.g. split=corpus field=document",
            )
        vectorizer = TfidfVectorizer(**self._options)
        try:
            self._vectorizer = vectorizer.fit(texts)
        except ValueError as error:
            raise UserError(
                f"tfidf finds no words in the {len(texts)} texts of split {self._split!r}",
                where="pipeline:tfidf",
                why=str(error).splitlines()[0],
                cure="lower min_count, or give more text",
            ) from error

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        if self._vectorizer is None:
            raise UserError(
                "tfidf is not fitted",
                where="pipeline:tfidf",
                why="its vocabulary and weights come from data",
                cure="call fit(data, step) first, or take it from a finished run",
            )
        for item in items:
            yield {**item, "vector": sparse.csr_array(self._vectorizer.transform([item["text"]]))}

    def save(self, folder: Path) -> None:
        """Vocabulary as JSON, weights as npz."""
        if self._vectorizer is None:
            raise UserError("tfidf is not fitted", where="pipeline:tfidf", cure="call fit before save")
        folder.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in self._vectorizer.get_feature_names_out()]
        (folder / _SETTINGS).write_text(json.dumps({"words": words}), encoding="utf-8")
        np.savez(folder / _WEIGHTS, idf=self._vectorizer.idf_)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        try:
            words = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["words"]
            with np.load(folder / _WEIGHTS, allow_pickle=False) as stored:
                weights = stored["idf"]
            if len(words) != len(weights) or len(set(words)) != len(words):
                raise ValueError(f"{len(words)} words, {len(weights)} weights")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"cannot load tfidf from {folder}",
                where=str(folder),
                why=f"{type(error).__name__}: {error}",
                cure=f"the folder must hold {_SETTINGS} and {_WEIGHTS} as tfidf saved them; fit again",
            ) from error
        vectorizer = TfidfVectorizer(
            **self._options, vocabulary={word: place for place, word in enumerate(words)}
        )
        vectorizer.idf_ = weights
        self._vectorizer = vectorizer

    def write(self, item: Mapping[str, Any], path: Path) -> None:
        """Save an item's vector as a scipy sparse matrix (npz)."""
        with path.open("wb") as file:
            sparse.save_npz(file, item["vector"])
