"""Gaussian log-likelihood of rows that were not used for fitting: the judge where no true graph is known."""

from typing import Any

import numpy as np
from sklearn.covariance import ledoit_wolf

from maskwright.errors import UserError

_SMALLEST_SHARE = (
    1e-6  # of a column's variance: a noise variance below is an artefact of more parents than rows
)


def log_likelihood(
    samples: np.ndarray,
    coef: np.ndarray,
    noise_variance: np.ndarray,
    mean: np.ndarray,
    counted: np.ndarray | None = None,
) -> np.ndarray:
    """(n,) natural-log density of each row (n, p) under x - mean = (x - mean) G + w, w ~ N(0, diag(noise_variance)).

    `counted`: bool (p,); variables that were set from outside have no density of their own and are left out.
    """
    centred = samples - mean
    residual = centred - centred @ coef
    terms = -0.5 * (np.log(2 * np.pi * noise_variance) + residual**2 / noise_variance)
    return terms.sum(axis=1) if counted is None else terms[:, counted].sum(axis=1)


def known_noise(subject: Any) -> np.ndarray:
    """(K, p) noise variances of fitted or read graphs; UserError where a file gave none."""
    variances = np.asarray(subject.noise_variance_, dtype=float)
    if not np.isfinite(variances).all():
        raise UserError(
            "the graphs have no noise variances",
            where="noise_variance of the nodes",
            why="edges alone do not say how far a variable strays from what its causes predict",
            cure="give each node the attribute noise_variance, or use fitted graphs",
        )
    return variances


def noise_floor(noise_variance: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Noise variances (p,), none below a millionth of the column's variance in the training rows (n, p)."""
    return np.maximum(noise_variance, _SMALLEST_SHARE * training.var(axis=0))


def independent_likelihood(
    samples: np.ndarray, training: np.ndarray, counted: np.ndarray | None = None
) -> np.ndarray:
    """(n,) under the graph without edges: what every method must beat."""
    variance = training.var(axis=0)
    return log_likelihood(samples, np.zeros((len(variance),) * 2), variance, training.mean(axis=0), counted)


def unstructured_likelihood(samples: np.ndarray, training: np.ndarray) -> np.ndarray:
    """(n,) under one Gaussian per task with the Ledoit-Wolf covariance: no graph, no sharing between tasks."""
    mean = training.mean(axis=0)
    scale = training.std(axis=0)
    shrunk = ledoit_wolf((training - mean) / scale)[0]
    root = np.linalg.cholesky(shrunk)
    white = np.linalg.solve(root, ((samples - mean) / scale).T)
    log_volume = np.log(np.diag(root)).sum() + np.log(scale).sum()
    return -0.5 * (white**2).sum(axis=0) - log_volume - 0.5 * samples.shape[1] * np.log(2 * np.pi)
