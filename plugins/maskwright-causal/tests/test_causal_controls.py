"""Sortability by its definition, and the sorting controls."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from maskwright.step import Step
from maskwright_causal.controls import lasso_by_bic, sort_and_regress
from maskwright_causal.data_sets import paper_models
from maskwright_causal.generators import random
from maskwright_causal.graph_metrics import compare, order_errors
from maskwright_causal.params_data import Sem
from maskwright_causal.sortability import (
    r2_scores,
    r2_sortability,
    sortability,
    variance_scores,
    varsortability,
)


def problem(rows=200, tasks=4, seed=0, **changes):
    settings = Sem(variables=12, edges=10, union=24, tasks=tasks, rows=rows, **changes)
    models = paper_models(settings, Step(seed=seed))
    return models, [models.rows(task, rows, Step(seed=seed)) for task in range(tasks)]


def test_a_chain_counts_every_path():
    # 0 -> 1 -> 2 has the paths 01, 12 (length 1) and 02 (length 2).
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert sortability(np.array([1.0, 2.0, 3.0]), chain) == 1
    assert sortability(np.array([3.0, 2.0, 1.0]), chain) == 0
    assert sortability(np.array([1.0, 3.0, 2.0]), chain) == pytest.approx(2 / 3)
    assert sortability(np.array([1.0, 1.0, 2.0]), chain) == pytest.approx(
        (0.5 + 1 + 1) / 3
    )  # a tie is a half
    assert np.isnan(sortability(np.arange(3.0), np.zeros((3, 3), bool)))


def test_a_pair_counts_once_for_each_length_of_its_paths():
    # 0 -> 1 -> 2 and 0 -> 2: the pair (0, 2) is joined at lengths 1 and 2.
    triangle = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert sortability(np.array([2.0, 3.0, 1.0]), triangle) == pytest.approx(1 / 4)


def test_r2_scores_are_those_of_the_regressions():
    _, tables = problem()
    wanted = []
    for column in range(12):
        others = np.delete(tables[0], column, axis=1)
        wanted.append(
            LinearRegression().fit(others, tables[0][:, column]).score(others, tables[0][:, column])
        )
    np.testing.assert_allclose(r2_scores(tables[0]), wanted, atol=1e-9)


def test_units_move_varsortability_but_not_r2_sortability():
    models, tables = problem()
    scale = 10.0 ** random(Step(), "units").integers(-3, 4, size=12)
    truth = models.support[0]
    assert varsortability(tables[0], truth) > 0.85
    assert varsortability(tables[0] * scale, truth) < 0.85
    assert r2_sortability(tables[0] * scale, truth) == pytest.approx(r2_sortability(tables[0], truth))


def test_few_rows_still_give_r2_scores_below_one():
    scores = r2_scores(random(Step(), "rows").standard_normal((8, 20)))
    assert ((scores >= 0) & (scores < 0.9)).all()


def test_pooling_tasks_improves_the_order_of_the_variance_control():
    errors = {"joint": [], "separate": []}
    for seed in range(6):
        models, tables = problem(rows=10, tasks=16, seed=seed)
        for arm, found in errors.items():
            control = sort_and_regress(tables, "variance", arm)
            each = [
                order_errors(order, truth[None])[0]
                for order, truth in zip(control.orders, models.support, strict=True)
            ]
            found.append(np.mean(each))
    assert np.mean(errors["joint"]) < np.mean(errors["separate"])


def test_the_control_recovers_sorted_data_and_standardising_takes_it_away():
    models, tables = problem(rows=1000)
    control = sort_and_regress(tables)
    assert compare(control.coef, control.orders, models.weights).overall["tpr"] > 0.8
    standard = [table / table.std(axis=0) for table in tables]
    lost = sort_and_regress(standard)
    assert compare(lost.coef, lost.orders, models.weights).overall["order_error"] > 0.25


def test_arms():
    _, tables = problem(rows=30)
    joint, separate, pooled = (sort_and_regress(tables, "r2", arm) for arm in ("joint", "separate", "pooled"))
    assert (joint.orders == joint.orders[0]).all() and not (separate.orders == separate.orders[0]).all()
    assert (pooled.coef == pooled.coef[0]).all() and not (joint.coef == joint.coef[0]).all()
    assert (
        np.argsort(np.mean([variance_scores(t) for t in tables], axis=0)).tolist()
        == sort_and_regress(tables).orders[0].tolist()
    )


def test_edges_run_along_the_order_only():
    _, tables = problem(rows=15)
    control = sort_and_regress(tables)
    assert order_errors(control.orders[0], control.coef != 0).max() == 0


def test_the_lasso_keeps_what_matters_and_works_with_fewer_rows_than_columns():
    generator = random(Step(seed=4), "lasso")
    features = generator.standard_normal((300, 6))
    features -= features.mean(axis=0)
    weights = lasso_by_bic(features, 2 * features[:, 1] + 0.1 * generator.standard_normal(300))
    assert np.flatnonzero(np.abs(weights) > 0.05).tolist() == [1]
    wide = generator.standard_normal((10, 30))
    found = lasso_by_bic(wide, 3 * wide[:, 2])
    assert np.isfinite(found).all() and (found != 0).sum() < 5
    # Pure noise could be fitted without any residual by ten columns: BIC would fall without bound.
    assert (lasso_by_bic(wide, generator.standard_normal(10)) != 0).sum() < 5
