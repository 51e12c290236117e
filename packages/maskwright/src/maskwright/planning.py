"""A recipe from any source, with overrides, as a checked plan: every mistake at once, nothing built."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.catalogue import catalogue
from maskwright.errors import Mistake, RecipeError, UserError
from maskwright.params import is_params
from maskwright.planner import UNREADABLE, Planner
from maskwright.sources import expand, looks_like_path, read_file
from maskwright.tree import Node, to_json
from maskwright.values import coerce


@attrs.define
class Plan:
    """A recipe that was read and checked; `mistakes` is empty when it may run."""

    source: str
    """What the user calls it: a recipe's name or a file."""
    raw: dict[str, Any]
    root: Node | None
    mistakes: list[Mistake]
    seed: int = 0
    text: str = ""
    """The recipe as given, kept in the run folder."""
    suffix: str = ".toml"
    """Of the file it was given in."""

    def require(self) -> Node:
        """The tree, or RecipeError with all mistakes."""
        if self.mistakes or self.root is None:
            raise RecipeError(self.source, self.mistakes)
        return self.root

    def resolved(self) -> dict[str, Any]:
        """Every value, runnable as a recipe of its own."""
        return {"seed": self.seed, **to_json(self.require())}


Source = Any
"""A recipe's name, a file, a table, or a Params instance of a recipe."""


def plan(
    source: Source,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    *,
    seed: int | None = None,
    stages: Mapping[str, Node] | None = None,
) -> Plan:
    """Read a recipe, apply overrides, check everything; nothing is built and nothing is written.

    `overrides`: `{"data.tasks": 4}` with Python values, or `["data.tasks=4"]` as typed on a command line.
    """
    from maskwright.checking import check_composition
    from maskwright.overrides import apply_overrides

    planner = Planner(catalogue(), stages=stages or {})
    name, raw, text = read_source(source, planner)
    raw = expand(dict(raw), planner.catalogue, name)
    raw = apply_overrides(raw, overrides, planner)
    place = Path(source).parent if text and looks_like_path(str(source)) else Path()
    raw = hold_files(raw, planner, place)
    chosen = raw.get("seed", 0) if seed is None else seed
    chosen = 0 if chosen is UNREADABLE else chosen
    try:
        chosen = coerce(chosen, int)
        if chosen < 0:
            raise ValueError(f"must be >= 0, found {chosen}")
    except ValueError as error:
        planner.wrong("seed", str(error))
        chosen = 0
    root = planner.node(raw, ("recipe",), "")
    if root is not None:
        planner.mistakes += check_composition(root, planner.catalogue)
    return Plan(name, raw, root, list(dict.fromkeys(planner.mistakes)), chosen, text, _suffix(source))


def _suffix(source: Source) -> str:
    return ".json" if str(source).endswith(".json") else ".toml"


def hold_files(raw: dict[str, Any], planner: Planner, place: Path) -> dict[str, Any]:
    """Put the content of recipe files that settings name into the recipe, so that the run holds all of itself.

    A Params class says how by `hold_files(raw, read)`; `read(path)` looks beside the recipe's own file first.
    """

    def read(path: str) -> dict[str, Any]:
        beside = place / path
        found = beside if os.path.isfile(beside) else Path(path)
        return hold_files(read_file(found), planner, found.parent)

    try:
        cls = planner.catalogue.find("recipe", str(raw.get("use"))).params_class()
    except UserError:
        return raw  # said by the planner
    return cls.hold_files(raw, read) if hasattr(cls, "hold_files") else raw


def read_source(source: Source, planner: Planner) -> tuple[str, dict[str, Any], str]:
    """(name for messages, raw table, text to keep) of whatever the caller gave."""
    if is_params(source):
        listed = planner.catalogue.of_class(type(source))
        return listed.name if listed else type(source).__name__, planner.to_raw(source), ""
    if isinstance(source, Mapping):
        return str(source.get("use", "recipe")), dict(source), ""
    if isinstance(source, Path) or looks_like_path(str(source)):
        path = Path(source)
        raw = read_file(path)
        return path.name, raw, path.read_text(encoding="utf-8")
    name = str(source)
    if not any(x.name == name.partition("@")[0] for x in planner.catalogue.of_kind("recipe")):
        for candidate in (Path(name), Path(f"{name}.toml")):
            if os.path.isfile(candidate):
                raise UserError(f'there is no recipe called "{name}"', cure=f"maskwright run ./{candidate}")
    listed = planner.catalogue.find("recipe", name)
    return name, {"use": listed.qualified}, f'use = "{listed.qualified}"\n'
