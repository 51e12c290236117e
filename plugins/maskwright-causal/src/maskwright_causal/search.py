"""Local search over orders: move a block of one to three neighbours anywhere, keep what lowers F."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import or_

import numpy as np
from joblib import Parallel, delayed

from maskwright.step import Step

from .gram import Grams
from .node_costs import NodeCosts, order_cost, predecessor_sets
from .objective import Penalty

BLOCKS = (1, 2, 3)  # a block of 1 by one place is the adjacent swap, by more the insertion move
REACH = 10  # places a block may travel in one move; bounds the cost of a sweep for many variables


@dataclass(frozen=True)
class Found:
    """An order and how it was left."""

    order: np.ndarray  # int64 (p,)
    cost: float  # F at the best weights for this order
    finished: bool  # False when interrupted


def search_order(
    grams: Grams,
    penalty: Penalty,
    possible: np.ndarray,
    before: np.ndarray,
    start: np.ndarray,
    *,
    restarts: int = 2,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Found:
    """The best order found from `start` and from `restarts` disturbed copies of it.

    Ctrl-C ends the search and returns the best order so far, marked unfinished.
    """
    starts = [np.asarray(start)]
    for number in range(restarts):
        noise = np.random.Generator(
            np.random.Philox(key=Step(seed=seed).fork("restart", number).stream("moves"))
        )
        starts.append(disturb(starts[0], before, noise))
    if n_jobs not in (None, 1) and len(starts) > 1:
        found = Parallel(n_jobs=n_jobs)(
            delayed(_search_from)(grams, penalty, possible, before, s) for s in starts
        )
    else:
        costs = NodeCosts(grams, penalty, possible)  # shared, so restarts profit from each other
        found = []
        for order in starts:
            found.append(local_search(costs, order, before))
            if not found[-1].finished:
                break
    best = min(found, key=lambda f: f.cost)
    return Found(best.order, best.cost, all(f.finished for f in found))


def _search_from(
    grams: Grams, penalty: Penalty, possible: np.ndarray, before: np.ndarray, start: np.ndarray
) -> Found:
    return local_search(NodeCosts(grams, penalty, possible), start, before)


def disturb(order: np.ndarray, before: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Take out about a third of the nodes and put each back at random, where `before` lets it stand."""
    nodes = list(order)
    for node in noise.choice(order, size=max(2, len(order) // 3) if len(order) > 1 else 0, replace=False):
        nodes.remove(node)
        lowest = max((i + 1 for i, other in enumerate(nodes) if before[other, node]), default=0)
        highest = min((i for i, other in enumerate(nodes) if before[node, other]), default=len(nodes))
        nodes.insert(int(noise.integers(lowest, highest + 1)), node)
    return np.array(nodes)


def local_search(
    costs: NodeCosts, start: np.ndarray, before: np.ndarray, watch: Callable[[np.ndarray], None] | None = None
) -> Found:
    """Descend until no block move helps. `watch` is called with every order accepted."""
    order = [int(node) for node in start]
    total = np.inf
    try:
        total = order_cost(costs, order)
        floor = costs.get(range(len(order)), [(1 << len(order)) - 1] * len(order))
        least = 1e-10 * max(abs(total), 1e-12)  # smaller gains are rounding
        improved = True
        while improved:
            improved = False
            for size in BLOCKS:
                for place in range(len(order) - size + 1):
                    gain, target = _best_move(costs, floor, order, place, size, before)
                    if gain > least:
                        block = order[place : place + size]
                        rest = order[:place] + order[place + size :]
                        order = rest[:target] + block + rest[target:]
                        total -= gain
                        improved = True
                        if watch is not None:
                            watch(np.array(order))
    except KeyboardInterrupt:
        return Found(np.array(order), float(total), False)
    return Found(np.array(order), float(total), True)


def _best_move(
    costs: NodeCosts, floor: np.ndarray, order: list[int], place: int, size: int, before: np.ndarray
) -> tuple[float, int]:
    """The largest gain from moving order[place : place + size], and the new place among the rest.

    Passing u to the right takes the block out of u's predecessors and adds u to the block's; to the left the
    reverse. No other node notices. Losing predecessors never helps and gaining them saves at most what is left
    above `floor`, the cost with every other node as a candidate: hopeless distances are not computed.
    """
    block = order[place : place + size]
    bits = sum(1 << node for node in block)
    sets = predecessor_sets(order)
    own = sets[place : place + size]
    best, where = 0.0, place

    right = _open_places(order[place + size :][:REACH], lambda other: bool(before[block, other].any()))
    ahead = sets[place + size :][: len(right)]
    now = costs.get(block, own)
    lost = _cumulative(costs, right, [s & ~bits for s in ahead], ahead)
    hopeful = int(np.searchsorted(lost, (now - floor[block]).sum()))  # lost never falls along the way
    passed = _unions(right[:hopeful])
    gained = now.sum() - _block_costs(costs, block, [[o | s for o in own] for s in passed], own)
    for distance, gain in enumerate(gained - lost[:hopeful], start=1):
        if gain > best:
            best, where = float(gain), place + distance

    left = _open_places(order[:place][::-1][:REACH], lambda other: bool(before[other, block].any()))
    ahead = [sets[place - distance] for distance in range(1, len(left) + 1)]
    passed = _unions(left)
    room = np.cumsum(costs.get(left, ahead) - floor[left]) if left else np.zeros(0)
    lost = _block_costs(costs, block, [[o & ~s for o in own] for s in passed], own) - now.sum()
    hopeful = int(np.max(np.flatnonzero(lost < room), initial=-1)) + 1
    gained = -_cumulative(costs, left[:hopeful], [s | bits for s in ahead[:hopeful]], ahead[:hopeful])
    for distance, gain in enumerate(gained - lost[:hopeful], start=1):
        if gain > best:
            best, where = float(gain), place - distance
    return best, where


def _open_places(others: list[int], barred: Callable[[int], bool]) -> list[int]:
    """The neighbours up to the first that must not be passed."""
    stop = next((i for i, other in enumerate(others) if barred(other)), len(others))
    return others[:stop]


def _unions(nodes: list[int]) -> list[int]:
    """The sets of the first 1, 2, ... nodes."""
    return list(accumulate((1 << node for node in nodes), or_))


def _cumulative(costs: NodeCosts, others: list[int], changed: list[int], now: list[int]) -> np.ndarray:
    """Change of cost summed over the first 1, 2, ... of `others`, float64 (D,)."""
    if not others:
        return np.zeros(0)
    return np.cumsum(costs.get(others, changed, now) - costs.get(others, now))


def _block_costs(costs: NodeCosts, block: list[int], sets: list[list[int]], near: list[int]) -> np.ndarray:
    """Summed cost of the block's nodes for each list of predecessor sets, float64 (D,)."""
    if not sets:
        return np.zeros(0)
    flat = costs.get(block * len(sets), list(chain.from_iterable(sets)), near * len(sets))
    return flat.reshape(len(sets), len(block)).sum(axis=1)
