"""A training run that is stopped at any moment, in any way, and resumed ends as if nothing had happened."""

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # making an optimiser imports it
from training import command, contents, environment, maskwright, recipe, status

from maskwright import Step, api

KILLS = int(os.environ.get("MASKWRIGHT_KILLS", "20"))
STEPS = {"steps": 60, "checkpoint_every": 7, "log_every": 4, "workers": 1}

FORK = multiprocessing.get_context("fork")
"""Children start with torch already imported: forty processes would need minutes for that alone."""


def run_in_child(recipe: Path, run: Path) -> None:
    torch.set_num_threads(1)
    os.setsid()  # so that a kill reaches the loader process too
    api.run(recipe, seed=4, out=run, pictures=False)


def resume_in_child(run: Path) -> None:
    torch.set_num_threads(1)
    api.resume(run, pictures=False)


def finished(target: Callable[..., None], *arguments: Path) -> int | None:
    child = FORK.Process(target=target, args=arguments)
    child.start()
    child.join()
    return child.exitcode


def wait_for_step(alive: Callable[[], bool], run: Path, step: int) -> None:
    """Until that many steps have been logged, or the run is over."""
    while alive():
        logged = run / "timing.jsonl"
        if logged.is_file() and logged.read_bytes().count(b"\n") * STEPS["log_every"] >= step:
            return
        time.sleep(0.002)


def test_kill_9_at_random_steps(tmp_path: Path):
    """Weights, optimiser, metrics: every byte, from runs killed in the middle of training."""
    small = recipe(tmp_path, **STEPS)
    assert finished(run_in_child, small, tmp_path / "whole") == 0
    whole = contents(tmp_path / "whole")
    assert any("optimizer" in name for name in whole)
    draws = np.random.Generator(np.random.Philox(key=Step(seed=9).stream("kill")))
    killed = 0
    for number in range(KILLS):
        run = tmp_path / f"killed-{number}"
        child = FORK.Process(target=run_in_child, args=(small, run))
        child.start()
        wait_for_step(child.is_alive, run, int(draws.integers(0, 56)))
        time.sleep(float(draws.uniform(0, 0.03)))
        if child.is_alive() and child.pid:
            os.killpg(child.pid, signal.SIGKILL)
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        assert finished(resume_in_child, run) == 0
        assert contents(run) == whole, f"attempt {number}"
    assert killed >= KILLS * 0.8, "the kills came too late to prove anything"


def test_ctrl_c_finishes_the_step_and_leaves_no_trace(tmp_path: Path):
    small = recipe(tmp_path, **STEPS)
    words = ["run", str(small), "--seed", "4", "-q", "--no-pictures"]
    assert maskwright(*words, "--out", tmp_path / "whole").returncode == 0
    run = tmp_path / "stopped"
    process = subprocess.Popen(
        command(*words, "--out", run),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for_step(lambda: process.poll() is None, run, 20)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the loader process too
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert status(run) == "interrupted"
    newest = max(int(path.name) for path in (run / "checkpoints").iterdir())
    assert newest >= 20, "the step that was under way is saved"
    done = maskwright("resume", run, "-q", "--no-pictures")
    assert done.returncode == 0, done.stderr
    assert contents(run) == contents(tmp_path / "whole")


def test_resuming_with_other_settings_is_refused_by_name(tmp_path: Path):
    small = recipe(tmp_path)
    run = tmp_path / "run"
    assert maskwright("run", small, "-q", "--out", run).returncode == 0
    again = maskwright("run", recipe(tmp_path, lr=0.5), "-q", "--out", run)
    assert again.returncode == 2
    assert "exists already" in again.stderr and "resume" in again.stderr
