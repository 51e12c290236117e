"""check, run, resume, evaluate."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from maskwright import api
from maskwright.cli.apply_verb import run_and_pipeline
from maskwright.cli.text import table
from maskwright.errors import UserError
from maskwright.followers import is_follower
from maskwright.planning import Plan, plan
from maskwright.progress import Progress, quiet_progress, visible_progress

MAX_TABLE = 24
"""Rows of a table that the terminal shows; the report has all."""

MAX_WIDTH = 200
"""Characters of a row, at most: a terminal would break the lines of a wider table, and bury the others under it."""


def check(arguments: argparse.Namespace) -> int:
    made = plan(arguments.recipe, arguments.overrides, seed=arguments.seed)
    parts = [node for node in made.require().walk() if node.path]
    print(f"{made.source}: fine — {made.require().reference} with {len(parts)} parts, seed {made.seed}")
    return 0


def _progress(arguments: argparse.Namespace) -> Progress:
    return quiet_progress() if arguments.quiet or is_follower() else visible_progress()


def run(arguments: argparse.Namespace) -> int:
    return _start(plan(arguments.recipe, arguments.overrides, seed=arguments.seed), arguments)


def resume(arguments: argparse.Namespace) -> int:
    if api.load(arguments.run).status["status"] == "finished":
        print(f"{arguments.run} is finished already; nothing to do", file=sys.stderr)
    finished = api.resume(
        arguments.run,
        progress=_progress(arguments),
        pictures=not arguments.no_pictures,
        accept_drift=arguments.accept_drift,
    )
    return _tell(finished)


def evaluate(arguments: argparse.Namespace) -> int:
    raw, overrides = evaluation_of(arguments.run, arguments.overrides)
    return _start(plan(raw, overrides, seed=arguments.seed), arguments)


def _start(made: Plan, arguments: argparse.Namespace) -> int:
    finished = api.start(
        made,
        arguments.out,
        typed=arguments.overrides,
        progress=_progress(arguments),
        pictures=not arguments.no_pictures,
    )
    return _tell(finished)


def evaluation_of(run: str, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """`with=… data=… on=…` as a recipe:evaluate table; other words stay overrides (`with.` = `evaluators.`)."""
    folder, pipeline = run_and_pipeline(run)
    opened = api.load(folder)
    subject = {"use": "from-run", "run": str(opened.folder)}
    raw: dict[str, Any] = {
        "use": "evaluate",
        "subject": opened.pipeline_table(pipeline) if pipeline else subject,
        "data": {"use": "from-run", "run": str(opened.folder), "part": "data"},
    }
    rest = []
    for word in words:
        key, _, value = word.partition("=")
        if key == "with":
            raw["evaluators"] = [name for name in value.split(",") if name]
        elif key == "on":
            raw["subject"]["part"] = value
        else:
            rest.append(f"evaluators.{word.removeprefix('with.')}" if key.startswith("with.") else word)
    if "evaluators" not in raw:
        raise UserError(
            "say what to evaluate with",
            cure=f"maskwright evaluate {run} with=NAME   (maskwright list evaluator)",
        )
    return raw, rest


def _tell(finished: api.LoadedRun) -> int:
    """A short table of what was found, and where the report is."""
    if is_follower():
        return 0  # the process that owns the folder tells
    status = finished.status["status"]
    tables = [
        (record["name"], title, rows)
        for record in finished.findings()
        for title, rows in record["tables"].items()
    ]
    for name, title, rows in tables[:6]:
        print(f"\n{name}: {title}")
        print(for_terminal(rows))
    if not tables:
        last = list(finished.last_metrics().items())
        if last:
            print(table([{"metric": name, "value": value} for name, value in last[:MAX_TABLE]]))
    report = finished.folder / "report.html"
    print(f"\n{status}: {report if report.is_file() else finished.folder}")
    return 0


def for_terminal(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, or where it is."""
    shown = table(rows[:MAX_TABLE])
    if any(len(line) > MAX_WIDTH for line in shown.splitlines()):
        return f"  {len(rows)} rows, too wide for here: see the report"
    more = len(rows) - MAX_TABLE
    return f"{shown}\n  … {more} more rows in the report" if more > 0 else shown
