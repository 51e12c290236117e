"""Group lasso by block coordinate descent on Gram matrices, for many regressions at once.

Each problem b regresses one target on its allowed parents in all K tasks:
min over B (K, p)  sum_k w_k (1/2 B_k' S_k B_k - s_k' B_k) + sum_i factor_i (single |B_:i|_1 + group |B_:i|_2).
Within one task a coordinate has curvature w_k S_k[i, i], so a block's Hessian is diagonal and the block is
minimised exactly; the problems are independent, so numpy handles a block of all of them in one call.
"""

from dataclasses import dataclass

import numpy as np

from .newton import newton_step
from .objective import Penalty, soft

# Cap on sweeps; KKT decides when to stop, and whoever asks is told when it did not.
MAX_SWEEPS = 1_000
# Every so many sweeps active blocks take part even where Newton steps are full.
SWEEP_ALL = 5
# Blocks of a problem in one sweep, the worst ones: at least so many, or this share of all parents. Newton follows
# and settles what more of them would only nudge; the values were the fastest for p = 30 to 300.
WORST, WORST_SHARE = 4, 1 / 16


@dataclass(frozen=True)
class Solution:
    """Answers to B problems."""

    coef: np.ndarray  # float64 (B, K, p), zero outside the allowed parents
    value: np.ndarray  # float64 (B,), objective including w_k S_k[target, target] / 2
    converged: np.ndarray  # bool (B,)
    sweeps: int


def solve(
    second: np.ndarray,
    weights: np.ndarray,
    targets: np.ndarray,
    allowed: np.ndarray,
    penalty: Penalty,
    *,
    start: np.ndarray | None = None,
    tol: float = 1e-9,
    max_sweeps: int = MAX_SWEEPS,
) -> Solution:
    """Solve B problems.

    second (K, p, p), weights (K, p), targets int (B,), allowed bool (B, p), start (B, K, p).
    A problem stops once every KKT residual is below tol times its largest |w_k S_k[i, target]|.
    """
    targets = np.asarray(targets)
    factors = penalty.edge_factors(second.shape[1])[:, targets].T
    task = _Problems(
        second=second,
        curvature=np.einsum("kii->ki", second),
        weight=weights[:, targets].T,
        allowed=allowed,
        single=penalty.single * factors,
        group=penalty.group * factors,
        coef=np.zeros((len(targets), *second.shape[:2])) if start is None else start * allowed[:, None, :],
        left=np.moveaxis(second[:, :, targets], 2, 0).copy(),
    )
    target_moment = task.left.copy()
    scale = np.abs(task.weight[:, :, None] * target_moment).max(axis=(1, 2), initial=0.0)
    limit = tol * np.where(scale > 0, scale, 1.0)
    if start is not None:
        task.left -= np.einsum("bki,kij->bkj", task.coef, second)

    coef, left = task.coef.copy(), task.left.copy()
    converged = np.zeros(len(targets), dtype=bool)
    live = np.arange(len(targets))
    worst = max(WORST, int(WORST_SHARE * second.shape[1]))
    sweeps, lengths = 0, np.zeros(len(targets))
    while True:
        residual = task.kkt()
        open_ = residual.max(axis=1, initial=0.0) > limit[live]
        if not open_.all() or sweeps == max_sweeps:
            coef[live], left[live] = task.coef, task.left
            converged[live] = ~open_
            live, residual, task = live[open_], residual[open_], task.keep(open_)
        if len(live) == 0 or sweeps == max_sweeps:
            break
        due = residual > 0.1 * limit[live, None]
        if sweeps % SWEEP_ALL:
            # Where Newton just made a full step it does so again; only groups at zero need the sweep.
            due &= (lengths[open_] < 1)[:, None] | ~task.coef.any(axis=1)
        if due.shape[1] > worst:
            due &= residual >= np.partition(residual * due, -worst, axis=1)[:, -worst, None]
        task.sweep(due)
        lengths = newton_step(task.second, task.weight, task.single, task.group, task.coef, task.left)
        sweeps += 1

    diagonal = np.einsum("kii->ki", second)[:, targets].T
    fit = 0.5 * (weights[:, targets].T * (diagonal - (coef * (target_moment + left)).sum(axis=2))).sum(axis=1)
    norms = np.sqrt(np.einsum("bki,bki->bi", coef, coef))
    price = (factors * (penalty.single * np.abs(coef).sum(axis=1) + penalty.group * norms)).sum(axis=1)
    return Solution(coef, fit + price, converged, sweeps)


@dataclass
class _Problems:
    """The problems still open, and where they stand."""

    second: np.ndarray  # (K, p, p), shared
    curvature: np.ndarray  # (K, p), shared
    weight: np.ndarray  # (B, K)
    allowed: np.ndarray  # (B, p)
    single: np.ndarray  # (B, p)
    group: np.ndarray  # (B, p)
    coef: np.ndarray  # (B, K, p)
    left: np.ndarray  # (B, K, p) = s_k - S_k B_k, the unweighted negative gradient

    def keep(self, rows: np.ndarray) -> "_Problems":
        per_problem = (self.weight, self.allowed, self.single, self.group, self.coef, self.left)
        return _Problems(self.second, self.curvature, *(a[rows] for a in per_problem))

    def kkt(self) -> np.ndarray:
        """Distance from optimality of each block, (B, p); the same conditions as objective.kkt_residuals."""
        pull = self.weight[:, :, None] * self.left
        norms = np.sqrt(np.einsum("bki,bki->bi", self.coef, self.coef))
        if self.single.any():
            single = self.single[:, None, :]
            at_zero = soft(pull, single)
            wanted = pull - (self.group / np.where(norms > 0, norms, 1.0))[:, None, :] * self.coef
            active = np.where(self.coef != 0, wanted - single * np.sign(self.coef), soft(wanted, single))
        else:
            at_zero = pull
            active = pull - (self.group / np.where(norms > 0, norms, 1.0))[:, None, :] * self.coef
        zero = np.maximum(np.sqrt(np.einsum("bki,bki->bi", at_zero, at_zero)) - self.group, 0.0)
        moving = np.sqrt(np.einsum("bki,bki->bi", active, active))
        return np.where(norms > 0, moving, zero) * self.allowed

    def sweep(self, due: np.ndarray) -> None:
        """Minimise over each block in turn where it is due (B, p).

        Problems are independent, so step s takes the s-th due block of each: as many steps as the busiest
        problem has due blocks, not as many as there are blocks.
        """
        counts = due.sum(axis=1)
        turn = np.argsort(~due, axis=1, kind="stable")
        by_parent = self.second.swapaxes(0, 1)
        for step in range(counts.max(initial=0)):
            rows = np.flatnonzero(counts > step)
            i = turn[rows, step]
            weight, old = self.weight[rows], self.coef[rows, :, i]
            bend = weight * self.curvature[:, i].T
            pull = bend * old + weight * self.left[rows, :, i]
            if self.single.any():
                pull = soft(pull, self.single[rows, i, None])
            new = shrink_block(pull, bend, self.group[rows, i], np.sqrt((old * old).sum(axis=1)))
            self.coef[rows, :, i] = new
            self.left[rows] -= (new - old)[:, :, None] * by_parent[i]


def shrink_block(pull: np.ndarray, bend: np.ndarray, group: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """argmin over x of  1/2 sum_k bend_k x_k^2 - pull_k x_k + group |x|_2,  rows of (B, K) at once.

    x_k = pull_k t / (bend_k t + group) with t = |x|, so t solves |pull / (bend t + group)| = 1. The inverse of
    the left side is concave and nearly linear in t: Newton reaches machine precision in a few steps.
    """
    free = np.where(bend > 0, pull / np.where(bend > 0, bend, 1.0), 0.0)
    if not group.any():
        return free
    alive = (group > 0) & (np.sqrt((pull * pull).sum(axis=1)) > group)
    floor = np.where(group > 0, group, 1.0)[:, None]
    t = np.where(alive, guess, 0.0)
    tiny = np.finfo(float).tiny
    for _ in range(50):
        below = bend * t[:, None] + floor
        part = (pull / below) ** 2
        total = part.sum(axis=1)
        slope = (part * bend / below).sum(axis=1)  # minus half the derivative of `total`
        step = alive * total * (np.sqrt(total) - 1) / np.maximum(slope, tiny)
        t_new = np.maximum(t + step, 0.0)
        done = np.abs(step) <= 1e-8 * t_new  # the error is quadratic in this: 1e-16
        t = t_new
        if done.all():
            break
    shrunk = pull * t[:, None] / (bend * t[:, None] + floor)
    return np.where(group[:, None] > 0, shrunk, free)
