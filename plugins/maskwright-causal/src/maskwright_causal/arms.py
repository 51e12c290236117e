"""The same estimator used three ways: jointly, on each table alone, on all rows as one table."""

import warnings
from collections.abc import Callable
from typing import Literal

import attrs
import numpy as np

from maskwright_causal.estimator import OrderConsistentDAG
from maskwright_causal.order_dag import TaskTables
from maskwright_causal.tables_in import DataWarning

Use = Literal["joint", "separate", "pooled"]

Make = Callable[[], OrderConsistentDAG]
"""Gives a fresh, unfitted estimator."""


@attrs.frozen(eq=False)
class ArmFit:
    """What one way of fitting gives for K tables."""

    coef: np.ndarray  # float64 (K, p, p)
    orders: np.ndarray  # int64 (K, p), causes first; equal rows unless tables were fitted apart

    def restricted(self, tasks: slice) -> "ArmFit":
        return ArmFit(self.coef[tasks], self.orders[tasks])


def fit_joint(make: Make, tables: TaskTables, masks: np.ndarray | None = None, group: int = 0) -> ArmFit:
    """One fit for each `group` tables in a row (0: all at once); group 1 is the separate arm.

    `masks`: bool (K, p), variables set from outside, whose own equation is then not fitted.
    """
    coefs, orders = [], []
    for part in _groups(tables, group):
        named = dict(zip(tables.names[part], tables.rows[part], strict=True))
        mask = None if masks is None else masks[part]
        model = make().fit(named, feature_names=tables.variables, interventions=mask)
        coefs.append(model.coef_)
        orders += [model.order_index_] * len(named)
    return ArmFit(np.concatenate(coefs), np.stack(orders))


def fit_pooled(make: Make, tables: TaskTables, group: int = 0) -> ArmFit:
    """All rows of a group, each table centred on its own, as one table with one graph.

    Interventions cannot be told apart there: the rows of a task in which a variable was set count like all others.
    """
    coefs, orders = [], []
    for part in _groups(tables, group):
        rows = tables.rows[part]
        stacked = np.concatenate([table - table.mean(axis=0) for table in rows])
        model = make().fit({"all rows": stacked}, feature_names=tables.variables)
        coefs += [model.coef_[0]] * len(rows)
        orders += [model.order_index_] * len(rows)
    return ArmFit(np.stack(coefs), np.stack(orders))


def _groups(tables: TaskTables, group: int) -> list[slice]:
    count = len(tables.rows)
    size = group or count
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def fit_arm(
    use: Use, make: Make, tables: TaskTables, masks: np.ndarray | None = None, group: int = 0
) -> ArmFit:
    """One of the three ways; `group` tables share a fit in the joint and pooled arms."""
    with warnings.catch_warnings():
        # What a fit has to say about its data was said once, by the fit that the run keeps.
        warnings.simplefilter("ignore", DataWarning)
        if use == "pooled":
            return fit_pooled(make, tables, group)
        return fit_joint(make, tables, masks, 1 if use == "separate" else group)


def unit_columns(tables: TaskTables) -> TaskTables:
    """Every column of every table with mean 0 and variance 1: takes the order of variances away.

    A column that an intervention holds constant stays at 0.
    """
    rows = []
    for table in tables.rows:
        deviation = table.std(axis=0)
        rows.append((table - table.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
    return attrs.evolve(tables, rows=rows)
