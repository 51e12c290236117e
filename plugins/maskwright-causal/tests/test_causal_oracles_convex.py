"""The convex part (order given) against other solvers, closed forms and the optimality conditions."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, MultiTaskLasso

from maskwright.step import Step
from maskwright_causal.acyclicity import shrink_pair
from maskwright_causal.bcd import shrink_block
from maskwright_causal.bcd import solve as solve_blocks
from maskwright_causal.convex import allowed_by_layers, allowed_by_order, fit_allowed, residual_variance
from maskwright_causal.estimator import OrderConsistentDAG
from maskwright_causal.generators import random, random_models, union_supports
from maskwright_causal.gram import Grams
from maskwright_causal.objective import (
    Penalty,
    gradient,
    group_norms,
    kkt_residuals,
    lambda_max,
    objective,
    penalty_value,
)


def problem(seed, variables, tasks, rows, union, edges):
    """Models, K tables and the edges that the true order allows."""
    step = Step(seed=seed)
    support, order = union_supports(variables, tasks, edges, union, variables, "out", False, step)
    models = random_models(support, order, step)
    tables = [models.rows(k, rows, step) for k in range(tasks)]
    return models, tables, allowed_by_order(order, ~np.eye(variables, dtype=bool))


@pytest.mark.parametrize("name", ["l1l2", "l1", "sparse-group"])
def test_own_solver_agrees_with_the_conic_one(name):
    _, tables, allowed = problem(0, 8, 4, 30, 14, 9)
    grams = Grams.from_rows(tables)
    penalty = Penalty.named(name, 0.3, 0.4)
    own, converged = fit_allowed(grams, allowed, penalty)
    conic, _ = fit_allowed(grams, allowed, penalty, backend="cvxpy")
    assert converged
    assert 0 < (group_norms(own) > 0).sum() < allowed.sum()  # neither empty nor full: the penalty is at work
    assert objective(grams, own, penalty) == pytest.approx(objective(grams, conic, penalty), rel=1e-7)
    np.testing.assert_allclose(own, conic, atol=1e-5)


@pytest.mark.parametrize(("rows", "strength"), [(6, 0.4), (25, 0.02), (200, 0.001)])
def test_own_solver_meets_the_optimality_conditions_where_it_is_hard(rows, strength):
    # Fewer rows than parents, nearly no penalty, strongly correlated parents.
    _, tables, allowed = problem(1, 15, 3, rows, 60, 40)
    grams = Grams.from_rows(tables)
    penalty = Penalty(group=strength)
    coef, converged = fit_allowed(grams, allowed, penalty)
    assert converged
    assert kkt_residuals(grams, coef, penalty, allowed).max() <= 1e-8 * np.abs(grams.second).max()


def test_value_of_the_solver_is_the_objective():
    _, tables, allowed = problem(2, 9, 3, 20, 14, 9)
    grams = Grams.from_rows(tables).weighted(np.linspace(0.2, 2, 27).reshape(3, 9))
    penalty = Penalty(single=0.1, group=0.2, factors=np.linspace(0.5, 2, 81).reshape(9, 9))
    found = solve_blocks(grams.second, grams.weights, np.arange(9), allowed.T, penalty)
    coef = np.moveaxis(found.coef, 0, 2)
    assert found.value.sum() == pytest.approx(objective(grams, coef, penalty), rel=1e-12)


def test_one_task_is_the_lasso():
    _, [table], allowed = problem(3, 10, 1, 40, 20, 15)
    coef, _ = fit_allowed(Grams.from_rows([table]), allowed, Penalty.named("l1l2", 0.2))
    centred = table - table.mean(axis=0)
    for node in np.flatnonzero(allowed.any(axis=0)):
        parents = np.flatnonzero(allowed[:, node])
        lasso = Lasso(alpha=0.2, fit_intercept=False, tol=1e-14, max_iter=100_000)
        lasso.fit(centred[:, parents], centred[:, node])
        np.testing.assert_allclose(coef[0, parents, node], lasso.coef_, atol=1e-6)


def test_tasks_with_one_design_are_the_multi_task_lasso():
    noise = random(Step(seed=4), "design")
    design = noise.standard_normal((30, 6)) @ noise.standard_normal((6, 6))
    targets = design[:, :2] @ noise.standard_normal((2, 5)) + noise.standard_normal((30, 5))
    tables = [np.column_stack([design, targets[:, k]]) for k in range(5)]
    allowed = np.zeros((7, 7), bool)
    allowed[:6, 6] = True
    coef, _ = fit_allowed(Grams.from_rows(tables), allowed, Penalty.named("l1l2", 0.4))
    peer = MultiTaskLasso(alpha=0.4, fit_intercept=False, tol=1e-14, max_iter=100_000)
    peer.fit(design - design.mean(axis=0), targets - targets.mean(axis=0))
    assert 0 < peer.coef_.any(axis=0).sum() < 6
    np.testing.assert_allclose(coef[:, :6, 6], peer.coef_, atol=1e-6)


def test_without_penalty_it_is_least_squares_and_the_cholesky_factor():
    models, tables, allowed = problem(5, 7, 2, 50, 12, 8)
    grams = Grams.from_rows(tables)
    coef, _ = fit_allowed(grams, allowed, Penalty())
    order = models.order
    for k, table in enumerate(tables):
        centred = table - table.mean(axis=0)
        for place in range(1, 7):
            answer = np.linalg.lstsq(centred[:, order[:place]], centred[:, order[place]], rcond=None)[0]
            np.testing.assert_allclose(coef[k][order[:place], order[place]], answer, atol=1e-9)
        factor = np.linalg.cholesky(grams.second[k][np.ix_(order, order)])
        unit = factor / np.diag(factor)
        np.testing.assert_allclose(
            coef[k][np.ix_(order, order)], np.eye(7) - np.linalg.inv(unit).T, atol=1e-9
        )
        np.testing.assert_allclose(residual_variance(grams, coef)[k][order], np.diag(factor) ** 2, rtol=1e-9)


@pytest.mark.parametrize("name", ["l1l2", "l1", "sparse-group"])
def test_lambda_max_is_where_the_first_edge_enters(name):
    _, tables, allowed = problem(6, 8, 3, 30, 14, 9)
    grams = Grams.from_rows(tables)
    unit = Penalty.named(name, 1.0, 0.3)
    top = lambda_max(grams, allowed, unit)
    at, _ = fit_allowed(grams, allowed, unit.scaled(top * (1 + 1e-9)))
    below, _ = fit_allowed(grams, allowed, unit.scaled(top * (1 - 1e-5)))
    assert not at.any()
    assert (group_norms(below) > 0).sum() == 1


def test_lambda_max_of_the_group_norm_is_the_largest_pull():
    _, tables, allowed = problem(6, 8, 3, 30, 14, 9)
    pulls = np.sqrt(sum(np.cov(t.T, bias=True) ** 2 for t in tables))
    assert lambda_max(Grams.from_rows(tables), allowed, Penalty(group=1.0)) == pytest.approx(
        pulls[allowed].max()
    )


@pytest.mark.parametrize("solver", ["dp", "convex", "topdown", "search", "topdown+search", "continuous"])
def test_every_solver_returns_an_optimum_for_its_order(solver):
    models, tables, _ = problem(7, 6, 3, 20, 9, 6)
    names = [f"v{j}" for j in range(6)]
    order = [names[j] for j in models.order] if solver == "convex" else None
    fitted = OrderConsistentDAG(solver, alpha=0.3, order=order).fit(tables, feature_names=names)
    coef, grams = fitted.penalised_coef_, Grams.from_rows(tables)
    allowed = allowed_by_order(fitted.order_index_, ~np.eye(6, dtype=bool))
    slope, norms = gradient(grams, coef), group_norms(coef)
    assert norms.any()
    assert not norms[~allowed].any()
    idle = allowed & (norms == 0)
    assert (group_norms(slope)[idle] <= 0.3 + 1e-7).all()
    active = norms > 0
    np.testing.assert_allclose(slope[:, active], -0.3 * coef[:, active] / norms[active], atol=1e-7)


def test_kkt_residuals_see_a_weight_that_is_off():
    _, tables, allowed = problem(7, 6, 3, 20, 9, 6)
    grams, penalty = Grams.from_rows(tables), Penalty(single=0.1, group=0.2)
    coef, _ = fit_allowed(grams, allowed, penalty)
    assert kkt_residuals(grams, coef, penalty, allowed).max() < 1e-7
    cause, effect = np.argwhere(group_norms(coef) > 0)[0]
    off = coef.copy()
    off[0, cause, effect] += 0.01
    assert kkt_residuals(grams, off, penalty, allowed)[cause, effect] > 1e-3
    # A group wrongly at zero is off by what its pull, shrunk by the single part, exceeds the group part.
    off[:, cause, effect] = 0.0
    pull = np.abs(gradient(grams, off)[:, cause, effect])
    excess = np.linalg.norm(np.maximum(pull - 0.1, 0)) - 0.2
    assert excess > 0.01
    assert kkt_residuals(grams, off, penalty, allowed)[cause, effect] == pytest.approx(excess)


def test_a_task_given_twice_counts_like_a_stronger_penalty():
    _, [table], allowed = problem(8, 8, 1, 30, 14, 10)
    once, _ = fit_allowed(Grams.from_rows([table]), allowed, Penalty(group=0.2))
    twice, _ = fit_allowed(Grams.from_rows([table, table]), allowed, Penalty(group=np.sqrt(2) * 0.2))
    np.testing.assert_allclose(twice[0], once[0], atol=1e-7)
    np.testing.assert_allclose(twice[1], once[0], atol=1e-7)


def test_block_step_is_the_proximal_map():
    import cvxpy as cp

    noise = random(Step(seed=9), "blocks")
    for group in (0.0, 0.5, 3.0, 50.0):
        pull, bend = 3 * noise.standard_normal(5), noise.uniform(0.2, 3, 5)
        own = shrink_block(pull[None], bend[None], np.array([group]), np.array([noise.uniform(0, 5)]))[0]
        x = cp.Variable(5)
        cost = 0.5 * cp.sum(cp.multiply(bend, cp.square(x))) - pull @ x + group * cp.norm(x, 2)
        cp.Problem(cp.Minimize(cost)).solve(solver=cp.CLARABEL)
        np.testing.assert_allclose(own, x.value, atol=1e-4)


def test_block_step_with_unit_curvature_is_the_textbook_shrinkage():
    pull = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(
        shrink_block(pull, np.ones((1, 2)), np.array([1.0]), np.zeros(1)), [[2.4, 3.2]], rtol=1e-14
    )
    assert not shrink_block(pull, np.ones((1, 2)), np.array([5.0]), np.array([7.0])).any()


def test_shrinkage_of_weight_and_gate():
    weights = random(Step(seed=10), "weights").standard_normal((1, 4, 4))
    shrunk, _ = shrink_pair(weights, np.ones((4, 4)), 0.3)
    np.testing.assert_allclose(shrunk, np.sign(weights) * np.maximum(np.abs(weights) - 0.3, 0), atol=1e-15)
    # One edge by hand: |G| = 5, T = -0.5; G loses 0.1 * 0.5 of its norm, T loses 0.1 * 5.
    shrunk, gate = shrink_pair(np.array([[[3.0]], [[4.0]]]), np.array([[-0.5]]), 0.1)
    np.testing.assert_allclose(shrunk.ravel(), np.array([3.0, 4.0]) * 4.95 / 5)
    assert gate[0, 0] == 0.0


def test_objective_from_moments_is_the_objective_from_rows():
    models, tables, _ = problem(11, 6, 3, 15, 9, 6)
    grams = Grams.from_rows(tables)
    penalty = Penalty(single=0.1, group=0.3)
    coef = models.weights
    by_rows = 0.0
    for table, weights in zip(tables, coef, strict=True):
        centred = table - table.mean(axis=0)
        by_rows += ((centred - centred @ weights) ** 2).sum() / (2 * len(table))
    by_rows += 0.1 * np.abs(coef).sum() + 0.3 * np.linalg.norm(coef, axis=0).sum()
    assert objective(grams, coef, penalty) == pytest.approx(by_rows, rel=1e-10)
    assert penalty_value(coef, penalty) > 0


def test_gradient_is_the_slope_of_the_loss():
    models, tables, _ = problem(11, 6, 3, 15, 9, 6)
    grams = Grams.from_rows(tables).weighted(np.linspace(0.1, 2, 18).reshape(3, 6))
    direction = random(Step(seed=11), "direction").standard_normal((3, 6, 6)) * ~np.eye(6, dtype=bool)
    step = 1e-5
    ahead = objective(grams, models.weights + step * direction, Penalty())
    behind = objective(grams, models.weights - step * direction, Penalty())
    slope = (gradient(grams, models.weights) * direction).sum()
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-7)


def test_a_fit_on_covariances_is_the_fit_on_rows():
    _, tables, _ = problem(12, 8, 3, 25, 14, 9)
    rows = OrderConsistentDAG("topdown+search").fit(tables)
    moments = OrderConsistentDAG("topdown+search").fit_covariance(
        np.stack([np.cov(t.T, bias=True) for t in tables]), [25, 25, 25]
    )
    assert moments.order_ == rows.order_
    np.testing.assert_allclose(moments.coef_, rows.coef_, atol=1e-8)


def test_layers_leave_out_edges_within_a_layer():
    allowed = allowed_by_layers([[2, 0], [1]], ~np.eye(3, dtype=bool))
    assert np.argwhere(allowed).tolist() == [[0, 1], [2, 1]]


def test_warm_start_and_cold_start_meet():
    _, tables, allowed = problem(13, 10, 4, 20, 25, 16)
    grams = Grams.from_rows(tables)
    far, _ = fit_allowed(grams, allowed, Penalty(group=0.05))
    warm, _ = fit_allowed(grams, allowed, Penalty(group=0.4), start=far)
    cold, _ = fit_allowed(grams, allowed, Penalty(group=0.4))
    np.testing.assert_allclose(warm, cold, atol=1e-7)
