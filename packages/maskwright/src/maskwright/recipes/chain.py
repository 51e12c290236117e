"""recipe:chain: stages are child runs; a later one takes parts of an earlier one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskwright.api import LoadedRun
from maskwright.build import Builder
from maskwright.contracts import Findings
from maskwright.environment import describe_environment, differences
from maskwright.errors import UserError
from maskwright.folder import read_table, write_atomic
from maskwright.planner import is_entry_name
from maskwright.planning import Plan, plan
from maskwright.recipes.experiment import CHILDREN, run_child
from maskwright.runs import Run, dump_json, packages_of
from maskwright.step import Step
from maskwright.tree import Node
from maskwright.values import show

STAGES = "stages.json"


def _source(raw: Any) -> tuple[Any, Any]:
    """(recipe, overrides) of a stage."""
    if isinstance(raw, str):
        return raw, {}
    if not isinstance(raw, Mapping):
        raise UserError(f"expected a recipe table, found {show(raw)}")
    if isinstance(raw.get("recipe"), Mapping):  # what the planner makes of a file
        return raw["recipe"], {key: value for key, value in raw.items() if key != "recipe"}
    if "file" in raw:
        if not isinstance(raw["file"], str):
            raise UserError(f"file: expected text, found {show(raw['file'])}")
        return raw["file"], {key: value for key, value in raw.items() if key != "file"}
    return raw, {}


def plan_stages(stages: Mapping[str, Any], seed: int = 0) -> Iterator[tuple[str, Plan]]:
    """Each stage's plan, seeing the stages before it."""
    before: dict[str, Node] = {}
    for name, raw in stages.items():
        if not is_entry_name(name):
            raise UserError(f'"{name}" is no name for a stage', cure="use a-z, A-Z, 0-9, - and _")
        source, overrides = _source(raw)
        own = isinstance(source, Mapping) and "seed" in source
        made = plan(source, overrides, seed=None if own else seed, stages=before)
        yield name, made
        if made.root is not None:
            before[name] = made.root


def check_stages(stages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every mistake of every stage."""
    if not stages:
        yield "stages", "name at least one stage"
    planned = plan_stages(stages)
    for name in stages:
        try:
            _, made = next(planned)
        except UserError as error:
            yield f"stages.{name}", error.as_message()
            return  # later stages may take parts of this one
        for mistake in made.mistakes:
            yield f"stages.{name}", f"{mistake.path or 'recipe'}: {mistake.message}"


def _with_folders(raw: Any, folders: Mapping[str, Path]) -> Any:
    """`stage:name` replaced by the folder in which that stage ran."""
    if isinstance(raw, Mapping):
        return {key: _with_folders(value, folders) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_with_folders(value, folders) for value in raw]
    if isinstance(raw, str) and raw.startswith("stage:") and raw.removeprefix("stage:") in folders:
        return str(folders[raw.removeprefix("stage:")].absolute())
    return raw


class ChainRecipe:
    """Runs the stages in order. `stages.json` holds a key for each: its settings and the keys it builds on."""

    def __init__(self, stages: Mapping[str, Any], reuse: Path | None = None) -> None:
        self.stages, self.reuse = stages, reuse

    def run(self, run: Run) -> None:
        earlier = _stages_of_first_arm(run.folder)
        if self.reuse is not None:
            earlier |= _finished_stages(self.reuse)
        folders: dict[str, Path] = {}
        keys: dict[str, str] = {}
        rows = []
        run.progress.begin(len(self.stages), 0, "stages")
        for done, (name, planned) in enumerate(plan_stages(self.stages, run.seed), start=1):
            keys[name] = _key(planned, keys)
            reused = keys[name] in earlier and is_unchanged(planned, earlier[keys[name]])
            folders[name] = earlier[keys[name]] if reused else run.folder / "stages" / name
            if not reused:
                made = plan(_with_folders(planned.resolved(), folders))
                run_child(made, folders[name], run.pictures, run.accept_drift)
            finished = LoadedRun(folders[name])
            for metric, value in finished.last_metrics().items():
                run.log(done, {f"{name}/{metric}": value if value is not None else float("nan")})
            rows.append({"stage": name, "recipe": planned.require().reference, "reused": reused})
            run.progress.advance(done)
        _write_places(run.folder, folders, keys)
        run.record("chain", Findings({"stages": float(len(rows))}, tables={"Stages": rows}), len(rows))


def _key(planned: Plan, keys: Mapping[str, str]) -> str:
    """What a stage's result depends on: its settings, and those of the stages it takes parts from."""
    text = json.dumps(planned.resolved(), sort_keys=True)
    used = {name: key for name, key in keys.items() if f'"stage:{name}"' in text}
    return hashlib.sha256((text + json.dumps(used, sort_keys=True)).encode()).hexdigest()


def is_unchanged(planned: Plan, place: Path) -> bool:
    """Whether a finished stage would come out the same: same packages and code, same data, nothing from elsewhere."""
    root = planned.require()
    before = read_table(place / "environment.json", "run the chain without reuse")
    if differences(before, describe_environment(packages_of(root))):
        return False
    if any(node.source is not None and node.source.run is not None for node in root.walk()):
        return False  # a part of a run outside this chain: nobody watches over that folder
    builder = Builder(root, Step(planned.seed))
    data = [
        node
        for node in root.walk()
        if node.kind == "dataset" and not node.is_reference and node.source is None
    ]
    then = before.get("data", {})
    return all(then.get(node.path) == str(builder.build(node).fingerprint()) for node in data)


def _write_places(folder: Path, folders: Mapping[str, Path], keys: Mapping[str, str]) -> None:
    write_atomic(folder / STAGES, dump_json({keys[name]: str(folders[name].absolute()) for name in folders}))


def _stages_of_first_arm(folder: Path) -> dict[str, Path]:
    """Key -> folder of the stages that the first arm of an experiment has run with the same seed.

    Arms that differ in later stages only share the earlier ones: a model is pre-trained once for each seed.
    """
    children = folder.absolute().parent.parent
    resolved = children.parent / "resolved.json"
    if children.name != CHILDREN or not resolved.is_file():
        return {}
    arms = json.loads(resolved.read_text(encoding="utf-8")).get("arms")
    first = children / next(iter(arms)) / folder.name if isinstance(arms, dict) and arms else folder
    return _finished_stages(first) if (first / STAGES).is_file() else {}


def _finished_stages(folder: Path) -> dict[str, Path]:
    """Key -> folder of the finished stages of an earlier chain."""
    path = folder / STAGES
    if not path.is_file():
        raise UserError(
            f"{folder} is no finished chain", where=str(path), cure="give the folder of an earlier chain run"
        )
    found = {key: Path(place) for key, place in json.loads(path.read_text(encoding="utf-8")).items()}
    return {key: place for key, place in found.items() if LoadedRun(place).status["status"] == "finished"}
