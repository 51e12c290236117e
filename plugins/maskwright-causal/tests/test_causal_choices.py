"""What can be chosen: the penalty and its strength, refits, weights, noise, interventions, knowledge."""

import networkx as nx
import numpy as np
import pytest

from maskwright.step import Step
from maskwright_causal import OrderConsistentDAG
from maskwright_causal.convex import least_squares
from maskwright_causal.generators import random_models, union_supports
from maskwright_causal.gram import Grams
from maskwright_causal.graph_metrics import edge_metrics
from maskwright_causal.noise import unbiased_variance
from maskwright_causal.penalty_choice import information_criterion, theory_strength


def problem(seed, variables=6, tasks=3, rows=60, union=8, edges=6, **kind):
    step = Step(seed=seed)
    support, order = union_supports(variables, tasks, edges, union, variables, "out", False, step)
    models = random_models(support, order, step, **kind)
    return models, [models.rows(k, rows, step) for k in range(tasks)]


NAMES = [f"v{j}" for j in range(6)]


@pytest.mark.parametrize("rule", ["theory", "bic", "ebic", "cv"])
def test_every_rule_finds_most_of_a_clear_graph(rule):
    models, tables = problem(2, rows=150)
    fitted = OrderConsistentDAG(alpha=rule).fit(tables)
    wrong = [edge_metrics(fitted.coef_[k] != 0, models.support[k])["shd"] for k in range(3)]
    assert np.mean(wrong) <= 1
    assert fitted.alpha_ > 0
    if rule != "theory":
        assert len(fitted.alpha_path_["alpha"]) == 30
        best = np.argmin(fitted.alpha_path_["score"])
        assert 0 < best < 29  # neither the empty graph nor the weakest penalty
        assert fitted.alpha_ == fitted.alpha_path_["alpha"][best]


def test_theory_strength_is_the_formula_and_follows_the_units():
    noise = np.random.Generator(np.random.Philox(key=Step(seed=2).stream("noise")))
    for tasks, rows in ((1, 10), (8, 25)):
        strengths = []
        for _ in range(200):  # sigma = 1 by construction, whatever its estimate says in one draw
            grams = Grams.from_rows(noise.standard_normal((tasks, rows, 20)))
            strengths.append(theory_strength(grams))
        assert np.mean(strengths) == pytest.approx(0.5 * np.sqrt(tasks * np.log(20) / rows), rel=0.1)
    scaled = Grams.from_covariance(100 * grams.second, grams.counts)
    assert theory_strength(scaled) == pytest.approx(100 * strengths[-1])


def test_information_criterion_by_hand():
    _, [table] = problem(3, variables=3, tasks=1, rows=30, union=2, edges=2)
    support = np.zeros((1, 3, 3), bool)
    support[0, 0, 1] = True
    x = table - table.mean(axis=0)
    slope = (x[:, 0] @ x[:, 1]) / (x[:, 0] @ x[:, 0])
    variances = [x[:, 0].var(), (x[:, 1] - slope * x[:, 0]).var(), x[:, 2].var()]
    grams = Grams.from_rows([table])
    own = 30 * np.log(variances).sum() + np.log(30) + 4 * 0.5 * np.log(3)
    assert information_criterion(grams, support, 0.5, shared_noise=False) == pytest.approx(own)
    shared = 30 * 3 * np.log(np.mean(variances)) + np.log(30)
    assert information_criterion(grams, support, 0.0) == pytest.approx(shared)


def test_a_support_without_degrees_of_freedom_is_no_candidate():
    _, [table] = problem(3, variables=3, tasks=1, rows=3, union=3, edges=3)
    assert information_criterion(Grams.from_rows([table]), np.triu(np.ones((1, 3, 3)), 1) > 0, 0.0) == np.inf


def test_refit_takes_the_shrinkage_off():
    _, tables = problem(4, rows=200)
    plain, refit = (OrderConsistentDAG(alpha=0.3, refit=r).fit(tables) for r in ("none", "ols"))
    ridge = OrderConsistentDAG(alpha=0.3, refit="ridge").fit(tables)
    np.testing.assert_array_equal(plain.coef_ != 0, refit.coef_ != 0)
    np.testing.assert_allclose(refit.coef_, least_squares(Grams.from_rows(tables), refit.coef_ != 0))
    assert np.abs(plain.coef_).sum() < np.abs(ridge.coef_).sum() < np.abs(refit.coef_).sum()


def test_sparsity_is_shared_by_the_group_norm_only():
    _, tables = problem(5, tasks=4)
    supports = {
        name: OrderConsistentDAG(penalty=name, alpha=0.3, threshold=0).fit(tables).coef_ != 0
        for name in ("l1l2", "l1", "sparse-group")
    }
    together = {name: (s.any(axis=0) == s.all(axis=0)).all() for name, s in supports.items()}
    assert together == {"l1l2": True, "l1": False, "sparse-group": False}


def test_task_weights():
    _, tables = problem(6)
    tables = [tables[0], tables[1][:20], tables[2][:40]]
    by_rows = OrderConsistentDAG(alpha=0.2, task_weights="rows").fit(tables)
    by_hand = OrderConsistentDAG(alpha=0.2, task_weights=[1.5, 0.5, 1.0]).fit(tables)
    equal = OrderConsistentDAG(alpha=0.2).fit(tables)
    np.testing.assert_array_equal(by_rows.coef_, by_hand.coef_)
    assert not np.array_equal(by_rows.coef_, equal.coef_)


def test_an_intervention_drops_the_loss_of_its_variable():
    # v1 = 2 v0 + noise in both tasks, but in the second the experiment fixes v1 at random values.
    noise = np.random.Generator(np.random.Philox(key=Step(seed=7).stream("noise")))
    seen = noise.standard_normal((300, 2))
    seen[:, 1] += 2 * seen[:, 0]
    fixed = noise.standard_normal((300, 2)) * [1, 4]
    mask = np.array([[False, False], [False, True]])
    told = OrderConsistentDAG(alpha=0.05).fit([seen, fixed], interventions=mask)
    assert told.coef_[0, 0, 1] == pytest.approx(2, abs=0.2)
    assert not told.coef_[1].any()
    alone = OrderConsistentDAG(alpha=0.05).fit([seen])
    assert told.coef_[0, 0, 1] == pytest.approx(alone.coef_[0, 0, 1], abs=1e-9)
    # Held exactly constant it is still accepted, because the mask explains it.
    fixed[:, 1] = 3.0
    assert OrderConsistentDAG(alpha=0.05).fit([seen, fixed], interventions=mask).coef_[0, 0, 1] > 1.5


def test_background_knowledge_is_obeyed():
    _, tables = problem(8)
    fitted = OrderConsistentDAG("topdown+search", alpha=0.1, threshold=0).fit(tables, feature_names=NAMES)
    cause, effect = (NAMES[i] for i in np.argwhere(fitted.union_support_)[0])
    for solver in ("topdown", "search", "topdown+search", "dp", "continuous"):
        without = OrderConsistentDAG(solver, alpha=0.1, threshold=0, forbidden=[(cause, effect)])
        graph = nx.compose_all(without.fit(tables, feature_names=NAMES).graphs_)
        assert not graph.has_edge(cause, effect)
        turned = OrderConsistentDAG(solver, alpha=50.0, required=[(effect, cause)])
        assert nx.compose_all(turned.fit(tables, feature_names=NAMES).graphs_).edges == {(effect, cause)}
        tiers = [NAMES[3:], NAMES[:3]]
        tiered = OrderConsistentDAG(solver, alpha=0.1, tiers=tiers).fit(tables, feature_names=NAMES)
        assert set(tiered.order_[:3]) == set(NAMES[3:])


def test_a_given_order_is_used_as_it_is():
    _, tables = problem(9)
    order = ["v3", "v0", "v5", "v1", "v2", "v4"]
    fitted = OrderConsistentDAG("convex", order=order).fit(tables, feature_names=NAMES)
    assert fitted.order_ == order
    layers = [["v3", "v0", "v5"], ["v1", "v2", "v4"]]
    partial = OrderConsistentDAG("convex", alpha=0.01, threshold=0, order=layers).fit(
        tables, feature_names=NAMES
    )
    causes, effects = np.nonzero(partial.union_support_)
    assert set(causes) <= {0, 3, 5}
    assert set(effects) <= {1, 2, 4}
    assert len(causes) > 0


def test_unequal_noise_weights_the_loss():
    # One noisy sink: its large residual would otherwise decide where the penalty is spent.
    _, tables = problem(10, rows=400)
    loud = [t.copy() for t in tables]
    noise = np.random.Generator(np.random.Philox(key=Step(seed=10).stream("loud")))
    for table in loud:
        table[:, 5] = table[:, 0] + 6 * noise.standard_normal(400)
    fitted = OrderConsistentDAG(alpha=0.2, noise="unknown").fit(loud)
    plain = OrderConsistentDAG(alpha=0.2).fit(loud)
    assert fitted.converged_
    assert fitted.noise_variance_[:, 5].min() > 25
    assert not np.allclose(fitted.coef_, plain.coef_)


def test_noise_variances_are_unbiased_with_many_parents():
    noise = np.random.Generator(np.random.Philox(key=Step(seed=11).stream("noise")))
    grams = Grams.from_rows(noise.standard_normal((400, 10, 5)))
    coef = least_squares(grams, np.triu(np.ones((5, 5), bool), 1))
    # 10 rows, the mean and up to 4 parents: without counting both the last would come out as 0.5.
    np.testing.assert_allclose(unbiased_variance(grams, coef).mean(axis=0), 1.0, atol=0.12)


def test_a_loud_table_does_not_drown_the_others():
    _, tables = problem(10, rows=100)
    loud = [tables[0], tables[1], 10 * tables[2]]
    quiet_fit = OrderConsistentDAG(alpha=0.2, noise="unknown").fit(tables)
    # The weights have geometric mean 1, so the same balance of loss and penalty is reached at 0.2 * 100^(1/3).
    loud_fit = OrderConsistentDAG(alpha=0.2 * 100 ** (1 / 3), noise="unknown").fit(loud)
    assert quiet_fit.converged_ and loud_fit.converged_
    assert loud_fit.order_ == quiet_fit.order_
    np.testing.assert_allclose(loud_fit.coef_, quiet_fit.coef_, atol=5e-3)
