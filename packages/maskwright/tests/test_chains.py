"""recipe:chain: later stages take parts of earlier ones; what did not change is not run again."""

import json
from pathlib import Path
from typing import Any

import pytest
from toyplugin.params import Loss

from maskwright import api
from maskwright.errors import UserError
from maskwright.planning import plan

FIRST = {"use": "toy-train", "steps": 2, "objective": {"use": "toy-loss", "encoder": "toy-counts"}}
SECOND = {
    "use": "toy-train",
    "steps": 1,
    "objective": {"use": "toy-loss", "encoder": {"use": "from-run", "run": "stage:first"}},
}


def chain(reuse: Path | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "use": "chain",
        "stages": {"first": FIRST, "second": SECOND, **changes},
        **({"reuse": str(reuse)} if reuse else {}),
    }


def mistakes(stages: Any) -> list[str]:
    return [str(mistake) for mistake in plan({"use": "chain", "stages": stages}).mistakes]


def test_a_later_stage_uses_an_earlier_one(tmp_path: Path):
    run = api.run(chain(), seed=3, out=tmp_path / "a", pictures=False)
    first, second = (api.load(run.folder / "stages" / name) for name in ("first", "second"))
    assert second.part("objective.encoder").counts == first.part("objective.encoder").counts
    assert (first.seed, second.seed) == (3, 3)
    assert run.last_metrics()["second/train/loss"] == second.last_metrics()["train/loss"]
    assert [row["reused"] for row in run.findings()[-1]["tables"]["Stages"]] == [False, False]


def test_unchanged_finished_stages_are_reused(tmp_path: Path):
    old = api.run(chain(), out=tmp_path / "a", pictures=False).folder
    changed = {**SECOND, "steps": 3}
    run = api.run(chain(old, second=changed), out=tmp_path / "b", pictures=False)
    assert [row["reused"] for row in run.findings()[-1]["tables"]["Stages"]] == [True, False]
    assert not (run.folder / "stages" / "first").exists()
    third = api.run(chain(old, first={**FIRST, "steps": 1}), out=tmp_path / "c", pictures=False)
    # The second stage takes parts of the first, so a change of the first changes it too.
    assert [row["reused"] for row in third.findings()[-1]["tables"]["Stages"]] == [False, False]
    other = api.run(chain(old), seed=9, out=tmp_path / "d", pictures=False)
    assert [row["reused"] for row in other.findings()[-1]["tables"]["Stages"]] == [False, False]


def test_an_unfinished_stage_is_not_reused(tmp_path: Path):
    old = api.run(chain(), out=tmp_path / "a", pictures=False).folder
    status = old / "stages" / "first" / "status.json"
    status.write_text(json.dumps({"status": "interrupted", "step": 1}))
    run = api.run(chain(old), out=tmp_path / "b", pictures=False)
    assert run.findings()[-1]["tables"]["Stages"][0]["reused"] is False


def test_reusing_what_is_no_chain(tmp_path: Path):
    old = api.run("toy-train", out=tmp_path / "a", pictures=False).folder
    with pytest.raises(UserError, match="a is not the folder of a finished chain"):
        api.run(chain(old), out=tmp_path / "b", pictures=False)


def test_a_stage_from_a_file(tmp_path: Path):
    (tmp_path / "train.toml").write_text('use = "toy-train"\nsteps = 1\n')
    stages = {"only": {"file": "train.toml", "data.count": 2}}
    run = api.run({"use": "chain", "stages": stages}, out=tmp_path / "a", pictures=False)
    assert api.load(run.folder / "stages" / "only").resolved["data"]["count"] == 2


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({}, "stages: name at least one stage"),
        ({"../up": FIRST}, '"../up" is no name for a stage'),
        ({"a b": FIRST}, '"a b" is no name for a stage'),
        ({"one": 5}, "expected a recipe table, found 5"),
        ({"one": {"use": "toy-train", "stepz": 1}}, 'stages.one: stepz: unknown setting "stepz"'),
        ({"one": {"file": "none.toml"}}, "the recipe file none.toml does not exist"),
        ({"one": {"file": 5}}, "file: expected text, found 5"),
        ({"second": SECOND}, 'there is no earlier stage "first"'),
        (
            {"first": FIRST, "firsts": {**SECOND}, "third": "toy-trian"},
            'there is no recipe called "toy-trian"',
        ),
        (
            {"first": {"use": "toy-train", "objective": {"use": "toy-hide"}}, "second": SECOND},
            "stages.first: objective.masker",
        ),
    ],
)
def test_mistakes(stages: Any, message: str):
    assert any(message in line for line in mistakes(stages)), mistakes(stages)


def test_text_that_only_looks_like_a_stage(tmp_path: Path):
    entry = {"use": "toy-score", "note": "stage:left"}
    stages = {"only": {"use": "toy-train", "steps": 1, "evaluators": [entry]}}
    run = api.run({"use": "chain", "stages": stages}, out=tmp_path / "a", pictures=False)
    [record] = api.load(run.folder / "stages" / "only").findings()
    assert record["notes"][0] == "stage:left"


def test_a_stage_can_be_planned_with_what_another_will_offer(monkeypatch: pytest.MonkeyPatch):
    small = {"use": "from-run", "run": "stage:first", "part": "small"}
    stages = {"first": FIRST, "second": {**SECOND, "objective": {"use": "toy-loss", "encoder": small}}}
    (wrong,) = mistakes(stages)
    assert 'stage:first has no part "small"' in wrong
    monkeypatch.setattr(Loss, "offers", classmethod(lambda cls: {"small": "encoder"}), raising=False)
    assert mistakes(stages) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_arms_of_an_experiment_share_the_stages_before_they_part(tmp_path: Path, workers: int):
    later = {"stages.second.steps": 3}
    raw = {
        "use": "experiment",
        "seeds": [0, 1],
        "workers": workers,
        "base": chain(),
        "arms": {"short": {}, "long": {"set": later}, "other": {"set": {"stages.first.steps": 4}}},
    }
    run = api.run(raw, out=tmp_path / "experiment", pictures=False)
    children = run.folder / "children"

    def reused(arm: str, seed: int) -> list[bool]:
        (found,) = api.load(children / arm / f"seed-{seed}").findings()
        return [row["reused"] for row in found["tables"]["Stages"]]

    assert [reused("short", seed) for seed in (0, 1)] == [[False, False]] * 2
    assert [reused("long", seed) for seed in (0, 1)] == [[True, False]] * 2, (
        "its first stage is that of `short`"
    )
    assert [reused("other", seed) for seed in (0, 1)] == [[False, False]] * 2
    alone = api.run(chain(), later, seed=1, out=tmp_path / "alone", pictures=False)
    assert alone.last_metrics() == api.load(children / "long" / "seed-1").last_metrics()
