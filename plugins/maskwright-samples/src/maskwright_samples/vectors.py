"""Vectors of a pipeline as one matrix, dense or sparse, with a clear error when they are none."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from maskwright.errors import UserError
from maskwright.step import Step


def matrix_of(subject: Any, items: Iterable[Mapping[str, Any]], step: Step) -> Any:
    """float matrix (items, D) of the `vector` that `subject` adds to each item; CSR where the vectors are sparse."""
    rows = []
    for item in subject(items, step):
        vector = item.get("vector")
        if vector is None:
            raise UserError(
                f"the pipeline gave item {item.get('id')!r} no vector",
                where=type(subject).__name__,
                why="this evaluator compares vectors",
                cure="name a pipeline that provides the field vector, e.g. tfidf",
            )
        rows.append(vector if sparse.issparse(vector) else np.asarray(vector, dtype=float).ravel())
    if not rows:
        raise UserError(
            "there are no items to compare", where=type(subject).__name__, why="the split is empty"
        )
    if sparse.issparse(rows[0]):
        matrix = sparse.vstack([sparse.csr_array(row.reshape(1, -1)) for row in rows], format="csr")
        values = matrix.data
    else:
        matrix = values = np.stack(rows)
    if not np.isfinite(values).all():
        raise UserError(
            "a vector holds values that are not finite",
            where=type(subject).__name__,
            why="nothing can be ranked or fitted with NaN or infinity",
            cure="look for a diverged training run or an empty text",
        )
    return matrix


def unit_rows(matrix: Any) -> Any:
    """The rows divided by their length; rows of zeros stay."""
    if sparse.issparse(matrix):
        lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1)).ravel()
        return sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1)
