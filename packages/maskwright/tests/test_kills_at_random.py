"""SIGKILL at random moments, orphaned workers, two processes on one folder, Ctrl-C: resuming mends all of it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Command
from kill_harness import contents

KILLS = int(os.environ.get("MASKWRIGHT_KILLS", "10"))
STARTING = 0.2
"""Share of the kills that come before a run has written anything."""

TRAIN = [
    "run",
    "toy-train",
    "-q",
    "--no-pictures",
    "steps=8",
    "every=2",
    "pause=0.05",
    "objective.encoder=toy-counts",
    'evaluators=[{ use = "toy-score", every = 3 }]',
]
EXPERIMENT = """
use = "experiment"
workers = 2
seeds = [0, 1]
base = { use = "toy-train", steps = 4, pause = 0.1, objective = { encoder = "toy-counts" } }
[arms.plain]
[arms.fast]
set = { "objective.speed" = 0.9 }
"""


def begin(words: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "maskwright", *words],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(path: Path, text: str = "", seconds: float = 30.0) -> None:
    """Until the file is there and holds the text."""
    end = time.monotonic() + seconds
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.01)


def moment(number: int) -> float:
    """A share of the process's time, uniform and always the same."""
    return int.from_bytes(hashlib.sha256(f"kill {number}".encode()).digest()[:4], "big") / 2**32


def test_killed_at_random_moments(command: Command, environment: dict[str, str], tmp_path: Path):
    began = time.monotonic()
    done = command(*TRAIN, "--out", "whole")
    duration = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    whole = contents(tmp_path / "whole")
    assert len(whole) >= 20
    # From the first file of the run to the last: how long Python takes to start depends on what else the machine does.
    first, last = (tmp_path / "whole" / name for name in ("resolved.json", "status.json"))
    running = last.stat().st_mtime - first.stat().st_mtime
    interrupted = 0
    for number in range(KILLS):
        folder = tmp_path / f"killed-{number}"
        process = begin([*TRAIN, "--out", folder.name], environment, tmp_path)
        share = moment(number)
        if share < STARTING:
            time.sleep((duration - running) * share / STARTING)
        else:
            wait_for(folder / "resolved.json")
            time.sleep(running * (share - STARTING) / (1 - STARTING))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (folder / "resolved.json").is_file():
            interrupted += process.returncode == -signal.SIGKILL
            done = command("resume", folder.name, "-q", "--no-pictures")
        else:
            done = command(*TRAIN, "--out", folder.name)
        assert done.returncode == 0, done.stderr
        assert contents(folder) == whole, f"killed at {share:.2f} of {duration:.2f} s"
    assert interrupted >= KILLS // 4, "too few of the kills hit a run"


def test_orphaned_workers_of_a_killed_experiment(
    command: Command, environment: dict[str, str], tmp_path: Path
):
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    words = ["run", "experiment.toml", "-q", "--no-pictures"]
    done = command(*words, "--out", "whole")
    assert done.returncode == 0, done.stderr
    process = begin([*words, "--out", "killed"], environment, tmp_path)
    wait_for(tmp_path / "killed" / "children" / "plain" / "seed-0" / "metrics.jsonl", "train/loss")
    os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers go on
    process.wait()
    done = command("resume", "killed", "-q", "--no-pictures")
    assert done.returncode == 0, done.stderr
    whole = contents(tmp_path / "whole")
    assert contents(tmp_path / "killed") == whole
    assert sum(name.endswith("metrics.jsonl") for name in whole) == 5


def test_a_second_process_is_refused(command: Command, environment: dict[str, str], tmp_path: Path):
    process = begin(["run", "toy-train", "steps=200", "pause=0.1", "--out", "a"], environment, tmp_path)
    try:
        wait_for(tmp_path / "a" / "metrics.jsonl", "train/loss")
        done = command("resume", "a")
        assert done.returncode == 2
        assert done.stderr == (
            "maskwright: a is in use\n"
            "  where: a/lock\n"
            f"  why:   process {process.pid} on {os.uname().nodename} is writing to this run folder\n"
            "  do:    wait for it to end, or choose another folder with --out\n"
        )
        assert json.loads((tmp_path / "a" / "status.json").read_text())["status"] == "running"
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_ctrl_c_then_resume(command: Command, environment: dict[str, str], tmp_path: Path):
    assert command(*TRAIN, "--out", "whole").returncode == 0
    with open(tmp_path / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "maskwright", *TRAIN, "--out", "a"],
            env=environment,
            cwd=tmp_path,
            stderr=said,
        )
        wait_for(tmp_path / "a" / "metrics.jsonl", '"step": 3')
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "maskwright: interrupted; what was saved is kept" in (tmp_path / "said.txt").read_text()
    status = json.loads((tmp_path / "a" / "status.json").read_text())
    assert status["status"] == "interrupted"
    assert status["step"] >= 3
    done = command("resume", "a", "-q", "--no-pictures")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")
    tail = [json.loads(line) for line in (tmp_path / "a" / "metrics.tail-1.jsonl").read_text().splitlines()]
    assert {entry["name"] for entry in tail} >= {"train/loss"}
    assert min(entry["step"] for entry in tail) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_in_an_experiment(workers: int, command: Command, environment: dict[str, str], tmp_path: Path):
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    words = ["run", "experiment.toml", f"workers={workers}", "-q", "--no-pictures", "--out", "a"]
    process = begin(words, environment, tmp_path)
    wait_for(tmp_path / "a" / "children" / "plain" / "seed-0" / "metrics.jsonl", "train/loss")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    assert process.wait(30) == 130
    assert json.loads((tmp_path / "a" / "status.json").read_text())["status"] == "interrupted"
    done = command("resume", "a", "-q", "--no-pictures")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a" / "status.json").read_text())["status"] == "finished"
