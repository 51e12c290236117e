"""NotearsLinear keeps scikit-learn's rules and finds graphs."""

import networkx as nx
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from maskwright.step import Step
from maskwright_causal import NotearsLinear
from maskwright_causal.generators import random_models, union_supports
from maskwright_causal.graph_metrics import edge_metrics


def test_it_passes_the_checks_of_scikit_learn():
    results = check_estimator(NotearsLinear(), on_fail=None, on_skip=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert failed == []
    skipped = [r["check_name"] for r in results if r["status"] == "skipped"]
    assert set(skipped) <= {"check_array_api_input"}  # runs only where array-API dispatch is switched on
    assert sum(r["status"] == "passed" for r in results) >= 40


def test_it_finds_a_small_graph():
    wrong = []
    for seed in range(4):
        step = Step(seed=seed)
        support, order = union_supports(8, 1, 9, 9, 8, "out", True, step)
        models = random_models(support, order, step)
        fitted = NotearsLinear().fit(models.rows(0, 500, step))
        assert nx.is_directed_acyclic_graph(nx.from_numpy_array(fitted.coef_, create_using=nx.DiGraph))
        wrong.append(edge_metrics(fitted.coef_ != 0, support[0])["shd"])
    assert np.mean(wrong) <= 3  # an empty graph would have 9


def test_it_works_in_a_pipeline():
    rows = random_models(*union_supports(5, 1, 5, 5, 5, "out", True, Step()), Step()).rows(0, 60, Step())
    residuals = make_pipeline(FunctionTransformer(), NotearsLinear()).fit_transform(rows)
    assert residuals.shape == (60, 5)
    assert residuals.var() < rows.var()


def test_one_row_is_refused_in_words():
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        NotearsLinear().fit(np.ones((1, 3)))
