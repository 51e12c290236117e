"""Residuals, new rows and interventions from fitted or read graphs."""

from types import SimpleNamespace

import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.generators import propagate, random
from maskwright_causal.params_parts import Do, GraphFile, Residuals, Sample
from maskwright_causal.pipelines import Draws
from maskwright_causal.pipelines import Residuals as ResidualsPipeline
from maskwright_causal.readers import read_tables
from maskwright_causal.writers import table_csv

# a -> b -> c and a -> c in task "wild"; only a -> b in task "mutant".
COEF = np.zeros((2, 3, 3))
COEF[0, 0, 1], COEF[0, 1, 2], COEF[0, 0, 2] = 2.0, -1.0, 0.5
COEF[1, 0, 1] = 1.0


def subject():
    return SimpleNamespace(
        coef_=COEF,
        order_=["a", "b", "c"],
        order_index_=np.array([0, 1, 2]),
        noise_variance_=np.array([[1.0, 0.25, 4.0], [1.0, 1.0, 1.0]]),
        means_=np.array([[10.0, 2.0, -5.0], [0.0, 0.0, 0.0]]),
        task_names_=["wild", "mutant"],
    )


def table(task="wild", rows=40):
    noise = random(Step(seed=9), "rows").standard_normal((rows, 3))
    k = ["wild", "mutant"].index(task)
    samples = propagate(noise, COEF[k], np.arange(3)) + subject().means_[k]
    return {"id": task, "task": task, "samples": samples, "variables": ("a", "b", "c")}, noise


def test_residuals_are_the_noise():
    item, noise = table()
    (out,) = ResidualsPipeline(subject())([item], Step())
    np.testing.assert_allclose(out["residuals"], noise, atol=1e-12)
    assert out["samples"] is item["samples"]


def test_columns_are_matched_by_name():
    item, noise = table()
    turned = {**item, "samples": item["samples"][:, ::-1], "variables": ("c", "b", "a")}
    (out,) = ResidualsPipeline(subject())([turned], Step())
    np.testing.assert_allclose(out["residuals"], noise, atol=1e-12)


def test_drawn_rows_have_the_means_and_covariance_of_the_task():
    (out,) = Draws(subject(), 60_000)([{"task": "wild"}], Step())
    inverse = np.linalg.inv(np.eye(3) - COEF[0])
    wanted = inverse.T @ np.diag([1.0, 0.25, 4.0]) @ inverse
    np.testing.assert_allclose(np.cov(out["drawn"].T), wanted, atol=0.12)
    np.testing.assert_allclose(out["drawn"].mean(axis=0), [10, 2, -5], atol=0.05)


def test_an_intervention_cuts_the_edges_in_and_keeps_the_edges_out():
    (plain,) = Draws(subject(), 20_000)([{"task": "wild"}], Step())
    (out,) = Draws(subject(), 20_000, {"b": 3.0})([{"task": "wild"}], Step())
    drawn = out["drawn"]
    assert (drawn[:, 1] == 3.0).all()
    np.testing.assert_array_equal(drawn[:, 0], plain["drawn"][:, 0])  # a cause of b is untouched
    # c = 0.5 (a - 10) - 1 * (3 - 2) - 5 + noise: the path a -> b -> c is cut, so the slope on a is 0.5 alone.
    slope, intercept = np.polyfit(drawn[:, 0] - 10, drawn[:, 2], 1)
    assert slope == pytest.approx(0.5, abs=0.05) and intercept == pytest.approx(-6, abs=0.05)
    assert np.polyfit(plain["drawn"][:, 0] - 10, plain["drawn"][:, 2], 1)[0] == pytest.approx(-1.5, abs=0.05)


def test_setting_a_variable_of_another_task_obeys_that_tasks_graph():
    (out,) = Draws(subject(), 5000, {"b": 3.0})([{"task": "mutant"}], Step())
    assert out["drawn"][:, 2].mean() == pytest.approx(0, abs=0.1)


def test_results_do_not_depend_on_batch_or_order():
    pipeline = Draws(subject(), 5)
    together = list(pipeline([{"task": "wild"}, {"task": "mutant"}], Step(seed=1)))
    alone = [next(iter(pipeline([{"task": name}], Step(seed=1)))) for name in ("mutant", "wild")]
    np.testing.assert_array_equal(together[0]["drawn"], alone[1]["drawn"])
    np.testing.assert_array_equal(together[1]["drawn"], alone[0]["drawn"])
    assert not np.array_equal(
        alone[1]["drawn"], next(iter(pipeline([{"task": "wild"}], Step(seed=2))))["drawn"]
    )


def test_reading_files_and_task_names_and_writing_rows(tmp_path):
    item, _ = table()
    (tmp_path / "wild.csv").write_text(table_csv(item["samples"], item["variables"]))
    pipeline = ResidualsPipeline(subject())
    (read,) = pipeline.read(str(tmp_path / "wild.csv"))
    assert read["task"] == "wild"
    (out,) = pipeline([read], Step())
    pipeline.write(out, tmp_path / "out" / "residuals.csv")
    np.testing.assert_array_equal(
        read_tables(tmp_path / "out" / "residuals.csv")[0].samples, out["residuals"]
    )
    assert list(Draws(subject(), 5).read("mutant")) == [{"id": "mutant", "task": "mutant"}]
    (other,) = ResidualsPipeline(subject(), task="mutant")([read], Step())
    assert not np.array_equal(other["residuals"], out["residuals"])


def test_inputs_that_cannot_be_meant():
    pipeline = Draws(subject(), 5)
    with pytest.raises(UserError, match=r"there is no file nowhere\.csv"):
        list(pipeline.read("nowhere.csv"))
    with pytest.raises(UserError, match='"mutnt" is neither a file nor a task — did you mean "mutant"'):
        list(pipeline.read("mutnt"))
    with pytest.raises(UserError, match='there is no task "other"') as error:
        list(pipeline([{"task": "other"}], Step()))
    assert "wild, mutant" in str(error.value)
    item, _ = table()
    with pytest.raises(UserError, match="the table lacks the column c"):
        list(ResidualsPipeline(subject())([{**item, "variables": ("a", "b", "z")}], Step()))
    with pytest.raises(UserError, match='there is no variable "B" to set'):
        Draws(subject(), 5, {"B": 0.0})
    with pytest.raises(UserError, match='there is no task "wld" — did you mean "wild"'):
        Draws(subject(), 5, task="wld")
    with pytest.raises(UserError, match="1 task names for 2 graphs"):
        Draws(subject(), 5, tasks=["one"])
    silent = subject()
    silent.noise_variance_ = silent.noise_variance_ * np.nan
    with pytest.raises(UserError, match="the graphs have no noise variances"):
        list(Draws(silent, 5)([{"task": "wild"}], Step()))


@pytest.mark.parametrize(("settings", "added"), [(Residuals, "residuals"), (Sample, "drawn"), (Do, "drawn")])
def test_the_components_work_on_graphs_from_files(settings, added):
    graphs = GraphFile.example().build()
    pipeline = settings.example().build()
    items = [
        {"id": name, "task": name, "samples": np.zeros((10, 4)), "variables": tuple("abcd")}
        for name in graphs.task_names_
    ]
    for item, out in zip(items, pipeline(items, Step()), strict=True):
        assert out[added].shape == (10, 4) and out["task"] == item["task"]
