"""The toy plugin as an installed distribution, a catalogue of the core and the toys alone, and the command line."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from commands import Command, run_command, toy_environment, write_distribution

from maskwright.catalogue import Catalogue, empty_catalogue, set_catalogue


@pytest.fixture(scope="session")
def toy_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the toy plugin is installed."""
    site = tmp_path_factory.mktemp("site")
    write_distribution(site, "toyplugin", "toys = toyplugin.plugin")
    return site


@pytest.fixture(scope="session")
def toy_catalogue() -> Catalogue:
    from toyplugin import plugin

    made = empty_catalogue()
    made.add_plugin(plugin, "toyplugin:toys", "toyplugin", "1.0")
    assert not made.problems
    return made


@pytest.fixture(autouse=True)
def toys(
    toy_catalogue: Catalogue, toy_site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Catalogue]:
    """Every test sees the core and the toys, whatever else is installed, and works in a folder of its own."""
    for name in [name for name in os.environ if name.startswith("MASKWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(toy_site))
    monkeypatch.chdir(tmp_path)
    before = set_catalogue(toy_catalogue)
    yield toy_catalogue
    set_catalogue(before)


@pytest.fixture
def environment(toy_site: Path) -> dict[str, str]:
    """Environment variables of a process that sees the core and the toys only."""
    return toy_environment(toy_site)


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """`command("run", "toy-train", env={...})` in a process of its own, in `tmp_path`."""

    def call(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path = tmp_path, text_in: str = ""):
        return run_command(*arguments, env={**environment, **(env or {})}, cwd=cwd, text_in=text_in)

    return call


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    """The same without a new process: `here("check", "toy-train")` gives code and what was printed."""
    from maskwright.cli.main import main

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return call
