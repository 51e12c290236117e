"""Unequal noise: estimate every node's noise variance and weight its loss by the inverse.

This makes the penalty fair between quiet and noisy nodes. It cannot make the order identifiable: with unknown
Gaussian noise variances several orders explain the data equally well, and the first one, found under equal
variances, is where the alternation starts.
"""

import numpy as np

from .convex import residual_variance
from .gram import Grams

MOST_ROUNDS = 10
SETTLED = 1e-3  # relative change of the weights that ends the alternation


def unbiased_variance(grams: Grams, coef: np.ndarray) -> np.ndarray:
    """Noise variances (K, p): residual sum of squares over n_k - 1 - number of parents.

    A node without degrees of freedom left is charged one, so the value stays finite (and is then too small).
    """
    spent = 1 + (coef != 0).sum(axis=1)
    free = np.maximum(grams.counts[:, None] - spent, 1)
    return residual_variance(grams, coef) * grams.counts[:, None] / free


def inverse_noise_weights(grams: Grams, coef: np.ndarray) -> np.ndarray:
    """Weights (K, p) = 1 / noise variance, scaled to geometric mean 1 so that the penalty keeps its meaning."""
    floor = 1e-6 * np.einsum("kii->ki", grams.second)
    variance = np.maximum(unbiased_variance(grams, coef), np.maximum(floor, np.finfo(float).tiny))
    logs = np.log(variance)
    counted = grams.weights > 0
    return np.exp(logs[counted].mean() - logs) if counted.any() else np.ones_like(logs)
