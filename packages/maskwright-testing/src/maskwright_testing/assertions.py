"""Assertions for the tests of plugins."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright.planning import Plan, plan

EQUAL = ("metrics.jsonl", "parts", "checkpoints", "artefacts")
"""What of a run folder must be the same after a kill: not the report, the status or the timing."""


def assert_user_error(call: Callable[[], Any], *texts: str) -> UserError:
    """Calling raises a UserError whose text, all four parts together, holds each of `texts`."""
    try:
        result = call()
    except UserError as error:
        missing = [text for text in texts if text not in str(error)]
        assert not missing, f"the error does not say {missing}:\n{error}"
        return error
    raise AssertionError(f"expected a UserError, got {result!r}")


def assert_one_error(call: Callable[[], Any], *texts: str) -> UserError:
    """As `assert_user_error`, and it says what, and what to do: a recipe with one mistake, or a sentence and a cure."""
    error = assert_user_error(call, *texts)
    mistakes = getattr(error, "mistakes", None)
    if mistakes is not None:
        assert len(mistakes) == 1, f"expected one mistake, found {len(mistakes)}:\n{error}"
    else:
        assert error.what.strip(), "the error does not say what is wrong"
        assert error.cure.strip() or error.why.strip(), f"the error says neither why nor what to do:\n{error}"
    return error


def assert_mistakes(source: Any, expected: Mapping[str, str]) -> None:
    """The recipe (or its Plan) has exactly these mistakes: path -> text that the message holds."""
    made = source if isinstance(source, Plan) else plan(source)
    found = {mistake.path: mistake.message for mistake in made.mistakes}
    listing = "\n".join(map(str, made.mistakes)) or "no mistakes"
    assert len(made.mistakes) == len(found), f"two mistakes at one path:\n{listing}"
    assert found.keys() == expected.keys(), f"expected mistakes at {sorted(expected)}, found:\n{listing}"
    wrong = [path for path, text in expected.items() if text not in found[path]]
    assert not wrong, f"the messages at {wrong} do not say what was expected:\n{listing}"


def run_contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run, and of the child runs in it, that resuming must reproduce."""
    runs = [path.parent for path in sorted(folder.rglob("resolved.json"))]
    assert folder in runs, f"{folder} is no run folder"
    found: dict[str, bytes] = {}
    for run in runs:
        for path in _files(run / name for name in EQUAL):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_file():
            yield path
        else:
            yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file())


def assert_run_folders_equal(one: Path, two: Path) -> None:
    """Both runs are finished, and hold the same metrics, parts, checkpoints and artefacts, byte for byte."""
    for folder in (one, two):
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))["status"]
        assert status == "finished", f"{folder} is {status}"
    first, second = run_contents(one), run_contents(two)
    assert first, f"{one} holds nothing to compare"
    only = sorted(first.keys() ^ second.keys())
    assert not only, f"in one of the two runs only: {', '.join(only)}"
    differ = [name for name in first if first[name] != second[name]]
    assert not differ, f"other bytes: {', '.join(differ)}"
