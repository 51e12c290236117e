"""recipe:joint-dag and recipe:joint-dag-groups, from settings to tables, pictures and parts."""

import json
from pathlib import Path

import numpy as np
import pytest

import maskwright as mw
from maskwright.api import LoadedRun
from maskwright.errors import RecipeError, UserError
from maskwright_causal.arms import fit_arm, fit_joint, unit_columns
from maskwright_causal.estimator import OrderConsistentDAG
from maskwright_causal.order_dag import TaskTables

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
    joined = TaskTables(tuple("abcd"), tuple(f"v{j}" for j in range(6)), tables, None, None)
    separate = fit_arm("separate", OrderConsistentDAG, joined)
    for k, table in enumerate(tables):
        np.testing.assert_array_equal(separate.coef[k], OrderConsistentDAG().fit([table]).coef_[0])
    pooled = fit_arm("pooled", OrderConsistentDAG, joined, group=2)
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


def test_unit_columns_have_variance_one_and_constants_stay():
    rows = [np.arange(12.0).reshape(4, 3) ** 2, np.c_[np.arange(5.0), np.ones(5), np.arange(5.0) ** 2]]
    scaled = unit_columns(TaskTables(("a", "b"), ("x", "y", "z"), rows, None, None)).rows
    for table in scaled:
        np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled[0].var(axis=0), 1)
    np.testing.assert_allclose(scaled[1].var(axis=0), [1, 0, 1])


def test_intervention_masks_reach_the_arms():
    noise = np.random.Generator(np.random.Philox(key=mw.Step(seed=5).stream("rows")))
    rows = [noise.standard_normal((60, 3)) for _ in range(2)]
    for table in rows:
        table[:, 1] += 2 * table[:, 0]
    masks = np.array([[False, True, False], [False, False, False]])
    tables = TaskTables(("a", "b"), ("x", "y", "z"), rows, masks, None)
    make = OrderConsistentDAG
    assert (fit_joint(make, tables).coef[:, :, 1] != 0).any(axis=1).all()
    masked = fit_joint(make, tables, masks).coef
    assert not masked[0, :, 1].any()
    assert masked[1, :, 1].any()


def test_pooling_centres_each_table():
    noise = np.random.Generator(np.random.Philox(key=mw.Step(seed=6).stream("rows")))
    rows = [noise.standard_normal((40, 3)) + shift for shift in (0.0, 50.0)]
    pooled = fit_arm("pooled", OrderConsistentDAG, TaskTables(("a", "b"), ("x", "y", "z"), rows, None, None))
    assert not (np.abs(pooled.coef) > 0.5).any()  # uncentred, the shift would tie all columns together


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small tables a -> b -> c in a folder, as a person would have them."""
    noise = np.random.Generator(np.random.Philox(key=mw.Step(seed=7).stream("rows")))
    for task in ("one", "two", "three"):
        a = noise.standard_normal(30)
        b = 1.5 * a + noise.standard_normal(30)
        c = 1.5 * b + noise.standard_normal(30)
        lines = ["a,b,c"] + [",".join(f"{value:.9f}" for value in row) for row in zip(a, b, c, strict=True)]
        (tmp_path / "tables").mkdir(exist_ok=True)
        (tmp_path / "tables" / f"{task}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "tables"


@pytest.mark.parametrize(
    "settings",
    [
        {"model.forbidden": [["a", "b"]]},
        {"model.required": [["a", "c"]]},
        {"model.tiers": [["a"], ["b", "c"]]},
        {"model.solver": "convex", "model.order": ["a", "b", "c"]},
        {"model.backend": "cvxpy"},
    ],
    ids=["forbidden", "required", "tiers", "order", "backend"],
)
def test_what_is_known_reaches_every_arm(settings: dict, folder: Path, tmp_path: Path):
    run = mw.run(
        "joint-dag-tables", {"data.path": str(folder), **settings}, out=tmp_path / "run", pictures=False
    )
    assert run.status["status"] == "finished"
    if "model.forbidden" in settings:
        assert not run.part("model").coef_[:, 0, 1].any()


def test_a_knowledge_file(folder: Path, tmp_path: Path):
    known = tmp_path / "known.txt"
    known.write_text("/knowledge\naddtemporal\n\nforbiddirect\na b\n\nrequiredirect\n")
    run = mw.run(
        "joint-dag-tables",
        {"data.path": str(folder), "model.knowledge": str(known)},
        out=tmp_path / "run",
        pictures=False,
    )
    assert not run.part("model").coef_[:, 0, 1].any()
    with pytest.raises(RecipeError, match="give a knowledge file, or forbidden"):
        mw.run("joint-dag", {"model": {"knowledge": str(known), "tiers": [["a"]]}})


def said_by(run: LoadedRun) -> str:
    return "\n".join(run.findings()[0]["notes"]) + (run.folder / "log.txt").read_text()


def test_what_the_data_and_the_fit_have_to_say_is_said(folder: Path, tmp_path: Path):
    table = folder / "two.csv"
    _, *rows = table.read_text().splitlines()
    turned = [",".join(reversed(row.split(","))) for row in rows]
    table.write_text("\n".join(["c,b,a", *turned]) + "\n")
    run = mw.run(
        "joint-dag-tables",
        {"data.path": str(folder), "model.alpha": 99.0},
        out=tmp_path / "run",
        pictures=False,
    )
    for text in ("task two lists its columns in another order", "removed every edge"):
        assert said_by(run).count(text) == 2, text  # once for the report, once in the log
    assert run.part("model").warnings  # a resumed run says it again


def test_tables_that_somebody_standardised_are_noticed_before_rows_are_held_out(folder: Path, tmp_path: Path):
    for file in folder.iterdir():
        values = np.loadtxt(file, delimiter=",", skiprows=1)
        values = (values - values.mean(axis=0)) / values.std(axis=0)
        np.savetxt(file, values, delimiter=",", header="a,b,c", comments="", fmt="%.12f")
    run = mw.run("joint-dag-tables", {"data.path": str(folder)}, out=tmp_path / "run", pictures=False)
    assert "the columns look standardised" in said_by(run)


def test_tables_of_three_rows_go_without_edge_frequencies(tmp_path: Path):
    for task, rows in {"one": ["1,2", "2,5", "4,3"], "two": ["2,2", "1,4", "3,9"]}.items():
        (tmp_path / "few").mkdir(exist_ok=True)
        (tmp_path / "few" / f"{task}.csv").write_text("\n".join(["a,b", *rows]) + "\n")
    settings = {"data.path": str(tmp_path / "few"), "data.held_out": 0.0, "evaluators": []}
    run = mw.run("joint-dag-tables", settings, out=tmp_path / "run", pictures=False)
    assert "no edge frequencies: the smallest table has fewer than 4 rows" in said_by(run)


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
