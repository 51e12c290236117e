"""OrderConsistentDAG as its users meet it: forms of input, choices, results, files."""

import json
import subprocess
import sys
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal import OrderConsistentDAG, solvers
from maskwright_causal.generators import random_models, union_supports
from maskwright_causal.graph_metrics import order_error
from maskwright_causal.search import local_search
from maskwright_causal.tables_in import DataWarning


def problem(seed, variables=6, tasks=3, rows=60, union=8, edges=6, **kind):
    step = Step(seed=seed)
    support, order = union_supports(variables, tasks, edges, union, variables, "out", False, step)
    models = random_models(support, order, step, **kind)
    return models, [models.rows(k, rows, step) for k in range(tasks)]


NAMES = [f"v{j}" for j in range(6)]


def test_all_forms_of_input_give_one_answer():
    _, tables = problem(0)
    wanted = OrderConsistentDAG().fit(tables, feature_names=NAMES)
    frames = [pd.DataFrame(t, columns=NAMES) for t in tables]
    stacked = np.concatenate(tables)
    labels = np.repeat(["a", "b", "c"], 60)
    for fitted in (
        OrderConsistentDAG().fit(np.stack(tables), feature_names=NAMES),
        OrderConsistentDAG().fit(frames),
        OrderConsistentDAG().fit(
            {"one": tables[0], "two": tables[1], "three": frames[2]}, feature_names=NAMES
        ),
        OrderConsistentDAG().fit(stacked, groups=labels, feature_names=NAMES),
        OrderConsistentDAG().fit(pd.DataFrame(stacked, columns=NAMES), groups=labels),
    ):
        np.testing.assert_array_equal(fitted.coef_, wanted.coef_)
        assert fitted.order_ == wanted.order_
    assert fitted.task_names_ == ["a", "b", "c"]


def test_columns_in_another_order_are_aligned_by_name():
    _, tables = problem(0)
    frames = [pd.DataFrame(t, columns=NAMES) for t in tables]
    wanted = OrderConsistentDAG().fit(frames)
    frames[1] = frames[1][NAMES[::-1]]
    with pytest.warns(
        DataWarning, match="table 1 has its columns in another order than table 0; aligned by name"
    ):
        fitted = OrderConsistentDAG().fit(frames)
    np.testing.assert_array_equal(fitted.coef_, wanted.coef_)


def test_results_hang_together():
    models, tables = problem(1)
    fitted = OrderConsistentDAG().fit(tables, feature_names=NAMES)
    assert fitted.coef_.shape == (3, 6, 6)
    assert [NAMES[j] for j in fitted.order_index_] == fitted.order_
    np.testing.assert_array_equal(fitted.union_support_, (fitted.coef_ != 0).any(axis=0))
    assert np.abs(fitted.coef_[fitted.coef_ != 0]).min() >= 0.3
    for k, graph in enumerate(fitted.graphs_):
        assert nx.is_directed_acyclic_graph(graph)
        assert list(graph.nodes) == NAMES
        np.testing.assert_array_equal(nx.to_numpy_array(graph, nodelist=NAMES), fitted.coef_[k])
        assert graph.nodes["v2"]["noise_variance"] == fitted.noise_variance_[k, 2]
    union = nx.compose_all(fitted.graphs_)
    place = {name: i for i, name in enumerate(fitted.order_)}
    assert all(place[a] < place[b] for a, b in union.edges)
    assert order_error(fitted.order_index_, models.support) == 0
    np.testing.assert_allclose(fitted.noise_variance_, 1.0, atol=0.6)


def test_score_is_the_gaussian_log_likelihood():
    from scipy.stats import multivariate_normal

    _, tables = problem(11)
    fitted = OrderConsistentDAG().fit(tables)
    total = []
    for k, table in enumerate(tables):
        inverse = np.linalg.inv(np.eye(6) - fitted.coef_[k])
        covariance = inverse.T @ np.diag(fitted.noise_variance_[k]) @ inverse
        total.append(multivariate_normal(fitted.means_[k], covariance).logpdf(table))
    assert fitted.score(tables) == pytest.approx(np.concatenate(total).mean(), rel=1e-9)


def test_transform_gives_the_noise():
    _, tables = problem(12, rows=300)
    fitted = OrderConsistentDAG(refit="ols").fit(tables)
    residuals = fitted.transform(tables)
    assert [r.shape for r in residuals] == [(300, 6)] * 3
    correlation = np.corrcoef(residuals[0].T) - np.eye(6)
    assert np.abs(correlation).max() < 0.25 < np.abs(np.corrcoef(tables[0].T) - np.eye(6)).max()
    single = OrderConsistentDAG().fit(tables[0])
    assert single.transform(tables[0][:1]).shape == (1, 6)


def test_drawn_rows_have_the_fitted_moments():
    _, tables = problem(13, rows=500)
    fitted = OrderConsistentDAG(refit="ols").fit([t + 5 for t in tables])
    rows = fitted.sample(20_000, task=1)
    inverse = np.linalg.inv(np.eye(6) - fitted.coef_[1])
    covariance = inverse.T @ np.diag(fitted.noise_variance_[1]) @ inverse
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(rows.mean(axis=0) / spread, fitted.means_[1] / spread, atol=0.04)
    np.testing.assert_allclose(
        np.cov(rows.T) / np.outer(spread, spread), covariance / np.outer(spread, spread), atol=0.04
    )
    np.testing.assert_array_equal(rows, fitted.sample(20_000, task=1))
    assert not np.array_equal(rows, fitted.sample(20_000, task=1, random_state=1))


def test_an_intervention_moves_what_lies_downstream_and_nothing_else():
    _, tables = problem(14, rows=300)
    fitted = OrderConsistentDAG().fit(tables, feature_names=NAMES)
    graph = fitted.graphs_[0]
    cause = next(n for n in fitted.order_ if graph.out_degree(n))
    effect = next(iter(graph.successors(cause)))
    low, high = (fitted.do({cause: v}, n=50) for v in (0.0, 1.0))
    assert (high[:, NAMES.index(cause)] == 1).all()
    moved = {name for j, name in enumerate(NAMES) if not np.allclose(low[:, j], high[:, j])}
    assert moved == nx.descendants(graph, cause) | {cause}
    inverse = np.linalg.inv(np.eye(6) - fitted.coef_[0])
    total = (high - low)[:, NAMES.index(effect)]
    np.testing.assert_allclose(total, inverse[NAMES.index(cause), NAMES.index(effect)], rtol=1e-9)


def test_stability_is_high_for_real_edges():
    models, tables = problem(15, rows=200)
    fitted = OrderConsistentDAG().fit(tables)
    seen = fitted.stability(n_boot=8)
    assert seen.fits == 8
    assert seen.per_task[models.support].mean() > 0.9
    assert seen.per_task[~models.support].mean() < 0.1
    np.testing.assert_allclose(seen.ahead + seen.ahead.T, 1 - np.eye(6))
    again = fitted.stability(n_boot=8, n_jobs=2)
    np.testing.assert_array_equal(again.per_task, seen.per_task)


def test_save_and_load(tmp_path):
    _, tables = problem(16)
    fitted = OrderConsistentDAG("search", alpha=0.2, tiers=[NAMES[:3], NAMES[3:]], restarts=1)
    fitted.fit(dict(zip(["a", "b", "c"], tables, strict=True)), feature_names=NAMES)
    fitted.save(tmp_path / "model")
    assert sorted(f.name for f in (tmp_path / "model").iterdir()) == ["arrays.npz", "model.json"]
    loaded = OrderConsistentDAG.load(tmp_path / "model")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.order_ == fitted.order_
    assert loaded.task_names_ == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded.coef_, fitted.coef_)
    assert loaded.score(tables) == fitted.score(tables)
    np.testing.assert_array_equal(loaded.sample(3, task="b"), fitted.sample(3, task="b"))
    np.testing.assert_array_equal(loaded.stability(3, X=tables).union, fitted.stability(3).union)
    with pytest.raises(UserError, match="stability needs rows, and this model holds none"):
        loaded.stability(3)


def test_loading_runs_no_code_and_refuses_damage(tmp_path):
    _, tables = problem(16)
    folder = tmp_path / "model"
    OrderConsistentDAG().fit(tables).save(folder)
    arrays = dict(np.load(folder / "arrays.npz"))

    with pytest.raises(UserError, match="there is no saved model in .*elsewhere"):
        OrderConsistentDAG.load(tmp_path / "elsewhere")
    np.savez(folder / "arrays.npz", **{**arrays, "means": np.array([object()])}, allow_pickle=True)
    with pytest.raises(UserError, match="(?s)is damaged.*allow_pickle=False"):
        OrderConsistentDAG.load(folder)
    np.savez(folder / "arrays.npz", **{**arrays, "coef": arrays["coef"][:2]})
    with pytest.raises(
        UserError, match=r"(?s)is damaged.*coef has shape \(2, 6, 6\), 3 tasks of 6 variables"
    ):
        OrderConsistentDAG.load(folder)
    np.savez(folder / "arrays.npz", **{**arrays, "order_index": np.zeros(6, int)})
    with pytest.raises(UserError, match="(?s)is damaged.*not a permutation"):
        OrderConsistentDAG.load(folder)
    (folder / "arrays.npz").write_bytes(b"PK not really")
    with pytest.raises(UserError, match="is damaged"):
        OrderConsistentDAG.load(folder)
    text = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**text, "format": 9}))
    np.savez(folder / "arrays.npz", **arrays)
    with pytest.raises(UserError, match="has format 9, this version reads 1"):
        OrderConsistentDAG.load(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        OrderConsistentDAG.load(folder)


def test_ctrl_c_in_the_search_keeps_the_best_order_so_far(monkeypatch):
    _, tables = problem(17, variables=7, union=12, edges=9, rows=12)
    full = OrderConsistentDAG("search", alpha=0.3).fit(tables)
    accepted = []

    def interrupted(costs, start, before, watch=None):
        def stop(order):
            accepted.append(order)
            if len(accepted) == 2:
                raise KeyboardInterrupt

        return local_search(costs, start, before, stop)

    monkeypatch.setattr("maskwright_causal.search.local_search", interrupted)
    with pytest.warns(DataWarning, match="the solver stopped early; this is the best order it had"):
        cut = OrderConsistentDAG("search", alpha=0.3).fit(tables)
    assert full.converged_
    assert not cut.converged_
    assert cut.order_index_.tolist() == accepted[1].tolist()


@pytest.mark.parametrize(
    ("solver", "inner"), [("dp", "solvers.optimal_order"), ("continuous", "continuous.minimize")]
)
def test_ctrl_c_elsewhere_still_gives_an_order(monkeypatch, solver, inner):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    _, tables = problem(17)
    monkeypatch.setattr(f"maskwright_causal.{inner}", interrupt)
    with pytest.warns(DataWarning, match="stopped early"):
        cut = OrderConsistentDAG(solver).fit(tables)
    assert not cut.converged_
    assert sorted(cut.order_index_) == list(range(6))


def test_clone_and_grid_search_over_the_penalty_with_groups():
    _, tables = problem(18, rows=80)
    stacked, labels = np.concatenate(tables), np.repeat([0, 1, 2], 80)
    original = OrderConsistentDAG("search", alpha=0.3, tiers=[["x0"], ["x1"]])
    assert clone(original).get_params() == original.get_params()
    with config_context(enable_metadata_routing=True):
        estimator = OrderConsistentDAG().set_fit_request(groups=True).set_score_request(groups=True)
        folds = KFold(4, shuffle=True, random_state=0)
        search = GridSearchCV(estimator, {"alpha": [0.05, 0.2, 5.0]}, cv=folds, error_score="raise")
        search.fit(stacked, groups=labels)
    assert search.best_estimator_.coef_.shape == (3, 6, 6)
    assert search.best_params_["alpha"] < 5.0


def test_restarts_never_hurt_and_repeat_themselves():
    _, tables = problem(19, variables=9, union=18, edges=12, rows=10)
    costs = [
        OrderConsistentDAG("topdown+search", alpha=0.3, restarts=r, random_state=1).fit(tables).objective_
        for r in (0, 2, 2)
    ]
    assert costs[1] <= costs[0] + 1e-9
    assert costs[1] == costs[2]
    parallel = OrderConsistentDAG("topdown+search", alpha=0.3, restarts=2, random_state=1, n_jobs=2).fit(
        tables
    )
    assert parallel.objective_ == pytest.approx(costs[1], rel=1e-8)


def test_fitting_does_not_change_the_tables():
    _, tables = problem(20)
    before = [t.copy() for t in tables]
    OrderConsistentDAG("topdown+search").fit(tables)
    for old, new in zip(before, tables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_clean_data_warn_of_nothing():
    _, tables = problem(21)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        OrderConsistentDAG().fit(tables)
    assert caught == []


def test_no_torch_and_no_conic_solver_are_imported():
    code = (
        "import sys, numpy as np; from maskwright_causal import OrderConsistentDAG;"
        "X = np.random.Generator(np.random.Philox(key=1)).standard_normal((2, 20, 4)) * [1, 2, 3, 4];"
        "OrderConsistentDAG('topdown+search').fit(X);"
        "print(sorted({'torch', 'cvxpy', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (
        done.stdout.strip() == "['scipy']"
    )  # scipy is expected, which shows that the question is asked rightly


def test_every_solver_name_is_one_that_runs():
    _, tables = problem(22, rows=30)
    for solver in solvers.SOLVERS:
        order = [["x0", "x1"], ["x2", "x3", "x4", "x5"]] if solver == "convex" else None
        assert OrderConsistentDAG(solver, order=order).fit(tables).coef_.shape == (3, 6, 6)
