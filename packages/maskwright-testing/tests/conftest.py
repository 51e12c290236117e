"""Toy components in a catalogue of their own, and what one check says of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import toy_parts

from maskwright import Component
from maskwright.catalogue import Listed
from maskwright_testing.isolation import IsolatedCatalogue
from maskwright_testing.registry import checks_for
from maskwright_testing.report import Result, check_listed


@pytest.fixture
def declare(isolated_catalogue: IsolatedCatalogue) -> Iterator[Callable[..., Listed]]:
    """`declare(kind, cls, provides=...)`: put a Params class into the catalogue."""
    names: list[str] = []

    def add(kind: str, cls: type, **about: Any) -> Listed:
        name = f"toy-{len(names)}"
        names.append(name)
        setattr(toy_parts, name, cls)
        component = Component(name, f"toy_parts:{name}", about.pop("summary", "a toy"), **about)
        # of_class finds a Params class by where it says it was written.
        cls.__module__, cls.__qualname__ = "toy_parts", name
        return isolated_catalogue.add_component(kind, component)

    yield add
    for name in names:
        delattr(toy_parts, name)


@pytest.fixture
def verdict(declare: Callable[..., Listed]) -> Callable[..., Result]:
    """`verdict(check, kind, cls, provides=...)`: what one check says of a Params class."""

    def ask(check: str, kind: str, cls: type, **about: Any) -> Result:
        listed = declare(kind, cls, **about)
        assert check in dict(checks_for(listed)), f"{check} does not apply to {listed.reference}"
        return next(result for result in check_listed(listed).results if result.check == check)

    return ask
