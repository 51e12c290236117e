"""From a planned tree to built parts: bottom-up, each node with randomness derived from its path."""

import copy
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from maskwright.catalogue import catalogue
from maskwright.checking import check_composition, subjects
from maskwright.errors import RecipeError, UserError
from maskwright.overrides import apply_overrides
from maskwright.parts import followed_path
from maskwright.planner import Planner
from maskwright.step import Step
from maskwright.tree import FromRun, Node, child_path, index_of, own_tags, seeds_of


@attrs.frozen
class Evaluation:
    """An evaluator at work: on which built part, on which data, how often."""

    name: str
    evaluator: Any
    subject: Any
    subject_path: str
    data: Any
    """None: the recipe's own data."""
    split: str = ""
    every: int | None = None


@attrs.define
class Builder:
    """Builds nodes of one tree once each; `parts` maps paths to built parts."""

    root: Node
    step: Step
    parts: dict[str, Any] = attrs.field(factory=dict)
    index: dict[str, Node] = attrs.field(init=False)
    seeds: dict[str, tuple[int, str]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.index = index_of(self.root)
        self.seeds = seeds_of(self.root, self.step.seed)

    def build(self, node: Node) -> Any:
        """The built part of `node`; a part that several paths refer to is built once."""
        if node.ready is not None:
            return node.ready
        if node.is_reference:
            return self.build(self.index[node.target])
        if node.path not in self.parts:
            self.parts[node.path] = self._build(node)
        return self.parts[node.path]

    def _build(self, node: Node) -> Any:
        assert node.params is not None
        made = copy.copy(node.params)
        # Evaluators last: they name other parts of the tree by path.
        for name in sorted(node.slots, key=lambda name: "evaluator" in node.spec(name).kinds):
            spec, value = node.spec(name), node.slots[name]
            if not spec.build:
                built = value
            elif isinstance(value, list):
                built = [self._entry(child) for child in value]
            else:
                built = None if value is None else self.build(value)
            object.__setattr__(made, name, built)
        part = self._call(made, node.path)
        if node.source is not None:
            restore(part, node, self)
        return part

    def _call(self, made: Any, path: str) -> Any:
        build = type(made)._build_part
        asked = inspect.signature(build).parameters
        given: dict[str, Any] = {}
        if "seed" in asked:
            seed, seed_path = self.seeds[path]
            given["seed"] = Step(seed).fork("build", seed_path).stream("init")
        if "names" in asked:
            slots = self.index[path].slots.items()
            given["names"] = {
                slot: [n.name for n in nodes] for slot, nodes in slots if isinstance(nodes, list)
            }
        try:
            return build(made, **given)
        except UserError:
            raise
        except Exception as error:
            # A fault of the plugin: the last line of the answer says whose.
            if (listed := self.index[path].listed) is not None:
                error.add_note(f"while building {listed.reference} of {listed.package} {listed.version}")
            raise

    def _entry(self, node: Node) -> Any:
        if node.kind != "evaluator" or node.entry is None:
            return self.build(node)
        entry = node.entry
        evaluator = self.build(node)
        data = None if entry.data is None else self.build(entry.data)
        if entry.through is not None:
            subject, path = self.build(entry.through), entry.through.path
        else:
            expects = node.listed.component.expects if node.listed is not None else frozenset()
            target = self.index[entry.on] if entry.on else next(subjects(self.index, node, expects))
            subject, path = self.build(target), target.path
        return Evaluation(node.name, evaluator, subject, path, data, entry.split, entry.every)

    def fitted_nodes(self) -> list[Node]:
        """Nodes tagged `fitted` that no earlier run supplies, innermost first."""
        found: list[Node] = []

        def look(node: Node) -> None:
            if node.source is not None:
                return
            for slot, child in node.children():
                if node.spec(slot).build:
                    look(child)
            if node.entry is not None and node.entry.through is not None:
                look(node.entry.through)
            if not node.is_reference and "fitted" in own_tags(node):
                found.append(node)

        look(self.root)
        return found


def restore(part: Any, node: Node, builder: Builder) -> None:
    """Put the state of an earlier run into a freshly built part; first that of the run which that run took it from."""
    assert node.source is not None
    missing = [
        inner for inner in _of_this_source(node) if not inner.is_reference and "fitted" in own_tags(inner)
    ]
    for source in _oldest_first(node.source):
        if source.run is None:
            raise UserError(
                f"{source.label} has not run yet", where=node.path, cure="run the chain it belongs to"
            )
        for inner in list(missing):
            folder = source.run / "parts" / _path_there(inner, node, source)
            if not folder.is_dir():
                folder = source.run / "parts" / followed_path(source.run, _path_there(inner, node, source))
            if folder.is_dir():
                load_saved(part if inner is node else builder.parts[inner.path], folder)
                missing.remove(inner)
        recipe = _recipe_class(source.run)
        if hasattr(recipe, "restore_part"):
            recipe.restore_part(source.run, source.part, source.at, part)
    if missing:
        source, there = node.source, _path_there(missing[0], node, node.source)
        raise UserError(
            f'{source.run} holds no saved state of "{there}"',
            where=f"{source.run}/parts/{there}",
            why="the run stopped before it was saved, or the folder was damaged",
            cure=f"maskwright resume {source.run}",
        )


def load_saved(part: Any, folder: Path) -> None:
    """Let a part read what it saved; whatever goes wrong with files that it wrote itself is damage to them."""
    try:
        part.load(folder)
    except UserError:
        raise
    except Exception as error:
        files = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "none"
        raise UserError(
            f"the saved part {folder} is damaged",
            where=f"{folder} (files: {files})",
            why=f"{type(error).__name__}: {error}",
            cure="put the folder back from a copy, or run the recipe again",
        ) from error


def _of_this_source(node: Node) -> Iterator[Node]:
    """A node and what is below, but for parts that come from a run of their own: those were restored when built."""
    yield node
    for _, child in node.children():
        if child.source is None:
            yield from _of_this_source(child)


def _path_there(inner: Node, node: Node, source: FromRun) -> str:
    """The path that `inner`, a part of `node`, has in the run that `node` comes from."""
    return child_path(source.part, inner.path.removeprefix(node.path).lstrip("."))


def _oldest_first(source: FromRun) -> list[FromRun]:
    return [*(_oldest_first(source.before) if source.before is not None else []), source]


def _recipe_class(run: Path) -> Any:
    raw = json.loads((run / "resolved.json").read_text(encoding="utf-8"))
    return catalogue().find("recipe", raw["use"]).params_class()


def build_params(value: Any, seed: int = 0) -> Any:
    """Build a Params instance by itself: plan it, check it, build it."""
    planner = Planner(catalogue())
    listed = planner.catalogue.of_class(type(value))
    node = planner.node(value, (listed.kind if listed is not None else "recipe",), "")
    if node is not None:
        planner.mistakes += check_composition(node, planner.catalogue)
    if planner.mistakes or node is None:
        raise RecipeError(type(value).__name__, planner.mistakes)
    return Builder(node, Step(seed)).build(node)


def build_raw(
    raw: Any, kinds: tuple[str, ...], source: str, seed: int = 0, overrides: Any = ()
) -> tuple[Any, Node]:
    """Plan, check and build one part from a raw table; the part and its planned node."""
    planner = Planner(catalogue())
    raw = apply_overrides(raw, overrides, planner, kinds)
    node = planner.node(raw, kinds, "")
    if node is not None:
        planner.mistakes += check_composition(node, planner.catalogue)
    if planner.mistakes or node is None:
        raise RecipeError(source, planner.mistakes)
    return Builder(node, Step(seed)).build(node), node
