"""A run holds all of itself, belongs to one process, and reuses only what would come out the same."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from maskwright import api
from maskwright.errors import RecipeError, UserError, printable
from maskwright.folder import DiskFull, RunLock, sweep, write_atomic, write_folder
from maskwright.planning import plan
from maskwright.runs import lock_new, new_folder, write_start

TRAIN = {"use": "toy-train", "steps": 1}


def test_of_two_processes_on_one_new_folder_one_is_refused_before_it_writes(tmp_path: Path):
    first, second = plan(TRAIN, seed=1), plan(TRAIN, seed=2)
    folder = new_folder("race", tmp_path / "race")
    assert new_folder("race", tmp_path / "race") == folder  # both saw it empty
    lock = lock_new(folder)
    write_start(folder, first, [])
    with pytest.raises(UserError, match="race is in use"):
        api.begin(folder, second)
    lock.release()
    with pytest.raises(UserError, match="race exists already"):
        api.begin(folder, second)
    assert json.loads((folder / "resolved.json").read_text())["seed"] == 1


def experiment(folder: Path, speed: float) -> Path:
    """An experiment in a folder of its own, with an arm in a file beside it."""
    folder.mkdir(exist_ok=True)
    arm = f'use = "toy-train"\nsteps = 1\nobjective = {{ use = "toy-loss", speed = {speed} }}\n'
    (folder / "arm.toml").write_text(arm)
    (folder / "all.toml").write_text(
        'use = "experiment"\nseeds = [0]\narms = { a = { file = "arm.toml" } }\n'
    )
    return folder / "all.toml"


def test_files_of_arms_are_read_beside_the_recipe_and_held_by_the_run(tmp_path: Path):
    recipe = experiment(tmp_path / "sub", 0.5)
    run = api.run(recipe, out=tmp_path / "run", pictures=False)
    experiment(tmp_path / "sub", 0.25)  # edited afterwards
    held = run.resolved["arms"]["a"]["recipe"]
    assert held["objective"]["speed"] == 0.5
    again = api.run(run.folder / "resolved.json", out=tmp_path / "again", pictures=False)
    assert again.last_metrics() == run.last_metrics()
    assert (again.folder / "recipe.json").is_file()


def test_a_missing_file_of_an_arm_is_a_mistake_of_that_arm(tmp_path: Path):
    recipe = experiment(tmp_path / "sub", 0.5)
    (tmp_path / "sub" / "arm.toml").unlink()
    [mistake] = plan(recipe).mistakes
    assert str(mistake).startswith("arms.a: the recipe file arm.toml does not exist")


def test_mistakes_of_the_base_do_not_hide_those_of_the_experiment():
    recipe = {
        "use": "experiment",
        "base": {"use": "toy-train", "stepz": 1},
        "arms": {"a": {}},
        "seeds": [1, 1],
        "control": "b",
        "claims": [{"metric": "train/loss", "arm": "c", "at_most": 1.0}],
    }
    paths = [mistake.path for mistake in plan(recipe).mistakes]
    assert paths == ["base.stepz", "seeds", "control", "claims.1"]


def test_a_stage_on_edited_data_is_not_reused(tmp_path: Path):
    lines = tmp_path / "lines.txt"
    lines.write_text("one\ntwo\nthree\n")
    stages = {"only": {**TRAIN, "data": {"use": "toy-lines", "path": str(lines)}}}
    old = api.run({"use": "chain", "stages": stages}, out=tmp_path / "a", pictures=False).folder

    def reused(name: str) -> bool:
        chain = {"use": "chain", "stages": stages, "reuse": str(old)}
        found = api.run(chain, out=tmp_path / name, pictures=False).findings()[-1]
        return found["tables"]["Stages"][0]["reused"]

    assert reused("b")
    lines.write_text("one\ntwo\nfour\n")
    assert not reused("c")


def test_a_stage_keeps_a_seed_of_its_own(tmp_path: Path):
    stages = {"own": {**TRAIN, "seed": 9}, "shared": TRAIN}
    run = api.run({"use": "chain", "stages": stages}, seed=4, out=tmp_path / "a", pictures=False)
    assert [api.load(run.folder / "stages" / name).seed for name in stages] == [9, 4]


def test_tidying_leaves_child_runs_to_themselves(tmp_path: Path):
    child = tmp_path / "run" / "children" / "a"
    write_atomic(child / "resolved.json", b"{}")
    for place in (child, tmp_path / "run" / "artefacts"):
        place.mkdir(exist_ok=True)
        (place / ".tmp-1-half").write_text("half")
    sweep(tmp_path / "run")
    assert (child / ".tmp-1-half").exists()
    assert not (tmp_path / "run" / "artefacts" / ".tmp-1-half").exists()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file, folder = tmp_path / "state.json", tmp_path / "parts"

    def fill(place: Path) -> None:
        (place / "new.bin").write_bytes(b"new")

    write_atomic(file, b"old")
    write_folder(folder, lambda place: (place / "old.bin").write_bytes(b"old"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for write in (lambda: write_atomic(file, b"new"), lambda: write_folder(folder, fill)):
            with pytest.raises(DiskFull, match="no space left on the disk"):
                write()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["old.bin", "parts", "state.json"]
    assert file.read_bytes() == b"old"
    write_atomic(file, b"new")
    write_folder(folder, fill)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new.bin", "parts", "state.json"]
    assert file.read_bytes() == b"new"


def test_plans_that_a_recipe_keeps_are_no_parts(tmp_path: Path):
    run = api.run(
        {"use": "experiment", "base": TRAIN, "arms": {"a": {}}, "seeds": [0]},
        out=tmp_path / "a",
        pictures=False,
    )
    assert run.parts() == {}


def test_an_error_in_a_child_run_names_it(tmp_path: Path):
    recipe: dict[str, Any] = {"use": "experiment", "base": TRAIN, "arms": {"low": {}}, "seeds": [5]}
    folder = api.run(recipe, out=tmp_path / "a", pictures=False).folder
    (folder / "status.json").write_text('{"status": "interrupted", "step": 0}')
    resolved = folder / "children" / "low" / "seed-5" / "resolved.json"
    resolved.write_text(resolved.read_text().replace('"steps": 1', '"steps": 2'))
    with pytest.raises(UserError) as error:
        api.resume(folder)
    assert "low/seed-5" in error.value.where


def test_places_that_cannot_be_written_are_told(command: Command):
    made = command("run", "toy-train", "steps=1", "--out", "a", "--no-pictures", "-q")
    assert made.returncode == 0
    done = command("show", "dataset:toy-lines", "--sample", "1", "--out", "/proc/nowhere/x.png")
    assert done.returncode == 2
    with pytest.raises(UserError, match="cannot write /proc/nowhere/x"):
        write_atomic(Path("/proc/nowhere/x"), b"")


def test_what_a_terminal_would_obey_is_shown_instead():
    assert printable("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\nc\\u202ed"
    with pytest.raises(RecipeError) as error:
        plan({"use": "toy-train", "\x1b[31mx": 1}).require()
    assert "\x1b" not in printable(str(error.value))


def test_a_termination_signal_ends_a_run_as_ctrl_c_does(environment: dict[str, str], tmp_path: Path):
    words = [sys.executable, "-m", "maskwright", "run", "toy-train", "steps=100000", "--out", "a", "-q"]
    child = subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "a" / "metrics.jsonl"
    for _ in range(200):
        if metrics.is_file() and metrics.stat().st_size:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 130, errors
    assert json.loads((tmp_path / "a" / "status.json").read_text())["status"] == "interrupted"
    RunLock(tmp_path / "a").release()
