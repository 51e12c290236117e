"""The other processes of a run that several work on (`torchrun`): they build the same recipe and write nothing."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright import checkpoints
from maskwright.build import Builder
from maskwright.errors import UserError
from maskwright.planning import Plan
from maskwright.progress import Progress, quiet_progress
from maskwright.step import Step
from maskwright.tree import Node


def is_follower() -> bool:
    """Whether another process owns the run folder. RANK and WORLD_SIZE are what torchrun tells its processes."""
    try:
        return int(os.environ.get("WORLD_SIZE", "1")) > 1 and int(os.environ.get("RANK", "0")) > 0
    except ValueError:
        return False


def refuse_child_runs(root: Node) -> None:
    """UserError where several processes were started for a recipe that starts runs of its own."""
    several = os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1")
    if several and root.listed is not None and "many-runs" in root.listed.component.provides:
        raise UserError(
            f"{root.reference} starts runs of its own and cannot be shared by several processes",
            where=f"WORLD_SIZE={os.environ['WORLD_SIZE']}",
            cure="start it without torchrun; `workers` of an experiment runs several children at a time",
        )


def follow(plan: Plan) -> Path:
    """Build and run the recipe beside the process that owns the folder; where that is, the recipe learns from it."""
    builder = Builder(plan.require(), Step(plan.seed))
    recipe = builder.build(plan.require())
    run = FollowerRun(plan, builder)
    recipe.run(run)
    return run.folder


@attrs.define(eq=False)
class FollowerRun:
    """What a recipe sees of its run in such a process: it may read the folder, and what would write does nothing."""

    plan: Plan
    builder: Builder
    folder: Path = Path()
    """Told by the recipe once its processes have met."""
    progress: Progress = attrs.field(factory=quiet_progress)
    pictures: bool = False
    accept_drift: bool = False

    @property
    def seed(self) -> int:
        return self.plan.seed

    @property
    def root(self) -> Node:
        return self.plan.require()

    @property
    def parts(self) -> Mapping[str, Any]:
        return self.builder.parts

    def step(self, number: int = 0, total: int = 1) -> Step:
        return Step(self.seed, number, total)

    def say(self, text: str) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def latest(self) -> checkpoints.Checkpoint | None:
        return checkpoints.latest_checkpoint(self.folder / "checkpoints")

    def checkpoint(self, number: int, files: Mapping[str, checkpoints.Content], **options: Any) -> None: ...

    def artefact(self, name: str, data: bytes) -> None: ...

    def save_part(self, path: str, part: Any) -> None: ...

    def offer_part(self, path: str, raw: Mapping[str, Any]) -> None: ...

    def has_part(self, path: str) -> bool:
        return (self.folder / "parts" / path).is_dir()

    def load_part(self, path: str, part: Any) -> None:
        part.load(self.folder / "parts" / path)

    def fit_parts(self, data: Any) -> None:
        """Load what the owner of the folder has fitted; to be called once it has."""
        for node in self.builder.fitted_nodes():
            self.load_part(node.path, self.parts[node.path])

    def evaluate(self, evaluations: Iterable[Any], data: Any, step: Step) -> dict[str, Any]:
        return {}

    def record(self, name: str, findings: Any, step: int) -> None: ...
