"""Unequal noise: estimate the noise variances and weight the loss by their inverse.

Between tasks this is sound: a loud table no longer drowns the others when orders are compared. Between the nodes
of one task it only makes the penalty fair; with unknown Gaussian noise variances several orders explain the data
equally well, so nodes are re-weighted after the order is found and cannot change it.
"""

import numpy as np

from .convex import residual_variance
from .gram import Grams

MOST_ROUNDS = 30  # for tasks, and again for nodes
SETTLED = 1e-3  # relative change of the weights that ends the alternation


def unbiased_variance(grams: Grams, coef: np.ndarray) -> np.ndarray:
    """Noise variances (K, p): residual sum of squares over n_k - 1 - number of parents.

    A node without degrees of freedom left is charged one, so the value stays finite (and is then too small).
    """
    spent = 1 + (coef != 0).sum(axis=1)
    free = np.maximum(grams.counts[:, None] - spent, 1)
    return residual_variance(grams, coef) * grams.counts[:, None] / free


def inverse_noise_weights(grams: Grams, coef: np.ndarray, *, per_node: bool) -> np.ndarray:
    """Weights (K, p) = 1 / noise variance, scaled to geometric mean 1 so that the penalty keeps its meaning.

    Without `per_node` all nodes of a task share the weight of their mean variance.
    """
    floor = np.maximum(1e-6 * np.einsum("kii->ki", grams.second), np.finfo(float).tiny)
    variance = np.maximum(unbiased_variance(grams, coef), floor)
    counted = grams.weights > 0
    if not per_node:
        mean = (variance * counted).sum(axis=1, keepdims=True) / np.maximum(
            counted.sum(axis=1, keepdims=True), 1
        )
        variance = np.broadcast_to(np.where(mean > 0, mean, 1.0), variance.shape)
    logs = np.log(variance)
    return np.exp(logs[counted].mean() - logs) if counted.any() else np.ones_like(logs)
