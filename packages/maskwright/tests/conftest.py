"""The toy plugin as an installed distribution, a catalogue of the core and the toys alone, and the command line."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from maskwright.catalogue import Catalogue, empty_catalogue, set_catalogue

TESTS = Path(__file__).parent
LIMIT = 60
"""Seconds that one command may take before a test gives up on it."""


def write_distribution(
    site: Path, name: str, entry: str, module: str = "", version: str = "1.0", text: str = ""
) -> None:
    """An installed distribution as importlib.metadata sees it: metadata, one entry point, perhaps a module."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[maskwright]\n{entry}\n")
    if module:
        (site / f"{module}.py").write_text(text)


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


def toy_environment(*sites: Path, plugins: str = "toys") -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MASKWRIGHT_")}
    paths = os.pathsep.join(map(str, [*sites, TESTS]))
    wanted = {"MASKWRIGHT_PLUGINS": plugins} if plugins else {}
    return {**kept, "PYTHONPATH": paths, **wanted}


Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(
    *arguments: str, env: Mapping[str, str], cwd: Path, text_in: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "maskwright", *arguments],
        env=dict(env),
        cwd=cwd,
        input=text_in,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


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
