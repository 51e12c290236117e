"""Two hundred damaged run folders: a refusal that names the file and leaves the rest alone, or the right result."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from malformed_runs import SEALED, VERBS, Case, cases, contents, damaged
from PIL import Image
from training import SMALL

from maskwright.cli.main import main
from maskwright.runs import Run

LIMIT = 30
"""Seconds for one command: going on with a training run takes longer than reading a file."""

STEPS = {"use": "train", "steps": 3, "checkpoint_every": 1, "log_every": 1, "batch": 8}
EVERY = 4
"""One in so many of all combinations is tried."""


def _hangs(*_: object) -> None:
    raise TimeoutError(f"more than {LIMIT} s")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A finished causal fit, and a training run that was interrupted after two of its three steps."""
    home = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(["run", "joint-dag", "data.tasks=2", "-q", "--out", "graphs"]) == 0
        recipe = {**SMALL, **STEPS, "evaluators": [{"use": "reconstruction", "every": 3}]}
        Path("small.json").write_text(json.dumps(recipe))
        save = Run.checkpoint

        def stop(run: Run, number: int, *more: Any, **words: Any) -> None:
            save(run, number, *more, **words)
            if number == 2:
                raise KeyboardInterrupt

        patch.setattr(Run, "checkpoint", stop)
        assert main(["run", "small.json", "-q", "--out", "stopped"]) == 130
    before = signal.signal(signal.SIGALRM, _hangs)
    yield {name: home / name for name in VERBS}
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def wanted(good: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """What each verb makes of the undamaged run."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for run, verbs in VERBS.items():
            for verb in verbs:
                patch.chdir(tmp_path_factory.mktemp("wanted"))
                write_inputs()
                shutil.copytree(good[run], "run")
                assert call(run, verb) == 0, (run, verb)
                found[run, verb] = made(verb)
    return found


def write_inputs() -> None:
    Image.fromarray(numpy.full((16, 16, 3), 99, numpy.uint8)).save("picture.png")
    rows = [",".join(f"x{place:02d}" for place in range(12))]
    rows += [",".join(str(place * row % 7) for place in range(12)) for row in range(9)]
    Path("task-00.csv").write_text("\n".join(rows) + "\n")


def call(run: str, verb: str) -> int:
    signal.alarm(LIMIT)
    code = main([word.format(run="run", out="out") for word in VERBS[run][verb]])
    signal.alarm(0)
    return code


def made(verb: str) -> dict[str, bytes]:
    """The files that a verb is there to write."""
    if verb == "report":
        return {"report.html": Path("run/report.html").read_bytes()}
    if verb in ("export", "apply", "evaluate"):
        out = Path("out")
        files = contents(out) if out.is_dir() else {"out": out.read_bytes()}
        return {name: files[name] for name in files if verb != "evaluate" or name == "metrics.jsonl"}
    kept = ("metrics.jsonl", "checkpoints", "parts", "artefacts")
    return {name: data for name, data in contents(Path("run")).items() if name.split("/")[0] in kept}


CALLS = [(run, verb) for run in VERBS for verb in VERBS[run]]
assert len(CALLS) == 10


@pytest.mark.parametrize(("run", "verb"), CALLS)
def test_a_damaged_file(
    run: str,
    verb: str,
    good: dict[str, Path],
    wanted: dict[tuple[str, str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    chosen = [
        case for case in cases(good) if case.number % EVERY == 0 and (case.run, case.verb) == (run, verb)
    ]
    monkeypatch.chdir(tmp_path)
    write_inputs()
    tried = 0
    for case in chosen:
        shutil.rmtree("run", ignore_errors=True)
        if not damaged(case, good[run], Path("run")):
            continue
        tried += 1
        before = contents(Path("run"))
        capfd.readouterr()
        code = call(run, verb)
        said = capfd.readouterr().err
        assert code in (0, 2), f"{case}: {code}\n{said}"
        if code == 2:
            check_refusal(case, said, before)
        elif case.file.split("/")[0] in SEALED[verb] and verb != "compare":
            was = {name: data for name, data in made(verb).items() if name != case.file}
            assert was == {k: v for k, v in wanted[run, verb].items() if k != case.file}, case
        out = Path("out")
        if out.is_dir():
            shutil.rmtree(out)
        out.unlink(missing_ok=True)
    assert tried > 0


def check_refusal(case: Case, said: str, before: dict[str, bytes]) -> None:
    """The message names the file or the folder of its part, and what to do; nothing that was sound is touched."""
    assert said.count("maskwright: ") == 1, f"{case}\n{said}"
    place = case.file.rpartition("/")[0] if "/" in case.file else case.file
    assert case.file in said or f"run/{place}" in said, f"{case}\n{said}"
    assert "  do:    " in said or "nothing was started" in said, f"{case}\n{said}"
    after = contents(Path("run"))
    # The lock is written anew by whoever tries.
    for name in before.keys() - {case.file, "lock"}:
        assert after.get(name) == before[name], f"{case}: {name} is not what it was\n{said}"
    assert after.keys() <= before.keys() | {case.file, "lock"}, f"{case}: new files\n{said}"
    # An evaluation is a run of its own, with a folder in which it can go on.
    assert case.verb == "evaluate" or not Path("out").exists(), case


def test_two_hundred(good: dict[str, Path]):
    assert sum(case.number % EVERY == 0 for case in cases(good)) >= 200
