"""The paper's continuous program: one gate T says which edges the shared order leaves open.

min over T in [0, 1]^(p x p) and G_1 .. G_K
    loss(G o T) + penalty(G o T) + pull * sum(1 - T) + ridge / 2 |G|^2     subject to  h(T) = tr exp(T o T) - p = 0
by an augmented Lagrangian in h. The pull drives T to the densest acyclic pattern, a full triangle, which is an
order. Differences to the paper's iteration: inner problems are solved by L-BFGS on Gram matrices instead of Adam
on rows, the 2-norm is smoothed instead of shrunk (the refit on the order makes zeros exact), T stays in the box so
that |1 - T| is linear, and the small ridge keeps G from growing while T shrinks, which would leave G o T as it is.
"""

import numpy as np
from scipy.optimize import minimize

from .acyclicity import cycle_measure
from .gram import Grams
from .objective import Penalty

PULL = 0.01  # times the penalty strength
RIDGE = 1e-2  # times the mean curvature of the loss
SMOOTHING = 1e-3  # |x| becomes sqrt(x^2 + SMOOTHING^2) - SMOOTHING, in units of a weight
FIRST_WEIGHT = 0.1  # of the quadratic term, times the mean curvature of the loss
GROWTH = 10.0  # factor of the quadratic term from one outer step to the next
ACYCLIC = 1e-6  # h below it ends the outer loop: what is left of T's back edges is then under 0.03
MOST_OUTER = 25
MOST_INNER = 200


def gate_order(
    grams: Grams, penalty: Penalty, possible: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, bool]:
    """The order int64 (p,) the gate ends in, and whether h reached zero. Ctrl-C ends it early with the gate so far."""
    program = _Program(grams, penalty, possible, before)
    if program.count == 0:
        return order_of_gate(np.zeros((grams.nodes, grams.nodes)), before), True
    point, finished = program.start(), False
    multiplier, weight = 0.0, FIRST_WEIGHT * program.scale
    try:
        for _ in range(MOST_OUTER):
            answer = minimize(
                program.lagrangian,
                point,
                args=(multiplier, weight),
                jac=True,
                method="L-BFGS-B",
                bounds=program.bounds,
                options={"maxiter": MOST_INNER, "maxcor": 10},
            )
            point = answer.x
            h = cycle_measure(program.split(point)[0])[0]
            if h < ACYCLIC:
                finished = True
                break
            multiplier += weight * h
            weight *= GROWTH
    except KeyboardInterrupt:
        pass
    return order_of_gate(program.split(point)[0], before), finished


def order_of_gate(gate: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Nodes one by one: the next has the least gate weight coming in from those not yet placed.

    For an acyclic gate the least is zero and this is a topological sort; ties go to the larger outgoing weight.
    """
    nodes = len(gate)
    open_ = np.ones(nodes, dtype=bool)
    order = []
    for _ in range(nodes):
        incoming, outgoing = gate[open_].sum(axis=0), gate[:, open_].sum(axis=1)
        held = (before[open_].any(axis=0)) | ~open_
        rank = np.lexsort((-outgoing, np.round(incoming, 6), held))
        order.append(int(rank[0]))
        open_[rank[0]] = False
    return np.array(order)


class _Program:
    """The smooth objective over one flat vector: T first, then G task by task, without impossible entries."""

    def __init__(self, grams: Grams, penalty: Penalty, possible: np.ndarray, before: np.ndarray) -> None:
        self.grams, self.penalty = grams, penalty
        self.edges = np.nonzero(possible & ~before.T)
        self.factors = penalty.edge_factors(grams.nodes)[self.edges]
        curvature = grams.weights[:, None, :] * np.einsum("kii->ki", grams.second)[:, :, None]
        self.scale = float(curvature.mean())
        self.pull = PULL * (penalty.single + penalty.group)
        self.ridge = RIDGE * self.scale
        self.count = len(self.edges[0])
        self.bounds = [(0.0, 1.0)] * self.count + [(None, None)] * (self.count * grams.tasks)

    def start(self) -> np.ndarray:
        """T with tr exp(T o T) - p about 1, every direction alike; G as simple regressions, shrunk by half."""
        gate = np.full(self.count, 1 / np.sqrt(self.grams.nodes))
        i, j = self.edges
        slopes = self.grams.second[:, i, j] / np.maximum(self.grams.second[:, i, i], 1e-12)
        return np.concatenate([gate, (0.5 * slopes * (self.grams.weights[:, j] > 0)).ravel()])

    def split(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """T (p, p) and the weights of the edges (K, E)."""
        gate = np.zeros((self.grams.nodes, self.grams.nodes))
        gate[self.edges] = point[: self.count]
        return gate, point[self.count :].reshape(self.grams.tasks, self.count)

    def lagrangian(self, point: np.ndarray, multiplier: float, weight: float) -> tuple[float, np.ndarray]:
        gate, weights = self.split(point)
        i, j = self.edges
        open_ = gate[i, j]
        gated = weights * open_
        coef = np.zeros((self.grams.tasks, *gate.shape))
        coef[:, i, j] = gated
        residual = np.eye(self.grams.nodes) - coef
        moved = self.grams.second @ residual
        value = 0.5 * float((self.grams.weights * (residual * moved).sum(axis=1)).sum())
        slope = -(self.grams.weights[:, None, :] * moved)[:, i, j]  # with respect to the gated weights

        norm = np.sqrt((gated * gated).sum(axis=0) + SMOOTHING**2)
        value += self.penalty.group * float(self.factors @ (norm - SMOOTHING))
        slope = slope + self.penalty.group * self.factors * gated / norm
        if self.penalty.single:
            size = np.sqrt(gated * gated + SMOOTHING**2)
            value += self.penalty.single * float((self.factors * (size - SMOOTHING)).sum())
            slope = slope + self.penalty.single * self.factors * gated / size

        h, h_slope = cycle_measure(gate)
        value += self.pull * float((1 - open_).sum()) + 0.5 * self.ridge * float((weights * weights).sum())
        value += multiplier * h + 0.5 * weight * h * h
        to_gate = (slope * weights).sum(axis=0) - self.pull + (multiplier + weight * h) * h_slope[i, j]
        to_weights = slope * open_ + self.ridge * weights
        return value, np.concatenate([to_gate, to_weights.ravel()])
