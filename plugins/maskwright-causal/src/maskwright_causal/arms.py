"""The same estimator used three ways: jointly, on each table alone, on all rows as one table."""

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import attrs
import numpy as np

from maskwright_causal.estimator import OrderConsistentDAG
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


def fit_joint(
    make: Make, tables: Sequence[np.ndarray], masks: np.ndarray | None = None, group: int = 0
) -> ArmFit:
    """One fit for each `group` tables in a row (0: all at once); group 1 is the separate arm.

    `masks`: bool (K, p), variables set from outside, whose own equation is then not fitted.
    """
    size = group or len(tables)
    coefs, orders = [], []
    for start in range(0, len(tables), size):
        chunk = list(tables[start : start + size])
        mask = None if masks is None else masks[start : start + size]
        model = make().fit(chunk, interventions=mask)
        coefs.append(model.coef_)
        orders += [model.order_index_] * len(chunk)
    return ArmFit(np.concatenate(coefs), np.stack(orders))


def fit_pooled(make: Make, tables: Sequence[np.ndarray], group: int = 0) -> ArmFit:
    """All rows of a group, each table centred on its own, as one table with one graph."""
    size = group or len(tables)
    coefs, orders = [], []
    for start in range(0, len(tables), size):
        chunk = tables[start : start + size]
        model = make().fit([np.concatenate([table - table.mean(axis=0) for table in chunk])])
        coefs += [model.coef_[0]] * len(chunk)
        orders += [model.order_index_] * len(chunk)
    return ArmFit(np.stack(coefs), np.stack(orders))


def fit_arm(
    use: Use, make: Make, tables: Sequence[np.ndarray], masks: np.ndarray | None = None, group: int = 0
) -> ArmFit:
    """One of the three ways; `group` tables share a fit in the joint and pooled arms."""
    with warnings.catch_warnings():
        # What a fit has to say about its data was said once, by the fit that the run keeps.
        warnings.simplefilter("ignore", DataWarning)
        if use == "pooled":
            return fit_pooled(make, tables, group)
        return fit_joint(make, tables, masks, 1 if use == "separate" else group)


def unit_columns(tables: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Every column of every table with mean 0 and variance 1: takes the order of variances away."""
    return [(table - table.mean(axis=0)) / table.std(axis=0) for table in tables]
