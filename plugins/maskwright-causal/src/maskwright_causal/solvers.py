"""From statistics of K tables to an order and joint weights: the solvers behind one call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from maskwright.errors import UserError

from .convex import Backend, allowed_by_layers, allowed_by_order, fit_allowed
from .gram import Grams
from .knowledge import Knowledge
from .lattice import optimal_order
from .noise import MOST_ROUNDS, SETTLED, inverse_noise_weights
from .objective import Penalty, objective
from .search import search_order
from .topdown import topdown_order

Solver = Literal["dp", "convex", "topdown", "search", "topdown+search", "continuous"]
SOLVERS = ("dp", "convex", "topdown", "search", "topdown+search", "continuous")


@dataclass(frozen=True)
class Method:
    """Everything that is chosen before seeing data, except the strength of the penalty."""

    solver: Solver
    unit: Penalty  # the penalty at strength 1
    knowledge: Knowledge
    layers: Sequence[Sequence[int]] | None = None  # given order, for solver "convex"
    backend: Backend = "bcd"
    unequal_noise: bool = False
    restarts: int = 0
    seed: int = 0
    n_jobs: int | None = None


@dataclass(frozen=True)
class Joint:
    """Order and penalised weights; the weights are the optimum for the order, so always acyclic."""

    order: np.ndarray  # int64 (p,)
    coef: np.ndarray  # float64 (K, p, p)
    objective: float
    converged: bool
    grams: Grams  # with the noise weights of the last round, if any
    allowed: np.ndarray  # bool (p, p), the edges the order leaves open


def allowed_quickly(method: Method, grams: Grams) -> np.ndarray:
    """Allowed edges (p, p) without search: of the given order, else of the top-down one."""
    if method.layers is not None:
        return allowed_by_layers(method.layers, method.knowledge.possible)
    return allowed_by_order(topdown_order(grams, method.knowledge.before), method.knowledge.possible)


def fit_joint(method: Method, grams: Grams, strength: float) -> Joint:
    """Run the solver; with unequal noise alternate it with new weights, first of tasks, then of nodes."""
    penalty = method.unit.scaled(strength)
    joint = _weights_for(method, grams, penalty, *_find_order(method, grams, penalty))
    if not method.unequal_noise:
        return joint
    for per_node in (False, True):
        joint = _reweighted(method, grams, penalty, joint, per_node)
    return joint


def _reweighted(method: Method, grams: Grams, penalty: Penalty, joint: Joint, per_node: bool) -> Joint:
    """Alternate noise estimates and fits until the weights settle; nodes leave the order as it is."""
    weights = joint.grams.weights
    for _ in range(MOST_ROUNDS):
        if not joint.converged:
            return joint
        new = grams.weights * inverse_noise_weights(grams, joint.coef, per_node=per_node)
        if np.abs(new - weights).max() < SETTLED * np.abs(weights).max():
            return joint
        weights = new
        heard = replace(grams, weights=new)
        order = (joint.order, True) if per_node else _find_order(method, heard, penalty)
        joint = _weights_for(method, heard, penalty, *order)
    return replace(joint, converged=False)


def _weights_for(method: Method, grams: Grams, penalty: Penalty, order: np.ndarray, finished: bool) -> Joint:
    """The optimal weights for an order."""
    if method.layers is not None:
        allowed = allowed_by_layers(method.layers, method.knowledge.possible)
    else:
        allowed = allowed_by_order(order, method.knowledge.possible)
    coef, solved = fit_allowed(grams, allowed, penalty, backend=method.backend)
    return Joint(order, coef, objective(grams, coef, penalty), finished and solved, grams, allowed)


def _find_order(method: Method, grams: Grams, penalty: Penalty) -> tuple[np.ndarray, bool]:
    """The order int64 (p,), and False when the solver was interrupted or gave up early."""
    possible, before = method.knowledge.possible, method.knowledge.before
    if method.solver == "convex":
        if method.layers is None:
            raise UserError(
                "solver='convex' needs an order",
                where="order",
                cure="give order=[...], or choose another solver",
            )
        return np.array([node for layer in method.layers for node in layer]), True
    if method.solver == "dp":
        try:
            return optimal_order(grams, penalty, possible, before)[0], True
        except KeyboardInterrupt:
            return topdown_order(grams, before), False
    if method.solver == "continuous":
        from .continuous import gate_order

        return gate_order(grams, penalty, possible, before)
    if method.solver == "search":
        # A start that knows nothing but the column variances; only the mean over tasks is used.
        variance = (grams.weights * np.einsum("kii->ki", grams.second)).mean(axis=0)
        start = _sorted_by(variance, before)
    else:
        start = topdown_order(grams, before)
    if method.solver == "topdown":
        return start, True
    found = search_order(
        grams,
        penalty,
        possible,
        before,
        start,
        restarts=method.restarts,
        seed=method.seed,
        n_jobs=method.n_jobs,
    )
    return found.order, found.finished


def _sorted_by(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Nodes by rising value, each after those that `before` puts ahead of it."""
    waiting, order = before.sum(axis=0), []
    values = values.astype(float).copy()
    for _ in range(len(values)):
        node = int(np.argmin(np.where(waiting > 0, np.inf, values)))
        order.append(node)
        values[node] = np.inf
        waiting = waiting - before[node]
        waiting[node] = 1  # placed
    return np.array(order)
