"""Graph metrics against set computations, hand-made graphs and the definition of SID."""

import itertools

import networkx as nx
import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.generators import random
from maskwright_causal.graph_metrics import (
    by_name,
    checked_truth,
    compare,
    edge_metrics,
    kept,
    order_error,
    order_recovered,
    union_metrics,
)
from maskwright_causal.interventional_distance import structural_intervention_distance


def random_graph(generator, variables, density):
    upper = np.triu(generator.random((variables, variables)) < density, k=1)
    order = generator.permutation(variables)
    return upper[np.ix_(order, order)]


def graph(edges, variables):
    matrix = np.zeros((variables, variables), dtype=bool)
    for cause, effect in edges:
        matrix[cause, effect] = True
    return matrix


def test_a_graph_is_at_no_distance_from_itself():
    truth = graph([(0, 1), (1, 2), (0, 3)], 4)
    found = edge_metrics(truth, truth)
    assert found == {"shd": 0, "tpr": 1, "fdr": 0, "fpr": 0, "nnz": 3, "correct": 3}


def test_a_reversed_edge_counts_once():
    truth, estimate = graph([(0, 1), (1, 2)], 4), graph([(1, 0), (1, 2)], 4)
    found = edge_metrics(estimate, truth)
    assert found["shd"] == 1
    assert found["tpr"] == 0.5 and found["fdr"] == 0.5
    assert found["fpr"] == 1 / (6 - 2)


def test_metrics_agree_with_sets_of_networkx_edges():
    generator = random(Step(), "graphs")
    for _ in range(200):
        variables = int(generator.integers(2, 9))
        truth = random_graph(generator, variables, generator.random())
        estimate = random_graph(generator, variables, generator.random())
        true = set(nx.from_numpy_array(truth, create_using=nx.DiGraph).edges)
        predicted = set(nx.from_numpy_array(estimate, create_using=nx.DiGraph).edges)
        backwards = {(b, a) for a, b in true}
        pairs = {frozenset(edge) for edge in true}
        guessed = {frozenset(edge) for edge in predicted}
        turned, extra = len(predicted & backwards), len(predicted - true - backwards)
        found = edge_metrics(estimate, truth)
        assert found["shd"] == len(pairs ^ guessed) + turned
        assert found["correct"] == len(predicted & true)
        assert found["fdr"] == (turned + extra) / max(len(predicted), 1)
        assert found["nnz"] == len(predicted)


def test_the_order_error_of_the_true_order_is_0_and_of_its_reverse_1():
    truth = np.stack([graph([(2, 0), (0, 1)], 3), graph([(2, 1)], 3)])
    assert order_error([2, 0, 1], truth) == 0
    assert order_error([1, 0, 2], truth) == 1
    # [0, 2, 1]: only 2 -> 0 is wrong, half of task 0; of the union of three edges it is a third.
    assert order_error([0, 2, 1], truth) == pytest.approx(0.25)
    assert order_error([0, 2, 1], truth, union=True) == pytest.approx(1 / 3)


def test_order_recovery_needs_enough_edges_and_none_backwards():
    estimate = np.stack([graph([(0, 1), (1, 2)], 6)])
    assert order_recovered(estimate, [0, 1, 2, 3, 4, 5])
    assert not order_recovered(estimate, [1, 0, 2, 3, 4, 5])
    assert not order_recovered(np.stack([graph([(0, 1)], 6)]), [0, 1, 2, 3, 4, 5])  # 1 < 6 / 3


def test_union_support():
    truth = np.stack([graph([(0, 1)], 3), graph([(1, 2)], 3)])
    estimate = np.stack([graph([(0, 1)], 3), graph([(0, 1), (2, 1)], 3)])
    assert union_metrics(estimate, truth) == {"union_precision": 0.5, "union_recall": 0.5, "union_f1": 0.5}
    nothing = np.zeros_like(truth)
    assert union_metrics(nothing, truth)["union_f1"] == 0
    assert union_metrics(nothing, nothing)["union_f1"] == 1


def test_the_threshold_keeps_its_own_value_and_never_a_zero():
    assert kept(np.array([0.3, -0.3, 0.299, 0.0]), 0.3).tolist() == [True, True, False, False]
    assert kept(np.array([1e-9, 0.0]), 0.0).tolist() == [True, False]


# ---- structural intervention distance


def test_sid_of_the_example_of_its_paper():
    # arXiv:1306.1043, figure 1: one edge too many costs nothing, one reversed edge 8 wrong effects.
    truth = graph([(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)], 5)
    extra, turned = truth.copy(), truth.copy()
    extra[2, 3] = True
    turned[0, 1], turned[1, 0] = False, True
    assert structural_intervention_distance(extra, truth) == 0
    assert structural_intervention_distance(turned, truth) == 8
    assert structural_intervention_distance(truth, truth) == 0


def valid_adjustment(graph, cause, effect, adjusted):
    """The adjustment criterion, path by path."""
    on_the_way = {node for path in nx.all_simple_paths(graph, cause, effect) for node in path[1:]}
    forbidden = on_the_way.union(*(nx.descendants(graph, node) for node in on_the_way))
    if forbidden & adjusted:
        return False
    for path in nx.all_simple_paths(graph.to_undirected(), cause, effect):
        if all(graph.has_edge(a, b) for a, b in itertools.pairwise(path)):
            continue
        blocked = False
        for a, b, c in zip(path, path[1:], path[2:], strict=False):
            if graph.has_edge(a, b) and graph.has_edge(c, b):
                blocked |= b not in adjusted and not nx.descendants(graph, b) & adjusted
            else:
                blocked |= b in adjusted
        if not blocked:
            return False
    return True


def test_sid_agrees_with_its_definition_on_random_graphs():
    generator = random(Step(seed=1), "graphs")
    for _ in range(80):
        variables = int(generator.integers(3, 7))
        truth = random_graph(generator, variables, generator.random())
        estimate = random_graph(generator, variables, generator.random())
        true = nx.from_numpy_array(truth, create_using=nx.DiGraph)
        wrong = 0
        for cause in range(variables):
            adjusted = set(np.flatnonzero(estimate[:, cause]).tolist())
            for effect in set(range(variables)) - {cause}:
                if effect in adjusted:
                    wrong += effect in nx.descendants(true, cause)
                else:
                    wrong += not valid_adjustment(true, cause, effect, adjusted)
        assert structural_intervention_distance(estimate, truth) == wrong


# ---- comparison and bad truth


def test_compare_reports_means_over_tasks():
    truth = np.stack([graph([(0, 1)], 3), graph([(0, 1), (1, 2)], 3)]).astype(float)
    coef = np.stack([graph([(0, 1)], 3), graph([(0, 1)], 3)]) * 0.8
    found = compare(coef, np.array([0, 1, 2]), truth, true_order=[0, 1, 2])
    assert [row["shd"] for row in found.tasks] == [0, 1]
    assert found.overall["shd"] == 0.5 and found.overall["tpr"] == 0.75
    assert found.overall["union_f1"] == pytest.approx(2 / 3)
    assert found.overall["order_recovered"] == 1
    each = compare(coef, np.array([[0, 1, 2], [2, 1, 0]]), truth)
    assert [row["order_error"] for row in each.tasks] == [0, 1]
    assert "order_recovered" not in each.overall


def test_a_true_graph_with_a_cycle_is_refused_and_the_cycle_named():
    with pytest.raises(UserError, match="the true graph has a cycle: raf -> mek -> erk -> raf"):
        checked_truth(graph([(0, 1), (1, 2), (2, 0)], 3), ["raf", "mek", "erk"])


def test_a_true_graph_of_the_wrong_size_or_with_gaps_is_refused():
    with pytest.raises(UserError, match=r"a true graph of shape \(2, 3\) does not fit 3 variables"):
        checked_truth(np.zeros((2, 3)), "abc")
    with pytest.raises(UserError, match="the true weight of a -> c is nan"):
        checked_truth([[0, 0, np.nan], [0, 0, 0], [0, 0, 0]], "abc")


def test_other_node_names_are_told_on_both_sides():
    matrix = np.array([[0, 1], [0, 0]])
    assert by_name(matrix, ["b", "a"], ["a", "b"], "f")[1, 0] == 1
    with pytest.raises(UserError, match="the true graph lacks a and has A, which the data do not") as error:
        by_name(matrix, ["A", "b"], ["a", "b"], "truth.graphml")
    assert "use these node names: a, b" in str(error.value)
