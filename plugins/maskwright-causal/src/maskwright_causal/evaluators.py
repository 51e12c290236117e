"""Judge fitted graphs: against a true graph, and by the likelihood of held-out rows.

A subject is any object with `coef_` (K, p, p), `order_` (names, causes first), `order_index_` (p,) and, for
likelihoods, `noise_variance_` (K, p). Its tasks are those of the data, in the same order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from maskwright.contracts import Dataset, Figure, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal import likelihood, pictures
from maskwright_causal.controls import Arm, Score, sort_and_regress
from maskwright_causal.graph_metrics import THRESHOLD, Comparison, compare
from maskwright_causal.sortability import r2_sortability, varsortability

_GIVEN_AWAY = 0.85  # sortability from which the note on trivial orders is printed
_CONTROLS: tuple[tuple[str, Score, Arm], ...] = (
    ("sort by variance, joint", "variance", "joint"),
    ("sort by variance, separate", "variance", "separate"),
    ("sort by R2, joint", "r2", "joint"),
)


class GraphEvaluator:
    """Metrics against the true graphs, with the sorting controls beside them."""

    def __init__(self, threshold: float = THRESHOLD, sid: bool = True, controls: bool = True) -> None:
        self.threshold, self.sid, self.controls = threshold, sid, controls
        self.metrics: dict[str, Literal["max", "min"]] = {
            "shd": "min",
            "tpr": "max",
            "fdr": "min",
            "fpr": "min",
            "order_error": "min",
            "order_error_union": "min",
            "union_precision": "max",
            "union_recall": "max",
            "union_f1": "max",
        }
        if sid:
            self.metrics["sid"] = "min"

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        """Values are means over tasks, rows one entry per task, tables this method and the controls."""
        items = _items(data, "train", step)
        truth = np.stack([_truth_of(item) for item in items])
        coef, order = matched(subject, items)
        variables = items[0]["variables"]
        names = data.about("train").get("order")
        true_order = [variables.index(name) for name in names] if names else None
        found = self._compare(coef, order, truth, true_order)
        samples = [item["samples"] for item in items]
        var_sort = [varsortability(x, t != 0) for x, t in zip(samples, truth, strict=True)]
        r2_sort = [r2_sortability(x, t != 0) for x, t in zip(samples, truth, strict=True)]
        methods = [("this fit", found)]
        if self.controls:
            for name, by, arm in _CONTROLS:
                control = sort_and_regress(samples, by, arm)
                methods.append((name, self._compare(control.coef, control.orders, truth, true_order)))
        rows = [
            {"id": item["id"], **row, **_known(varsortability=var, r2_sortability=r2)}
            for item, row, var, r2 in zip(items, found.tasks, var_sort, r2_sort, strict=True)
        ]
        masks = [item.get("intervened") for item in items]
        tasks = [item["task"] for item in items]

        def figures() -> Iterator[Figure]:
            yield pictures.graphs_figure(coef, order, variables, tasks, truth, masks, self.threshold)
            yield pictures.weights_figure(coef, truth, self.threshold)

        return Findings(
            values={name: found.overall[name] for name in self.metrics},
            rows=rows,
            tables={
                "against the true graphs (means over tasks)": [
                    {"method": name, **_rounded(result.overall)} for name, result in methods
                ],
                "this fit, by task": [
                    {"task": t, **_rounded(row)} for t, row in zip(tasks, found.tasks, strict=True)
                ],
            },
            figures=figures,
            notes=_notes(var_sort, r2_sort, self.threshold, masks),
        )

    def _compare(
        self, coef: np.ndarray, orders: np.ndarray, truth: np.ndarray, true_order: Sequence[int] | None
    ) -> Comparison:
        return compare(
            coef, orders, truth, threshold=self.threshold, true_order=true_order, with_sid=self.sid
        )


class HeldOutEvaluator:
    """Mean log-likelihood of the test rows, in nats per row, beside two Gaussians that know no order."""

    metrics: Mapping[str, Literal["max", "min"]] = {
        "heldout_log_likelihood": "max",
        "gain_over_no_edges": "max",
    }

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        """Each task counts equally; means are those of the training rows."""
        if "test" not in data.splits():
            raise UserError(
                "the data hold out no rows",
                where="data of evaluator:heldout",
                why="rows that were used for fitting say nothing about new ones",
                cure="set held_out=0.2 on the data before fitting",
            )
        train, test = _items(data, "train", step), _items(data, "test", step)
        coef, _ = matched(subject, train)
        place, variances = _places(subject, train[0]["variables"]), likelihood.known_noise(subject)
        rows = []
        for number, (fitted, fresh) in enumerate(zip(train, test, strict=True)):
            known, samples = fitted["samples"], fresh["samples"]
            mask = fitted.get("intervened")
            counted = None if mask is None else ~mask
            noise = likelihood.noise_floor(variances[number][place], known)
            own = likelihood.log_likelihood(samples, coef[number], noise, known.mean(axis=0), counted).mean()
            none = likelihood.independent_likelihood(samples, known, counted).mean()
            row = {"id": fresh["id"], "task": fresh["task"], "heldout_log_likelihood": own, "no_edges": none}
            if counted is None or counted.all():
                row["no_graph"] = likelihood.unstructured_likelihood(samples, known).mean()
            rows.append({name: float(v) if isinstance(v, np.floating) else v for name, v in row.items()})
        mean = float(np.mean([row["heldout_log_likelihood"] for row in rows]))
        base = float(np.mean([row["no_edges"] for row in rows]))
        return Findings(
            values={"heldout_log_likelihood": mean, "gain_over_no_edges": mean - base},
            rows=rows,
            tables={"held-out log-likelihood, nats per row": [_rounded(row) for row in rows]},
            notes=[
                "no_edges: independent columns. no_graph: a Ledoit-Wolf Gaussian per task, without order or sharing.",
                "A likelihood cannot tell apart graphs that imply the same covariances.",
            ],
        )


def matched(subject: Any, items: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, p, p) and order (p,) of a subject, in the data's column order; UserError if they do not fit."""
    variables = items[0]["variables"]
    place = _places(subject, variables)
    coef = np.asarray(subject.coef_, dtype=float)
    if len(coef) != len(items):
        raise UserError(
            f"the fit has {len(coef)} tasks, the data have {len(items)}",
            where="data of the evaluator",
            why="graph k is judged on task k",
            cure="evaluate on the data of the run, or on data with the same tasks",
        )
    order = np.array([variables.index(name) for name in subject.order_])
    return coef[:, place][:, :, place], order


def _places(subject: Any, variables: Sequence[str]) -> np.ndarray:
    """Where each of the data's variables stands in the subject's arrays."""
    column = dict(zip(subject.order_, np.asarray(subject.order_index_).tolist(), strict=True))
    if set(column) != set(variables):
        only_fit = [name for name in column if name not in variables]
        only_data = [name for name in variables if name not in column]
        raise UserError(
            f"the fit and the data name different variables: {', '.join((only_fit + only_data)[:6])}",
            where="data of the evaluator",
            cure="evaluate on data with the variables of the run",
        )
    return np.array([column[name] for name in variables])


def _items(data: Dataset, split: str, step: Step) -> list[Mapping[str, Any]]:
    return [data.item(split, index, step) for index in range(data.length(split))]


def _truth_of(item: Mapping[str, Any]) -> np.ndarray:
    if "truth" not in item:
        raise UserError(
            f"task {item['task']} has no true graph",
            where="data of evaluator:graph",
            cure="set truth=FILE on the data, or use evaluator:heldout, which needs none",
        )
    return np.asarray(item["truth"])


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


def _known(**values: float) -> dict[str, float]:
    """Without NaN, which a graph without edges gives for sortability and JSON cannot hold."""
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _notes(
    var_sort: Sequence[float], r2_sort: Sequence[float], threshold: float, masks: Sequence[np.ndarray | None]
) -> list[str]:
    notes = [f"An edge counts when its weight is {threshold:g} or more."]
    if np.isfinite(var_sort).any():
        var, r2 = float(np.nanmean(var_sort)), float(np.nanmean(r2_sort))
        notes.append(
            f"Varsortability {var:.2f}, R2-sortability {r2:.2f} (0.5: says nothing; 1: sorting gives a causal order)."
        )
        if max(var, r2) >= _GIVEN_AWAY:
            notes.append(
                "A score of single columns gives the order away here: compare with the sorting controls, not with 0."
            )
    if any(mask is not None and mask.any() for mask in masks):
        notes.append(
            "Variables set from outside keep their edges in the true graph, also in tasks where they are cut."
        )
    return notes
