"""What the rules look at: the packages of this repository and the files under version control."""

import ast
import functools
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Package:
    """One distribution: packages/NAME or plugins/NAME."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def module(self) -> Path:
        return self.folder / "src" / self.name.replace("-", "_")

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())

    @property
    def project(self) -> dict[str, Any]:
        return self.settings["project"]

    @property
    def is_plugin(self) -> bool:
        return "maskwright" in self.project.get("entry-points", {})

    def requirements(self, extras: bool = True) -> list[str]:
        """Lines such as "numpy>=2"; those of the extras too."""
        optional = self.project.get("optional-dependencies", {}) if extras else {}
        return [*self.project["dependencies"], *(line for lines in optional.values() for line in lines)]

    def __str__(self) -> str:
        return self.name


PACKAGES = [
    Package(file.parent)
    for kind in ("packages", "plugins")
    for file in sorted((ROOT / kind).glob("*/pyproject.toml"))
]
PLUGINS = [package for package in PACKAGES if package.is_plugin]


def files(*patterns: str) -> list[Path]:
    """Files that git tracks or would track; deleted ones left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in sorted(set(names)) if name and (ROOT / name).is_file()]


PYTHON_FILES = files("*.py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def called_name(call: ast.Call) -> str:
    """The last name of what is called: "parametrize" for pytest.mark.parametrize(...)."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def distribution(requirement: str) -> str:
    """The normalised name in a requirement: "maskwright[report]>=0.1" is "maskwright"."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def requirement_lines(path: Path) -> list[str]:
    """The requirements in a file, with what it includes by -c, without comments."""
    found: list[str] = []
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-c "):
            found += requirement_lines(path.parent / line.removeprefix("-c ").strip())
        elif line:
            found.append(line)
    return found
