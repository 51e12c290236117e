"""One node after the other: which component fills a slot, whether its settings are right. Builds nothing."""

import copy
import datetime
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.catalogue import Catalogue, Listed
from maskwright.errors import Mistake, UserError, did_you_mean
from maskwright.params import Field, SlotSpec, fields_of, is_params
from maskwright.sources import expand, looks_like_path, merge
from maskwright.tree import ENTRY_KEYS, Entry, FromRun, Node, child_path
from maskwright.values import coerce, show

UNREADABLE = object()
"""Stands for a value whose text was already reported."""

HOLE = object()
"""Stands in a slot for a part that has mistakes of its own, while the rules of its owner are checked."""

RUN_KEYS = ("use", "run", "part", "at", "set", "as", *ENTRY_KEYS)


@attrs.define
class Planner:
    """Plans nodes and keeps the mistakes."""

    catalogue: Catalogue
    mistakes: list[Mistake] = attrs.field(factory=list)
    stages: Mapping[str, Node] = attrs.field(factory=dict)
    """Planned trees that `run = "stage:name"` may refer to."""
    base: str = ""
    """Path of the enclosing recipe: references are read from there."""

    def wrong(self, path: str, message: str) -> None:
        self.mistakes.append(Mistake(path, message))

    # -- one node ----------------------------------------------------------------------------------------

    def node(
        self,
        raw: Any,
        kinds: tuple[str, ...],
        path: str,
        default: Any = None,
        in_list: bool = False,
        needs: frozenset[str] = frozenset(),
    ) -> Node | None:
        """Plan what fills a slot. `default` supplies `use` when a table only changes settings."""
        if raw is UNREADABLE:
            return None
        if is_params(raw):
            return self._from_params(raw, kinds, path)
        if isinstance(raw, str):
            raw = {"use": raw} if not self._is_run(raw) else {"use": "from-run", "run": raw}
        elif isinstance(raw, int | float) and not isinstance(raw, bool):
            if "schedule" not in kinds:
                self.wrong(path, f"expected {' or '.join(kinds)}, found {show(raw)}")
                return None
            raw = {"use": "constant", "value": float(raw)}
        elif not isinstance(raw, Mapping):
            if raw is None or isinstance(raw, bool | list | tuple | datetime.date | datetime.time):
                self.wrong(path, f"expected {' or '.join(kinds)}, found {show(raw)}")
                return None
            return Node(path, kinds[0], ready=raw)
        if "ref" in raw:
            return self._reference(raw, kinds, path)
        if "use" not in raw:
            if default is None:
                self.wrong(path, f'needs use = "name" of a {" or ".join(kinds)}')
                return None
            raw = self.with_default(raw, default)
        if raw["use"] == "from-run":
            return self._from_run(raw, kinds, path, in_list, needs)
        listed = self._find(raw["use"], kinds, path)
        if listed is None:
            return None
        if listed.kind == "recipe" and listed.is_file:
            raw = expand(dict(raw), self.catalogue, path)
            listed = self._find(raw["use"], kinds, path)
            if listed is None:
                return None
        cls = self._class(listed, path)
        return None if cls is None else self._fill(Node(path, listed.kind, cls, listed), raw, in_list)

    def _is_run(self, text: str) -> bool:
        return text.startswith("stage:") or (
            looks_like_path(text) and os.path.isfile(Path(text) / "resolved.json")
        )

    def with_default(self, raw: Mapping[str, Any], default: Any) -> Mapping[str, Any]:
        if isinstance(default, str):
            return {"use": default, **raw}
        if isinstance(default, int | float):
            return {"use": "constant", "value": float(default), **raw}
        if is_params(default):
            default = self.to_raw(default)
        return {**default, **raw}

    def _find(self, use: Any, kinds: tuple[str, ...], path: str) -> Listed | None:
        if not isinstance(use, str):
            self.wrong(
                child_path(path, "use"), f"expected the name of a {' or '.join(kinds)}, found {show(use)}"
            )
            return None
        try:
            listed = self.catalogue.find(kinds, use)
        except UserError as error:
            why = f"\n{error.why}" if error.why else ""
            self.wrong(path, f"{error.what}{why}\n{error.cure}".rstrip())
            return None
        if listed.component.deprecated:
            import warnings

            from maskwright.deprecated import COMPONENT_DEPRECATED, RemovedInApi2

            note = listed.component.deprecated
            text = COMPONENT_DEPRECATED.format(kind=listed.kind, name=listed.name, note=note)
            warnings.warn(text, RemovedInApi2, stacklevel=2)
        return listed

    def _class(self, listed: Listed, path: str) -> type | None:
        try:
            return listed.params_class()
        except UserError as error:
            self.wrong(path, f"{error.what}: {error.why}\nin {error.where}\n{error.cure}")
            return None

    def _from_params(self, value: Any, kinds: tuple[str, ...], path: str) -> Node | None:
        listed = self.catalogue.of_class(type(value))
        if listed is not None and listed.kind not in kinds:
            self.wrong(path, f"expected {' or '.join(kinds)}, found {listed.reference}")
            return None
        raw = {name: getattr(value, name) for name in fields_of(type(value))}
        kind = listed.kind if listed is not None else kinds[0]
        return self._fill(Node(path, kind, type(value), listed), raw, False)

    def to_raw(self, value: Any) -> Any:
        """A Params tree as raw tables (parts already built stay as they are)."""
        if isinstance(value, list | tuple):
            return [self.to_raw(entry) for entry in value]
        if not is_params(value):
            return value
        listed = self.catalogue.of_class(type(value))
        if listed is None:
            raise UserError(
                f"{type(value).__name__} belongs to no installed plugin",
                why="a recipe is written down by the names of its components",
                cure="declare it in a plugin, or in maskwright_local.py",
            )
        fields = fields_of(type(value))
        return {"use": listed.qualified} | {
            name: self.to_raw(getattr(value, name)) if field.is_slot else getattr(value, name)
            for name, field in fields.items()
        }

    def _reference(self, raw: Mapping[str, Any], kinds: tuple[str, ...], path: str) -> Node | None:
        target = raw["ref"]
        if not isinstance(target, str) or not target.strip("."):
            self.wrong(path, f"ref expects the path of a part, found {show(target)}")
            return None
        for key in raw.keys() - {"ref", "as"}:
            self.wrong(child_path(path, key), "a reference takes no settings of its own")
        if target.startswith("."):
            target = child_path(path.rpartition(".")[0], target[1:])
        else:
            target = child_path(self.base, target)
        return Node(path, kinds[0], target=target, name=str(raw.get("as", "")))

    def _from_run(
        self, raw: Mapping[str, Any], kinds: tuple[str, ...], path: str, in_list: bool, needs: frozenset[str]
    ) -> Node | None:
        from maskwright.parts import find_part, rebased

        for key in raw.keys() - set(RUN_KEYS):
            self.wrong(child_path(path, key), f"unknown key of from-run{did_you_mean(key, RUN_KEYS)}")
        words: dict[str, Any] = {}
        for key, fallback in (("run", None), ("part", ""), ("at", "last")):
            value = raw.get(key, fallback)
            value = (
                str(value) if isinstance(value, Path) or (key == "at" and isinstance(value, int)) else value
            )
            if not isinstance(value, str):
                self.wrong(child_path(path, key), f"expected text, found {show(value)}")
                return None
            words[key] = value
        changed = raw.get("set", {})
        if not isinstance(changed, Mapping):
            self.wrong(child_path(path, "set"), f"expected a table of settings, found {show(changed)}")
            return None
        try:
            part = find_part(words["run"], words["part"], kinds, needs, self.stages)
        except UserError as error:
            self.wrong(path, error.as_message())
            return None
        over = {"set": dict(changed)} if part.raw.get("use") == "from-run" else dict(changed)
        place = path.removeprefix(f"{self.base}.") if self.base else path
        node = self.node(rebased(merge(part.raw, over), place), kinds, path)
        if node is None:
            return None
        before = node.source
        seed, seed_path = (before.seed, before.seed_path) if before else (part.seed, part.seed_path)
        node.source = FromRun(
            part.run, words["run"], part.path, words["at"], dict(changed), seed, seed_path, before
        )
        node.name = str(raw.get("as", node.name)) if in_list else ""
        if any(key in raw for key in ENTRY_KEYS) or (in_list and node.kind == "evaluator"):
            node.entry = self._entry(raw, path)
        return node

    # -- settings and slots ------------------------------------------------------------------------------

    def _fill(self, node: Node, raw: Mapping[str, Any], in_list: bool) -> Node:
        assert node.cls is not None
        before = len(self.mistakes)
        fields = fields_of(node.cls)
        reserved = (
            {"use"}
            | ({"as"} if in_list else set())
            | ({"seed"} if node.kind == "recipe" and not node.path else set())
        )
        if node.kind == "evaluator" and in_list:
            reserved |= set(ENTRY_KEYS)
            node.entry = self._entry(raw, node.path)
        if in_list:
            node.name = str(raw.get("as", node.name))
        for key in raw:
            if key not in fields and key not in reserved:
                hint = (
                    did_you_mean(key, fields) or f" of {node.reference}; known: {', '.join(fields) or 'none'}"
                )
                self.wrong(child_path(node.path, str(key)), f'unknown setting "{key}"{hint}')
        outer, self.base = self.base, node.path if node.kind == "recipe" else self.base
        for name, field in fields.items():
            if isinstance(field.spec, SlotSpec):
                node.slots[name] = self._slot(node, field, field.spec, raw)
            else:
                self._setting(node, field, raw)
        self.base = outer
        if len(self.mistakes) == before and not any(value is UNREADABLE for value in raw.values()):
            self._instantiate(node)
        elif getattr(node.cls, "checks_with_holes", False):
            self._check_with_holes(node)
        return node

    def _setting(self, node: Node, field: Field, raw: Mapping[str, Any]) -> None:
        path = child_path(node.path, field.name)
        if field.name not in raw:
            if field.required:
                self.wrong(path, f"is required: {field.describe()} — {field.spec.help}")
            else:
                node.settings[field.name] = copy.deepcopy(field.default)
            return
        if raw[field.name] is UNREADABLE:
            return
        try:
            value = coerce(raw[field.name], field.type)
            field.spec.check(value)  # type: ignore[union-attr]
        except ValueError as error:
            self.wrong(path, str(error))
        else:
            node.settings[field.name] = value

    def _slot(self, node: Node, field: Field, spec: SlotSpec, raw: Mapping[str, Any]) -> Any:
        path = child_path(node.path, field.name)
        value = raw.get(field.name, field.default)
        if value is UNREADABLE:
            return None
        if value is None or value == "none":
            if not spec.optional:
                self.wrong(path, f"is required: {field.describe()} — {spec.help}")
            return None
        if field.required and field.name not in raw:
            self.wrong(path, f"is required: {field.describe()} — {spec.help}")
            return None
        default = None if field.required or field.default == [] else field.default
        if not spec.many:
            return self.node(value, spec.kinds, path, default, needs=spec.needs)
        if isinstance(value, Mapping | str) or is_params(value):
            value = [value]
        if not isinstance(value, list | tuple):
            self.wrong(path, f"expected {field.describe()}, found {show(value)}")
            return []
        return self._list(value, spec, path)

    def _list(self, entries: Iterable[Any], spec: SlotSpec, path: str) -> list[Node]:
        nodes: list[Node] = []
        taken: set[str] = set()
        for number, raw in enumerate(entries):
            named = isinstance(raw, Mapping) and "as" in raw
            if named and not isinstance(raw["as"], str):
                self.wrong(child_path(path, str(number), "as"), f"expected text, found {show(raw['as'])}")
                continue
            name = entry_name(raw, self.catalogue) or ("" if named else str(number))
            if name in taken or not is_entry_name(name):
                why = (
                    "two entries have this name"
                    if name in taken
                    else "a name is made of a-z, A-Z, 0-9, - and _"
                )
                self.wrong(child_path(path, name or str(number)), f'{why}; give each its own  as = "..."')
                continue
            taken.add(name)
            if isinstance(raw, str):
                raw = {"use": raw}
            node = self.node(raw, spec.kinds, child_path(path, name), in_list=True, needs=spec.needs)
            if node is not None:
                node.name = node.name or name
                nodes.append(node)
        return nodes

    def _entry(self, raw: Mapping[str, Any], path: str) -> Entry:
        plain: dict[str, Any] = {}
        for key, kind in (("on", str), ("split", str), ("every", int | None)):
            if key in raw:
                try:
                    plain[key] = coerce(raw[key], kind)
                except ValueError as error:
                    self.wrong(child_path(path, key), str(error))
        if plain.get("every") is not None and plain["every"] < 1:
            self.wrong(child_path(path, "every"), f"must be >= 1, found {plain['every']}")
        for key, kind_name in (("through", "pipeline"), ("data", "dataset")):
            if raw.get(key) is not None:
                given = self._around(raw[key], raw.get("on")) if key == "through" else raw[key]
                plain[key] = self.node(given, (kind_name,), child_path(path, key))
        if plain.get("on"):
            plain["on"] = child_path(self.base, plain["on"])
        return Entry(**plain)

    def _around(self, through: Any, subject: Any) -> Any:
        """A pipeline with its one required slot left open, put around the part that is judged."""
        raw = {"use": through} if isinstance(through, str) else through
        if (
            not isinstance(subject, str)
            or not isinstance(raw, Mapping)
            or not isinstance(raw.get("use"), str)
        ):
            return through
        try:
            cls = self.catalogue.find("pipeline", raw["use"]).params_class()
        except UserError:
            return through
        slots = [f.name for f in fields_of(cls).values() if f.is_slot and f.required and f.name not in raw]
        return {**raw, slots[0]: {"ref": subject}} if len(slots) == 1 else through

    def _check_with_holes(self, node: Node) -> None:
        """Rules of a recipe whose parts are wrong somewhere: one mistake must not hide the others."""
        assert node.cls is not None
        settings = [name for name, field in fields_of(node.cls).items() if not field.is_slot]
        if set(settings) <= node.settings.keys():
            made = node.cls(**node.settings, **dict.fromkeys(node.slots, HOLE))
            for setting, message in made.check():
                self.wrong(child_path(node.path, setting), message)

    def _instantiate(self, node: Node) -> None:
        assert node.cls is not None
        # A slot that stays unbuilt hands over its plan, so that nothing about it is lost.
        slots = {name: _handed(v) if node.spec(name).build else v for name, v in node.slots.items()}
        try:
            node.params = node.cls(**node.settings, **slots)
        except ValueError as error:
            self.wrong(node.path, str(error))
            return
        if hasattr(node.params, "check"):
            for setting, message in node.params.check():
                self.wrong(child_path(node.path, setting), message)


def _handed(value: Any) -> Any:
    """What a Params instance sees in a slot: the Params below, or the part itself when already built."""
    if isinstance(value, list):
        return [_handed(node) for node in value]
    if value is None:
        return None
    return value.ready if value.ready is not None else value.params


def is_entry_name(name: str) -> bool:
    """Names of list entries become path words and folder names, so nothing else is let through."""
    return bool(name) and len(name) <= 80 and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)


def entry_name(raw: Any, found: Catalogue) -> str:
    """The name of a list entry: `as`, else the component's bare name."""
    if isinstance(raw, Mapping) and "as" in raw:
        return str(raw["as"])
    if isinstance(raw, Mapping):
        use = raw.get("use", "")
    elif is_params(raw):
        listed = found.of_class(type(raw))
        use = listed.name if listed is not None else type(raw).__name__
    else:
        use = raw if isinstance(raw, str) else ""  # a part that was already built goes by its number
    return str(use).partition("@")[0].rpartition(":")[2]
