"""The joint objective F of the paper, its penalty, and the conditions that certify an optimum.

F(G) = sum_k sum_j w_kj / 2 * [(I - G_k)' S_k (I - G_k)]_jj  +  sum_ij factor_ij * (single |G_ij|_1 + group |G_ij|_2)
with G_ij the K weights of edge i -> j.  Column j of G lists the parents of j.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from .gram import Grams

PenaltyName = Literal["l1l2", "l1", "sparse-group"]


@dataclass(frozen=True)
class Penalty:
    """Strengths of the two norms; both together are the sparse-group penalty."""

    single: float = 0.0  # multiplies the sum of absolute weights
    group: float = 0.0  # multiplies the 2-norm of an edge's K weights
    factors: np.ndarray | None = None  # (p, p) factor per edge i -> j; 0 leaves a required edge unpenalised

    @classmethod
    def named(
        cls, name: PenaltyName, strength: float, l1_ratio: float = 0.5, factors: np.ndarray | None = None
    ) -> "Penalty":
        share = {"l1l2": 0.0, "l1": 1.0, "sparse-group": l1_ratio}[name]
        return cls(strength * share, strength * (1 - share), factors)

    def scaled(self, factor: float) -> "Penalty":
        return replace(self, single=self.single * factor, group=self.group * factor)

    def edge_factors(self, nodes: int) -> np.ndarray:
        """float64 (p, p)."""
        return np.ones((nodes, nodes)) if self.factors is None else self.factors


def group_norms(coef: np.ndarray) -> np.ndarray:
    """2-norm over tasks of every edge's weights: (K, p, p) -> (p, p)."""
    return np.sqrt(np.einsum("kij,kij->ij", coef, coef))


def soft(values: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Soft threshold: the proximal map of the absolute value."""
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0.0)


def loss(grams: Grams, coef: np.ndarray) -> float:
    """Squared loss of all tasks, without penalty."""
    residual = np.eye(grams.nodes) - coef
    per_node = np.einsum("kij,kij->kj", residual, grams.second @ residual)
    return float(0.5 * (grams.weights * per_node).sum())


def penalty_value(coef: np.ndarray, penalty: Penalty) -> float:
    per_edge = penalty.single * np.abs(coef).sum(axis=0) + penalty.group * group_norms(coef)
    return float((penalty.edge_factors(coef.shape[1]) * per_edge).sum())


def objective(grams: Grams, coef: np.ndarray, penalty: Penalty) -> float:
    """F of the module's head."""
    return loss(grams, coef) + penalty_value(coef, penalty)


def gradient(grams: Grams, coef: np.ndarray) -> np.ndarray:
    """Gradient of the squared loss, (K, p, p); entry (i, i) has no meaning."""
    return grams.weights[:, None, :] * (grams.second @ coef - grams.second)


def kkt_residuals(grams: Grams, coef: np.ndarray, penalty: Penalty, allowed: np.ndarray) -> np.ndarray:
    """How far each edge is from optimal, (p, p); all zero exactly at the optimum over `allowed` edges.

    Zero groups need |soft(gradient, single)| <= group; the others stationarity of loss plus both norms.
    """
    pull = -gradient(grams, coef)
    factors = penalty.edge_factors(grams.nodes)
    single, group = penalty.single * factors, penalty.group * factors
    norms = group_norms(coef)
    shrunk = soft(pull, single)
    at_zero = np.maximum(group_norms(shrunk) - group, 0.0)
    direction = coef / np.where(norms > 0, norms, 1.0)
    wanted = pull - group * direction  # has to equal single * (a subgradient of |.|)
    active = np.where(coef != 0, wanted - single * np.sign(coef), soft(wanted, single))
    return np.where(norms > 0, group_norms(active), at_zero) * allowed


def lambda_max(grams: Grams, allowed: np.ndarray, unit: Penalty) -> float:
    """The smallest strength at which the graph is empty; `unit` is the penalty at strength 1."""
    pull = np.abs(grams.weights[:, None, :] * grams.second)
    factors = unit.edge_factors(grams.nodes)
    edges = np.argwhere(allowed & (factors > 0))
    if unit.single == 0:
        norms = group_norms(pull)
        return float(max((norms[i, j] / (unit.group * factors[i, j]) for i, j in edges), default=0.0))
    return max((_strength(pull[:, i, j], unit, factors[i, j]) for i, j in edges), default=0.0)


def _strength(pull: np.ndarray, unit: Penalty, factor: float) -> float:
    """Where |soft(pull, t * single)| = t * group: one edge's own lambda_max."""

    def excess(t: float) -> float:
        return float(np.linalg.norm(np.maximum(pull - t * factor * unit.single, 0)) - t * factor * unit.group)

    top = float(pull.max()) / (factor * unit.single)
    return top if unit.group == 0 or top == 0 else float(brentq(excess, 0.0, top, xtol=1e-15, rtol=1e-14))
