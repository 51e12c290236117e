"""The best of all p! orders, as a shortest path through the 2^p sets of placed nodes."""

from itertools import combinations

import numpy as np

from maskwright.errors import UserError

from .gram import Grams
from .node_costs import NodeCosts
from .objective import Penalty

MOST_NODES = 12


def optimal_order(
    grams: Grams, penalty: Penalty, possible: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, float]:
    """The order int64 (p,) with the least F, and that F. Exact; p 2^(p-1) group lassos."""
    p = grams.nodes
    if p > MOST_NODES:
        raise UserError(
            f"solver='dp' would solve {p * 2 ** (p - 1):,} regressions for {p} variables",
            where="solver",
            why=f"the exact optimum visits all 2^p sets of variables; it is meant for p <= {MOST_NODES}",
            cure="use solver='topdown+search', which finds the same optimum on nearly all small problems",
        )
    costs = NodeCosts(grams, penalty, possible)
    must = [sum(1 << int(i) for i in np.flatnonzero(before[:, j])) for j in range(p)]
    best = {0: (0.0, -1)}  # set of placed nodes -> (cost, node placed last)
    for size in range(p):
        steps = [
            (placed, j)
            for placed in (sum(1 << i for i in chosen) for chosen in combinations(range(p), size))
            if placed in best
            for j in range(p)
            if not placed >> j & 1 and must[j] & ~placed == 0
        ]
        # The set without its lowest node was solved one size ago: start there.
        near = [placed & (placed - 1) for placed, _ in steps]
        values = costs.get([j for _, j in steps], [placed for placed, _ in steps], near)
        for (placed, j), value in zip(steps, values, strict=True):
            reached = placed | 1 << j
            cost = best[placed][0] + float(value)
            if reached not in best or cost < best[reached][0]:
                best[reached] = (cost, j)
    placed = (1 << p) - 1
    total, order = best[placed][0], []
    while placed:
        order.append(best[placed][1])
        placed ^= 1 << order[-1]
    return np.array(order[::-1], dtype=np.int64), total
