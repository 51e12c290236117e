"""A run that is killed at any of its writes, or meets a full disk there, loses nothing that was saved.

A kill is tried at every write; half-written buffers and full disks at some, or at all with MASKWRIGHT_KILLS=100.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).with_name("kill_harness.py")

TRAIN = [
    "toy-train",
    "-q",
    "steps=5",  # more checkpoints than are kept, so that removing one is hit as well
    "objective.encoder=toy-counts",
    "data.count=2",
    "evaluators=toy-score",
]
CHAIN = """
use = "chain"
[stages.first]
use = "toy-train"
steps = 2
objective = { encoder = "toy-counts" }
[stages.second]
use = "toy-train"
steps = 1
objective = { encoder = { use = "from-run", run = "stage:first", part = "objective.encoder" } }
"""


THOROUGH = int(os.environ.get("MASKWRIGHT_KILLS", "10")) >= 100

NO_REPORT = ["--no-pictures"]
"""The page takes longer than the run; it is written last, and one of the tests has it."""


def broken(
    mode: str, stride: int, words: list[str], environment: dict[str, str], folder: Path
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HARNESS), mode, str(stride), *words],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("mode", "stride"), [("kill", 1), ("half", 11), ("full", 11)])
def test_a_run(mode: str, stride: int, environment: dict[str, str], tmp_path: Path):
    """ "half" differs from "kill" at os.write only, and a disk that is full at one call is full at the next."""
    result = broken(mode, 1 if THOROUGH else stride, TRAIN + NO_REPORT, environment, tmp_path)
    assert not result["failures"], json.dumps(result["failures"], indent=1)
    assert result["calls"] >= 60
    assert result["tried"] >= result["calls"] // stride
    assert result["files"] >= 15


@pytest.mark.parametrize("mode", ["kill", "full"])
def test_a_run_that_ends_with_its_report(mode: str, environment: dict[str, str], tmp_path: Path):
    result = broken(mode, 5, ["toy-train", "-q", "steps=0", "data.count=1"], environment, tmp_path)
    assert not result["failures"], json.dumps(result["failures"], indent=1)
    assert result["tried"] >= 4


@pytest.mark.parametrize(("mode", "stride"), [("kill", 41), ("full", 43)])
def test_a_chain(mode: str, stride: int, environment: dict[str, str], tmp_path: Path):
    (tmp_path / "chain.toml").write_text(CHAIN)
    result = broken(mode, stride, ["chain.toml", "-q", *NO_REPORT], environment, tmp_path)
    assert not result["failures"], json.dumps(result["failures"], indent=1)
    assert result["tried"] >= 3
