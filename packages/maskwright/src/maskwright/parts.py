"""Parts of earlier runs: which there are, how they were set, where their state lies."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError, did_you_mean
from maskwright.tree import ENTRY_KEYS, Node, child_path, index_of, seeds_of, tags_of, to_json

EXTRA_PARTS = "parts/index.json"
"""Parts that a recipe offers beside its slots, or in another shape than planned: path -> raw table."""


INSIDE = "^"
"""Begins a reference that is written from the root of a part and not of a recipe."""


@attrs.frozen
class FoundPart:
    raw: dict[str, Any]
    path: str
    run: Path | None
    seed: int
    seed_path: str


def run_tree(folder: Path) -> Node:
    """The planned tree of a finished or unfinished run."""
    from maskwright.planning import plan

    resolved = folder / "resolved.json"
    if not os.path.isfile(resolved):
        what = "is not a run folder" if os.path.isdir(folder) else "does not exist"
        raise UserError(f"{folder} {what}", where=str(folder), cure="give a folder that holds resolved.json")
    made = plan(resolved)
    # Without its data or its evaluators a run can still be used; without what its parts are made of it cannot.
    missing = [m for m in made.mistakes if made.root is None or m.path in _holes(made.root)]
    if made.root is None or missing:
        raise UserError(
            f"{folder} needs what is no longer there",
            where=str(resolved),
            why="; ".join(map(str, missing)),
            cure="put it back, or write its new place into resolved.json",
        )
    assert made.root is not None
    return made.root


def _holes(root: Node) -> set[str]:
    """Paths of parts that are needed and could not be planned, data and evaluators left out."""
    return {
        child_path(node.path, name)
        for node in root.walk()
        for name, value in node.slots.items()
        if value is None and not node.spec(name).optional and node.spec(name).kinds != ("dataset",)
    }


def extra_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """What the recipe of this run wrote down about parts beside its slots."""
    path = folder / EXTRA_PARTS
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged", why=str(error), cure="run the recipe again") from None
    return table if isinstance(table, dict) else {}


def candidates(root: Node, kinds: tuple[str, ...], needs: frozenset[str]) -> list[str]:
    """Paths of the parts of these kinds, outermost only, evaluators' own parts left out."""
    index = index_of(root)
    found: list[str] = []

    def look(node: Node) -> None:
        for slot, child in node.children():
            if child.is_reference or child.kind == "evaluator" or not node.spec(slot).build:
                continue
            if child.kind in kinds and needs <= tags_of(child, index):
                found.append(child.path)
            else:
                look(child)

    look(root)
    return found


def find_part(
    run: str, part: str, kinds: tuple[str, ...], needs: frozenset[str], stages: Mapping[str, Node]
) -> FoundPart:
    """The part `part` of a run folder or of a stage of the chain being planned; the only fitting one if empty."""
    if run.startswith("stage:"):
        name = run.removeprefix("stage:")
        if name not in stages:
            known = ", ".join(stages) or "none"
            raise UserError(
                f'there is no earlier stage "{name}"{did_you_mean(name, stages)}',
                cure=f"earlier stages: {known}",
            )
        folder, root, extra, seed = None, stages[name], {}, 0
    else:
        if not run or "\0" in run:
            raise UserError('from-run needs run = "FOLDER"')
        folder = Path(run)
        root, extra = run_tree(folder), extra_parts(folder)
        seed = int(json.loads((folder / "resolved.json").read_text(encoding="utf-8")).get("seed", 0))
    words = " or ".join(kinds)
    index = index_of(root)
    # What a stage will offer beside its slots is planned as the part that it is made from.
    later = _will_offer(root) if folder is None else {}
    if not part:
        offered = candidates(root, kinds, needs) + [path for path in extra if path not in index]
        if len(offered) != 1:
            shown = ", ".join(offered) if offered else "none"
            raise UserError(
                f"{run} has {'no' if not offered else 'more than one'} {words} that fits",
                why=f"it has: {shown}",
                cure='name one with  part = "…"' if offered else "",
            )
        part = offered[0]
    if part in extra:
        return FoundPart(extra[part], part, folder, seed, part)
    if (part not in index and part not in later) or not part:
        raise UserError(
            f'{run} has no part "{part}"{did_you_mean(part, [*index, *later])}',
            cure=f"its parts: {', '.join(path for path in [*index, *later] if path)}",
        )
    found = followed(index[later.get(part, part)], index)
    seed, seed_path = seeds_of(root, seed)[found.path]
    raw = _from_owners_run(found, index) or inlined(to_json(found), index, found.path)
    # Its name in a list, and how an evaluator was put to work there, stay behind.
    left = {"as"} | (set(ENTRY_KEYS) if found.entry is not None else set())
    return FoundPart({key: raw[key] for key in raw if key not in left}, part, folder, seed, seed_path)


def _will_offer(root: Node) -> dict[str, str]:
    """Name -> path of the planned part, for what Params classes say that they will offer: `offers()`."""
    return {
        name: child_path(node.path, inner)
        for node in root.walk()
        if node.cls is not None and hasattr(node.cls, "offers")
        for name, inner in node.cls.offers().items()
    }


def table_of(root: Node, path: str) -> dict[str, Any]:
    """The raw table of a part that needs no other run: the settings of what came from one are written out."""
    index = index_of(_by_itself(root))
    found = followed(index[path], index)
    return inlined(to_json(found), index, found.path)


def _by_itself(node: Node) -> Node:
    """The tree without the runs that its parts were taken from."""
    slots = {
        name: [_by_itself(child) for child in value]
        if isinstance(value, list)
        else value and _by_itself(value)
        for name, value in node.slots.items()
    }
    return attrs.evolve(node, slots=slots, source=None)


def followed(node: Node, index: Mapping[str, Node]) -> Node:
    """The part that a reference stands for; any other part itself."""
    while node.is_reference and node.target in index:
        node = index[node.target]
    return node


def _from_owners_run(found: Node, index: Mapping[str, Node]) -> dict[str, Any]:
    """A part inside one that an earlier run supplied comes from that run, too; empty where there is no such owner."""
    if found.source is not None:
        return {}
    words = found.path.split(".")
    for count in range(len(words) - 1, 0, -1):
        owner = index.get(".".join(words[:count]))
        if owner is None or owner.source is None:
            continue
        source, inner = owner.source, words[count:]
        changed: Mapping[str, Any] = source.changed
        for word in inner:
            value = changed.get(word, {})
            changed = value if isinstance(value, Mapping) else {"use": value}
        if "use" in changed:  # something else was put in its place
            return {}
        run = source.label if source.run is None else str(source.run.absolute())
        raw = {"use": "from-run", "run": run, "part": child_path(source.part, *inner), "at": source.at}
        return raw | ({"set": dict(changed)} if changed else {})
    return {}


def inlined(raw: Any, index: Mapping[str, Node], part: str) -> Any:
    """References replaced by what they stand for: outside their recipe they would point nowhere. One that stays inside
    of the part is written from its root, so that what is shared stays shared."""
    if isinstance(raw, list):
        return [inlined(entry, index, part) for entry in raw]
    if not isinstance(raw, dict):
        return raw
    if isinstance(raw.get("ref"), str) and raw["ref"] in index:
        target = followed(index[raw["ref"]], index)
        name = {"as": raw["as"]} if "as" in raw else {}
        if target.path.startswith(f"{part}."):
            return {"ref": INSIDE + target.path.removeprefix(f"{part}."), **name}
        return inlined(to_json(target), index, part) | name
    return {key: inlined(value, index, part) for key, value in raw.items()}


def rebased(raw: Any, path: str) -> Any:
    """The raw table of a part, its inner references written for the place that it is put in."""
    if isinstance(raw, list):
        return [rebased(entry, path) for entry in raw]
    if not isinstance(raw, Mapping):
        return raw
    if isinstance(raw.get("ref"), str) and raw["ref"].startswith(INSIDE):
        return {**raw, "ref": child_path(path, raw["ref"].removeprefix(INSIDE))}
    return {key: rebased(value, path) for key, value in raw.items()}


def followed_path(run: Path, path: str) -> str:
    """Where a run keeps the part at `path`: a part that it holds by reference is kept where it stands itself."""
    index, words = index_of(run_tree(run)), path.split(".")
    for count in range(1, len(words) + 1):
        node = index.get(".".join(words[:count]))
        if node is not None and node.is_reference:
            return followed_path(run, child_path(followed(node, index).path, *words[count:]))
    return path
