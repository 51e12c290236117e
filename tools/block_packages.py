"""Packages that a page writes, such as the plugin of the tutorial: installed where only that page finds them.

`pip install -e ./FOLDER[EXTRAS]` would download what it builds with. Here its work is done by hand: what the package
asks for must be installed already, in a version within its ranges; then the package is linked, and its metadata
written, in a folder that is on the path of every later command of the page.
"""

import importlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

EDITABLE = re.compile(r"(\./[\w./-]+)(?:\[([\w,-]+)\])?")


def begin(site: Path) -> None:
    """In a page's process, before its first block: `site` is where this page's packages will be."""
    site.mkdir()
    sys.path.insert(0, str(site))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{before}" if before else str(site)


def is_own(word: str) -> bool:
    """Whether pip or pytest is asked for a folder that this page wrote."""
    match = EDITABLE.fullmatch(word)
    return match is not None and Path(match[1]).is_dir()


def install(word: str) -> list[str]:
    """What the package in `./FOLDER[EXTRAS]` asks for and does not find; if that is nothing, it is now installed."""
    match = EDITABLE.fullmatch(word)
    assert match, word
    folder, extras = Path(match[1]).resolve(), match[2].split(",") if match[2] else []
    table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    unmet = [line for line in requirements(table["project"], extras) if not is_met(line)]
    if not unmet:
        link(folder, table)
    return unmet


def requirements(project: Mapping[str, Any], extras: list[str]) -> Iterator[str]:
    """Those of the package and of these extras; an extra may name the package itself with other extras."""
    from packaging.requirements import Requirement

    for line in project.get("dependencies", []):
        yield line
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            wanted = Requirement(line)
            if wanted.name == project["name"]:
                yield from requirements({**project, "dependencies": []}, sorted(wanted.extras))
            else:
                yield line


def is_met(line: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(line)
    try:
        return wanted.specifier.contains(metadata.version(wanted.name))
    except metadata.PackageNotFoundError:
        return False


def link(folder: Path, table: Mapping[str, Any]) -> None:
    project = table["project"]
    site = Path(sys.path[0])
    for package in table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        place = site / Path(package).name
        place.unlink(missing_ok=True)
        place.symlink_to(folder / package)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {line}" for line in project.get("dependencies", [])]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    entries = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items())
        for group, named in project.get("entry-points", {}).items()
    ]
    (info / "entry_points.txt").write_text("\n".join(entries), encoding="utf-8")
    direct = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(direct), encoding="utf-8")
    importlib.invalidate_caches()


def run_tests(words: list[str]) -> int:
    """pytest, in this process, as typed."""
    import pytest

    return int(pytest.main(["-p", "no:cacheprovider", *words]))
