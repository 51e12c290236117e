"""Structural intervention distance (Peters and Bühlmann, Neural Computation 2015, arXiv:1306.1043).

The number of ordered pairs (i, j) for which the estimated graph gives a wrong formula for the effect of
setting i on j. The estimate adjusts for its parents of i; by the adjustment criterion that is right in the
true graph when (a) none of them descends from a variable on a directed path i -> ... -> j, and
(b) they block every path between i and j that is not directed from i to j.
If the estimate has j as a parent of i it claims "no effect", which is right when j is no descendant of i.
"""

import numpy as np

_UP, _DOWN = 0, 1  # how a walk arrived: from a child, or from a parent


def structural_intervention_distance(estimate: np.ndarray, truth: np.ndarray) -> int:
    """Bool (p, p) each, both acyclic. O(p (p + edges)) steps: p = 100 takes well under a second."""
    variables = len(truth)
    parents = [np.flatnonzero(truth[:, node]).tolist() for node in range(variables)]
    children = [np.flatnonzero(truth[node]).tolist() for node in range(variables)]
    reach = descendants(truth)
    wrong = 0
    for cause in range(variables):
        adjusted = estimate[:, cause]
        if np.array_equal(adjusted, truth[:, cause]):
            continue  # the true parents are always a valid adjustment
        opened: np.ndarray = reach[:, adjusted].any(
            axis=1
        )  # nodes with a descendant (or themselves) adjusted for
        unblocked = _open_indirect(cause, adjusted, opened, parents, children)
        # (a): an adjusted variable descends from `middle`, and cause -> ... -> middle -> ... -> effect.
        middle = reach[cause] & opened
        middle[cause] = False
        forbidden = reach[middle].any(axis=0) if middle.any() else np.zeros(variables, bool)
        bad = np.where(adjusted, reach[cause], forbidden | unblocked)
        bad[cause] = False
        wrong += int(bad.sum())
    return wrong


def descendants(graph: np.ndarray) -> np.ndarray:
    """Bool (p, p): [i, j] when j is i or can be reached from i along the edges of `graph`."""
    reach = graph | np.eye(len(graph), dtype=bool)
    while True:
        # Squaring doubles the length of the paths covered.
        longer = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
        if (longer == reach).all():
            return reach
        reach = longer


def _open_indirect(
    cause: int, adjusted: np.ndarray, opened: np.ndarray, parents: list[list[int]], children: list[list[int]]
) -> np.ndarray:
    """Bool (p,): nodes that an open path from `cause` reaches that is not directed all the way."""
    found = np.zeros(len(parents), dtype=bool)
    start = [(node, _UP, False) for node in parents[cause]] + [
        (node, _DOWN, True) for node in children[cause]
    ]
    seen, waiting = set(start), start
    while waiting:
        node, arrived, directed = waiting.pop()
        if not directed:
            found[node] = True
        following = []
        if not adjusted[node]:
            following += [(child, _DOWN, directed and arrived == _DOWN) for child in children[node]]
            if arrived == _UP:
                following += [(parent, _UP, False) for parent in parents[node]]
        if arrived == _DOWN and opened[node]:  # a collider passes when it or a descendant is adjusted for
            following += [(parent, _UP, False) for parent in parents[node]]
        for step in following:
            if step[0] != cause and step not in seen:
                seen.add(step)
                waiting.append(step)
    return found
