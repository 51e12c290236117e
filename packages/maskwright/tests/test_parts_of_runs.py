"""from-run: a part of an earlier run with its settings and its state; resolved.json as a recipe of its own."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from maskwright import api
from maskwright.build import Builder
from maskwright.errors import UserError
from maskwright.parts import table_of
from maskwright.planning import plan
from maskwright.step import Step


@pytest.fixture
def first(tmp_path: Path) -> Path:
    words = ["steps=2", "objective.encoder=toy-counts", "evaluators=toy-score", "data.count=3"]
    return api.run("toy-train", words, seed=3, out=tmp_path / "first", pictures=False).folder


def train(**changes: Any) -> dict[str, Any]:
    return {"use": "toy-train", "steps": 1, **changes}


def from_run(run: Path | str, **more: Any) -> dict[str, Any]:
    return {"use": "from-run", "run": str(run), **more}


def mistakes(raw: dict[str, Any]) -> list[str]:
    return [str(mistake) for mistake in plan(raw).mistakes]


def test_the_only_part_that_fits(first: Path, tmp_path: Path):
    raw = train(objective={"use": "toy-loss", "encoder": from_run(first)})
    made = plan(raw)
    assert not made.mistakes
    source = made.require().slots["objective"].slots["encoder"].source
    assert (source.part, source.at) == ("objective.encoder", "last")
    second = api.run(raw, out=tmp_path / "second", pictures=False)
    assert second.part("objective.encoder").counts == api.load(first).part("objective.encoder").counts
    assert not (second.folder / "parts").exists()  # fitted once, by the first run


def test_a_run_folder_by_its_path_alone(first: Path):
    made = plan(train(), [f"objective.encoder={first}"])
    assert made.require().slots["objective"].slots["encoder"].source.part == "objective.encoder"


def test_weights_come_along(first: Path, tmp_path: Path):
    trained = api.load(first).part("objective")
    assert trained.weight != 0
    assert (
        trained.encoder.counts == api.load(first).part("objective.encoder").counts
    )  # the fitted part inside too
    for at, folder in (("last", "00000002"), ("1", "00000001")):
        state = json.loads((first / "checkpoints" / folder / "state.json").read_text())
        assert api.load(first).part("objective", at=at).weight == state["weight"]
    again = api.run(train(steps=1, objective=from_run(first)), out=tmp_path / "again", pictures=False)
    state = json.loads((again.folder / "checkpoints" / "00000001" / "state.json").read_text())
    assert again.part("objective").weight == state["weight"] != trained.weight
    with pytest.raises(UserError, match=f'{first} has no checkpoint for "objective" at 7'):
        api.load(first).part("objective", at=7)


def test_the_table_of_a_part_names_no_other_run(first: Path):
    encoder = from_run(first, set={"smallest": 2})
    made = plan(train(objective={"use": "toy-loss", "speed": 0.75, "encoder": encoder}))
    table = table_of(made.require(), "objective")
    assert table["speed"] == 0.75
    assert str(first) not in json.dumps(table)
    assert table["encoder"]["use"].partition("@")[0] == "toy-counts"
    assert table["encoder"]["smallest"] == 2
    assert not plan(train(objective=table)).mistakes


def test_set_changes_settings(first: Path):
    made = plan(train(objective=from_run(first, set={"speed": 0.75})))
    objective = made.require().slots["objective"]
    assert objective.settings["speed"] == 0.75
    assert made.resolved()["objective"]["set"] == {"speed": 0.75}
    made = plan(train(objective=from_run(first)), ["objective.speed=0.25", "objective.encoder.smallest=2"])
    assert made.resolved()["objective"]["set"] == {"speed": 0.25, "encoder": {"smallest": 2}}


def test_wrong_from_runs(first: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for entry, message in [
        (from_run(tmp_path / "empty"), "empty is not a run folder"),
        (from_run("no/where"), "no/where does not exist"),
        (from_run(""), 'from-run needs run = "FOLDER"'),
        ({"use": "from-run"}, "expected text, found none"),
        ({"use": "from-run", "run": 5}, "expected text, found 5"),
        (
            from_run(first, part="objective.encodr"),
            'has no part "objective.encodr" — did you mean "objective.encoder"?',
        ),
        (from_run(first, part="data"), "there is a dataset of that name"),
        (from_run(first, parts="x"), "unknown key of from-run — did you mean"),
        (from_run(first, set=5), "expected a table of settings, found 5"),
        (from_run(first, set={"smalest": 2}), 'unknown setting "smalest" — did you mean "smallest"?'),
        (from_run(first, set={"smallest": 0}), "must be >= 1, found 0"),
        (from_run("stage:pre"), 'there is no earlier stage "pre"'),
        (from_run("a" * 300 + "/b"), "does not exist"),
        (from_run("a\0b"), 'from-run needs run = "FOLDER"'),
    ]:
        found = mistakes(train(objective={"use": "toy-loss", "encoder": entry}))
        assert any(message in line for line in found), (entry, found)


def test_several_parts_fit(tmp_path: Path):
    entry = {"use": "toy-vectors", "through": {"use": "toy-embed", "encoder": "toy-hash"}}
    api.run(
        train(
            evaluators=[entry],
            data={
                "use": "concat",
                "parts": [{"use": "toy-lines", "as": "a"}, {"use": "toy-lines", "as": "b"}],
            },
        ),
        out=tmp_path / "a",
        pictures=False,
    )
    found = mistakes(
        train(data={"use": "subset", "count": 1, "inner": from_run(tmp_path / "a", part="data.a")})
    )
    assert found and "has no part" in found[0]
    assert mistakes(train(data=from_run(tmp_path / "a", part="data.parts.a"))) == []
    raw = {
        "use": "evaluate",
        "subject": from_run(tmp_path / "a"),
        "data": "toy-lines",
        "evaluators": ["toy-score"],
    }
    assert mistakes(raw) == []


def test_two_parts_of_runs_in_one_list(first: Path, tmp_path: Path):
    """Entries of a list keep their names in resolved.json."""
    parts = [from_run(first, part="data", **{"as": name}) for name in ("one", "two")]
    run = api.run(train(data={"use": "concat", "parts": parts}), out=tmp_path / "b", pictures=False)
    assert run.tree.slots["data"].slots["parts"][1].path == "data.parts.two"
    assert not plan(run.folder / "resolved.json").mistakes


def test_an_evaluator_taken_from_a_run(first: Path, tmp_path: Path):
    entry = from_run(
        first, part="evaluators.toy-score", **{"as": "again", "on": "objective.encoder", "split": "late"}
    )
    run = api.run(train(evaluators=[entry]), out=tmp_path / "b", pictures=False)
    assert "again/score" in run.last_metrics()
    assert not plan(run.folder / "resolved.json").mistakes
    [planned] = run.tree.slots["evaluators"]
    assert (planned.name, planned.entry.on, planned.entry.split) == ("again", "objective.encoder", "late")


def test_state_that_is_gone(first: Path):
    shutil.rmtree(first / "parts")
    with pytest.raises(UserError) as refused:
        api.load(first).part("objective.encoder")
    assert f'{first} holds no saved state of "objective.encoder"' in str(refused.value)
    assert f"do:    maskwright resume {first}" in str(refused.value)


def test_a_damaged_run(first: Path):
    (first / "resolved.json").write_text('{"use": ')
    with pytest.raises(UserError, match=r"resolved\.json is damaged"):
        api.load(first)
    assert "is not valid JSON" in mistakes(train(data=from_run(first, part="data")))[0]


def test_resolved_json_is_a_recipe_of_its_own(first: Path, tmp_path: Path):
    again = api.run(first / "resolved.json", out=tmp_path / "again", pictures=False)
    assert (again.folder / "metrics.jsonl").read_bytes() == (first / "metrics.jsonl").read_bytes()
    assert again.resolved == api.load(first).resolved
    assert again.resolved["seed"] == 3
    assert api.run(first / "resolved.json", seed=4, out=tmp_path / "other", pictures=False).seed == 4
    copied = api.run(again.resolved, out=tmp_path / "copied", pictures=False)
    assert (copied.folder / "metrics.jsonl").read_bytes() == (first / "metrics.jsonl").read_bytes()


def test_what_lies_in_a_run_folder(first: Path):
    names = {path.name for path in first.iterdir()}
    assert names >= {"recipe.toml", "overrides.txt", "resolved.json", "environment.json", "status.json"}
    assert (first / "recipe.toml").read_text() == 'use = "toy-train@toyplugin"\n'
    assert (first / "overrides.txt").read_text().splitlines()[1] == "objective.encoder=toy-counts"
    environment = json.loads((first / "environment.json").read_text())
    assert environment["distributions"]["toyplugin"] == {"version": "1.0"}
    assert list(environment["data"]) == ["data"]
    assert len(environment["data"]["data"]) == 64


def test_loading(first: Path):
    loaded = api.load(first)
    assert loaded.status["status"] == "finished"
    assert loaded.parts()["objective.encoder"] == "encoder:toy-counts"
    assert set(loaded.last_metrics()) == {"train/loss", "train/weight", "toy-score/score", "toy-score/count"}
    [record] = loaded.findings()
    assert [row["id"] for row in record["rows"]] == ["test-0", "test-1", "test-2"]
    with pytest.raises(UserError, match="does not exist"):
        api.load(first / "nothing")


def test_a_wrapped_part_starts_as_it_would_unwrapped():
    def start(encoder: Any, seed: int = 5) -> int:
        root = plan(train(objective={"use": "toy-loss", "encoder": encoder}), seed=seed).require()
        return Builder(root, Step(seed)).build(root.slots["objective"]).encoder.seed

    assert start("toy-hash") == start({"use": "toy-wrapped", "inner": "toy-hash"})
    assert start("toy-hash") != start("toy-hash", seed=6)


def test_a_part_handed_on_twice(first: Path, tmp_path: Path):
    """A third run takes from a second what the second took from the first, with the first's state and seed."""
    encoder = from_run(first, part="objective.encoder")
    raw = train(objective={"use": "toy-loss", "encoder": encoder}, data=from_run(first, part="data"))
    second = api.run(raw, seed=7, out=tmp_path / "second", pictures=False).folder
    again = from_run(second, part="objective.encoder", set={"smallest": 2})
    raw = train(objective={"use": "toy-loss", "encoder": again}, data=from_run(second, part="data"))
    third = api.run(raw, seed=8, out=tmp_path / "third", pictures=False)
    assert third.part("objective.encoder").counts == api.load(first).part("objective.encoder").counts
    assert third.part("objective.encoder").smallest == 2
    assert plan(raw).require().slots["data"].source.seed == 3


def test_fitted_parts_are_found_however_deep_the_run_lies_that_fitted_them(first: Path, tmp_path: Path):
    """The second run holds the whole objective of the first; its encoder was fitted there and nowhere else."""
    counts = api.load(first).part("objective.encoder").counts
    second = api.run(train(objective=from_run(first)), out=tmp_path / "second", pictures=False)
    assert not (second.folder / "parts").exists()
    assert second.part("objective.encoder").counts == counts  # a part inside the one that came from a run
    raw = train(objective={"use": "toy-loss", "encoder": from_run(second.folder)})
    third = api.run(raw, out=tmp_path / "third", pictures=False)
    assert third.part("objective").encoder.counts == counts


def test_a_run_that_was_made_from_another_says_when_that_one_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    first = {"use": "toy-train", "steps": 1, "objective": {"use": "toy-loss", "encoder": "toy-counts"}}
    api.run(first, out="first", pictures=False)
    second = {**first, "objective": {"use": "toy-loss", "encoder": {"use": "from-run", "run": "first"}}}
    api.run(second, out="second", pictures=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert api.load(tmp_path / "second").part("objective.encoder").counts
    (tmp_path / "first").rename(tmp_path / "moved")
    with pytest.raises(UserError) as caught:
        _ = api.load(tmp_path / "second").tree
    assert caught.value.what == f"{tmp_path / 'second'} needs what is no longer there"
    assert f"objective.encoder: {tmp_path / 'first'} does not exist" in caught.value.why
