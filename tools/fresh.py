"""Fresh environments, and commands in them that know nothing of this one.

uv makes them where it is there, else venv and pip. What is to be installed is found as those are told by the
environment variables that they read (UV_CONSTRAINT, PIP_FIND_LINKS, …).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Where packages are installed from: tox names its files of constraints as they are seen from there."""

LIMIT = 1200
"""Seconds that one command may take; the longest is to install torch."""


class Failed(Exception):
    """A command that did not do what it should; the text is all it said."""


def call(*words: str | Path, cwd: Path, code: int = 0) -> str:
    """Run a command in a folder; what it printed, or Failed where it does not end with this code."""
    # Nothing of this environment or of the person's own settings may leak into the other.
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MASKWRIGHT_", "PYTHONPATH"))
    }
    done = subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        env={**kept, "MASKWRIGHT_STRICT": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode != code:
        raise Failed(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if code else "")


def uv() -> str | None:
    """Where uv is, if it is there."""
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def install(python: Path, *words: str | Path) -> None:
    """Install into the environment of this Python."""
    if found := uv():
        call(found, "pip", "install", "--quiet", "--python", python, *words, cwd=ROOT)
    else:
        call(python, "-m", "pip", "install", "--quiet", *words, cwd=ROOT)


def fresh_environment(folder: Path, requirement: str) -> Path:
    """A new virtual environment with this one requirement; its Python."""
    python = folder / "bin" / "python"
    if found := uv():
        call(found, "venv", "--quiet", "--python", sys.executable, folder, cwd=folder.parent)
    else:
        call(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    install(python, requirement)
    return python
