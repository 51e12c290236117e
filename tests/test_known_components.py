"""The list by which the core names a missing package is that of the packages as they are."""

import sys

from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import known_components


def test_the_list_is_as_made_now():
    """Where not: python tools/known_components.py"""
    assert known_components.LIST.read_text(encoding="utf-8") == known_components.text()


def test_every_package_with_components_is_in_it():
    assert known_components.text().count(" = [") == 7
