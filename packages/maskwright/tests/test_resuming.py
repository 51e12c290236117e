"""Resuming refuses what would give another result, says why, and can be told to go on."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskwright import api
from maskwright.checkpoints import all_checkpoints, is_sound, latest_checkpoint
from maskwright.errors import UserError
from maskwright.folder import sweep
from maskwright.metrics import cut_metrics, metric_line, read_metrics

WORDS = ["steps=4", "objective.encoder=toy-counts", "evaluators=toy-score"]


def stopped(folder: Path, *words: str, source: Any = "toy-train") -> Path:
    """A finished run made to look as if it had been killed after its second step."""
    run = api.run(source, [*WORDS, *words], out=folder, pictures=False)
    for found in all_checkpoints(run.folder / "checkpoints")[-2:]:
        for file in found.path.iterdir():
            file.unlink()
        found.path.rmdir()
    write_status(run.folder, "running")
    return run.folder


def write_status(folder: Path, status: str) -> None:
    (folder / "status.json").write_text(json.dumps({"status": status, "step": 2, "process": "1@there"}))


def change(path: Path, *keys: str, value: Any) -> None:
    table = json.loads(path.read_text())
    inner = table
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(table))


def test_resuming_gives_the_same_metrics(tmp_path: Path):
    whole = api.run("toy-train", WORDS, out=tmp_path / "whole", pictures=False)
    folder = stopped(tmp_path / "a")
    resumed = api.resume(folder, pictures=False)
    assert resumed.status["status"] == "finished"
    assert (folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()
    tail = (folder / "metrics.tail-1.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in tail][:2] == [3, 3]


def test_a_finished_run_is_left_alone(tmp_path: Path):
    run = api.run("toy-train", WORDS, out=tmp_path / "a", pictures=False)
    before = (run.folder / "metrics.jsonl").stat().st_mtime_ns
    assert api.resume(run.folder, pictures=False).status["status"] == "finished"
    assert (run.folder / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_report_that_is_missing_is_written(tmp_path: Path):
    run = api.run("toy-train", WORDS, out=tmp_path / "a", pictures=False)
    assert not (run.folder / "report.html").exists()
    api.resume(run.folder)
    assert (run.folder / "report.html").is_file()


def test_other_versions_are_refused(tmp_path: Path):
    folder = stopped(tmp_path / "a")
    environment = folder / "environment.json"
    change(environment, "distributions", "toyplugin", "version", value="0.9")
    change(environment, "python", value="3.10.1")
    with pytest.raises(UserError) as refused:
        api.resume(folder, pictures=False)
    text = str(refused.value)
    assert "this run was begun in another environment" in text
    assert "python 3.10.1 -> 3." in text
    assert "toyplugin 0.9 -> 1.0" in text
    assert "install the versions of environment.json, or go on with --accept-drift" in text
    assert api.load(folder).status["status"] == "running"
    resumed = api.resume(folder, pictures=False, accept_drift=True)
    assert resumed.status["status"] == "finished"
    [drift] = json.loads(environment.read_text())["accepted drift"]
    assert any("toyplugin 0.9 -> 1.0" in line for line in drift)


def test_edited_source_is_refused(tmp_path: Path):
    folder = stopped(tmp_path / "a")
    change(
        folder / "environment.json", "distributions", "toyplugin", value={"version": "1.0", "source": "abc"}
    )
    with pytest.raises(UserError, match="another environment") as refused:
        api.resume(folder, pictures=False)
    assert refused.value.why == "toyplugin 1.0: its source was edited"


def test_other_data_is_refused(tmp_path: Path):
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\nthree\n")
    folder = stopped(tmp_path / "a", f"data.path={texts}")
    texts.write_text("one\ntwo\nfour\n")
    with pytest.raises(UserError) as refused:
        api.resume(folder, pictures=False)
    assert refused.value.what == "the data is not what this run was begun with"
    assert refused.value.where == "data"
    assert refused.value.cure == "put the data back, or go on with --accept-drift"
    texts.unlink()
    with pytest.raises(UserError, match="there is no file"):
        api.resume(folder, pictures=False)
    texts.write_text("one\ntwo\nfour\n")
    assert api.resume(folder, pictures=False, accept_drift=True).status["status"] == "finished"


def test_drift_accepted_for_an_experiment_holds_for_its_children(tmp_path: Path):
    raw = {"use": "experiment", "base": {"use": "toy-train", "steps": 2}, "arms": {"a": {}}, "seeds": [0]}
    run = api.run(raw, out=tmp_path / "e", pictures=False)
    child = run.folder / "children" / "a" / "seed-0"
    for folder in (run.folder, child):
        write_status(folder, "running")
        change(folder / "environment.json", "python", value="3.10.1")
    with pytest.raises(UserError, match="another environment"):
        api.resume(run.folder, pictures=False)
    assert api.resume(run.folder, pictures=False, accept_drift=True).status["status"] == "finished"
    assert "accepted drift" in json.loads((child / "environment.json").read_text())


def test_a_recipe_that_no_longer_fits_is_refused(tmp_path: Path):
    folder = stopped(tmp_path / "a")
    change(folder / "resolved.json", "objective", "encoder", value={"use": "toy-gone"})
    with pytest.raises(UserError, match="nothing was started") as refused:
        api.resume(folder, pictures=False)
    assert 'there is no encoder called "toy-gone"' in str(refused.value)


@pytest.mark.parametrize("name", ["environment.json", "status.json", "resolved.json"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}"])
def test_damaged_files_of_a_run(name: str, content: str | None, tmp_path: Path):
    """One clear error or a good resume, nothing else."""
    folder = stopped(tmp_path / "a")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    try:
        assert api.resume(folder, pictures=False).status["status"] == "finished"
    except UserError as error:
        assert (
            name in str(error) or "another environment" in str(error) or "nothing was started" in str(error)
        )


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path):
    whole = api.run("toy-train", WORDS, out=tmp_path / "whole", pictures=False)
    folder = stopped(tmp_path / "a")
    newest = latest_checkpoint(folder / "checkpoints")
    assert newest is not None and newest.number == 2
    (newest.path / "state.json").write_text("{}")
    assert not is_sound(newest.path)
    api.resume(folder, pictures=False)
    assert (folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "more.txt").write_text("x"),
        lambda path: (path / "state.json").unlink(),
        lambda path: (path / "MANIFEST.json").unlink(),
        lambda path: (path / "MANIFEST.json").write_text("[]"),
        lambda path: (path / "MANIFEST.json").write_text('{"state.json": 3}'),
        lambda path: (path / "history.bin").write_bytes(bytes(199) + b"1"),
    ],
)
def test_every_kind_of_damage_is_seen(damage: Any, tmp_path: Path):
    folder = stopped(tmp_path / "a") / "checkpoints" / "00000002"
    assert is_sound(folder)
    damage(folder)
    assert not is_sound(folder)


def test_only_the_newest_checkpoints_stay(tmp_path: Path):
    run = api.run("toy-train", ["steps=6"], out=tmp_path / "a", pictures=False)
    assert [found.number for found in all_checkpoints(run.folder / "checkpoints")] == [4, 5, 6]


def test_metrics_are_cut_where_the_checkpoint_was_made(tmp_path: Path):
    lines = [metric_line(step, "a", step / 3) + "\n" for step in (1, 2, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines) + '{"step": 3, "na')
    assert len(read_metrics(tmp_path)) == 3
    cut_metrics(tmp_path, len("".join(lines[:2])))
    assert (tmp_path / "metrics.jsonl").read_text() == "".join(lines[:2])
    assert (tmp_path / "metrics.tail-1.jsonl").read_text() == lines[2] + '{"step": 3, "na'
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    cut_metrics(tmp_path, 0)
    assert (tmp_path / "metrics.tail-2.jsonl").read_text() == "".join(lines)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_loss_that_became_infinite_is_null():
    assert metric_line(1, "a", float("inf")) == '{"step": 1, "name": "a", "value": null}'
    assert metric_line(1, "a", float("nan")) == '{"step": 1, "name": "a", "value": null}'


def test_what_a_killed_process_left_is_swept(tmp_path: Path):
    (tmp_path / "parts" / ".tmp-1-x" / "deep").mkdir(parents=True)
    (tmp_path / ".tmp-1-status.json").write_text("{")
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / ".tmp-2-link").symlink_to(tmp_path / "kept.json")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept.json", "parts"]


def test_a_failed_run_says_so_and_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from toyplugin import parts

    advance = parts.Objective.advance

    def fail_at_two(self: Any, data: Any, step: Any) -> float:
        if step.number == 2:
            raise ZeroDivisionError("no luck")
        return advance(self, data, step)

    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(parts.Objective, "advance", fail_at_two)
        api.run("toy-train", WORDS, out=tmp_path / "a", pictures=False)
    status = api.load(tmp_path / "a").status
    assert (status["status"], status["step"], status["error"]) == ("failed", 2, "ZeroDivisionError: no luck")
    assert api.resume(tmp_path / "a", pictures=False).status["status"] == "finished"
