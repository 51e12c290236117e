"""Given which edges are allowed (an order, or part of one), the problem is convex and splits by node."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from . import bcd, conic
from .gram import Grams
from .objective import Penalty, gradient, kkt_residuals

Backend = Literal["bcd", "cvxpy"]


def allowed_by_order(order: Sequence[int] | np.ndarray, possible: np.ndarray) -> np.ndarray:
    """bool (p, p): i may be a parent of j when it comes earlier and the edge is `possible`."""
    place = np.empty(len(order), dtype=int)
    place[np.asarray(order)] = np.arange(len(order))
    return (place[:, None] < place[None, :]) & possible


def allowed_by_layers(layers: Sequence[Sequence[int]], possible: np.ndarray) -> np.ndarray:
    """As above for a partial order: edges run from earlier layers to later ones, none within a layer."""
    place = np.empty(len(possible), dtype=int)
    for number, layer in enumerate(layers):
        place[list(layer)] = number
    return (place[:, None] < place[None, :]) & possible


def fit_allowed(
    grams: Grams,
    allowed: np.ndarray,
    penalty: Penalty,
    *,
    backend: Backend = "bcd",
    start: np.ndarray | None = None,
    tol: float = 1e-9,
) -> tuple[np.ndarray, bool]:
    """Optimal weights (K, p, p) over the allowed edges (p, p), and whether the solver reached `tol`."""
    if backend == "cvxpy":
        columns = [
            conic.solve_column(grams.second, grams.weights[:, j], j, np.flatnonzero(allowed[:, j]), penalty)
            for j in range(grams.nodes)
        ]
        coef = np.stack(columns, axis=2)
        # CLARABEL often reports fewer digits than asked for; the optimality conditions are the judge.
        off = kkt_residuals(grams, coef, penalty, allowed).max(initial=0.0)
        return coef, bool(off <= 1e-4 * np.abs(gradient(grams, np.zeros_like(coef))).max(initial=0.0))
    if penalty.single == penalty.group == 0:
        return least_squares(grams, allowed), True
    found = bcd.solve(
        grams.second,
        grams.weights,
        np.arange(grams.nodes),
        allowed.T,
        penalty,
        start=None if start is None else np.moveaxis(start, 2, 0),
        tol=tol,
    )
    return np.moveaxis(found.coef, 0, 2), bool(found.converged.all())


def least_squares(grams: Grams, support: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """Unpenalised (or ridge) weights (K, p, p) on a support (p, p) or (K, p, p).

    `ridge` is added to the diagonal of S_k relative to its mean, so it has no unit. A task in which the
    loss of a node is not counted gets no weights into that node.
    """
    tasks, nodes = grams.tasks, grams.nodes
    support = np.broadcast_to(support, (tasks, nodes, nodes))
    coef = np.zeros((tasks, nodes, nodes))
    for k in range(tasks):
        bump = ridge * np.trace(grams.second[k]) / nodes
        for j in np.flatnonzero(support[k].any(axis=0) & (grams.weights[k] > 0)):
            parents = np.flatnonzero(support[k][:, j])
            block = grams.second[k][np.ix_(parents, parents)] + bump * np.eye(len(parents))
            # Minimum-norm answer where rows are fewer than parents, the ordinary one elsewhere.
            coef[k, parents, j] = np.linalg.lstsq(block, grams.second[k][parents, j], rcond=1e-12)[0]
    return coef


def residual_variance(grams: Grams, coef: np.ndarray) -> np.ndarray:
    """Mean squared residual of every node in every task, float64 (K, p), divisor n_k."""
    residual = np.eye(grams.nodes) - coef
    return np.maximum(np.einsum("kij,kij->kj", residual, grams.second @ residual), 0.0)
