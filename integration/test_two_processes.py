"""Data parallelism: two gloo processes under torchrun do what one process does with the same global batch."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training import contents, environment, maskwright, recipe, status, torchrun

from maskwright.metrics import read_metrics

EXACT = {"steps": 10, "log_every": 1, "precision": "fp64", "checkpoint_every": 4}


def launch(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        torchrun(2, *words),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def logged(run: Path) -> dict[tuple[int, str], float]:
    return {(entry["step"], entry["name"]): entry["value"] for entry in read_metrics(run)}


def without_dropout(folder: Path, **settings: object) -> Path:
    """Dropout draws from streams of the rank, so only runs without it agree to the last digits."""
    path = recipe(folder, **{**EXACT, **settings})
    raw = json.loads(path.read_text())
    raw["objective"]["encoder"]["drop_path"] = 0.0
    path.write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize("parallel", ["reduce", "ddp"])
def test_two_processes_equal_one(tmp_path: Path, parallel: str):
    small = without_dropout(tmp_path, parallel=parallel)
    assert maskwright("run", small, "-q", "--out", tmp_path / "one").returncode == 0
    done = launch("run", small, "-q", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two = logged(tmp_path / "one"), logged(tmp_path / "two")
    assert one.keys() == two.keys() and len({step for step, _ in one}) == 10
    for key, value in one.items():
        assert two[key] == pytest.approx(value, rel=1e-6), key
    weights = [load_file(tmp_path / run / "checkpoints/00000010/model.safetensors") for run in ("one", "two")]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-9, name


def test_accumulating_equals_the_big_batch(tmp_path: Path):
    assert maskwright("run", without_dropout(tmp_path), "-q", "--out", tmp_path / "one").returncode == 0
    pieces = without_dropout(tmp_path, accumulate=4)
    assert maskwright("run", pieces, "-q", "--out", tmp_path / "four").returncode == 0
    one, four = logged(tmp_path / "one"), logged(tmp_path / "four")
    assert one.keys() == four.keys()
    for key, value in one.items():
        assert four[key] == pytest.approx(value, rel=1e-9), key


def test_a_run_of_two_processes_goes_on_as_one_and_as_two(tmp_path: Path):
    small = without_dropout(tmp_path)
    assert launch("run", small, "-q", "--no-pictures", "--out", tmp_path / "whole").returncode == 0
    for name, resume in (("two", launch), ("one", maskwright)):
        run = tmp_path / name
        subprocess.run(["cp", "-r", str(tmp_path / "whole"), str(run)], check=True)
        for number in (8, 10):
            subprocess.run(["rm", "-r", str(run / f"checkpoints/{number:08d}")], check=True)
        state = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps(state | {"status": "interrupted"}))
        done = resume("resume", run, "-q", "--no-pictures")
        assert done.returncode == 0, done.stderr
        assert status(run) == "finished"
        if name == "two":
            assert contents(run) == contents(tmp_path / "whole")
        else:
            weights = [
                load_file(tmp_path / r / "checkpoints/00000010/model.safetensors") for r in ("whole", name)
            ]
            assert all((weights[0][n] - weights[1][n]).abs().max() < 1e-9 for n in weights[0])


def children_of(process: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def test_when_one_of_two_dies_the_run_ends_and_can_be_resumed(tmp_path: Path):
    small = without_dropout(tmp_path, steps=600, log_every=50, checkpoint_every=50)
    run = tmp_path / "run"
    process = subprocess.Popen(
        torchrun(2, "run", small, "-q", "--no-pictures", "--out", run),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (run / "checkpoints/00000100").is_dir():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    follower = max(children_of(process.pid))  # rank 1 was started last
    os.kill(follower, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert status(run) in ("failed", "interrupted"), errors
    newest = max(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit())
    assert newest >= 100
    assert "another process of this run is gone" in errors or status(run) == "interrupted", errors
    done = maskwright("resume", run, "-q", "--no-pictures")
    assert done.returncode == 0, done.stderr
    assert status(run) == "finished"


def test_every_rank_needs_a_row(tmp_path: Path):
    done = launch("run", recipe(tmp_path, batch=1), "-q", "--out", tmp_path / "run")
    assert done.returncode != 0
    assert "cannot be cut into 2 ranks" in done.stderr
