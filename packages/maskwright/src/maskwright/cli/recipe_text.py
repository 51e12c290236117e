"""new-recipe: a commented, runnable file."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from maskwright.catalogue import catalogue
from maskwright.params import Field, fields_of, first_line, is_params
from maskwright.sources import shipped_text


def new_recipe(arguments: argparse.Namespace) -> int:
    listed = catalogue().find("recipe", arguments.recipe)
    if listed.is_file:
        print(shipped_text(listed.component.params), end="")
        return 0
    cls = listed.params_class()
    print(f"# {first_line(cls)}\n# maskwright run FILE            needs: {listed.package}\n")
    print(f'use = "{listed.name}"\nseed = 0\n')
    # Plain keys first: after a [table] header they would belong to that table.
    for field in fields_of(cls).values():
        print(_lines(field) + "\n")
    return 0


def _lines(field: Field) -> str:
    comment = f"# {field.spec.help}\n# {field.describe()}"
    if field.required:
        return f"{comment}\n# {field.name} = …   (required)"
    text = toml_text(field.default)
    return (
        f"{comment}\n# {field.name} = {text}" if text else f"{comment}\n# {field.name} = (nothing by default)"
    )


def toml_text(value: Any) -> str:
    """A value in TOML; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{json.dumps(k)} = {toml_text(v)}" for k, v in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_text(entry) for entry in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    if is_params(value):
        name = catalogue().of_class(type(value))
        return toml_text({"use": name.name if name else type(value).__name__})
    return json.dumps(str(value), ensure_ascii=False)
