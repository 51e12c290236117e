"""Params classes made on the spot: good ones, and ones with a single fault."""

from collections.abc import Callable
from typing import Any

from maskwright.params import params


def toy(part: Callable[[], Any], /, **members: Any) -> type:
    """A Params class whose part is `part()`; `members` are settings, classmethods, or what replaces the rest."""
    annotations = members.pop("annotations", {})
    body = {
        "__doc__": "A toy.",
        "__annotations__": annotations,
        "__module__": __name__,
        "build": lambda self: part(),
        "example": classmethod(lambda cls: cls()),
        **members,
    }
    return params(type("Toy", (), {name: value for name, value in body.items() if value is not None}))
