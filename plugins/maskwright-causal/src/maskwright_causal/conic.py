"""The same regressions handed to a conic solver (cvxpy with CLARABEL): slow, and an independent witness."""

import warnings

import numpy as np

from .objective import Penalty


def solve_column(
    second: np.ndarray, weights: np.ndarray, target: int, parents: np.ndarray, penalty: Penalty
) -> np.ndarray:
    """Weights (K, p) of one target on its parents (indices); second (K, p, p), weights (K,)."""
    import cvxpy as cp  # 1 s to import, so only when asked for

    tasks, nodes = second.shape[:2]
    coef = np.zeros((tasks, nodes))
    counted = np.flatnonzero(weights > 0)
    if len(parents) == 0 or len(counted) == 0:
        return coef
    block = cp.Variable((len(counted), len(parents)))
    terms = []
    for row, k in enumerate(counted):
        root, image = _root(second[k][np.ix_(parents, parents)], second[k][parents, target])
        terms.append(0.5 * weights[k] * cp.sum_squares(root @ block[row] - image))
    factors = penalty.edge_factors(nodes)[parents, target]
    if penalty.single > 0:
        terms.append(penalty.single * cp.sum(cp.abs(block) @ factors))
    if penalty.group > 0:
        terms.append(penalty.group * (cp.norm(block, 2, axis=0) @ factors))
    problem = cp.Problem(cp.Minimize(cp.sum(terms)))
    tight = 1e-11  # beyond what it always reaches, hence no warning when it stops a digit or two short
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=tight, tol_gap_rel=tight, tol_feas=tight)
    coef[np.ix_(counted, parents)] = block.value
    return coef


def _root(gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, q with R'R = gram and R'q = cross; works for singular gram because cross lies in its range."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * max(values[-1], 0.0)
    root = np.sqrt(values[kept])
    return root[:, None] * vectors[:, kept].T, (vectors[:, kept].T @ cross) / root
