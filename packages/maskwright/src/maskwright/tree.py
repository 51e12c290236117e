"""The planned tree: which component fills each slot, with which settings. Nothing in it is built."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from maskwright.catalogue import Listed
from maskwright.params import SlotSpec, fields_of
from maskwright.tags import caveats_of

ENTRY_KEYS = ("on", "through", "data", "split", "every")
"""Keys of an evaluator's entry beside the evaluator's own settings (and `as`, which every list entry has)."""


@attrs.frozen
class Entry:
    """How an evaluator is put to work: on which part, through which pipeline, on which data, how often."""

    on: str = ""
    """Path of the part that is judged; empty: the only part that fits."""
    through: "Node | None" = None
    """A pipeline that is put between the part and the evaluator."""
    data: "Node | None" = None
    """Data of its own instead of the recipe's."""
    split: str = ""
    """Judge on this split where the evaluator would read `test`."""
    every: int | None = None
    """Steps between two evaluations during training."""


@attrs.frozen
class FromRun:
    """A part taken from an earlier run."""

    run: Path | None
    """None while the run is a stage of a chain that has not started."""
    label: str
    """As written: a folder or `stage:name`."""
    part: str
    at: str
    changed: dict[str, Any]
    seed: int = 0
    """Seed of that run: generated data must come out as they were there."""
    seed_path: str = ""
    """What its randomness was derived from there, see `seeds_of`."""
    before: "FromRun | None" = None
    """Where that run had the part from, if it did not begin with it."""


@attrs.define(eq=False)
class Node:
    """One component with its settings, or a reference to another node, or a part that was already built."""

    path: str
    kind: str
    cls: type | None = None
    listed: Listed | None = None
    settings: dict[str, Any] = attrs.field(factory=dict)
    slots: dict[str, Any] = attrs.field(factory=dict)
    """Slot name -> Node, list of Nodes, or None."""
    name: str = ""
    """Name within a list."""
    params: Any = None
    """The Params instance; None as long as a setting is wrong somewhere below."""
    entry: Entry | None = None
    source: FromRun | None = None
    target: str = ""
    """Of a reference: path of the node it stands for."""
    ready: Any = None
    """A built part handed over in Python."""

    @property
    def is_reference(self) -> bool:
        return bool(self.target)

    @property
    def reference(self) -> str:
        """`kind:name` for messages."""
        if self.listed is not None:
            return self.listed.reference
        return self.cls.__name__ if self.cls is not None else f"{self.kind} (built)"

    def spec(self, slot: str) -> SlotSpec:
        assert self.cls is not None
        spec = fields_of(self.cls)[slot].spec
        assert isinstance(spec, SlotSpec)
        return spec

    def children(self) -> Iterator[tuple[str, "Node"]]:
        """(slot name, node) for everything directly below, evaluator data and pipelines included."""
        for slot, value in self.slots.items():
            for node in value if isinstance(value, list) else [value]:
                if node is not None:
                    yield slot, node

    def walk(self) -> Iterator["Node"]:
        """This node and everything below, parents first."""
        yield self
        for _, child in self.children():
            yield from child.walk()
        if self.entry is not None:
            for extra in (self.entry.through, self.entry.data):
                if extra is not None:
                    yield from extra.walk()


def walk_built(node: Node) -> Iterator[Node]:
    """A node and what is built below it: trees that a recipe keeps as plans hold no parts."""
    yield node
    for slot, child in node.children():
        if node.cls is None or node.spec(slot).build:
            yield from walk_built(child)


def child_path(path: str, *names: str) -> str:
    """Join path words, the root being the empty path."""
    return ".".join(word for word in (path, *names) if word)


def index_of(root: Node) -> dict[str, Node]:
    """Path -> node for the whole tree."""
    return {node.path: node for node in root.walk()}


def seeds_of(root: Node, seed: int) -> dict[str, tuple[int, str]]:
    """Path -> (seed, seed path) of every node: what its randomness is derived from.

    The seed path leaves out `inherit` slots, and lists of a single part of the owner's own kind, so that a part starts
    out the same whether it is wrapped or not. A part of an earlier run keeps that run's seed and its path there:
    generated data come out as they were.
    """
    found: dict[str, tuple[int, str]] = {}

    def visit(node: Node, seed: int, path: str) -> None:
        if node.source is not None:
            seed, path = node.source.seed, node.source.seed_path
        found[node.path] = seed, path
        for slot, child in node.children():
            if isinstance(node.slots[slot], list) and len(node.slots[slot]) == 1 and child.kind == node.kind:
                visit(child, seed, path)
                continue
            below = path if node.spec(slot).inherit else child_path(path, slot)
            visit(child, seed, child_path(below, child.name))
        if node.entry is not None:
            for word, extra in (("through", node.entry.through), ("data", node.entry.data)):
                if extra is not None:
                    visit(extra, seed, child_path(path, word))

    visit(root, seed, "")
    return found


def own_tags(node: Node) -> frozenset[str]:
    """Tags of the component itself and of its settings, without what it inherits from a part below."""
    own: frozenset[str] = node.listed.component.provides if node.listed is not None else frozenset()
    return own | frozenset(node.params.tags()) if hasattr(node.params, "tags") else own


def tags_of(node: Node, index: dict[str, Node], above: frozenset[str] = frozenset()) -> frozenset[str]:
    """What a node provides: its component's tags, those its settings add, what an `inherit` slot passes on,
    and every caveat from anywhere below."""
    if node.path in above:
        return frozenset()  # references in a circle, which the checks report
    above |= {node.path}
    if node.is_reference:
        target = index.get(node.target)
        return tags_of(target, index, above) if target is not None else frozenset()
    own = own_tags(node)
    for slot, child in node.children():
        below = tags_of(child, index, above)
        own |= below if node.spec(slot).inherit else caveats_of(below)
    return own


def to_json(node: Node, base: str = "") -> Any:
    """The tree as plain data that can be planned again: every value, components with their package.

    `base` is the path of the enclosing recipe, from which paths of other parts are written.
    """
    if node.is_reference:
        result: dict[str, Any] = {"ref": _from(base, node.target)}
    elif node.source is not None:
        source = node.source
        # Absolute, as paths in settings: the run is also used from other folders than the one it was started in.
        run = source.label if source.run is None else str(source.run.absolute())
        result = {"use": "from-run", "run": run, "part": source.part, "at": source.at}
        result |= {"set": plain(source.changed)} if source.changed else {}
    else:
        result = {
            "use": node.listed.qualified if node.listed is not None else f"(not declared) {node.reference}"
        }
    if node.name:
        result["as"] = node.name
    if node.kind == "recipe":
        base = node.path
    if node.source is None and not node.is_reference:
        result |= {key: plain(value) for key, value in node.settings.items()}
        for slot, value in node.slots.items():
            if isinstance(value, list):
                result[slot] = [to_json(child, base) for child in value]
            else:
                result[slot] = None if value is None else to_json(value, base)
    if node.entry is not None:
        entry = node.entry
        result |= {"on": _from(base, entry.on)} if entry.on else {}
        result |= {key: value for key in ("split", "every") if (value := getattr(entry, key))}
        result |= {
            key: to_json(value, base)
            for key in ("through", "data")
            if (value := getattr(entry, key)) is not None
        }
    return result


def _from(base: str, path: str) -> str:
    """A path as it is written inside the recipe at `base`."""
    return path.removeprefix(f"{base}.") if base else path


def plain(value: Any) -> Any:
    """A setting as JSON data; a path that exists becomes absolute, so that resuming elsewhere still finds it."""
    if isinstance(value, Path):
        return str(value.absolute() if os.path.exists(value) else value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value
