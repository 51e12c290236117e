"""A process of its own for one command, in which the core, the toys and chosen fake plugins are installed."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

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
