"""One Newton step on the non-zero weights of many group lassos at once.

Block descent alone needs thousands of sweeps when parents are strongly correlated, as in every structural
model. Away from zero the objective is smooth, so a Newton step on the current support finishes the job.
The Hessian is block diagonal over tasks minus one rank-1 term per group (the norm's curvature):
H = diag_k(w_k S_k + group / |x_i|) - sum_i (group_i / |x_i|) u_i u_i',   u_i = x_i / |x_i|,
so it is inverted by K small inverses and one Schur complement of size m (Woodbury), never at size K m.
"""

import numpy as np

# Step lengths tried at once; the best one is taken, or none when no length goes downhill.
LENGTHS = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01])
# Upper limit on the numbers held by one batch of Hessian blocks (float64, 32 MB).
BATCH_NUMBERS = 4_000_000


def newton_step(
    second: np.ndarray,
    weight: np.ndarray,
    single: np.ndarray,
    group: np.ndarray,
    coef: np.ndarray,
    left: np.ndarray,
) -> np.ndarray:
    """Move `coef` (B, K, p) and `left` = s - S coef in place, never uphill; the step lengths taken, (B,).

    second (K, p, p), weight (B, K), single and group (B, p).
    """
    lengths = np.zeros(len(coef))
    sizes = coef.any(axis=1).sum(axis=1)
    by_size = np.argsort(sizes, kind="stable")
    by_size = by_size[sizes[by_size] > 0]
    tasks = second.shape[0]
    while len(by_size):
        # Problems of like size share a batch, padded to the largest of them: at most twice the smallest, or + 5.
        smallest = sizes[by_size[0]]
        wanted = np.searchsorted(sizes[by_size], smallest + max(5, smallest), side="right")
        largest = sizes[by_size[wanted - 1]]
        taken = max(1, min(wanted, BATCH_NUMBERS // (tasks * largest**2)))
        rows, by_size = by_size[:taken], by_size[taken:]
        width = sizes[rows[-1]]
        # Active parents first; what pads a row is inactive there and therefore masked out below.
        parents = np.argsort(~coef[rows].any(axis=1), axis=1, kind="stable")[:, :width]
        step, lengths[rows] = _batch_step(
            second[
                np.arange(tasks)[:, None, None, None], parents[None, :, :, None], parents[None, :, None, :]
            ],
            weight[rows],
            np.take_along_axis(single[rows], parents, 1),
            np.take_along_axis(group[rows], parents, 1),
            np.take_along_axis(coef[rows], parents[:, None, :], 2),
            np.take_along_axis(left[rows], parents[:, None, :], 2),
        )
        full = np.zeros((len(rows), *second.shape[:2]))
        np.put_along_axis(full, np.broadcast_to(parents[:, None, :], step.shape), step, 2)
        coef[rows] += full
        left[rows] -= np.matmul(full.swapaxes(0, 1), second).swapaxes(0, 1)
    return lengths


def _batch_step(
    gram: np.ndarray,
    weight: np.ndarray,
    single: np.ndarray,
    group: np.ndarray,
    x: np.ndarray,
    left: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The step (B, K, m) and its length (B,), for gram (K, B, m, m), x and left (B, K, m), single and group (B, m)."""
    moving = x != 0  # with an l1 part single tasks of a group may rest at zero
    norm = np.sqrt((x * x).sum(axis=1))
    bend = group / np.where(norm > 0, norm, 1.0)  # (B, m)
    unit = x / np.where(norm > 0, norm, 1.0)[:, None, :]
    slope = weight[:, :, None] * left - single[:, None, :] * np.sign(x) - bend[:, None, :] * x
    slope = np.where(moving, slope, 0.0)

    hessian = gram.swapaxes(0, 1) * weight[:, :, None, None]
    hessian *= moving[:, :, :, None] & moving[:, :, None, :]
    diagonal = np.arange(x.shape[2])
    jitter = 1e-12 * hessian[:, :, diagonal, diagonal].max(axis=(1, 2))
    hessian[:, :, diagonal, diagonal] += np.where(moving, bend[:, None, :] + jitter[:, None, None], 1.0)
    inverse = np.linalg.inv(hessian)
    plain = (inverse @ slope[..., None])[..., 0]
    if group.any():
        # |x_i| / group_i - u' Q^-1 u; groups that rest or carry no 2-norm get a unit row and no push.
        bent = bend > 0
        coupling = -(unit[:, :, :, None] * inverse * unit[:, :, None, :]).sum(axis=1)
        coupling *= bent[:, :, None] & bent[:, None, :]
        coupling[:, diagonal, diagonal] += np.where(bent, 1 / np.where(bent, bend, 1.0), 1.0)
        push = np.where(bent, (unit * plain).sum(axis=1), 0.0)
        spread = np.linalg.solve(coupling, push[..., None])[..., 0]
        step = plain + (inverse @ (unit * spread[:, None, :])[..., None])[..., 0]
    else:
        step = plain
    step = np.where(moving & np.isfinite(step), step, 0.0)
    return _best_move(gram, weight, single, group, x, left, step)


def _best_move(
    gram: np.ndarray,
    weight: np.ndarray,
    single: np.ndarray,
    group: np.ndarray,
    x: np.ndarray,
    left: np.ndarray,
    step: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The move (B, K, m) of lowest objective among LENGTHS of the step, and its length (B,), 0 where none is lower.

    Groups that a length carries to the other side of zero are put at zero: that is where they are heading, and
    without it one of them would hold back all others. Differences are formed before summing, so that moves of
    size 1e-12 are still judged rightly.
    """
    moved = x + LENGTHS[:, None, None, None] * step
    crossed = (moved * x).sum(axis=2, keepdims=True) <= 0
    moved = np.where(crossed, 0.0, moved)
    if single.any():
        moved = np.where(moved * x < 0, 0.0, moved)
    move = moved - x  # (L, B, K, m)
    bent = np.matmul(gram.swapaxes(0, 1), np.moveaxis(move, 0, 3))  # (B, K, m, L)
    slope = weight[:, :, None] * (np.moveaxis(0.5 * bent, 3, 0) - left)
    change = (slope * move).sum(axis=(2, 3))
    if single.any():
        change += (single * (np.abs(moved) - np.abs(x)).sum(axis=2)).sum(axis=2)
    if group.any():
        old = np.sqrt((x * x).sum(axis=1))
        new = np.sqrt((moved * moved).sum(axis=2))
        squares = (move * (moved + x)).sum(axis=2)  # new^2 - old^2 without cancellation
        change += (group * squares / np.where(new + old > 0, new + old, 1.0)).sum(axis=2)
    best, rows = np.argmin(change, axis=0), np.arange(len(x))
    downhill = change[best, rows] < 0
    return np.where(downhill[:, None, None], move[best, rows], 0.0), np.where(downhill, LENGTHS[best], 0.0)
