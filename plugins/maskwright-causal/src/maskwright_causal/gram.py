"""Sufficient statistics of K tables: after this step the number of rows no longer matters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskwright.errors import UserError


@dataclass(frozen=True)
class Grams:
    """Second moments of K tables with the same p columns.

    The squared loss of any weight matrices G depends on the rows only through these moments:
    1/(2 n_k) ||X_k - X_k G_k||^2 = 1/2 tr((I - G_k)' S_k (I - G_k)).
    """

    second: np.ndarray  # float64 (K, p, p), S_k = X_k' X_k / n_k of the centred rows, symmetric
    counts: np.ndarray  # int64 (K,), rows per table
    means: np.ndarray  # float64 (K, p), what centring took away
    weights: np.ndarray  # float64 (K, p), factor of the loss of node j in task k; 0 = not counted

    @property
    def tasks(self) -> int:
        return self.second.shape[0]

    @property
    def nodes(self) -> int:
        return self.second.shape[1]

    @classmethod
    def from_rows(cls, tables: Sequence[np.ndarray], *, centre: bool = True) -> "Grams":
        """From K arrays (n_k, p). Without centring the rows are taken as deviations already."""
        means = np.stack([t.mean(axis=0) if centre else np.zeros(t.shape[1]) for t in tables])
        second = np.stack([_moments(t - m) for t, m in zip(tables, means, strict=True)])
        counts = np.array([len(t) for t in tables], dtype=np.int64)
        return cls(second, counts, means, np.ones(means.shape))

    @classmethod
    def from_covariance(
        cls, covariances: np.ndarray, counts: Sequence[int], means: np.ndarray | None = None
    ) -> "Grams":
        """From K covariance matrices (K, p, p) with divisor n_k, and the K row counts."""
        second = np.array(covariances, dtype=np.float64)
        if second.ndim == 2:
            second = second[None]
        if second.ndim != 3 or second.shape[1] != second.shape[2]:
            raise UserError(
                f"covariances must have shape (K, p, p), not {second.shape}",
                where="covariances",
                cure="stack one square matrix per task: numpy.stack([C1, C2, ...])",
            )
        for k, matrix in enumerate(second):
            scale = max(np.abs(matrix).max(), np.finfo(float).tiny)
            if not np.isfinite(matrix).all() or np.abs(matrix - matrix.T).max() > 1e-8 * scale:
                raise UserError(
                    f"covariance matrix of task {k} is not a finite symmetric matrix",
                    where=f"covariances[{k}]",
                )
            if np.linalg.eigvalsh(matrix)[0] < -1e-8 * scale:
                raise UserError(
                    f"covariance matrix of task {k} has a negative eigenvalue",
                    where=f"covariances[{k}]",
                    why="no table of numbers has such a covariance; pairwise deletion of gaps often makes one",
                    cure="compute it from complete rows",
                )
        rows = np.asarray(counts, dtype=np.int64)
        if rows.shape != (len(second),) or (rows < 2).any():
            raise UserError(
                f"need {len(second)} row counts of at least 2, got {rows.tolist()}",
                where="counts",
                cure="give the number of rows behind each covariance matrix",
            )
        shape = second.shape[:2]
        return cls(
            second, rows, np.zeros(shape) if means is None else np.asarray(means, float), np.ones(shape)
        )

    def weighted(self, weights: np.ndarray) -> "Grams":
        """The same moments with the loss of node j in task k multiplied by weights[k, j] >= 0."""
        return replace(self, weights=self.weights * weights)

    def columns(self, index: np.ndarray) -> "Grams":
        """The statistics of the columns in `index`, in that order."""
        return Grams(
            self.second[:, index][:, :, index], self.counts, self.means[:, index], self.weights[:, index]
        )


def _moments(rows: np.ndarray) -> np.ndarray:
    second = rows.T @ rows / len(rows)
    return (second + second.T) / 2  # exact symmetry, whatever the BLAS did
