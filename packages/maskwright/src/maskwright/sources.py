"""Where a recipe comes from: a name, a TOML or JSON file, a table, or a Params tree in Python."""

import json
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from maskwright.catalogue import Catalogue
from maskwright.errors import UserError
from maskwright.values import check_depth

MAX_BYTES = 4_000_000
"""A recipe is written by a person; anything larger is not a recipe."""


def looks_like_path(text: str) -> bool:
    return "/" in text or text.endswith((".toml", ".json"))


def read_file(path: Path) -> dict[str, Any]:
    """The table in a TOML or JSON file."""
    where = str(path)
    # os.path, not pathlib: a name that is too long for the system is a file that does not exist.
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise UserError(
            f"the recipe file {path} {what}",
            where=where,
            cure="maskwright list recipe   shows recipes by name",
        )
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is too large for a recipe ({path.stat().st_size} bytes)", where=where)
    try:
        text = path.read_bytes().decode("utf-8")
        is_json = path.suffix == ".json"
        table = json.loads(text, object_pairs_hook=_once) if is_json else tomllib.loads(text)
        check_depth(table)
        json.dumps(table, default=str, ensure_ascii=False).encode()  # half a character from "\\ud800"
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text", where=f"{path}, byte {error.start}", cure="save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{path} is not valid TOML", where=where, why=str(error), cure="see https://toml.io"
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not valid JSON", where=where, why=str(error), cure="mend the file"
        ) from None
    except (RecursionError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read",
            where=where,
            why=str(error) or type(error).__name__,
            cure="simplify the file",
        ) from None
    if not isinstance(table, dict):
        raise UserError(
            f"{path} holds a {type(table).__name__}, not a table",
            where=where,
            cure='begin with  use = "name"',
        )
    return table


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; JSON lets the last of two equal keys win without a word, TOML refuses."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f'the key "{key}" is there twice in one table')
        table[key] = value
    return table


def shipped_text(params: str) -> str:
    """The text of a recipe file inside a package: `"maskwright_causal:recipes/joint-dag.toml"`."""
    package, _, inner = params.partition(":")
    try:
        return resources.files(package).joinpath(inner).read_text(encoding="utf-8")
    except (Exception, SystemExit) as error:  # to find the file, the package is imported
        raise UserError(
            f"the recipe file {params} cannot be read",
            where=f"the package {package}",
            why=f"{type(error).__name__}: {error}",
            cure="reinstall the package that ships it",
        ) from error


def _shipped_table(params: str) -> dict[str, Any]:
    try:
        return tomllib.loads(shipped_text(params))
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"the recipe file {params} is not valid TOML",
            where=f"the package {params.partition(':')[0]}",
            why=str(error),
            cure="update the package that ships it",
        ) from None


def expand(raw: dict[str, Any], catalogue: Catalogue, source: str) -> dict[str, Any]:
    """Replace `use = NAME` of a shipped recipe file by that file's content, with `raw` laid over it."""
    seen: list[str] = []
    while isinstance(use := raw.get("use"), str):
        try:
            listed = catalogue.find("recipe", use)
        except UserError:
            return raw  # the planner says what is wrong with the name
        if not listed.is_file:
            return raw
        if listed.qualified in seen:
            raise UserError(
                f"recipe files refer to each other in a circle: {' -> '.join(seen)}", where=source
            )
        seen.append(listed.qualified)
        base = _shipped_table(listed.component.params)
        raw = merge(base, {key: value for key, value in raw.items() if key != "use"})
    return raw


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`. A table that names its own component (`use`, `ref`) replaces; others merge."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        if isinstance(value, Mapping) and not {"use", "ref"} & value.keys():
            if isinstance(before, str):
                before = {"use": before}
            if isinstance(before, Mapping):
                value = merge(before, value)
        result[key] = value
    return result
