"""What a plugin declares: names and strings, so that listing imports nothing heavy."""

from collections.abc import Iterable

import attrs

KINDS = (
    "masker",
    "encoder",
    "objective",
    "evaluator",
    "dataset",
    "codec",
    "schedule",
    "pipeline",
    "recipe",
)
"""The four kinds the project is about, then those needed to use them."""


def _words(value: Iterable[str]) -> frozenset[str]:
    if isinstance(value, str):
        raise TypeError(f"expected a set of words, found the text {value!r}; write {{{value!r}}}")
    if not isinstance(value, Iterable) or not all(isinstance(word, str) and word for word in value):
        raise TypeError(f"expected a set of words, found {value!r}")
    return frozenset(value)


@attrs.frozen
class Component:
    """A named part. Its kind is the hook that returned it."""

    name: str
    """`[a-z][a-z0-9-]*`, unique within a kind and a package."""
    params: str
    """`"package.params:Class"`, or a shipped recipe file `"package:recipes/name.toml"`; resolved when used."""
    summary: str
    """One line for `maskwright list`."""
    provides: frozenset[str] = attrs.field(factory=frozenset, converter=_words)
    """Tags (`maskwright.tags`). Of a dataset: the raw fields of its items; of a pipeline: the fields it adds."""
    consumes: frozenset[str] = attrs.field(factory=frozenset, converter=_words)
    """Raw data fields that it reads."""
    expects: frozenset[str] = attrs.field(factory=frozenset, converter=_words)
    """Of a masker: tags wanted of the encoder whose units it hides."""
    paper: str = ""
    deprecated: str = ""
    """`"use masker:block; goes in API 2"`: shown by `list` and `show`, warned about when used."""
