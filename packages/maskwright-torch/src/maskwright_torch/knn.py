"""evaluator:knn — the labels of the nearest training vectors, by cosine similarity."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.features import Pool, labelled_split
from maskwright_torch.judging import METRICS, judge

Weights = Literal["equal", "similarity"]

TEMPERATURE = 0.07
"""A neighbour votes with exp(similarity / TEMPERATURE) where votes are weighted."""

ROWS_AT_ONCE = 1024
"""Items whose similarities to all training items are held at a time."""


class Neighbours:
    """Needs no training at all: what counts is which items an encoder puts together."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = METRICS

    def __init__(self, k: int, weights: Weights, shots: int, pool: Pool, max_test: int, split: str) -> None:
        self.k, self.weights = k, weights
        self.shots, self.pool, self.max_test, self.split = shots, pool, max_test, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        split = labelled_split(
            data, step, "evaluator:knn", shots=self.shots, max_test=self.max_test, judged=self.split
        )
        count = len(split.train.items)
        if self.k > count:
            raise UserError(
                f"there are {count} training items, fewer than k = {self.k} neighbours",
                where="evaluator:knn, setting k",
                cure=f"k={count} at most, or more training items",
            )

        def classify(known: Any, labels: np.ndarray, asked: Any) -> np.ndarray:
            return vote(known, labels, asked, self.k, self.weights)

        words = f"{self.k} nearest by cosine" + (", weighted" if self.weights == "similarity" else "")
        return judge(subject, split, step, self.pool, classify, words)


def vote(known: Any, labels: np.ndarray, asked: Any, k: int, weights: Weights) -> np.ndarray:
    """The label of each row of `asked` (M, P) by its k nearest rows of `known` (N, P)."""
    known, asked = _unit(known), _unit(asked)
    classes, column = np.unique(labels, return_inverse=True)
    found = []
    for start in range(0, asked.shape[0], ROWS_AT_ONCE):
        similar = asked[start : start + ROWS_AT_ONCE] @ known.T
        if scipy.sparse.issparse(similar):
            similar = similar.toarray()
        near = np.argsort(-similar, axis=1, kind="stable")[:, :k]
        close = np.take_along_axis(similar, near, axis=1)
        worth = _weighted(close) if weights == "similarity" else _equal(close)
        votes = np.zeros((len(near), len(classes)))
        np.add.at(votes, (np.arange(len(near))[:, None], column[near]), worth)
        found.append(classes[votes.argmax(axis=1)])
    return np.concatenate(found)


def _weighted(close: np.ndarray) -> np.ndarray:
    """Votes by similarity, relative to the nearest one, so that nothing overflows."""
    return np.exp((close - close[:, :1]) / TEMPERATURE)


def _equal(close: np.ndarray) -> np.ndarray:
    """One vote each; of two classes with as many votes the more similar one wins."""
    return 1.0 + close / (4 * close.shape[1])


def _unit(vectors: Any) -> Any:
    """Each row with length 1, in float64; a row of zeros stays."""
    if scipy.sparse.issparse(vectors):
        vectors = scipy.sparse.csr_array(vectors, dtype=np.float64)
        length = np.sqrt(vectors.multiply(vectors).sum(axis=1))
        return scipy.sparse.diags_array(1 / np.where(length > 0, length, 1.0)) @ vectors
    vectors = vectors.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
