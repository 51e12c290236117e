"""A recipe that only counts, and TensorBoard or its stand-in."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from acme_tensorboard import boards, plugin

from maskwright import Component, hookimpl

sys.path.append(str(Path(__file__).parent / "stand_in"))


@hookimpl
def maskwright_recipes():
    yield Component("count", "counting:Count", "counts its steps")


@pytest.fixture(autouse=True)
def installed(isolated_catalogue, monkeypatch):
    """This plugin and the recipe, and nothing else that may be installed."""
    monkeypatch.delenv(boards.FOLDER_VARIABLE, raising=False)
    isolated_catalogue.add(plugin, "tensorboard", "acme-tensorboard", "0.4.1")
    isolated_catalogue.add(SimpleNamespace(MASKWRIGHT_API=1, maskwright_recipes=maskwright_recipes))
    boards._tensorboard.cache_clear()
    return isolated_catalogue
