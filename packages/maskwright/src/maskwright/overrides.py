"""`key=value` on a recipe: values are read by the type of the setting they meet."""

import contextlib
import copy
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from maskwright.errors import UserError, did_you_mean
from maskwright.params import SlotSpec, fields_of, is_params
from maskwright.planner import UNREADABLE, Planner, entry_name
from maskwright.sources import expand
from maskwright.tree import ENTRY_KEYS
from maskwright.values import optional_of, parse_text, show, toml_value


def apply_overrides(
    raw: dict[str, Any],
    overrides: Mapping[str, Any] | Iterable[str],
    planner: Planner,
    kinds: tuple[str, ...] = ("recipe",),
) -> dict[str, Any]:
    """A copy of `raw` with the overrides in; mistakes are kept by the planner."""
    result = {key: copy.deepcopy(v) if isinstance(v, dict | list) else v for key, v in raw.items()}
    for path, value, is_text in split_overrides(overrides, planner):
        _Override(planner, path, value, is_text).apply(result, kinds, path.split("."))
    return result


def split_overrides(
    overrides: Mapping[str, Any] | Iterable[str], planner: Planner
) -> Iterable[tuple[str, Any, bool]]:
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            yield path, value, False
        return
    for text in overrides:
        path, sign, value = text.partition("=")
        if not sign or not path.strip() or not all(path.split(".")):
            planner.wrong(path or text, f"expected path.to.setting=value, found {show(text)}")
            continue
        yield path.strip(), value, True


class _Override:
    """One override on its way down the tree."""

    def __init__(self, planner: Planner, path: str, value: Any, is_text: bool) -> None:
        self.planner, self.path, self.value, self.is_text = planner, path, value, is_text

    def wrong(self, message: str) -> None:
        self.planner.wrong(self.path, message)

    def apply(self, raw: dict[str, Any], kinds: tuple[str, ...], words: list[str]) -> None:
        """Put the value where `words` lead, below the table `raw`."""
        word, rest = words[0], words[1:]
        if raw.get("use") == "from-run" and word not in ("run", "part", "at", "as", *ENTRY_KEYS):
            self._into_table(raw, "set", words)
            return
        if word in ("use", "ref") or (word == "seed" and kinds == ("recipe",)) or (word == "as" and not rest):
            raw[word] = self._read(int if word == "seed" else str)
            return
        if raw.get("use") == "from-run" or ("evaluator" in kinds and word in ENTRY_KEYS):
            self._entry(raw, word, rest)
            return
        cls = self._class_of(raw, kinds)
        if cls is None:
            return
        fields = fields_of(cls)
        if word not in fields:
            known = did_you_mean(word, fields) or f"; known: {', '.join(fields) or 'none'}"
            self.wrong(f'unknown setting "{word}"{known}')
            return
        field = fields[word]
        if isinstance(field.spec, SlotSpec):
            self._slot(raw, word, field.spec, None if field.required else field.default, rest)
        elif not rest:
            raw[word] = self._read(field.type)
        elif _is_table(field.type):
            raw.setdefault(word, {} if field.required else dict(field.default or {}))
            self._into_table(raw, word, rest)
        else:
            self.wrong(f'"{word}" is a setting, nothing lies below it')

    def _read(self, kind: Any) -> Any:
        if not self.is_text:
            return self.value
        try:
            return parse_text(self.value, kind)
        except ValueError as error:
            self.wrong(str(error))
            # The mistake is on record; the raw text keeps the planner from a second message about it.
            return UNREADABLE

    def _class_of(self, raw: dict[str, Any], kinds: tuple[str, ...]) -> type | None:
        use = raw.get("use")
        try:
            return self.planner.catalogue.find(kinds, str(use)).params_class()
        except UserError:
            self.wrong(f"cannot be set: there is no {' or '.join(kinds)} called {show(use)}")
            return None

    def _entry(self, raw: dict[str, Any], word: str, rest: list[str]) -> None:
        if word in ("data", "through"):
            spec = SlotSpec(("dataset" if word == "data" else "pipeline",), "")
            self._slot(raw, word, spec, None, rest)
        else:
            raw[word] = self._read(int if word == "every" else str)

    def _slot(self, raw: dict[str, Any], word: str, spec: SlotSpec, default: Any, rest: list[str]) -> None:
        if not rest:
            raw[word] = self._read_slot(spec)
            return
        present = raw.get(word, default)
        if present is None or present == []:
            if rest == ["use"]:
                raw[word] = self._read(str)
            else:
                self.wrong(f'"{word}" is empty: fill it first, {word}=NAME')
            return
        if not spec.many:
            if isinstance(present, Mapping) and default is not None and not {"use", "ref"} & present.keys():
                present = self.planner.with_default(present, default)
            table = self._table(present, spec.kinds)
            if table is not None:
                raw[word] = table
                self.apply(table, spec.kinds, rest)
            return
        entries = list(present) if isinstance(present, list | tuple) else [present]
        names = [entry_name(entry, self.planner.catalogue) for entry in entries]
        if rest[0] not in names:
            self.wrong(
                f'"{word}" has no entry "{rest[0]}"{did_you_mean(rest[0], names)}; it has: {", ".join(names)}'
            )
            return
        place = names.index(rest[0])
        table = self._table(entries[place], spec.kinds)
        if table is None:
            return
        entries[place] = table
        raw[word] = entries
        if len(rest) == 1:
            self.wrong(f"names a whole entry; set one of its settings, {self.path}.SETTING=value")
        else:
            self.apply(table, spec.kinds, rest[1:])

    def _table(self, present: Any, kinds: tuple[str, ...]) -> dict[str, Any] | None:
        """What fills a slot now, as a table that can be changed; None if it is nothing of the kind."""
        if is_params(present):
            present = self.planner.to_raw(present)
        if isinstance(present, str):
            is_run = self.planner._is_run(present)
            present = {"use": "from-run", "run": present} if is_run else {"use": present}
        elif isinstance(present, int | float):
            present = {"use": "constant", "value": float(present)}
        if not isinstance(present, Mapping):
            self.wrong(f"what is there is no component: {show(present)}")
            return None
        return (
            expand(dict(present), self.planner.catalogue, self.path)
            if kinds == ("recipe",)
            else dict(present)
        )

    def _read_slot(self, spec: SlotSpec) -> Any:
        if not self.is_text:
            return self.value
        text = self.value.strip()
        if text[:1] in ("{", "["):
            try:
                return toml_value(text)
            except ValueError as error:
                self.wrong(str(error))
                return None if spec.optional else UNREADABLE
        if "schedule" in spec.kinds:
            with contextlib.suppress(ValueError):
                return float(text)
        if spec.many:
            return [word.strip() for word in text.split(",")] if text and text != "none" else []
        return text

    def _into_table(self, raw: dict[str, Any], word: str, rest: list[str]) -> None:
        """Settings of type table: the value is TOML if it reads as TOML, else text."""
        table = raw.setdefault(word, {})
        if not isinstance(table, dict):
            self.wrong(f'"{word}" is no table')
            return
        for step in rest[:-1]:
            table = table.setdefault(step, {})
            if not isinstance(table, dict):
                self.wrong(f'"{step}" is no table')
                return
        value = self.value
        if self.is_text:
            with contextlib.suppress(ValueError):
                value = toml_value(value)
        table[rest[-1]] = value


def _is_table(kind: Any) -> bool:
    inner, _ = optional_of(kind)
    return inner is dict or typing.get_origin(inner) is dict
