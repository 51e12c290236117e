"""recipe:joint-dag and recipe:joint-dag-groups, from settings to tables, pictures and parts."""

import json
from pathlib import Path

import numpy as np
import pytest

import maskwright as mw
from maskwright.api import LoadedRun
from maskwright.errors import RecipeError, UserError
from maskwright_causal.arms import fit_arm, unit_columns
from maskwright_causal.estimator import OrderConsistentDAG

SMALL = {"data": {"use": "sem", "variables": 6, "tasks": 3, "rows": 20, "test_rows": 10}, "stability": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return mw.run("joint-dag", SMALL, seed=3, out=tmp_path_factory.mktemp("runs") / "joint")


def test_the_table_has_every_way_of_fitting_on_both_settings(finished):
    (record,) = [found for found in finished.findings() if found["name"] == "arms"]
    (rows,) = record["tables"].values()
    shown = [(row["columns"], row["method"]) for row in rows]
    methods = ["joint", "separate", "pooled", "sort-variance", "sort-r2"]
    assert shown == [(columns, method) for columns in ("raw", "unit variance") for method in methods]
    assert all({"order_error", "shd", "tpr", "fdr"} <= row.keys() for row in rows)
    assert "arms/unit-variance/sort-r2/shd" in finished.last_metrics()


def test_the_report_draws_the_graphs_and_the_stability(finished):
    figures = [figure["file"] for record in finished.findings() for figure in record["figures"]]
    assert {"graphs.svg", "stability.svg", "weights.svg"} <= set(figures)
    page = (finished.folder / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") >= 3


def test_the_fitted_part_comes_back_as_it_was(finished):
    model = finished.part("model")
    data = finished.part("data")
    samples = [data.item("train", k, mw.Step())["samples"] for k in range(3)]
    again = model.make().fit(samples)
    np.testing.assert_array_equal(model.coef_, again.coef_)
    assert finished.pipelines()[0] == "residuals"
    (result,) = list(finished.pipeline()([data.item("train", 1, mw.Step())], mw.Step()))
    np.testing.assert_allclose(
        result["residuals"], (samples[1] - samples[1].mean(axis=0)) @ (np.eye(6) - model.coef_[1]), atol=1e-12
    )


def test_graphs_leave_and_come_back(finished, tmp_path: Path):
    from maskwright.cli.main import main

    assert main(["export", str(finished.folder), str(tmp_path / "graphs"), "--to", "graphml"]) == 0
    assert (
        main(["import", str(tmp_path / "graphs"), "--from", "graphml", "--out", str(tmp_path / "back")]) == 0
    )
    (tmp_path / "graphs" / "task-00.graphml").unlink()
    back = mw.load(tmp_path / "back").part("part")
    model = finished.part("model")
    order = [list(back.graphs_[0].nodes).index(f"x{j}") for j in range(6)]
    np.testing.assert_allclose(back.coef_[:, order][:, :, order], model.coef_)


def test_data_without_truth_counts_edges_and_needs_another_evaluator(tmp_path: Path):
    with pytest.raises(RecipeError) as error:
        mw.run("joint-dag", {"data": "wine-by-class"}, out=tmp_path / "refused")
    assert "evaluator:graph reads the field truth" in str(error.value)
    assert not (tmp_path / "refused").exists()
    run = mw.run(
        "joint-dag",
        {"data": "wine-by-class", "evaluators": ["heldout"], "stability": 0},
        out=tmp_path / "wine",
    )
    (rows,) = run.findings()[0]["tables"].values()
    assert all(row["edges"] >= 0 and "shd" not in row for row in rows)


def test_own_tables_need_a_path(tmp_path: Path):
    with pytest.raises(RecipeError) as error:
        mw.run("joint-dag-tables", out=tmp_path / "refused")
    assert "data.path" in str(error.value)
    assert "is required" in str(error.value)


def test_a_group_of_one_is_the_separate_fit_and_a_pooled_fit_is_one_graph(tmp_path: Path):
    data = {"use": "sem", "variables": 6, "tasks": 4, "rows": 20}
    alone = mw.run(
        "joint-dag-groups", {"data": data, "group": 1}, seed=1, out=tmp_path / "alone"
    ).last_metrics()
    tables = [
        mw.load(tmp_path / "alone").part("data").item("train", k, mw.Step())["samples"] for k in range(4)
    ]
    separate = fit_arm("separate", OrderConsistentDAG, tables)
    for k, table in enumerate(tables):
        np.testing.assert_array_equal(separate.coef[k], OrderConsistentDAG().fit([table]).coef_[0])
    pooled = fit_arm("pooled", OrderConsistentDAG, tables, group=2)
    assert (pooled.coef[0] == pooled.coef[1]).all()
    assert not (pooled.coef[1] == pooled.coef[2]).all()
    assert alone["arms/joint/shd"] == alone["arms/pooled/shd"]  # one table pooled is that table
    assert {"arms/sort-variance/order_error", "arms/sort-r2/order_error"} <= alone.keys()


def test_judging_the_first_tasks_only(tmp_path: Path):
    data = {"use": "sem", "variables": 6, "tasks": 4, "rows": 20}
    judged = mw.run("joint-dag-groups", {"data": data, "judge": 1}, out=tmp_path / "one")
    (row,) = [r for r in next(iter(judged.findings()[0]["tables"].values())) if r["method"] == "joint"]
    assert row["order_error"] == judged.last_metrics()["arms/joint/order_error"]
    everyone = mw.run("joint-dag-groups", {"data": data}, out=tmp_path / "all").last_metrics()
    assert everyone["arms/joint/shd"] != judged.last_metrics()["arms/joint/shd"]


def test_unit_columns_have_variance_one():
    tables = unit_columns([np.arange(12.0).reshape(4, 3) ** 2, np.arange(15.0).reshape(5, 3)])
    for table in tables:
        np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(table.var(axis=0), 1)


@pytest.mark.parametrize("letter", "abcde")
def test_experiments_have_a_sorting_control_a_unit_variance_arm_and_claims(letter: str):
    assert len("abcde") == 5
    made = mw.plan(f"joint-dag-experiment-{letter}")
    assert not made.mistakes
    arms, claims = made.raw["arms"], made.raw["claims"]
    assert any("columns" in json.dumps(arm) for arm in arms.values())
    assert len(claims) >= 2
    assert len(made.raw["seeds"]) >= 8


def test_a_model_that_was_not_fitted_says_so():
    from maskwright_causal.params_recipes import OrderDag

    with pytest.raises(UserError, match="not fitted yet"):
        _ = OrderDag().build().coef_
