"""Top-down order: the next node is the one with the smallest conditional variance given those placed.

With equal noise variances a node whose parents are all placed has conditional variance sigma^2, every other
node more. Tasks are pooled by adding their conditional variances: that is what the shared order buys.
"""

import numpy as np

from .gram import Grams


def topdown_order(grams: Grams, before: np.ndarray | None = None) -> np.ndarray:
    """An order of the p nodes, int64 (p,); `before[i, j]` asks for i ahead of j (acyclic).

    One rank-1 downdate of K (p, p) matrices for each placed node: O(K p^3) in all.
    """
    nodes = grams.nodes
    left = grams.second.copy()  # covariance of the nodes given those placed
    start = np.einsum("kii->ki", grams.second)
    counted = grams.weights > 0
    # A node may be counted in fewer tasks than another, hence the mean and not the sum.
    share = grams.weights / np.maximum(counted.sum(axis=0), 1)
    waiting = np.zeros(nodes, dtype=int) if before is None else before.sum(axis=0)
    placed = np.zeros(nodes, dtype=bool)
    order = np.empty(nodes, dtype=np.int64)
    for position in range(nodes):
        variance = np.einsum("kii->ki", left)
        score = (share * variance).sum(axis=0)
        # When every table has run out of degrees of freedom all scores are rounding errors around zero;
        # the marginal variance, which grows along the order on average, then decides.
        spent = variance <= 1e-10 * start
        score = np.where(spent.all(axis=0), (share * start).sum(axis=0) * 1e-12, score)
        score[placed | (waiting > 0)] = np.inf
        node = int(np.argmin(score))
        order[position] = node
        placed[node] = True
        if before is not None:
            waiting = waiting - before[node]
        pivot = left[:, node, node]
        usable = pivot > 1e-10 * start[:, node]
        column = left[:, :, node] * (usable / np.sqrt(np.where(usable, pivot, 1.0)))[:, None]
        left -= column[:, :, None] * column[:, None, :]
    return order
