"""The evaluators: what they report, for whom, and what they refuse."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.data_sets import paper_models
from maskwright_causal.evaluators import GraphEvaluator, HeldOutEvaluator
from maskwright_causal.generators import random
from maskwright_causal.likelihood import log_likelihood, unstructured_likelihood
from maskwright_causal.params_data import Sem, Tables
from maskwright_causal.writers import table_csv

SETTINGS = Sem(variables=8, edges=7, union=14, tasks=3, rows=300, test_rows=300)


def data(**changes):
    return SETTINGS.build(5) if not changes else Sem(
        variables=8, edges=7, union=14, tasks=3, rows=300, test_rows=300, **changes
    ).build(5)  # fmt: skip


def truth_as_a_fit(source, reorder=None):
    """A subject that knows the truth, its columns in another order when asked."""
    items = [source.item("train", task, Step()) for task in range(source.length("train"))]
    names, index = items[0]["variables"], np.arange(8) if reorder is None else reorder
    coef = np.stack([item["truth"] for item in items])[:, index][:, :, index]
    own = [names[i] for i in index]
    order = list(source.about("train")["order"])
    return SimpleNamespace(
        coef_=coef,
        order_=order,
        order_index_=np.array([own.index(name) for name in order]),
        noise_variance_=np.ones((len(items), 8)),
        means_=np.zeros((len(items), 8)),
    )


@pytest.mark.parametrize("reorder", [None, np.array([3, 1, 7, 0, 2, 6, 5, 4])])
def test_the_truth_itself_gets_the_best_values(reorder):
    source = data()
    found = GraphEvaluator().evaluate(truth_as_a_fit(source, reorder), source, Step())
    assert set(found.values) == set(GraphEvaluator().metrics)
    for name, better in GraphEvaluator().metrics.items():
        assert found.values[name] == (1.0 if better == "max" else 0.0), name
    assert [row["id"] for row in found.rows] == ["train/task-00", "train/task-01", "train/task-02"]


def test_an_empty_graph_finds_nothing_and_misses_all():
    source = data()
    subject = truth_as_a_fit(source)
    subject.coef_ = np.zeros_like(subject.coef_)
    values = GraphEvaluator().evaluate(subject, source, Step()).values
    assert values["shd"] == 7 and values["tpr"] == 0 and values["fdr"] == 0 and values["union_f1"] == 0


def test_controls_and_sortability_stand_beside_the_fit():
    source = data()
    found = GraphEvaluator(sid=False).evaluate(truth_as_a_fit(source), source, Step())
    table = found.tables["against the true graphs (means over tasks)"]
    assert [row["method"] for row in table] == [
        "this fit", "sort by variance, joint", "sort by variance, separate", "sort by R2, joint",
    ]  # fmt: skip
    assert "sid" not in found.values and all("order_recovered" in row for row in table)
    assert len(found.tables["this fit, by task"]) == 3
    assert any("sorting controls" in note for note in found.notes)
    assert all(row["varsortability"] > 0.8 for row in found.rows)
    quiet = GraphEvaluator(controls=False).evaluate(truth_as_a_fit(source), source, Step())
    assert len(quiet.tables["against the true graphs (means over tasks)"]) == 1


def test_true_graphs_without_edges_are_judged_too():
    source = data()
    subject = truth_as_a_fit(source)

    class Empty:
        splits, length, about = source.splits, source.length, source.about

        def item(self, split, index, step):
            return source.item(split, index, step) | {"truth": np.zeros((8, 8))}

    found = GraphEvaluator(controls=False).evaluate(subject, Empty(), Step())
    assert found.values["fdr"] == 1 and found.values["tpr"] == 1 and found.values["order_error"] == 0
    assert all(
        np.isfinite(value) for row in found.rows for value in row.values() if not isinstance(value, str)
    )
    assert not any("ortability" in note for note in found.notes)


def test_figures_are_drawn_only_on_request():
    source = data()
    figures = list(GraphEvaluator(controls=False).evaluate(truth_as_a_fit(source), source, Step()).figures())
    assert [figure.name for figure in figures] == ["graphs", "weights"]
    assert all(figure.data.startswith(b"<?xml") for figure in figures)


def test_a_subject_that_does_not_fit_the_data_is_refused():
    source = data()
    subject = truth_as_a_fit(source)
    subject.coef_ = subject.coef_[:2]
    with pytest.raises(UserError, match="the fit has 2 tasks, the data have 3"):
        GraphEvaluator().evaluate(subject, source, Step())
    subject = truth_as_a_fit(source)
    subject.order_ = ["raf", *subject.order_[1:]]
    with pytest.raises(UserError, match="the fit and the data name different variables: raf, x"):
        GraphEvaluator().evaluate(subject, source, Step())


def test_data_without_truth_or_without_held_out_rows_are_refused(tmp_path):
    rows = random(Step(), "rows").standard_normal((30, 8))
    (tmp_path / "one.csv").write_text(table_csv(rows, [f"x{k}" for k in range(8)]))
    source = Tables(path=tmp_path).build(0)
    subject = SimpleNamespace(
        coef_=np.zeros((1, 8, 8)), order_=[f"x{k}" for k in range(8)], order_index_=np.arange(8)
    )
    with pytest.raises(UserError, match="task one has no true graph") as error:
        GraphEvaluator().evaluate(subject, source, Step())
    assert "evaluator:heldout" in str(error.value)
    with pytest.raises(UserError, match="the data hold out no rows"):
        HeldOutEvaluator().evaluate(subject, source, Step())


# ---- likelihood


def test_the_likelihood_is_that_of_the_implied_gaussian():
    models = paper_models(Sem(variables=8, edges=7, union=14, tasks=1, noise="unequal"), Step(seed=5))
    rows, mean = models.rows(0, 50, Step()) + 2.0, np.full(8, 2.0)
    wanted = multivariate_normal(mean, models.covariance(0)).logpdf(rows)
    found = log_likelihood(rows, models.weights[0], models.noise_variance[0], mean)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_unstructured_reference_is_a_proper_density():
    generator = random(Step(), "gauss")
    training, fresh = (
        generator.standard_normal((5000, 3)) * [1, 10, 0.1],
        generator.standard_normal((200, 3)) * [1, 10, 0.1],
    )
    wanted = multivariate_normal(np.zeros(3), np.diag([1, 100, 0.01])).logpdf(fresh)
    np.testing.assert_allclose(unstructured_likelihood(fresh, training).mean(), wanted.mean(), atol=0.05)


def test_held_out_rows_prefer_the_truth():
    source = data()
    truth, empty = truth_as_a_fit(source), truth_as_a_fit(source)
    empty.coef_ = np.zeros_like(empty.coef_)
    best = HeldOutEvaluator().evaluate(truth, source, Step())
    assert set(best.values) == set(HeldOutEvaluator.metrics)
    # The true model loses p/2 (1 + log 2 pi) nats a row: the entropy of eight standard Gaussians.
    assert best.values["heldout_log_likelihood"] == pytest.approx(-4 * (1 + np.log(2 * np.pi)), abs=0.15)
    assert best.values["gain_over_no_edges"] > 1
    assert all(row["heldout_log_likelihood"] > row["no_graph"] for row in best.rows)
    assert HeldOutEvaluator().evaluate(empty, source, Step()).values["heldout_log_likelihood"] < -15


def test_variables_set_from_outside_are_left_out_of_the_likelihood():
    rows = random(Step(), "rows").standard_normal((20, 2)) + np.array([0, 100])
    counted = log_likelihood(rows, np.zeros((2, 2)), np.ones(2), np.zeros(2), np.array([True, False]))
    alone = log_likelihood(rows[:, :1], np.zeros((1, 1)), np.ones(1), np.zeros(1))
    np.testing.assert_allclose(counted, alone)


def test_graphs_without_noise_cannot_be_judged_by_likelihood():
    source = data()
    subject = truth_as_a_fit(source)
    subject.noise_variance_ = np.full((3, 8), np.nan)
    with pytest.raises(UserError, match="the graphs have no noise variances"):
        HeldOutEvaluator().evaluate(subject, source, Step())
