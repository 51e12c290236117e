"""Each limit from both sides: a case just inside it and one just outside, and rules that only a rare case needs."""

import itertools
import re
import warnings

import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal import continuous
from maskwright_causal.bcd import solve as solve_blocks
from maskwright_causal.convex import allowed_by_order, fit_allowed
from maskwright_causal.estimator import OrderConsistentDAG
from maskwright_causal.generators import random, random_models, union_supports
from maskwright_causal.gram import Grams
from maskwright_causal.lattice import optimal_order
from maskwright_causal.objective import Penalty, gradient, group_norms, objective
from maskwright_causal.tables_in import DataWarning, TableError
from maskwright_causal.topdown import topdown_order


def problem(seed, variables, tasks, rows, union, edges):
    step = Step(seed=seed)
    support, order = union_supports(variables, tasks, edges, union, variables, "out", False, step)
    models = random_models(support, order, step)
    return models, [models.rows(k, rows, step) for k in range(tasks)]


def orthogonal_columns(rows, columns):
    """Centred columns (rows, columns) of variance 1 with correlation 0, up to rounding."""
    noise = random(Step(seed=1), "columns").standard_normal((rows, columns))
    return np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt(rows)


def fit_rows_of(variances):
    """A fit on uncorrelated columns with exactly these variances in both of two tables."""
    table = orthogonal_columns(40, len(variances)) * np.sqrt(variances)
    return OrderConsistentDAG(alpha=0.1).fit([table, table])


def fit_moments_of(variances):
    """The same fit on covariances."""
    return OrderConsistentDAG(alpha=0.1).fit_covariance(np.stack([np.diag(variances)] * 2), [40, 40])


def data_warnings(fit, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*arguments)
    return "\n".join(str(w.message) for w in caught if w.category is DataWarning)


@pytest.mark.parametrize("fit", [fit_rows_of, fit_moments_of])
def test_a_ratio_of_scales_is_reported_from_1000_on(fit):
    assert "the scales differ" not in data_warnings(fit, [1.0, 4.0, 999.0**2])
    text = data_warnings(fit, [1.0, 4.0, 1001.0**2])
    assert "the scales differ by a factor of 1001 ('x0' to 'x2')" in text
    assert "varsortability of the fitted graphs" in text


@pytest.mark.parametrize("fit", [fit_rows_of, fit_moments_of])
def test_variances_within_one_percent_look_standardised(fit):
    assert "the columns look standardised" in data_warnings(fit, [1.0, 1.005, 1.0099])
    assert "the columns look standardised" not in data_warnings(fit, [1.0, 1.005, 1.0101])


def test_columns_count_as_the_same_only_within_rounding():
    first, second, third = orthogonal_columns(30, 3).T

    def table(gap):
        """Columns 0 and 1 with correlation 1 - gap, up to gap^2."""
        return np.column_stack([first, first + np.sqrt(2 * gap) * second, 2 * third])

    for gap in (5e-4, 2e-10):
        assert np.isfinite(OrderConsistentDAG(alpha=0.1).fit(table(gap)).coef_).all()
    with pytest.raises(TableError, match="columns 'x0' and 'x1' of table 0 are the same up to scale and"):
        OrderConsistentDAG(alpha=0.1).fit(table(5e-11))


@pytest.mark.parametrize(
    ("interventions", "shape"),
    [
        (np.zeros((1, 3)), "(1, 3)"),
        (np.zeros(3), "(3,)"),
        (np.zeros((3, 2)), "(3, 2)"),
        ([[True], [False, True, True]], "a ragged list"),
    ],
)
def test_interventions_of_covariances_have_one_entry_per_task_and_variable(interventions, shape):
    with pytest.raises(UserError) as caught:
        OrderConsistentDAG().fit_covariance(
            np.stack([np.diag([1.0, 2, 3])] * 2), [40, 40], interventions=interventions
        )
    assert str(caught.value).splitlines() == [
        f"interventions must have shape (tasks, variables) = (2, 3), not {shape}",
        "  where: interventions",
        "  why:   each entry says of one variable in one task whether its loss counts",
        "  do:    give one row per table and one column per variable, True where the variable was set",
    ]


def test_zero_variance_in_a_covariance_is_a_constant_column():
    covariances = np.stack([np.diag([1.0, 2, 3]), np.diag([1.0, 0, 3])])
    model = OrderConsistentDAG(alpha=0.1)
    text = "variable 'b' of task 1 is constant (variance 0)\n  where: covariances[1], row and column 1\n"
    text += (
        "  why:   a constant has no causes and no effects that data could show\n  do:    drop the variable"
    )
    with pytest.raises(UserError, match=re.escape(text)):
        model.fit_covariance(covariances, [40, 40], feature_names=list("abc"))
    # Where an experiment held it fixed it is allowed; so is a variance that is only small.
    held = np.array([[False, False, False], [False, True, False]])
    assert np.isfinite(model.fit_covariance(covariances, [40, 40], interventions=held).coef_).all()
    covariances[1, 1, 1] = 1e-20
    assert np.isfinite(model.fit_covariance(covariances, [40, 40]).coef_).all()


def test_topdown_places_what_is_left_by_marginal_variance_once_the_rows_are_spent():
    # Five rows leave four degrees of freedom: from the fifth node on every conditional variance is zero.
    for seed in range(3):
        _, tables = problem(seed, 12, 2, 5, 16, 12)
        grams = Grams.from_rows(tables)
        order = topdown_order(grams)
        marginal = np.einsum("kii->i", grams.second)
        rest = order[4:]
        assert rest.tolist() == rest[np.argsort(marginal[rest])].tolist()


def test_lattice_keeps_to_the_tiers_when_a_better_order_breaks_them():
    models, tables = problem(2, 4, 3, 60, 6, 5)
    grams, penalty, possible = Grams.from_rows(tables), Penalty(group=0.1), ~np.eye(4, dtype=bool)
    first, last = models.order[0], models.order[-1]
    before = np.zeros((4, 4), bool)
    before[last, first] = True

    def cost(order):
        coef, _ = fit_allowed(grams, allowed_by_order(order, possible), penalty)
        return objective(grams, coef, penalty)

    kept = [o for o in itertools.permutations(range(4)) if o.index(last) < o.index(first)]
    unbound, least = optimal_order(grams, penalty, possible, np.zeros((4, 4), bool))
    assert tuple(unbound) not in kept
    order, value = optimal_order(grams, penalty, possible, before)
    assert tuple(order) in kept
    assert value == pytest.approx(min(map(cost, kept)), abs=1e-8)
    assert value > least + 0.01


def test_exact_solver_keeps_to_the_tiers_of_the_estimator():
    models, tables = problem(2, 4, 3, 60, 6, 5)
    names = [f"v{j}" for j in range(4)]
    first, last = names[models.order[0]], names[models.order[-1]]
    free = OrderConsistentDAG("dp", alpha=0.1).fit(tables, feature_names=names).order_
    assert free.index(first) < free.index(last)
    # Without edges out of `last` nothing but the tiers asks for it early.
    silent = [(last, name) for name in names if name != last]
    tiered = OrderConsistentDAG("dp", alpha=0.1, tiers=[[last], [first]], forbidden=silent)
    order = tiered.fit(tables, feature_names=names).order_
    assert order.index(last) < order.index(first)


def test_the_pull_opens_more_of_the_gate(monkeypatch):
    last_gate = []
    order_of_gate = continuous.order_of_gate
    monkeypatch.setattr(
        continuous,
        "order_of_gate",
        lambda gate, before: last_gate.append(gate) or order_of_gate(gate, before),
    )
    free = ~np.eye(6, dtype=bool), np.zeros((6, 6), bool)
    grams = [Grams.from_rows(problem(seed, 6, 3, 60, 8, 6)[1]) for seed in range(3)]
    for tables in grams:
        assert continuous.gate_order(tables, Penalty(group=0.3), *free)[1]
    monkeypatch.setattr(continuous, "PULL", 0.0)
    for tables in grams:
        continuous.gate_order(tables, Penalty(group=0.3), *free)
    open_ = [int((gate > 0.5).sum()) for gate in last_gate]
    assert all(pulled > left for pulled, left in zip(open_[:3], open_[3:], strict=True))
    assert max(open_) <= 15  # never more than the full triangle of six nodes


@pytest.mark.parametrize("name", ["l1", "sparse-group"])
@pytest.mark.parametrize("solver", ["dp", "topdown", "search", "topdown+search", "continuous"])
def test_optimality_conditions_of_the_other_penalties(solver, name):
    _, tables = problem(7, 6, 3, 20, 9, 6)
    fitted = OrderConsistentDAG(solver, name, alpha=0.3, l1_ratio=0.4).fit(tables)
    single, group = {"l1": (0.3, 0.0), "sparse-group": (0.12, 0.18)}[name]
    coef = fitted.penalised_coef_
    slope, norms = gradient(Grams.from_rows(tables), coef), group_norms(coef)
    allowed = allowed_by_order(fitted.order_index_, ~np.eye(6, dtype=bool))
    active, idle = norms > 0, allowed & (norms == 0)
    assert active.any()
    assert idle.any()
    assert not norms[~allowed].any()
    left = np.maximum(np.abs(slope) - single, 0)
    assert (group_norms(left)[idle] <= group + 1e-7).all()
    toward = slope + group * coef / np.where(active, norms, 1.0)
    moving, resting = coef != 0, active & (coef == 0)
    assert resting.any()  # single tasks at zero within an edge that others have
    np.testing.assert_allclose(toward[moving], -single * np.sign(coef[moving]), atol=1e-7)
    assert (np.abs(toward[resting]) <= single + 1e-7).all()


@pytest.mark.parametrize("name", ["l1l2", "l1", "sparse-group"])
def test_nearly_no_penalty_is_nearly_least_squares(name):
    models, tables = problem(5, 7, 2, 50, 12, 8)
    grams, order = Grams.from_rows(tables), models.order
    allowed = allowed_by_order(order, ~np.eye(7, dtype=bool))
    found = solve_blocks(
        grams.second, grams.weights, np.arange(7), allowed.T, Penalty.named(name, 1e-9), tol=1e-10
    )
    assert found.converged.all()
    for k, table in enumerate(tables):
        centred = table - table.mean(axis=0)
        for place in range(1, 7):
            answer = np.linalg.lstsq(centred[:, order[:place]], centred[:, order[place]], rcond=None)[0]
            np.testing.assert_allclose(found.coef[order[place], k, order[:place]], answer, atol=1e-6)
