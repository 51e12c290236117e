"""How far the data give their causal order away without any method.

Definition of Reisach, Seiler and Weichwald (NeurIPS 2021, arXiv:2102.13647, section 3.1; arXiv:2303.18211,
equation 3), counted as their CausalDisco package does: over all pairs (i, j) and path lengths 1 ... p-1 for
which a directed path of that length leads from i to j, the share with score(i) < score(j); a tie counts one
half. 0.5 says nothing; near 1, sorting the columns by the score is already (almost) a causal order.
"""

import numpy as np
from sklearn.covariance import ledoit_wolf


def sortability(scores: np.ndarray, truth: np.ndarray) -> float:
    """Agreement of `scores` (p,) with the paths of `truth`, bool (p, p); NaN for an empty graph."""
    rising = np.sign(scores[None, :] - scores[:, None])
    agreement = (rising + 1) / 2
    paths = truth.copy()
    counted = agreed = 0.0
    for _ in range(len(truth) - 1):
        counted += paths.sum()
        agreed += agreement[paths].sum()
        # float32 keeps this a fast matrix product; the counts are far below 2^24.
        paths = (paths.astype(np.float32) @ truth.astype(np.float32)) > 0
    return float(agreed / counted) if counted else float("nan")


def variance_scores(samples: np.ndarray) -> np.ndarray:
    """(p,) variance of each column of (n, p)."""
    return samples.var(axis=0)


def r2_scores(samples: np.ndarray) -> np.ndarray:
    """(p,) share of each column's variance that a linear regression on all others explains.

    1 - 1/diag(C^-1) with C the correlation matrix. With too few rows for C^-1 (n - 1 <= p) every R2 would
    be 1; C is then shrunk towards the identity by the Ledoit-Wolf amount, which keeps the columns comparable.
    """
    rows, variables = samples.shape
    standard = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    correlation = standard.T @ standard / rows if rows - 1 > variables else ledoit_wolf(standard)[0]
    return 1 - 1 / np.diag(np.linalg.pinv(correlation, hermitian=True))


def varsortability(samples: np.ndarray, truth: np.ndarray) -> float:
    """Sortability by variance of rows (n, p); the scale of the columns decides it."""
    return sortability(variance_scores(samples), truth)


def r2_sortability(samples: np.ndarray, truth: np.ndarray) -> float:
    """Sortability by R2 of rows (n, p); standardising the columns does not change it."""
    return sortability(r2_scores(samples), truth)
