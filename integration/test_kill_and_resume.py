"""A run that is killed at any moment and resumed ends as if nothing had happened, byte for byte."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from maskwright import Step

KILLS = int(os.environ.get("MASKWRIGHT_KILLS", "10"))
SETTINGS = ["joint-dag", "data.tasks=2", "data.variables=5", "--seed", "3", "-q", "--no-pictures"]
EQUAL = ("metrics.jsonl", "parts", "checkpoints", "artefacts")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "maskwright", *arguments]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that has to be equal after resuming."""
    found = [path for name in EQUAL for path in [folder / name, *sorted((folder / name).rglob("*"))]]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path):
    start = time.monotonic()
    subprocess.run(command("run", *SETTINGS, "--out", "whole"), cwd=tmp_path, check=True, capture_output=True)
    duration = time.monotonic() - start
    whole = contents(tmp_path / "whole")
    assert "metrics.jsonl" in whole
    moments = np.random.Generator(np.random.Philox(key=Step(seed=1).stream("kill"))).uniform(
        0, duration, KILLS
    )
    resumed = 0
    for number, moment in enumerate(moments):
        folder = tmp_path / f"killed-{number}"
        process = subprocess.Popen(
            command("run", *SETTINGS, "--out", folder.name),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not (folder / "resolved.json").exists():
            continue  # killed before there was a run
        done = subprocess.run(
            command("resume", folder.name, "--no-pictures"),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert contents(folder) == whole, f"killed after {moment:.2f} of {duration:.2f} s"
        resumed += 1
    assert resumed >= KILLS // 4, "too few of the kills hit a run; the recipe is too short"
