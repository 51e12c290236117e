"""A catalogue for one test: the core's own components and what the test adds, whatever else is installed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import maskwright.catalogue
from maskwright.catalogue import API, Catalogue, Listed, empty_catalogue, set_catalogue
from maskwright.component import Component
from maskwright.hookspecs import hookimpl


class IsolatedCatalogue:
    """The catalogue of the process while a test runs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def add(
        self,
        plugin: Any,
        name: str = "toy",
        distribution: str = "toy",
        version: str = "1.0",
        may_fail: bool = False,
    ) -> None:
        """Load a plugin: a module, or any object with the hooks as attributes. One that does not load is an error,
        unless the test is about that (`may_fail`); then `catalogue.problems` tells."""
        before = len(self.catalogue.problems)
        self.catalogue.add_plugin(plugin, name, distribution, version)
        new = self.catalogue.problems[before:]
        assert may_fail or not new, f"the plugin does not load: {'; '.join(map(str, new))}"

    def add_component(self, kind: str, component: Component, distribution: str = "toy") -> Listed:
        """Add one component, declared by a plugin made for it."""

        def declare() -> list[Component]:
            return [component]

        hook = f"maskwright_{kind}s"
        declare.__name__ = hook
        plugin = SimpleNamespace(MASKWRIGHT_API=API, **{hook: hookimpl(declare)})
        self.add(plugin, f"{distribution}:{kind}:{component.name}", distribution)
        return self.catalogue.find(kind, f"{component.name}@{distribution}")


@contextmanager
def isolated() -> Iterator[IsolatedCatalogue]:
    """Put an isolated catalogue in place, refuse to look at what is installed, and put everything back."""

    def refuse(*arguments: Any, **words: Any) -> Catalogue:
        raise AssertionError(
            "a test with isolated_catalogue does not look at what is installed; use its add()"
        )

    discover = maskwright.catalogue.load_catalogue
    made = IsolatedCatalogue(empty_catalogue())
    before = set_catalogue(made.catalogue)
    # It is about what is installed, and add() is strict by itself; a test of a broken plugin must see the problem.
    strict = os.environ.pop("MASKWRIGHT_STRICT", None)
    maskwright.catalogue.load_catalogue = refuse
    try:
        yield made
    finally:
        maskwright.catalogue.load_catalogue = discover
        set_catalogue(before)
        if strict is not None:
            os.environ["MASKWRIGHT_STRICT"] = strict
