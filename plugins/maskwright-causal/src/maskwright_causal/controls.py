"""Controls that optimise nothing: sort the columns by a score, then regress each on those before it.

The field's "sort and regress" (arXiv:2102.13647, arXiv:2303.18211), for K tasks. A method that does not
beat it has shown nothing about causes, only that the scores of the columns follow the order.
"""

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np
from sklearn.linear_model import lars_path

from maskwright_causal.sortability import r2_scores, variance_scores

Score = Literal["variance", "r2"]
Arm = Literal["joint", "separate", "pooled"]

_SCORES = {"variance": variance_scores, "r2": r2_scores}


@attrs.frozen(eq=False)
class Control:
    """What a control found."""

    coef: np.ndarray  # (K, p, p)
    orders: np.ndarray  # (K, p) column numbers, causes first; equal rows unless the arm is separate


def sort_and_regress(samples: Sequence[np.ndarray], by: Score = "variance", arm: Arm = "joint") -> Control:
    """Sort, then regress with an adaptive lasso chosen by BIC.

    joint: one order, from the mean score over tasks weighted by rows; each task regresses on its own rows.
    separate: each task has its own order. pooled: rows of all tasks, each centred, are one table with one
    graph.
    """
    centred = [table - table.mean(axis=0) for table in samples]
    if arm == "pooled":
        stacked = np.concatenate(centred)
        order = np.argsort(_SCORES[by](stacked), kind="stable")
        coef = regress_along(stacked, order)
        return Control(np.stack([coef] * len(samples)), np.stack([order] * len(samples)))
    scores = np.stack([_SCORES[by](table) for table in centred])
    if arm == "joint":
        rows = np.array([len(table) for table in samples])
        scores = np.broadcast_to(np.average(scores, axis=0, weights=rows), scores.shape)
    orders = np.argsort(scores, axis=1, kind="stable")
    coef = np.stack([regress_along(table, order) for table, order in zip(centred, orders, strict=True)])
    return Control(coef, orders)


def regress_along(samples: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(p, p) weights of centred rows (n, p): every variable on those before it in the order.

    Adaptive lasso as in the original: predecessors are scaled by the size of their least-squares weight (of
    least norm, when there are more of them than rows), then the lasso path is cut where BIC is smallest.
    """
    coef = np.zeros((samples.shape[1],) * 2)
    for place in range(1, len(order)):
        before, target = order[:place], samples[:, order[place]]
        size = np.abs(np.linalg.lstsq(samples[:, before], target, rcond=None)[0])
        coef[before, order[place]] = size * lasso_by_bic(samples[:, before] * size, target)
    return coef


def lasso_by_bic(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(q,) lasso weights of centred (n, q) -> (n,) with the smallest n log(RSS/n) + log(n) * non-zeros.

    The noise variance is not estimated from the full model, so n <= q works too; models with n/2 or more
    non-zeros are left out, because their RSS tends to 0 and BIC to minus infinity.
    """
    rows = len(target)
    _, _, path = lars_path(features, target, method="lasso")
    used = (path != 0).sum(axis=0)
    residual = ((target[:, None] - features @ path) ** 2).mean(axis=0)
    tiny = np.finfo(float).tiny
    score = rows * np.log(np.maximum(residual, tiny)) + np.log(rows) * used
    score[used >= rows / 2] = np.inf  # the first point of the path has no non-zeros, so one always stays
    return path[:, np.argmin(score)]
