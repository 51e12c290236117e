"""The generators keep their promises, and refuse what cannot be drawn."""

import networkx as nx
import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal import generators
from maskwright_causal.graph_metrics import order_error
from maskwright_causal.params_data import ErdosRenyi, ScaleFree, Sem
from maskwright_causal.sortability import r2_sortability, varsortability


def paper(variables=32, drawn=32, seed=0, cap="out", **changes):
    edges, union, degree = generators.paper_sizes(variables)
    sizes = {"edges": edges, "union": union, "degree": degree, "cover": True} | changes
    return generators.union_supports(variables, drawn, cap=cap, step=Step(seed=seed), **sizes)


PAPER = {
    32: (40, 120, 5),
    64: (96, 288, 6),
    128: (224, 672, 7),
    256: (512, 1536, 8),
    512: (1152, 3456, 9),
    1024: (2560, 7680, 10),
}


@pytest.mark.parametrize(("p", "sizes"), PAPER.items())
def test_the_sizes_are_those_of_the_paper(p, sizes):
    assert generators.paper_sizes(p) == sizes


@pytest.mark.parametrize("cap", ["out", "in"])
def test_every_task_has_its_edges_and_together_they_cover_the_union(cap):
    support, order = paper(cap=cap)
    assert support.shape == (32, 32, 32)
    assert (support.sum(axis=(1, 2)) == 40).all()
    union = support.any(axis=0)
    assert union.sum() == 120
    assert nx.is_directed_acyclic_graph(nx.from_numpy_array(union, create_using=nx.DiGraph))
    assert order_error(order, support) == 0
    bounded, free = (2, 1) if cap == "out" else (1, 2)
    assert support.sum(axis=bounded).max() <= 5
    assert support.sum(axis=free).max() > 5  # so the bound that is not asked for is not kept by accident


def test_the_union_is_covered_whatever_the_seed():
    # One draw of 16 tasks in six leaves a union edge unused; those are drawn again.
    assert all(paper(drawn=16, seed=seed)[0].any(axis=0).sum() == 120 for seed in range(30))
    assert any(paper(drawn=16, seed=seed, cover=False)[0].any(axis=0).sum() < 120 for seed in range(30))


def test_weights_have_the_law_of_the_paper():
    support, order = paper()
    weights = generators.random_models(support, order, Step(seed=0)).weights
    sizes = np.abs(weights[support])
    assert (weights != 0).sum() == support.sum()
    assert 0.5 <= sizes.min() < 0.55 and 1.95 < sizes.max() <= 2.0
    assert abs(np.mean(weights[support] > 0) - 0.5) < 0.05
    shared = support[0] & support[1]
    assert not np.allclose(weights[0][shared], weights[1][shared])  # independent between tasks


def test_unit_variance_tasks_have_variance_one_and_the_share_explained():
    support, order = paper(16, edges=14, union=40, degree=5)
    models = generators.random_models(
        support, order, Step(), noise="equal", unit_variance_tasks=3, explained=0.6
    )
    for task in range(3):
        np.testing.assert_allclose(np.diag(models.covariance(task)), 1.0, atol=1e-12)
        has_parents = models.support[task].any(axis=0)
        np.testing.assert_allclose(models.noise_variance[task], np.where(has_parents, 0.4, 1.0))
    assert np.ptp(np.diag(models.covariance(3))) > 1


@pytest.mark.parametrize("law", ["gaussian", "laplace", "uniform", "exponential"])
def test_rows_have_the_covariance_of_the_model(law):
    support, order = paper(8, drawn=16, edges=6, union=12, degree=3)
    models = generators.random_models(support, order, Step(), noise="unequal", law=law)
    rows = models.rows(2, 40_000, Step())
    wanted = models.covariance(2)
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    # The entries of a correlation from 40,000 rows stray by 1/sqrt(40000) = 0.005, heavy tails more.
    assert np.abs((np.cov(rows.T) - wanted) / scale).max() < 0.06


def test_more_rows_and_other_groups_leave_what_is_there():
    few, many = Sem(rows=10).build(3), Sem(rows=40).build(3)
    np.testing.assert_array_equal(
        few.item("train", 5, Step())["samples"], many.item("train", 5, Step())["samples"][:10]
    )
    second, whole = Sem(tasks=8, group=1).build(3), Sem(tasks=32).build(3)
    for part in ("samples", "truth"):
        np.testing.assert_array_equal(
            second.item("train", 2, Step())[part], whole.item("train", 10, Step())[part]
        )
    assert second.item("train", 2, Step())["task"] == "task-10"
    assert Sem().build(3).fingerprint() == Sem().build(3).fingerprint() != Sem().build(4).fingerprint()


def test_the_order_is_given_away_as_much_as_was_measured_before():
    # 5 seeds, p = 32: varsortability .973 and R2-sortability .80 in the sheet these data were specified in.
    by_variance, by_r2 = [], []
    for seed in range(5):
        support, order = paper(seed=seed)
        models = generators.random_models(support, order, Step(seed=seed))
        for task in range(0, 32, 4):
            rows = models.rows(task, 320, Step(seed=seed))
            by_variance.append(varsortability(rows, support[task]))
            by_r2.append(r2_sortability(rows, support[task]))
    assert np.mean(by_variance) == pytest.approx(0.973, abs=0.015)
    assert np.mean(by_r2) == pytest.approx(0.80, abs=0.04)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="50 edges per task, 40 in the union and 496 possible pairs"):
        paper(edges=50, union=40)
    with pytest.raises(UserError, match="2 tasks with 40 edges each cannot cover a union of 120 edges"):
        paper(drawn=2)
    with pytest.raises(UserError, match="8 drawn tasks will hardly ever cover") as error:
        paper(drawn=8)
    assert "about 4.7 of the 120 union edges stay unused" in str(error.value)
    assert "cover=false" in str(error.value)
    support, _ = paper(drawn=8, cover=False)
    assert support.any(axis=0).sum() < 120


def test_a_bound_that_cannot_be_met_is_refused(monkeypatch):
    monkeypatch.setattr(generators, "_ATTEMPTS", 20)
    with pytest.raises(
        UserError, match="no choice of 40 edges kept every variable at 1 or fewer in 20 attempts"
    ):
        paper(degree=1)


def test_erdos_renyi_has_the_density_and_share_asked_for():
    support, order = generators.erdos_renyi_supports(60, 5, degree=2.0, share=0.5, step=Step(seed=1))
    found = generators.erdos_renyi_supports(60, 5, degree=2.0, share=1.0, step=Step(seed=1))[0][0].sum()
    assert abs(found - 120) < 40  # binomial around 120, standard deviation 11
    assert (support.sum(axis=(1, 2)) == round(0.5 * found)).all()
    assert order_error(order, support) == 0


@pytest.mark.parametrize("hubs", ["effects", "causes"])
def test_scale_free_hubs_are_on_the_side_asked_for(hubs):
    support, order = generators.scale_free_supports(80, 1, 2, hubs, 1.0, Step(seed=2))
    edges = support[0]
    assert edges.sum() == 2 * (80 - 2)
    assert order_error(order, support) == 0
    parents, children = edges.sum(axis=0).max(), edges.sum(axis=1).max()
    assert (parents > 2 * children) if hubs == "effects" else (children > 2 * parents)


def test_scaling_moves_the_true_weights_along():
    raw, scaled = Sem(rows=400, tasks=4).build(1), Sem(rows=400, tasks=4, scale="columns").build(1)
    before, after = raw.item("train", 1, Step()), scaled.item("train", 1, Step())
    np.testing.assert_allclose(after["samples"].var(axis=0), 1.0)
    residual = before["samples"] @ (np.eye(32) - before["truth"])
    scaled_residual = after["samples"] @ (np.eye(32) - after["truth"])
    # The noise is the same noise in other units: each column only multiplied by a number.
    np.testing.assert_allclose(scaled_residual * before["samples"].std(axis=0), residual, atol=1e-9)


@pytest.mark.parametrize("how", ["total", "pooled"])
def test_other_scales(how):
    data = Sem(rows=400, tasks=4, scale=how).build(1)
    variances = np.stack([data.item("train", task, Step())["samples"].var(axis=0) for task in range(4)])
    np.testing.assert_allclose(variances.mean(axis=1 if how == "total" else 0), 1.0)
    assert np.ptp(variances) > 0.1


@pytest.mark.parametrize("settings", [Sem.example(), ErdosRenyi.example(), ScaleFree.example()])
def test_items_of_generated_data(settings):
    data = settings.build(0)
    assert data.splits() == ("train", "test")
    item = data.item("test", 1, Step())
    assert (
        item["id"] == "test/task-01"
        and item["samples"].shape == (10, 6)
        and item["samples"].dtype == np.float64
    )
    about = data.about("train")
    assert about["generated"] is True and about["truth"] is True and about["rows"] == (20, 20)
    places = [item["variables"].index(name) for name in about["order"]]
    assert order_error(places, np.stack([data.item("train", k, Step())["truth"] != 0 for k in range(2)])) == 0
    with pytest.raises(IndexError):
        data.item("train", 2, Step())
    with pytest.raises(UserError, match=r'there is no split "tets".*did you mean "test"'):
        data.length("tets")


def test_rules_across_settings_are_told_before_anything_is_drawn():
    assert list(Sem(tasks=8, group=4).check()) == [("drawn", "group 4 of 8 tasks needs 40 drawn tasks")]
    assert list(Sem(tasks=2, unit_variance_tasks=3).check()) == [("unit_variance_tasks", "3 of 2 tasks")]
    assert next(iter(ErdosRenyi(variables=4, degree=2.0).check()))[0] == "degree"
    assert next(iter(ScaleFree(variables=4, degree=4).check()))[0] == "degree"
    assert list(Sem().check()) == []
