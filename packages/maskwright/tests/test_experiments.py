"""recipe:experiment: arms × seeds, paired; the verdict is shown, not shown, or not enough seeds."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maskwright import api
from maskwright.planning import plan
from maskwright.recipes.claims import Claim
from maskwright.recipes.experiment import ExperimentRecipe

BASE = {"use": "toy-train", "steps": 1, "objective": {"use": "toy-loss", "speed": 0.5}}
CLAIM = {"metric": "train/loss", "arm": "high", "control": "low", "direction": "up", "margin": 0.9}


def experiment(**changes: Any) -> dict[str, Any]:
    return {
        "use": "experiment",
        "base": BASE,
        "arms": {"low": {}, "high": {"set": {"offset": 1.0}}},
        **changes,
    }


def mistakes(**changes: Any) -> list[str]:
    return [str(mistake) for mistake in plan(experiment(**changes)).mistakes]


def verdicts(tmp_path: Path, **changes: Any) -> list[dict[str, Any]]:
    run = api.run(experiment(**changes), out=tmp_path / "experiment", pictures=False)
    return run.findings()[-1]["tables"]["Claims"]


def test_shown_and_not_shown(tmp_path: Path):
    claims = [CLAIM, {**CLAIM, "margin": 1.1}, {**CLAIM, "direction": "down", "margin": 0.0}]
    found = verdicts(tmp_path, claims=claims)
    assert [row["verdict"] for row in found] == ["shown", "not shown", "not shown"]
    # The arms differ by exactly 1 in every seed, so the interval has no width.
    assert [found[0][key] for key in ("gain", "95 % low", "95 % high", "pairs")] == [
        pytest.approx(1.0),
        pytest.approx(1.0),
        pytest.approx(1.0),
        3,
    ]
    assert found[0]["claim"] == "train/loss of high is above low by 0.9"
    assert found[2]["gain"] == pytest.approx(-1.0)


def test_two_seeds_are_not_enough(tmp_path: Path):
    [found] = verdicts(tmp_path, claims=[CLAIM], seeds=[0, 1])
    assert (found["verdict"], found["pairs"]) == ("not enough seeds", 2)


def test_one_seed_has_no_interval(tmp_path: Path):
    [found] = verdicts(tmp_path, claims=[CLAIM], seeds=[7])
    assert (found["verdict"], found["95 % low"], found["95 % high"]) == ("not enough seeds", None, None)


def test_a_metric_that_nobody_logged_is_a_mistake_and_no_result(tmp_path: Path):
    [found] = verdicts(tmp_path, claims=[{**CLAIM, "metric": "train/los"}])
    assert (found["verdict"], found["pairs"], found["gain"]) == ("no such metric", 0, None)
    assert found["note"] == 'no run logged train/los — did you mean "train/loss"?'


def test_a_run_that_diverged_does_not_win_by_absence():
    claim = Claim("loss", "a", "b", "down")
    verdict = claim.judge([1.0, 1.1, 1.2], 5, "no value for seeds 3, 4", ["loss"])
    assert (verdict.word, verdict.note) == ("not shown", "no value for seeds 3, 4")
    assert claim.judge([1.0, 1.1, 1.2], 3, "", ["loss"]).word == "shown"


def test_the_lower_end_of_the_interval_decides():
    """Gains of 1, 2 and 3 have the mean 2, and an interval that begins at -0.48."""
    gains = [1.0, 2.0, 3.0]
    words = [
        Claim("loss", "a", "b", "down", margin=margin).judge(gains, 3, "", ["loss"]).word
        for margin in (-0.5, -0.4, 1.9)
    ]
    assert words == ["shown", "not shown", "not shown"]


def test_values_that_are_missing_are_named():
    recipe = ExperimentRecipe(SimpleNamespace(seeds=[0, 1, 2], pair_by="seed"))
    values = (
        {("a", s): {"loss": 1.0} for s in range(3)}
        | {("b", s): {"loss": 2.0} for s in (0, 2)}
        | {("b", 1): {}}
    )
    gains, missing = recipe._gains(Claim("loss", "a", "b", "down"), values)
    assert (gains, missing) == ([1.0, 1.0], "no value for seeds 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": "high"}, 'arm and control are both "high"'),
        ({"control": "", "direction": "", "at_most": 1.0, "factor": 2.0}, "at_most compares with a number"),
    ],
)
def test_claims_that_cannot_be_meant(change: dict[str, Any], message: str):
    assert message in " ".join(mistakes(claims=[{**CLAIM, **change}]))


def test_fixed_bounds_and_factors(tmp_path: Path):
    claims = [
        {"metric": "train/loss", "arm": "high", "at_least": 0.9},
        {"metric": "train/loss", "arm": "high", "at_most": 0.9},
        {"metric": "train/loss", "arm": "low", "control": "high", "direction": "down", "factor": 0.5},
    ]
    found = verdicts(tmp_path, claims=claims)
    assert [row["verdict"] for row in found] == ["shown", "not shown", "shown"]
    assert found[2]["claim"] == "train/loss of low is below 0.5 × high"


def test_the_table_by_hand(tmp_path: Path):
    run = api.run(experiment(control="low", metrics=["train/loss"]), out=tmp_path / "e", pictures=False)
    losses = {
        (arm, seed): api.load(run.folder / "children" / arm / f"seed-{seed}").last_metrics()["train/loss"]
        for arm in ("low", "high")
        for seed in (0, 1, 2)
    }
    low, high = run.findings()[-1]["tables"]["train/loss"]
    values = [losses["low", seed] for seed in (0, 1, 2)]
    mean = sum(values) / 3
    assert low["mean"] == pytest.approx(mean)
    assert low["spread"] == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in values) / 2))
    assert high["minus low"] == pytest.approx(1.0)
    assert "minus low" not in low
    assert len(set(values)) == 3  # the seeds reach the children
    assert run.last_metrics()["experiment/high/train/loss"] == pytest.approx(mean + 1)


def test_pairs_by_item(tmp_path: Path):
    base = {**BASE, "evaluators": ["toy-score"]}
    arms = {"low": {}, "high": {"set": {"evaluators.toy-score.bonus": 2.0}}}
    claim = {"metric": "toy-score/score", "arm": "high", "control": "low", "direction": "up", "margin": 1.9}
    [found] = verdicts(tmp_path, base=base, arms=arms, claims=[claim], pair_by="item")
    assert (found["verdict"], found["pairs"]) == ("shown", 4)
    assert found["gain"] == pytest.approx(2.0)


def test_arms_by_file(tmp_path: Path):
    (tmp_path / "other.toml").write_text('use = "toy-train"\nsteps = 1\noffset = 5.0\n')
    arms = {"one": {"file": "other.toml"}, "two": {"file": "other.toml", "set": {"offset": 7.0}}}
    run = api.run({"use": "experiment", "arms": arms}, out=tmp_path / "e", pictures=False)
    rows = run.findings()[-1]["tables"]["train/loss"]
    assert rows[1]["minus one"] == pytest.approx(2.0)


def test_a_base_with_references_and_subjects(tmp_path: Path):
    """Paths in the base are read from the base, where it lies and where it is run."""
    base = {
        **BASE,
        "objective": {"use": "toy-loss", "encoder": "toy-counts"},
        "evaluators": [
            {"use": "toy-score", "on": "objective.encoder"},
            {"use": "toy-vectors", "through": {"use": "toy-embed", "encoder": {"ref": "objective.encoder"}}},
        ],
    }
    assert mistakes(base=base) == []
    run = api.run(experiment(base=base, seeds=[0]), out=tmp_path / "e", pictures=False)
    assert run.last_metrics()["experiment/low/toy-vectors/vectors"] == 4
    assert not plan(run.folder / "resolved.json").mistakes


def test_a_curve(tmp_path: Path):
    curve = {"x": {"low": 0, "high": 10}, "metrics": ["train/*"], "label": "<offset>"}
    run = api.run(experiment(curve=curve, seeds=[0, 1]), out=tmp_path / "e")
    [figure] = run.findings()[-1]["figures"]
    svg = (run.findings()[-1]["folder"] / figure["file"]).read_text()
    assert "&lt;offset&gt;" in svg
    assert (run.folder / "report.html").is_file()


def test_a_curve_of_several_lines(tmp_path: Path):
    lines = {"one": {"low": 0, "high": 10}, "other": {"high": 0, "low": 10}}
    curve = {"x": lines, "metrics": ["train/loss", ["train/loss", "train/weight"]]}
    run = api.run(experiment(curve=curve, seeds=[0]), out=tmp_path / "e")
    alone, both = (
        (run.findings()[-1]["folder"] / figure["file"]).read_text()
        for figure in run.findings()[-1]["figures"]
    )
    assert (">one</text>" in alone, ">other</text>" in alone) == (True, True)
    for label in ("loss one", "loss other", "weight one", "weight other"):
        assert f">{label}</text>" in both


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {}}, "arms: name at least one arm"),
        ({"arms": {"a/b": {}}}, '"a/b" is no name for an arm'),
        ({"arms": {"..": {}}}, '".." is no name for an arm'),
        ({"arms": {"a": 5}}, 'arm "a": expected { set = { … }, file = "…" }, found 5'),
        ({"arms": {"a": {"sets": {}}}}, 'arm "a": expected { set = { … }, file = "…" }'),
        ({"arms": {"a": {"set": 5}}}, 'arm "a": set must be a table, found 5'),
        ({"arms": {"a": {"file": 5}}}, 'arm "a": file must be text, found 5'),
        ({"arms": {"a": {"file": "none.toml"}}}, "the recipe file none.toml does not exist"),
        (
            {"arms": {"a": {"set": {"stepz": 5}}}},
            'arms.a: stepz: unknown setting "stepz" — did you mean "steps"?',
        ),
        ({"arms": {"a": {"set": {"steps": "5"}}}}, 'arms.a: steps: expected whole number, found "5" (text)'),
        (
            {"arms": {"a": {"set": {"objective": {"speed": 2}}}}},
            "arms.a: objective.speed: must be > 0 and <= 1",
        ),
        (
            {"arms": {"a": {"set": {"objective.encoder": "toy-bare"}}}},
            "arms.a: objective.encoder: objective:toy-loss needs pooled",
        ),
        ({"base": None}, 'arm "low" has no recipe'),
        ({"base": {"use": "toy-train", "steps": -1}}, "base.steps: must be >= 0, found -1"),
        ({"seeds": []}, "seeds: expected different seeds, found []"),
        ({"seeds": [1, 1]}, "seeds: expected different seeds, found [1, 1]"),
        ({"seeds": [-1]}, "seeds: must be >= 0, found -1"),
        ({"control": "lo"}, 'control: there is no arm "lo" — did you mean "low"?'),
        ({"claims": [{"metric": "x"}]}, "claims.1: arm is required"),
        ({"claims": [{**CLAIM, "arm": "hgh"}]}, 'claims.1: there is no arm "hgh" — did you mean "high"?'),
        ({"claims": [{**CLAIM, "direction": "sideways"}]}, 'direction: expected one of "up", "down", ""'),
        ({"claims": [{**CLAIM, "marginn": 1}]}, 'unknown key "marginn" — did you mean "margin"?'),
        ({"claims": [{**CLAIM, "at_most": 1}]}, "give control and direction, or one of at_most and at_least"),
        ({"claims": [{**CLAIM, "margin": "1"}]}, 'margin: expected number, found "1" (text)'),
        ({"claims": [5]}, "claims: entry 1: expected table of anything, found 5 (whole number)"),
        ({"curve": {"x": {"lo": 1}}}, 'curve.x: there is no arm "lo" — did you mean "low"?'),
        ({"curve": {"x": {"low": "1"}}}, "curve.x: expected a table of numbers"),
        ({"curve": {"x": {"line": {"lo": 1}}}}, 'curve.x: there is no arm "lo" — did you mean "low"?'),
        ({"curve": {"x": {"line": {"low": 1}, "high": 2}}}, "curve.x: expected a table of numbers"),
        ({"curve": {"y": 1}}, 'curve.y: unknown key "y"; known: x, metrics, label'),
        ({"curve": {"x": {"low": 1}, "metrics": 5}}, "curve.metrics: expected a list"),
        ({"curve": {"x": {"low": 1}, "label": 5}}, "curve.label: expected text, found 5"),
        ({"workers": 0}, "workers: must be >= 1, found 0"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str):
    assert any(message in line for line in mistakes(**changes)), mistakes(**changes)


def test_a_changed_recipe_does_not_mix_with_old_children(tmp_path: Path):
    run = api.run(experiment(), out=tmp_path / "e", pictures=False)
    resolved = json.loads((run.folder / "resolved.json").read_text())
    resolved["arms"]["high"]["set"]["offset"] = 2.0
    (run.folder / "resolved.json").write_text(json.dumps(resolved))
    (run.folder / "status.json").unlink()
    with pytest.raises(Exception, match="holds a run with other settings"):
        api.resume(run.folder, pictures=False)
