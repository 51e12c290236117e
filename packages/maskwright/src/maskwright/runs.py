"""A run: a folder with everything about one execution, and the object that writes it."""

import datetime
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright import checkpoints, metrics
from maskwright.build import Builder, Evaluation, load_saved
from maskwright.catalogue import LOCAL_FILE, catalogue
from maskwright.contracts import Findings, plain
from maskwright.environment import describe_environment, differences, refuse_drift
from maskwright.errors import UserError
from maskwright.findings import check_findings, renamed_split, save_findings
from maskwright.folder import (
    LOCK,
    TMP,
    RunLock,
    read_table,
    refuse_folders,
    sweep,
    write_atomic,
    write_folder,
)
from maskwright.observers import Observers
from maskwright.parts import EXTRA_PARTS
from maskwright.planning import Plan
from maskwright.progress import Progress, quiet_progress
from maskwright.step import Step
from maskwright.tree import Node
from maskwright.values import show


@attrs.frozen
class RunInfo:
    """What observers are told: names, numbers and paths."""

    folder: Path
    recipe: str
    seed: int
    resumed_at: int | None = None


def dump_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def folder_name(recipe: str) -> str:
    """`2026-11-20-joint-dag-3f9a`, of letters, digits and dashes whatever the recipe is called."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(recipe).stem.lower()).strip("-")[:40] or "run"
    return f"{datetime.date.today().isoformat()}-{stem}-{os.urandom(2).hex()}"


def new_folder(recipe: str, out: Path | None) -> Path:
    """Make an empty run folder: `out`, or a fresh one below `runs/`."""
    if out is not None and os.path.exists(out) and not is_unused(out):
        raise _taken(out)
    folder = out if out is not None else Path("runs") / folder_name(recipe)
    try:
        folder.mkdir(parents=True, exist_ok=out is not None)
    except OSError as error:
        raise UserError(
            f"cannot make the run folder {folder}", why=str(error), cure="choose another --out"
        ) from None
    return folder


def _taken(out: Path) -> UserError:
    is_run = out.is_dir() and (out / "resolved.json").is_file()
    return UserError(
        f"{out} exists already",
        where=str(out),
        why="a run never overwrites another",
        cure=f"maskwright resume {out}   to go on, or another --out" if is_run else "choose another --out",
    )


START_FILES = {"recipe.toml", "recipe.json", "overrides.txt", "environment.json", LOCAL_FILE, LOCK}


def is_unused(folder: Path) -> bool:
    """Empty, or left by a process that was killed before its run began."""
    return folder.is_dir() and all(
        path.name in START_FILES or path.name.startswith(TMP) for path in folder.iterdir()
    )


@attrs.define(eq=False)
class Run:
    """Open while a recipe runs. Recipes log, save and record through it."""

    folder: Path
    plan: Plan
    lock: RunLock
    log_file: metrics.MetricsLog
    observers: Observers
    info: RunInfo
    builder: Builder
    progress: Progress
    pictures: bool = True
    started: float = attrs.field(factory=time.monotonic)
    step_number: int = 0
    accept_drift: bool = False
    """Recipes with child runs hand it on."""

    # -- for recipes -------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        return self.plan.seed

    @property
    def root(self) -> Node:
        return self.plan.require()

    @property
    def parts(self) -> Mapping[str, Any]:
        """Built parts by path."""
        return self.builder.parts

    def step(self, number: int = 0, total: int = 1) -> Step:
        return Step(self.seed, number, total)

    def say(self, text: str) -> None:
        """A line for people: on the terminal, and in log.txt with the seconds since the start."""
        with open(self.folder / "log.txt", "a", encoding="utf-8") as log:
            log.write(f"{time.monotonic() - self.started:9.2f} s  {text}\n")
        self.progress.say(text)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics after `step` finished steps."""
        if not values:
            return
        self.step_number = step
        self.log_file.add(step, values, time.monotonic() - self.started)
        self.progress.values(values)
        self.observers.call("maskwright_metrics", run=self.info, step=step, values=dict(values))

    def latest(self) -> checkpoints.Checkpoint | None:
        """The newest sound checkpoint, from which the recipe must go on."""
        return checkpoints.latest_checkpoint(self.folder / "checkpoints")

    def checkpoint(
        self,
        number: int,
        files: Mapping[str, checkpoints.Content],
        keep: int = 3,
        spare: frozenset[int] = frozenset(),
        passing: bool = False,
    ) -> None:
        """Save the state after `number` finished steps; metrics logged so far are on disk before it counts.

        A passing checkpoint (of an interruption) makes way for the next one, so that a run that goes on ends with the
        checkpoints of one that was left alone.
        """
        self.log_file.sync()
        files = {
            **files,
            checkpoints.METRICS_SIZE: str(self.log_file.size()).encode(),
            checkpoints.KEEP: checkpoints.keep_file(keep, spare, passing),
        }
        made = checkpoints.save_checkpoint(self.folder / "checkpoints", number, files)
        checkpoints.prune_checkpoints(self.folder / "checkpoints", keep, spare)
        self.step_number = number
        self.observers.call("maskwright_checkpoint_saved", run=self.info, step=number, path=made.path)

    def artefact(self, name: str, data: bytes) -> Path:
        """Keep a file under `artefacts/`; `name` may have folders but cannot leave it."""
        path = self._inside("artefacts", name)
        write_atomic(path, data)
        return path

    def _inside(self, place: str, name: str) -> Path:
        """The file `name` below a folder of the run; names may come from data."""
        root = (self.folder / place).resolve()
        words = name.split("/")
        if not name or "\0" in name or any(len(w.encode()) > 150 or w.startswith(TMP) for w in words):
            raise UserError(f"{show(name)} is no name for a file in {place}", cure="use a short plain name")
        path = (root / name).resolve()
        if path == root or not path.is_relative_to(root):
            raise UserError(f"the name {show(name)} leads out of {place} of the run folder")
        return path

    def save_part(self, path: str, part: Any) -> None:
        """Keep what a fitted part saves; afterwards it is only ever loaded."""
        write_folder(self._inside("parts", path), part.save)

    def has_part(self, path: str) -> bool:
        return (self.folder / "parts" / path).is_dir()

    def load_part(self, path: str, part: Any) -> None:
        load_saved(part, self.folder / "parts" / path)

    def offer_part(self, path: str, raw: Mapping[str, Any]) -> None:
        """Let from-run take a part that is no slot, or has another shape than its slot planned."""
        index = self.folder / EXTRA_PARTS
        offered = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
        write_atomic(index, dump_json({**offered, path: dict(raw)}))

    def fit_parts(self, data: Any) -> None:
        """Fit every fitted part of the tree, or load it where an earlier process did so."""
        for node in self.builder.fitted_nodes():
            part = self.parts[node.path]
            if not self.has_part(node.path):
                self.say(f"fitting {node.path} ({node.reference})")
                part.fit(plain(data), self.step().fork("fit", node.path))
                self.save_part(node.path, part)
            self.load_part(node.path, part)

    def evaluate(self, evaluations: Iterable[Evaluation], data: Any, step: Step) -> dict[str, Findings]:
        """Run evaluators, log their values as `name/metric`, keep their findings; the findings by name."""
        results = {}
        for entry in evaluations:
            self.say(f"evaluating {entry.subject_path} with {entry.name}")
            own = plain(entry.data if entry.data is not None else data)
            if entry.split:
                own = renamed_split(own, entry.split)
            findings = entry.evaluator.evaluate(entry.subject, own, step.fork("evaluate", entry.name))
            check_findings(entry.name, entry.evaluator, findings)
            self.record(entry.name, findings, step.number)
            results[entry.name] = findings
        return results

    def record(self, name: str, findings: Findings, step: int) -> None:
        """Log the values of findings and keep the rest for the report."""
        save_findings(self, name, findings, step)
        self.log(step, {f"{name}/{metric}": value for metric, value in findings.values.items()})

    # -- life --------------------------------------------------------------------------------------------

    def set_status(self, status: str, error: str | None = None) -> None:
        state = {
            "status": status,
            "step": self.step_number,
            "process": f"{os.getpid()}@{os.uname().nodename}",
        }
        write_atomic(self.folder / "status.json", dump_json(state | ({"error": error} if error else {})))

    def close(self) -> None:
        self.log_file.close()
        self.progress.close()
        self.lock.release()


def packages_of(root: Node) -> set[str]:
    """Distributions that the tree's components come from."""
    return {"maskwright"} | {node.listed.package for node in root.walk() if node.listed is not None}


def write_start(folder: Path, plan: Plan, overrides: Iterable[str], pictures: bool = True) -> None:
    """What stays as it is for the run's whole life."""
    packages = packages_of(plan.require())
    environment = {**describe_environment(packages), "pictures": pictures}
    if LOCAL_FILE in packages and (local := catalogue().local_file) is not None:
        write_atomic(folder / LOCAL_FILE, local.read_bytes())
    if plan.text:
        write_atomic(folder / f"recipe{plan.suffix}", plan.text.encode())
    typed = list(overrides)
    if typed:
        write_atomic(folder / "overrides.txt", ("\n".join(typed) + "\n").encode())
    write_atomic(folder / "environment.json", dump_json(environment))
    # Last: a folder with resolved.json is a run that can be resumed.
    write_atomic(folder / "resolved.json", dump_json(plan.resolved()))


def lock_new(folder: Path) -> RunLock:
    """Lock a folder in which a run begins; another process may have begun one there in the meantime."""
    lock = RunLock(folder)
    if not is_unused(folder):
        lock.release()
        raise _taken(folder)
    return lock


WRITTEN = ("status.json", "environment.json", "metrics.jsonl", "timing.jsonl", "log.txt")


def open_run(
    folder: Path,
    plan: Plan,
    lock: RunLock,
    *,
    progress: Progress | None = None,
    pictures: bool = True,
    accept_drift: bool = False,
) -> Run:
    """Tidy up after a kill, build the parts, note the data. The lock goes to the run, or is released on failure."""
    root = plan.require()
    try:
        refuse_folders(folder, WRITTEN)
        sweep(folder)
        environment = read_table(folder / "environment.json", "run the recipe again in another folder")
        now = describe_environment(packages_of(root))
        if not accept_drift:
            refuse_drift(environment, now, str(folder / "environment.json"))
        elif drift := differences(environment, now):
            environment.setdefault("accepted drift", []).append(drift)
        latest = checkpoints.latest_checkpoint(folder / "checkpoints")
        done = latest.number if latest is not None else 0
        checkpoints.drop_after(folder / "checkpoints", done)
        if latest is not None:
            checkpoints.finish_pruning(folder / "checkpoints", latest)
        logged = int(latest.read(checkpoints.METRICS_SIZE)) if latest is not None else 0
        metrics.cut_metrics(folder, logged, may_lack=accept_drift)
        builder = Builder(root, Step(plan.seed))
        builder.build(root)
        environment["data"] = note_data(builder, environment.get("data", {}), accept_drift)
        write_atomic(folder / "environment.json", dump_json(environment))
        info = RunInfo(folder, plan.source, plan.seed, latest.number if latest is not None else None)
        log_file = metrics.MetricsLog(folder)
        shown = progress if progress is not None else quiet_progress()
        return Run(
            folder,
            plan,
            lock,
            log_file,
            Observers(),
            info,
            builder,
            shown,
            pictures,
            step_number=done,
            accept_drift=accept_drift,
        )
    except BaseException:
        lock.release()
        raise


def note_data(builder: Builder, before: Mapping[str, str], accept_drift: bool) -> dict[str, str]:
    """Content hashes of the data sets; UserError where one is not what the run was begun with."""
    found = {}
    for path, node in builder.index.items():
        if node.kind == "dataset" and not node.is_reference and path in builder.parts:
            found[path] = str(builder.parts[path].fingerprint())
            if path in before and before[path] != found[path] and not accept_drift:
                raise UserError(
                    "the data is not what this run was begun with",
                    where=path,
                    why=f"content hash {found[path][:12]}, was {before[path][:12]}",
                    cure="put the data back, or go on with --accept-drift",
                )
    return found
