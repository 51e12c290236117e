"""evaluator:known-item: does a text pipeline put the right documents first?"""

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from maskwright.contracts import Dataset, Figure, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.pictures import bars
from maskwright_samples.ranking import DEPTH, METRICS, best, mean_measures, measures
from maskwright_samples.vectors import matrix_of, unit_rows

_BATCH = 256  # queries scored at a time: 256 x 25,000 documents are 51 MB
_BINS = ((1, 1), (2, 3), (4, 10), (11, 30), (31, DEPTH))  # ranks


class KnownItemSearch:
    """Feeds documents and queries to the subject as `text`, ranks all documents for each query."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = dict.fromkeys(METRICS, "max")

    def __init__(self, corpus: str, split: str, similarity: str, bm25: bool):
        self._corpus, self._split, self._similarity, self._bm25 = corpus, split, similarity, bm25

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        documents = sorted(_items(data, self._corpus, step), key=lambda item: item["id"])
        queries = [
            item for item in _items(data, self._split, step) if any(g > 0 for g in item["relevant"].values())
        ]
        unanswerable = data.length(self._split) - len(queries)
        if not documents or not queries:
            raise UserError(
                f"nothing to search: {len(documents)} documents, {len(queries)} queries with a relevant document",
                where=f"evaluator:known-item, splits {self._corpus!r} and {self._split!r}",
                why="one of the two splits is empty",
                cure="name splits that hold documents and queries, or take more packages",
            )
        rows = _rank(documents, queries, self._vector_scores(subject, documents, queries, step))
        values = mean_measures(rows)
        table = [{"system": "this pipeline", **values}]
        notes = (
            [f"{unanswerable} queries have no relevant document and were left out"] if unanswerable else []
        )
        if self._bm25 and _has_bm25():
            peer = _rank(documents, queries, bm25_scores(documents, queries))
            table.append({"system": "BM25", **mean_measures(peer)})
        elif self._bm25:
            notes.append(
                "no BM25 row: it needs bm25s and PyStemmer (pip install maskwright-samples[baselines])"
            )
        return Findings(
            values=values,
            rows=rows,
            tables={f"{len(queries)} queries, {len(documents)} documents": table},
            figures=lambda: [_rank_picture(rows)],
            notes=notes,
        )

    def _vector_scores(
        self, subject: Any, documents: Sequence[Mapping], queries: Sequence[Mapping], step: Step
    ) -> Iterable[np.ndarray]:
        texts = [{"id": item["id"], "text": item["document"]} for item in documents]
        asked = [{"id": item["id"], "text": item["query"]} for item in queries]
        right, left = matrix_of(subject, texts, step), matrix_of(subject, asked, step)
        if self._similarity == "cosine":
            right, left = unit_rows(right), unit_rows(left)
        for start in range(0, len(queries), _BATCH):
            scores = left[start : start + _BATCH] @ right.T
            yield from scores.toarray() if sparse.issparse(scores) else scores


def bm25_scores(
    documents: Sequence[Mapping[str, Any]], queries: Sequence[Mapping[str, Any]]
) -> Iterable[np.ndarray]:
    """BM25 (k1 1.2, b .75, English stop words, Snowball stems): one score per document for each query."""
    import bm25s
    import Stemmer

    cut: Callable[..., Any] = bm25s.tokenize
    options = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(cut([item["document"] for item in documents], **options), show_progress=False)
    for words in cut([item["query"] for item in queries], return_ids=False, **options):
        yield np.asarray(index.get_scores(words)) if words else np.zeros(len(documents))


def _rank(
    documents: Sequence[Mapping], queries: Sequence[Mapping], scores: Iterable[np.ndarray]
) -> list[dict]:
    ids = [item["id"] for item in documents]
    rows = []
    for query, row in zip(queries, scores, strict=True):
        ranking = best(row, ids, query.get("excluded"))
        first = next(
            (rank for rank, id in enumerate(ranking, start=1) if query["relevant"].get(id, 0) > 0), None
        )
        rows.append({"id": query["id"], **measures(ranking, query["relevant"]), "first": first})
    return rows


def _items(data: Dataset, split: str, step: Step) -> list[Mapping[str, Any]]:
    return [data.item(split, index, step) for index in range(data.length(split))]


def _has_bm25() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("bm25s", "Stemmer"))


def _rank_picture(rows: Sequence[Mapping[str, Any]]) -> Figure:
    labels = [str(low) if low == high else f"{low}-{high}" for low, high in _BINS] + [f"beyond {DEPTH}"]
    counts = [
        sum(row["first"] is not None and low <= row["first"] <= high for row in rows) for low, high in _BINS
    ]
    counts.append(sum(row["first"] is None for row in rows))
    shares = [count / len(rows) for count in counts]
    picture = bars(labels, shares, "rank of the first right document", "share of queries")
    return Figure("ranks", f"Where the first right document stands, {len(rows)} queries", picture)
