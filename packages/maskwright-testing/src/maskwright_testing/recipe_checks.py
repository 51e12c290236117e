"""Contracts of recipes: a run that is killed and resumed ends with the same bytes as one that was not.

A recipe without `example()` is skipped, with that reason: `recipe:experiment` or `recipe:chain` run whatever they are
given, and `recipe:imported` needs a state from elsewhere; only their own package's tests can give them that.
"""

import json
import signal
from pathlib import Path
from typing import Any

from maskwright.planning import plan
from maskwright_testing.assertions import assert_run_folders_equal
from maskwright_testing.cases import Case, Skipped, fail
from maskwright_testing.recipe_process import RecipeProcess

KILLS = (0.3, 0.7)
"""Moments of the kill, as shares of the files that the whole run puts in place."""


def _resolved(case: Case) -> dict[str, Any]:
    case.need_torch()
    made = plan(case.raw(case.example()), seed=1)
    if any(node.ready is not None for node in made.require().walk()):
        raise Skipped("the example holds a part handed over ready-made, which no other process can build")
    return made.resolved()


def _run_whole(case: Case) -> tuple[RecipeProcess, Path, int]:
    process = RecipeProcess(case.folder, _resolved(case))
    whole = case.folder / "whole"
    done = process.run(whole)
    if done.returncode != 0:
        fail(f"the example does not run:\n{done.stderr.strip()[-2000:]}")
    return process, whole, int(done.stdout.split()[-1])


def check_recipe_runs(case: Case) -> None:
    """The example runs in a process of its own and leaves a finished run with metrics, and child runs if so tagged."""
    _, whole, _ = _run_whole(case)
    status = json.loads((whole / "status.json").read_text(encoding="utf-8"))["status"]
    if status != "finished":
        fail(f"the run ended as {status}")
    if not (whole / "metrics.jsonl").read_bytes():
        fail("the run logged no metrics, so that nothing can be compared")
    children = len(list(whole.rglob("resolved.json"))) - 1
    declared = "many-runs" in case.listed.component.provides
    if bool(children) != declared:
        fail(f"it left {children} child runs, but {'has' if declared else 'lacks'} the tag many-runs")


def check_recipe_kill_and_resume(case: Case) -> None:
    """Killed (SIGKILL) while it writes, and resumed, it ends with the bytes of an undisturbed run."""
    process, whole, writes = _run_whole(case)
    for share in KILLS:
        moment = 1 + int(share * writes)
        folder = case.folder / f"killed-{moment}"
        done = process.run(folder, kill_at=moment)
        if done.returncode != -signal.SIGKILL:
            fail(
                f"the run was to be killed at write {moment} of {writes} and ended by itself ({done.returncode})"
            )
        done = process.resume(folder)
        if done.returncode != 0:
            fail(
                f"killed at write {moment} of {writes}, it cannot be resumed:\n{done.stderr.strip()[-2000:]}"
            )
        try:
            assert_run_folders_equal(whole, folder)
        except AssertionError as error:
            fail(f"killed at write {moment} of {writes} and resumed, the run is another: {error}")
