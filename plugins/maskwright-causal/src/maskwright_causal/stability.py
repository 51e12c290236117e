"""Edge frequencies over fits on random halves of the rows (stability selection)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from maskwright.errors import UserError
from maskwright.step import Step


@dataclass(frozen=True)
class Stability:
    """How often an edge was found; all frequencies lie in [0, 1]."""

    per_task: np.ndarray  # float64 (K, p, p)
    union: np.ndarray  # float64 (p, p), found in at least one task
    ahead: np.ndarray  # float64 (p, p), how often i came before j in the order
    fits: int


# From K tables to (weights (K, p, p), order (p,)).
Refit = Callable[[list[np.ndarray]], tuple[np.ndarray, np.ndarray]]


def edge_frequencies(
    rows: Sequence[np.ndarray],
    refit: Refit,
    *,
    n_boot: int = 50,
    share: float = 0.5,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Stability:
    """Fit `n_boot` times on `share` of each table's rows, drawn without replacement."""
    if n_boot < 1 or not 0 < share < 1:
        raise UserError(
            f"stability needs n_boot >= 1 and 0 < share < 1, not n_boot={n_boot}, share={share}",
            where="stability",
        )
    smallest = min(len(table) for table in rows)
    if int(share * smallest) < 2:
        raise UserError(
            f"a share of {share} leaves {int(share * smallest)} of the {smallest} rows of the smallest table",
            where="stability",
            cure="raise share",
        )
    fits = Parallel(n_jobs=n_jobs)(
        delayed(refit)(subsample(rows, share, Step(seed=seed).fork("stability", number)))
        for number in range(n_boot)
    )
    found = np.array([coef != 0 for coef, _ in fits])  # (n_boot, K, p, p)
    places = np.array([np.argsort(order) for _, order in fits])
    ahead = places[:, :, None] < places[:, None, :]
    return Stability(found.mean(axis=0), found.any(axis=1).mean(axis=0), ahead.mean(axis=0), n_boot)


def subsample(rows: Sequence[np.ndarray], share: float, step: Step) -> list[np.ndarray]:
    """The same share of every table, rows in their old order."""
    noise = np.random.Generator(np.random.Philox(key=step.stream("rows")))
    return [t[np.sort(noise.choice(len(t), int(share * len(t)), replace=False))] for t in rows]
