"""Valid recipes to be damaged, choices that depend on nothing but a number, and what a case is."""

import datetime
import functools
import json
from typing import Any

import attrs
import numpy as np

from maskwright.catalogue import catalogue
from maskwright.cli.recipe_text import toml_text
from maskwright.params import Field, fields_of
from maskwright.planning import plan
from maskwright.sources import shipped_text
from maskwright.step import Step
from maskwright.tree import Node
from maskwright.values import NONE_WORD

BY_PATH = ("joint-dag-fmri", "joint-dag-sachs", "joint-dag-tables", "pmlm-questions")
"""Recipes that need a path before they are valid."""

EXPERIMENTS = ("joint-dag-experiment-b", "mae-experiment-length", "pmlm-experiment-joint")

MORE = {
    "evaluate": {
        "use": "evaluate",
        "subject": "tfidf",
        "data": {"use": "docstring-tasks", "task": "topic"},
        "evaluators": [{"use": "classification", "as": "a"}, {"use": "classification", "as": "b"}],
    },
    "chain": {
        "use": "chain",
        "stages": {
            "first": {"use": "topic-baseline"},
            "second": {
                "use": "topic-baseline",
                "subject": {"use": "from-run", "run": "stage:first", "part": "subject"},
            },
        },
    },
}
"""Valid recipes of the core, which has no data of its own."""


@attrs.frozen
class Case:
    """A file, and the words that the refusal must hold: the path, the value, what fits instead."""

    content: bytes
    suffix: str
    path: str
    """Dotted place in the recipe, told at the beginning of a line; empty where the file cannot be read at all."""
    words: tuple[str, ...]
    told: str
    """What was done to which recipe."""


@attrs.frozen
class Base:
    """A valid recipe with every setting written out."""

    name: str
    raw: dict[str, Any]
    root: Node
    text: str

    def nodes(self) -> list[Node]:
        return [node for node in self.root.walk() if table_at(self.raw, node.path) is not None]

    def settings(self) -> list[tuple[Node, Field]]:
        return [(node, field) for node in self.nodes() for field in fields_in(node) if not field.is_slot]

    def slots(self) -> list[tuple[Node, Field, Node]]:
        """(owner, slot, what fills it), for slots of one part."""
        return [
            (node, field, node.slots[field.name])
            for node in self.nodes()
            for field in fields_in(node)
            if isinstance(node.slots.get(field.name), Node)
        ]


def fields_in(node: Node) -> list[Field]:
    return list(fields_of(node.cls).values()) if node.cls is not None else []


def table_at(raw: Any, path: str) -> dict[str, Any] | None:
    """The table of a part; None for parts that are only referred to, or come from elsewhere."""
    here = raw
    for word in path.split(".") if path else []:
        if isinstance(here, list):
            here = next((entry for entry in here if entry.get("as") == word), None)
        else:
            here = here.get(word) if isinstance(here, dict) else None
    return here if isinstance(here, dict) and "use" in here and here["use"] != "from-run" else None


def base_names() -> list[str]:
    """Every recipe that is installed and valid as it comes, and those above."""
    bare = {"chain", "evaluate", "experiment", "imported", "train"}
    needing = {*BY_PATH, *(f"mae-experiment-{data}" for data in ("fashion", "omniglot"))}
    return [x.name for x in catalogue().of_kind("recipe") if x.name not in bare | needing] + list(MORE)


@functools.cache
def base(name: str) -> Base:
    listed = catalogue().find("recipe", name)
    made = plan(MORE.get(name, name))
    raw = json.loads(json.dumps(made.resolved()))
    text = shipped_text(listed.component.params) if listed.is_file else as_toml(raw).decode()
    return Base(name, raw, made.require(), text)


def as_toml(raw: dict[str, Any]) -> bytes:
    def without_null(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_null(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [without_null(entry) for entry in value]
        if isinstance(value, datetime.date):
            return value
        return NONE_WORD if value is None else value

    return "".join(f"{json.dumps(k)} = {_toml(v)}\n" for k, v in without_null(raw).items()).encode()


def _toml(value: Any) -> str:
    """Dates too, which `toml_text` does not know because no setting is one."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return value.isoformat() if isinstance(value, datetime.date) else toml_text(value)


# -- drawing ---------------------------------------------------------------------------------------------------


class Draw:
    """Choices that depend on the kind of damage and the number of the case."""

    def __init__(self, kind: str, number: int) -> None:
        self.noise = np.random.Generator(np.random.Philox(key=Step(number).stream(kind)))

    def number(self, below: int) -> int:
        """LookupError where there is nothing to choose from: this damage does not apply."""
        if below < 1:
            raise LookupError("nothing of the kind in this recipe")
        return int(self.noise.integers(below))

    def one(self, choices: Any) -> Any:
        return choices[self.number(len(choices))]

    def slip(self, word: str) -> str:
        """The word without one of its inner letters."""
        place = 1 + self.number(max(1, len(word) - 1))
        return word[:place] + word[place + 1 :]
