"""The pytest plugin: loaded in every test run where this package is installed, so it imports little."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from maskwright_testing.isolation import IsolatedCatalogue

pytest.register_assert_rewrite("maskwright_testing.assertions")


@pytest.fixture
def isolated_catalogue() -> Iterator["IsolatedCatalogue"]:
    """A catalogue with the core's components and those that the test adds with `.add(plugin)`."""
    from maskwright_testing.isolation import isolated

    with isolated() as made:
        yield made
