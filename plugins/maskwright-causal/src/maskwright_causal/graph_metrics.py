"""How far estimated graphs and orders are from the true ones.

Everywhere `[i, j]` stands for the edge i -> j. Thresholding happens once, in `kept`; the rest works on bool
arrays.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright_causal.interventional_distance import structural_intervention_distance

THRESHOLD = 0.3  # of the official code: an edge counts when its weight is at least this large


def kept(coef: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Bool array of the edges that count; a threshold of 0 keeps every non-zero weight."""
    return (np.abs(coef) >= threshold) & (coef != 0)


@attrs.frozen(eq=False)
class EdgeKinds:
    """Which edges of an estimate are right; bool (p, p) each, `missed` in the true direction."""

    recovered: np.ndarray
    reversed: np.ndarray  # as estimated; the truth has the opposite edge
    extra: np.ndarray  # the truth joins this pair in neither direction
    missed: np.ndarray  # the estimate joins this pair in neither direction


def edge_kinds(estimate: np.ndarray, truth: np.ndarray) -> EdgeKinds:
    """Compare two bool (p, p) graphs."""
    return EdgeKinds(
        recovered=estimate & truth,
        reversed=estimate & ~truth & truth.T,
        extra=estimate & ~truth & ~truth.T,
        missed=truth & ~estimate & ~estimate.T,
    )


def edge_metrics(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """SHD, TPR, FDR, FPR and counts of one estimated acyclic graph, bool (p, p) each.

    SHD = pairs joined in one graph only + reversed edges; FPR counts against the pairs that carry no true
    edge.
    """
    variables = len(truth)
    kinds = edge_kinds(estimate, truth)
    wrong = int(kinds.reversed.sum() + kinds.extra.sum())
    predicted, true = int(estimate.sum()), int(truth.sum())
    empty_pairs = variables * (variables - 1) // 2 - true
    return {
        "shd": float(wrong + kinds.missed.sum()),
        # Nothing to find is found completely.
        "tpr": float(kinds.recovered.sum() / true) if true else 1.0,
        "fdr": float(wrong / max(predicted, 1)),
        "fpr": float(wrong / max(empty_pairs, 1)),
        "nnz": float(predicted),
        "correct": float(kinds.recovered.sum()),
    }


def union_metrics(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of the union of the tasks' directed edges; bool (K, p, p) each."""
    found, wanted = estimate.any(axis=0), truth.any(axis=0)
    correct = int((found & wanted).sum())
    precision = correct / found.sum() if found.any() else (0.0 if wanted.any() else 1.0)
    recall = correct / wanted.sum() if wanted.any() else 1.0
    both = precision + recall
    return {
        "union_precision": float(precision),
        "union_recall": float(recall),
        "union_f1": float(2 * precision * recall / both) if both else 0.0,
    }


def positions(order: Sequence[int] | np.ndarray) -> np.ndarray:
    """(p,) place of each column in an order given as column numbers, causes first."""
    order = np.asarray(order, dtype=int)
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(len(order))
    return places


def order_errors(order: Sequence[int] | np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Share of each task's true edges that point backwards in the order; (K,), 0 for a task without edges."""
    place = positions(order)
    backwards = np.greater.outer(place, place)
    edges = truth.sum(axis=(1, 2))
    return (truth & backwards[None]).sum(axis=(1, 2)) / np.maximum(edges, 1)


def order_error(order: Sequence[int] | np.ndarray, truth: np.ndarray, union: bool = False) -> float:
    """Mean over tasks of the share of own edges against the order; with `union`, of the union's edges."""
    return float(order_errors(order, truth.any(axis=0)[None] if union else truth).mean())


def order_recovered(estimate: np.ndarray, true_order: Sequence[int] | np.ndarray) -> bool:
    """The paper's test: no kept edge of any task violates the true order, and p/3 or more are kept in each
    task.

    `estimate`: bool (K, p, p). The second half keeps an empty graph from counting as a success.
    """
    variables = estimate.shape[-1]
    forward = order_error(true_order, estimate) == 0
    return bool(forward and (estimate.sum(axis=(1, 2)) >= variables / 3).all())


def sid(estimate: np.ndarray, truth: np.ndarray) -> int:
    """Structural intervention distance of one estimated graph; bool (p, p) each."""
    return structural_intervention_distance(estimate, truth)


@attrs.frozen(eq=False)
class Comparison:
    """One method against the truth."""

    tasks: list[dict[str, float]]  # the metrics of each task
    overall: dict[str, float]  # their means, and those of the union


def compare(
    coef: np.ndarray,
    orders: np.ndarray | None,
    truth: np.ndarray,
    *,
    threshold: float = THRESHOLD,
    true_order: Sequence[int] | None = None,
    with_sid: bool = True,
) -> Comparison:
    """All metrics of weights (K, p, p) and an order (p,), or one order per task (K, p), against truth (K,
    p, p).

    `order_recovered` is there when `true_order` is: a graph alone allows several orders.
    """
    estimate, true = kept(coef, threshold), truth != 0
    tasks = [edge_metrics(found, wanted) for found, wanted in zip(estimate, true, strict=True)]
    if with_sid:
        for row, found, wanted in zip(tasks, estimate, true, strict=True):
            row["sid"] = float(sid(found, wanted))
    overall_order: dict[str, float] = {}
    if orders is not None:
        each = np.broadcast_to(orders, (len(true), true.shape[-1]))
        union = true.any(axis=0)[None]
        for row, order, wanted in zip(tasks, each, true, strict=True):
            row["order_error"] = float(order_errors(order, wanted[None])[0])
        overall_order["order_error_union"] = float(np.mean([order_errors(order, union)[0] for order in each]))
    overall = {name: float(np.mean([row[name] for row in tasks])) for name in tasks[0]}
    overall |= overall_order | union_metrics(estimate, true)
    if true_order is not None:
        overall["order_recovered"] = float(order_recovered(estimate, true_order))
    return Comparison(tasks, overall)


# ---- bad truth -------------------------------------------------------------------------------------------


def checked_truth(truth: Any, variables: Sequence[str], where: str = "truth graph") -> np.ndarray:
    """A true graph as float (p, p), or UserError: wrong shape, not finite, or with a cycle."""
    import networkx as nx

    matrix = np.asarray(truth, dtype=float)
    if matrix.shape != (len(variables), len(variables)):
        raise UserError(
            f"a true graph of shape {matrix.shape} does not fit {len(variables)} variables",
            where=where,
            cure="give a square array with one row and one column for each variable",
        )
    if not np.isfinite(matrix).all():
        cause, effect = np.argwhere(~np.isfinite(matrix))[0]
        raise UserError(
            f"the true weight of {variables[cause]} -> {variables[effect]} is {matrix[cause, effect]}",
            where=where,
            cure="write 0 where there is no edge",
        )
    graph = nx.relabel_nodes(
        nx.from_numpy_array(matrix != 0, create_using=nx.DiGraph), dict(enumerate(variables))
    )
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [cause for cause, _ in nx.find_cycle(graph)]
        raise UserError(
            f"the true graph has a cycle: {' -> '.join([*cycle, cycle[0]])}",
            where=where,
            why="order error, SID and SHD are defined for acyclic graphs",
            cure="remove or turn one of these edges",
        )
    return matrix


def by_name(matrix: np.ndarray, names: Sequence[str], variables: Sequence[str], where: str) -> np.ndarray:
    """Rows and columns of `matrix` (over `names`) in the order of `variables`; must be the same set."""
    missing = [name for name in variables if name not in names]
    unknown = [name for name in names if name not in variables]
    if missing or unknown or len(set(names)) != len(names):
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(unknown)}, which the data do not"] if unknown else []
        parts += ["has a node twice"] if len(set(names)) != len(names) else []
        raise UserError(
            f"the true graph {' and '.join(parts)}",
            where=where,
            why="graphs are compared node by node, by name",
            cure=f"use these node names: {', '.join(variables)}",
        )
    index = [list(names).index(name) for name in variables]
    return matrix[np.ix_(index, index)]
