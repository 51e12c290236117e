"""Strict typing of settings: one set of rules for recipe files, the command line and Python.

`coerce` takes a value that already has a type (TOML, JSON, Python); `parse_text` takes what a shell hands
over. Nothing is rounded, guessed or cut: 3.7 is no whole number and "10" is no number.
"""

import math
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

NONE_WORD = "none"
"""How files and shells, which have no null, say None."""


def optional_of(kind: Any) -> tuple[Any, bool]:
    """`(T, True)` for `T | None`, else `(kind, False)`."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        if len(inner) == len(typing.get_args(kind)):
            return kind, False
        return (inner[0] if len(inner) == 1 else Union[tuple(inner)]), True  # noqa: UP007
    return kind, False


def describe(kind: Any) -> str:
    """The type in words: `whole number`, `one of "line", "box"`, `list of text`."""
    inner, optional = optional_of(kind)
    if optional:
        return f"{describe(inner)} or none"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in arguments)
    if origin is Literal:
        return "one of " + ", ".join(show(word) for word in arguments)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return "list of " + ", ".join(describe(part) for part in arguments)
    if origin in (list, tuple):
        return f"list of {describe(arguments[0])}"
    if origin is dict:
        return f"table of {describe(arguments[1])}"
    names = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}
    return names.get(kind, "table" if kind is dict else "list" if kind in (list, tuple) else "anything")


def show(value: Any) -> str:
    """A value as a recipe file would write it, short enough for one line."""
    if value is None:
        return NONE_WORD
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        text = str(value)
        return f'"{text if len(text) <= 60 else text[:57] + "..."}"'
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def format_cell(value: Any) -> str:
    """A table cell: four significant digits, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(format_cell(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {format_cell(entry)}" for key, entry in value.items())
    return str(value)


def coerce(value: Any, kind: Any) -> Any:
    """`value` as `kind`, or ValueError saying what was expected and what was found."""
    if kind is Any:
        return value
    kind, optional = optional_of(kind)
    if optional and (value is None or value == NONE_WORD):
        return None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        for part in arguments:
            try:
                return coerce(value, part)
            except ValueError:
                continue
    elif origin is Literal:
        # Exact type too: 1 and True compare equal, yet are different words.
        if any(value == word and type(value) is type(word) for word in arguments):
            return value
    elif kind is bool:
        if isinstance(value, bool):
            return value
    elif kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(_as_float(value)):
                raise ValueError(f"expected a finite number, found {value}")
            return float(value)
    elif kind is str:
        if isinstance(value, str):
            if not _is_unicode(value):
                raise ValueError(f"expected text in UTF-8, found {value!r}")
            return value
    elif kind is Path:
        if isinstance(value, str | Path):
            if not str(value) or "\0" in str(value) or not _is_unicode(str(value)):
                raise ValueError(f"expected a path, found {show(value)}")
            return Path(value)
    elif kind in (list, tuple, dict) or origin in (list, tuple, dict):
        return _coerce_container(value, kind, origin or kind, arguments)
    raise ValueError(f"expected {describe(kind)}{' or none' if optional else ''}, found {_found(value)}")


def _is_unicode(text: str) -> bool:
    """Not so for bytes of a command line that are no UTF-8: no file of a run could hold them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _found(value: Any) -> str:
    words = {
        str: "text",
        bool: "true or false",
        int: "whole number",
        float: "number",
        dict: "table",
        list: "list",
    }
    word = words.get(type(value), type(value).__name__)
    return f"{show(value)} ({word})"


def _coerce_container(value: Any, kind: Any, origin: Any, arguments: tuple) -> Any:
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"expected {describe(kind)}, found {_found(value)}")
        inner = arguments[1] if arguments else Any
        return {key: _coerce_part(item, inner, f'"{key}"') for key, item in value.items()}
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected {describe(kind)}, found {_found(value)}")
    if origin is tuple and arguments and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        if len(value) != len(arguments):
            raise ValueError(f"expected {len(arguments)} entries ({describe(kind)}), found {len(value)}")
        inner_kinds = list(arguments)
    else:
        inner_kinds = [arguments[0] if arguments else Any] * len(value)
    entries = zip(value, inner_kinds, strict=True)
    return origin(_coerce_part(item, inner, f"entry {i + 1}") for i, (item, inner) in enumerate(entries))


def _coerce_part(value: Any, kind: Any, where: str) -> Any:
    try:
        return coerce(value, kind)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def parse_text(text: str, kind: Any) -> Any:
    """What a shell handed over, read by the type it must have; ValueError as `coerce`."""
    kind, optional = optional_of(kind)
    if optional and text == NONE_WORD:
        return None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        for word in arguments:
            if text == (word if isinstance(word, str) else show(word)):
                return word
        return coerce(text, kind)
    if origin in (Union, types.UnionType):
        for part in arguments:
            try:
                return parse_text(text, part)
            except ValueError:
                continue
        raise ValueError(f"expected {describe(kind)}, found {show(text)}")
    if kind in (str, Path):
        return coerce(text, kind)
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise ValueError(f"expected true or false, found {show(text)}")
    if kind in (int, float):
        try:
            number = kind(text)  # Python's readers take ".5" and "1e-3", which TOML does not
        except ValueError:
            raise ValueError(f"expected {describe(kind)}, found {show(text)}") from None
        return coerce(number, kind)
    if (kind in (list, tuple) or origin in (list, tuple)) and not text.lstrip().startswith("["):
        words = [word.strip() for word in text.split(",")] if text.strip() else []
        inner = arguments[0] if arguments and (len(arguments) == 1 or arguments[1] is Ellipsis) else None
        kinds = list(arguments) if inner is None and arguments else [inner or str] * len(words)
        if len(kinds) != len(words):
            raise ValueError(f"expected {len(kinds)} entries ({describe(kind)}), found {len(words)}")
        parsed = [parse_text(word, part) for word, part in zip(words, kinds, strict=True)]
        return coerce(parsed, kind)
    return coerce(toml_value(text), kind)


MAX_DEPTH = 64
"""Tables within tables; the tree of a recipe is walked by recursion."""


def check_depth(value: Any) -> None:
    """ValueError if tables and lists are nested deeper than anybody writes them."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    if level:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")


def toml_value(text: str) -> Any:
    """One TOML value, e.g. `{ use = "cosine", end = 0.8 }`."""
    # A line break could end the value and open a table of its own.
    if "\n" in text or "\r" in text:
        raise ValueError(f"expected a value on one line, found {show(text)}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
        check_depth(value)
        return value
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError(
            f'cannot read {show(text)} as a TOML value, e.g. [1, 2] or {{ use = "name" }}'
        ) from None
