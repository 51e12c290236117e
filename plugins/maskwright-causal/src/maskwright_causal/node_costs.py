"""f_j(parents): the cost of one node given the set it may choose parents from, remembered.

F of an order is the sum of f_j over nodes, so everything that compares orders asks here. A set of
predecessors is an int whose bit i says that node i is in it.
"""

from collections.abc import Sequence

import numpy as np

from . import bcd
from .gram import Grams
from .objective import Penalty

# Numbers (float64) in one batch of weights handed to the solver: 16 MB.
BATCH_NUMBERS = 2_000_000
# Remembered sets; beyond it the memory is emptied (about 1 kB each).
MOST_REMEMBERED = 400_000


class NodeCosts:
    """Costs of nodes under one penalty. `possible[i, j]` = the edge i -> j may exist at all."""

    def __init__(self, grams: Grams, penalty: Penalty, possible: np.ndarray, tol: float = 1e-8) -> None:
        self.grams, self.penalty, self.possible, self.tol = grams, penalty, possible, tol
        self._bits = [sum(1 << int(i) for i in np.flatnonzero(possible[:, j])) for j in range(grams.nodes)]
        self._known: dict[tuple[int, int], tuple[float, np.ndarray, np.ndarray]] = {}

    def get(self, nodes: Sequence[int], sets: Sequence[int], near: Sequence[int] | None = None) -> np.ndarray:
        """Costs float64 (B,) of nodes[b] with predecessors sets[b].

        near[b] is a set close to sets[b]; its remembered weights are where the solver starts.
        """
        keys = [(int(j), s & self._bits[j]) for j, s in zip(nodes, sets, strict=True)]
        hints = (
            keys if near is None else [(j, s & self._bits[j]) for (j, _), s in zip(keys, near, strict=True)]
        )
        if len(self._known) > MOST_REMEMBERED:
            self._known = {hint: self._known[hint] for hint in hints if hint in self._known}
        open_: dict[tuple[int, int], tuple[int, int]] = {}
        for key, hint in zip(keys, hints, strict=True):
            if key not in self._known and key not in open_ and not self._unchanged(key, hint):
                open_[key] = hint
        chunk = max(1, BATCH_NUMBERS // (self.grams.tasks * self.grams.nodes))
        todo = list(open_.items())
        for begin in range(0, len(todo), chunk):
            self._solve(todo[begin : begin + chunk])
        return np.array([self._known[key][0] for key in keys])

    def _unchanged(self, key: tuple[int, int], hint: tuple[int, int]) -> bool:
        """Taking away candidates that were not used leaves the optimum where it is."""
        known = self._known.get(hint)
        if known is None or key[1] & ~hint[1] or any(not key[1] >> int(i) & 1 for i in known[1]):
            return False
        self._known[key] = known
        return True

    def _solve(self, todo: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        tasks, nodes = self.grams.tasks, self.grams.nodes
        targets = np.array([j for (j, _), _ in todo])
        allowed = np.array([[s >> i & 1 for i in range(nodes)] for (_, s), _ in todo], dtype=bool)
        start = np.zeros((len(todo), tasks, nodes))
        for b, (_, hint) in enumerate(todo):
            if hint in self._known:
                _, parents, block = self._known[hint]
                start[b][:, parents] = block
        found = bcd.solve(
            self.grams.second, self.grams.weights, targets, allowed, self.penalty, start=start, tol=self.tol
        )
        for (key, _), value, coef in zip(todo, found.value, found.coef, strict=True):
            parents = np.flatnonzero(coef.any(axis=0))
            self._known[key] = (float(value), parents, coef[:, parents])


def predecessor_sets(order: Sequence[int]) -> list[int]:
    """For each position of the order, the set of the nodes ahead of it."""
    sets, ahead = [], 0
    for node in order:
        sets.append(ahead)
        ahead |= 1 << int(node)
    return sets


def order_cost(costs: NodeCosts, order: Sequence[int]) -> float:
    """F of an order at its best weights."""
    return float(costs.get(order, predecessor_sets(order)).sum())
