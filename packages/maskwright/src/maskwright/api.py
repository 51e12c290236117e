"""The Python API; the command line does the same things through it."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.build import build_raw
from maskwright.catalogue import Listed, catalogue
from maskwright.component import KINDS
from maskwright.contracts import Pipeline
from maskwright.errors import UserError, did_you_mean
from maskwright.findings import load_findings
from maskwright.folder import RunLock, read_table, sweep
from maskwright.followers import follow, is_follower, refuse_child_runs
from maskwright.metrics import read_metrics
from maskwright.params import SlotSpec, fields_of
from maskwright.parts import candidates, extra_parts, run_tree
from maskwright.planning import Plan, Source, plan
from maskwright.progress import Progress
from maskwright.runs import Run, lock_new, new_folder, open_run, write_start
from maskwright.tree import Node, index_of, walk_built

__all__ = ["LoadedRun", "load", "plan", "resume", "run", "start"]


@attrs.frozen
class LoadedRun:
    """A run folder, read back."""

    folder: Path

    @property
    def status(self) -> dict[str, Any]:
        """`{"status": "finished", "step": …}`; `unknown` before the first status was written."""
        path = self.folder / "status.json"
        unknown = {"status": "unknown", "step": 0}
        return unknown | (
            read_table(path, f"remove it, then  maskwright resume {self.folder}") if path.exists() else {}
        )

    @property
    def resolved(self) -> dict[str, Any]:
        """Every setting of the run."""
        return json.loads((self.folder / "resolved.json").read_text(encoding="utf-8"))

    @property
    def tree(self) -> Node:
        """The planned tree."""
        return run_tree(self.folder)

    @property
    def seed(self) -> int:
        return int(self.resolved.get("seed", 0))

    def metrics(self) -> list[dict[str, Any]]:
        """`{"step", "name", "value"}` for everything that was logged."""
        return read_metrics(self.folder)

    def last_metrics(self) -> dict[str, float | None]:
        """The last value of each metric."""
        return {entry["name"]: entry["value"] for entry in self.metrics()}

    def findings(self) -> list[dict[str, Any]]:
        """What evaluators found, with per-item rows."""
        return load_findings(self.folder)

    def parts(self) -> dict[str, str]:
        """Path -> `kind:name` of every part that can be taken."""
        found = {
            node.path: node.reference for node in walk_built(self.tree) if node.path and not node.is_reference
        }
        return found | {path: str(raw.get("use")) for path, raw in extra_parts(self.folder).items()}

    def part(self, path: str = "", at: str | int = "last") -> Any:
        """A part with its state: `path` as in the recipe; the only one if left out."""
        kinds = (
            tuple(kind for kind in KINDS if kind != "recipe")
            if path
            else ("encoder", "pipeline", "objective")
        )
        raw = {"use": "from-run", "run": str(self.folder), "part": path, "at": str(at)}
        return build_raw(raw, kinds, str(self.folder), self.seed)[0]

    def pipelines(self) -> list[str]:
        """Names of the pipelines that fit this run; the default one first."""
        tree = self.tree
        names = candidates(tree, ("pipeline",), frozenset())
        fitting = [x.name for x in catalogue().of_kind("pipeline") if self._filling(x, tree) is not None]
        default = _default_pipeline(tree)
        return sorted(dict.fromkeys(names + fitting), key=lambda name: name != default)

    def _filling(self, listed: Listed, tree: Node) -> dict[str, Any] | None:
        """For each required slot of a pipeline the part of this run that fits; None if one has none."""
        filled: dict[str, Any] = {}
        try:
            fields = fields_of(listed.params_class())
        except UserError:
            return None  # its plugin is broken, which `maskwright show` tells; the others still fit
        for name, field in fields.items():
            if isinstance(field.spec, SlotSpec) and field.required:
                fitting = candidates(tree, field.spec.kinds, field.spec.needs)
                if len(fitting) != 1:
                    return None
                filled[name] = {"use": "from-run", "run": str(self.folder), "part": fitting[0]}
        return filled or None

    def _lacking(self, name: str, tree: Node) -> str:
        """Which part a pipeline that is installed would need and this run has not; empty where nobody knows it."""
        with contextlib.suppress(UserError):
            for field in fields_of(catalogue().find("pipeline", name).params_class()).values():
                if isinstance(field.spec, SlotSpec) and field.required:
                    found = candidates(tree, field.spec.kinds, field.spec.needs)
                    if len(found) != 1:
                        return f"it needs one {field.describe()}; this run has {', '.join(found) or 'none'}"
        return ""

    def pipeline(self, name: str = "", settings: Mapping[str, Any] | Iterable[str] = ()) -> Pipeline:
        """The run's part put to work; `name` may be left out where one fits or is the default."""
        raw = self.pipeline_table(name)
        return build_raw(raw, ("pipeline",), f"{self.folder}:{name}", self.seed, settings)[0]

    def pipeline_table(self, name: str = "") -> dict[str, Any]:
        """The recipe table of a pipeline over this run's parts."""
        offered = self.pipelines()
        tree = self.tree
        if not name:
            if len(offered) != 1 and _default_pipeline(tree) not in offered:
                raise UserError(
                    f"{self.folder} has {'no pipeline' if not offered else 'more than one pipeline'} that fits",
                    why=f"pipelines: {', '.join(offered) or 'none'}",
                    cure=f"name one: {self.folder}:PIPELINE" if offered else "maskwright list pipeline",
                )
            name = offered[0]
        index = index_of(tree)
        if name in index and index[name].kind == "pipeline":
            return {"use": "from-run", "run": str(self.folder), "part": name}
        if name.partition("@")[0] not in offered:
            raise UserError(
                f'{self.folder} has no pipeline "{name}"{did_you_mean(name, offered)}',
                why=self._lacking(name, tree),
                cure=f"it has: {', '.join(offered) or 'none'}",
            )
        return {"use": name, **(self._filling(catalogue().find("pipeline", name), tree) or {})}


def _default_pipeline(tree: Node) -> str:
    """What `apply` uses where no pipeline is named: the recipe says so, or else the outermost part that does."""
    return next((name for node in tree.walk() if (name := getattr(node.cls, "default_pipeline", ""))), "")


def load(folder: str | Path) -> LoadedRun:
    """Open a run folder for reading."""
    folder = Path(folder)
    if not os.path.isfile(folder / "resolved.json"):
        what = "is not a run folder" if os.path.exists(folder) else "does not exist"
        raise UserError(f"{folder} {what}", where=str(folder), cure="give a folder that holds resolved.json")
    read_table(folder / "resolved.json", "run the recipe again from recipe.toml")
    return LoadedRun(folder)


def run(
    source: Source,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    pictures: bool = True,
) -> LoadedRun:
    """Plan, check and run a recipe in a new run folder."""
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    made = plan(source, overrides, seed=seed)
    typed = [f"{k}={v}" for k, v in overrides.items()] if isinstance(overrides, Mapping) else overrides
    return start(made, out, typed=typed, progress=progress, pictures=pictures)


def start(
    made: Plan,
    out: str | Path | None = None,
    *,
    typed: Iterable[str] = (),
    progress: Progress | None = None,
    pictures: bool = True,
) -> LoadedRun:
    """Run a checked plan in a new folder."""
    made.resolved()
    refuse_child_runs(made.require())
    if is_follower():
        return LoadedRun(follow(made))
    folder = new_folder(made.source, Path(out) if out is not None else None)
    begin(folder, made, typed, progress=progress, pictures=pictures)
    return LoadedRun(folder)


def begin(
    folder: Path,
    made: Plan,
    typed: Iterable[str] = (),
    *,
    progress: Progress | None = None,
    pictures: bool = True,
    before: Callable[[Path], None] | None = None,
) -> None:
    """Run a plan in an empty folder. `before` may put state there once the folder is locked (an import does)."""
    lock = lock_new(folder)
    try:
        if before is not None:
            before(folder)
        write_start(folder, made, typed, pictures)
    except BaseException:
        lock.release()
        raise
    _execute(folder, made, lock, progress, pictures, accept_drift=False)


def resume(
    folder: str | Path, *, progress: Progress | None = None, pictures: bool = True, accept_drift: bool = False
) -> LoadedRun:
    """Go on with an interrupted run; a finished one is left as it is."""
    opened = load(folder)
    finished = opened.status["status"] == "finished"
    if is_follower():
        return opened if finished else LoadedRun(follow(plan(opened.folder / "resolved.json")))
    if finished:
        if pictures and not (opened.folder / "report.html").is_file():
            _only_report(opened.folder)
        return opened
    asked = read_table(opened.folder / "environment.json", "run the recipe again in another folder")
    pictures = pictures and bool(asked.get("pictures", True))  # as the run was begun
    made = plan(opened.folder / "resolved.json")
    recipe = str(opened.resolved.get("use", "")).partition("@")[0]
    made.source = str(opened.folder / "resolved.json")
    made.text = ""
    made.require()
    made.source = recipe
    _execute(opened.folder, made, RunLock(opened.folder), progress, pictures, accept_drift)
    return opened


def _only_report(folder: Path) -> None:
    """The report of a run that ended in time for its status but not for its report."""
    from maskwright.report import write_report

    lock = RunLock(folder)
    try:
        sweep(folder)
        write_report(folder)
    finally:
        lock.release()


def _execute(
    folder: Path, made: Plan, lock: RunLock, progress: Progress | None, pictures: bool, accept_drift: bool
) -> None:
    """Run the recipe in its folder; whatever happens, the folder says how it ended."""
    opened = open_run(folder, made, lock, progress=progress, pictures=pictures, accept_drift=accept_drift)
    status, error = "failed", None
    try:
        opened.set_status("running")
        opened.observers.call("maskwright_run_started", run=opened.info)
        recipe = opened.parts[""]
        recipe.run(opened)
        opened.log_file.sync()
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        _finish(opened, status, error)


def _finish(opened: Run, status: str, error: str | None) -> None:
    """Say how the run ended and write its page, still under the lock."""
    try:
        opened.set_status(status, error)
        if status == "finished" and opened.pictures:
            from maskwright.report import write_report

            write_report(opened.folder)
    except UserError:
        if status == "finished":
            raise  # a full disk: it has to be said that the run did not end well
        # Otherwise the cause is already on its way to the user; the last good state is kept.
    finally:
        opened.close()
    opened.observers.call("maskwright_run_finished", run=opened.info, status=status, error=error)
