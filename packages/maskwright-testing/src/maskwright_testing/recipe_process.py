"""Recipes in processes of their own, which can be killed at a chosen write.

A kill after some seconds hits a slow machine elsewhere than a fast one, or misses. Every file of a run folder is put
in place by `os.replace`, so the process counts those and kills itself right before a given one: the half-written
file lies there, as after any kill.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from maskwright.api import resume, start
from maskwright.catalogue import Catalogue, Listed, catalogue, empty_catalogue, set_catalogue
from maskwright.component import Component
from maskwright.planning import plan

COMPONENTS, RECIPE = "components.json", "recipe.json"


def catalogue_as_json(found: Catalogue) -> list[dict[str, Any]]:
    """Every listed component as plain data."""
    return [
        {
            "kind": listed.kind,
            "package": listed.package,
            "version": listed.version,
            "component": attrs.asdict(
                listed.component,
                value_serializer=lambda _, __, v: sorted(v) if isinstance(v, frozenset) else v,
            ),
        }
        for listed in found.listed
    ]


def catalogue_from_json(rows: list[dict[str, Any]]) -> Catalogue:
    """A catalogue with exactly these components, and no watching hooks."""
    made = empty_catalogue()
    made.listed = [
        Listed(row["kind"], Component(**row["component"]), row["package"], row["version"]) for row in rows
    ]
    return made


@attrs.frozen
class RecipeProcess:
    """Runs one recipe with the components that this process knows, also those of a catalogue made for a test."""

    folder: Path
    resolved: dict[str, Any]

    def __attrs_post_init__(self) -> None:
        (self.folder / COMPONENTS).write_text(json.dumps(catalogue_as_json(catalogue())), encoding="utf-8")
        (self.folder / RECIPE).write_text(json.dumps(self.resolved), encoding="utf-8")

    def run(self, out: Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        """Run in the new folder `out`; 0 never kills. The last word printed is the number of files put in place."""
        return self._call("run", str(out), str(kill_at))

    def resume(self, out: Path) -> subprocess.CompletedProcess[str]:
        return self._call("resume", str(out), "0")

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [str(Path(path).absolute()) for path in sys.path if path]
        return subprocess.run(
            [sys.executable, "-m", "maskwright_testing.recipe_process", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MASKWRIGHT_NO_LOCAL": "1"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


class _Killer:
    """Stands in for os.replace: counts the files put in place once the run exists, and kills at one of them."""

    def __init__(self, out: Path, kill_at: int) -> None:
        self.begun, self.kill_at, self.count = out / "resolved.json", kill_at, 0
        self.real = os.replace

    def __call__(self, source: Any, target: Any, **options: Any) -> None:
        if self.begun.exists():
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        self.real(source, target, **options)


def main(verb: str, out: Path, kill_at: int) -> None:
    """Run or resume in this process; the working folder holds the components and the recipe."""
    set_catalogue(catalogue_from_json(json.loads(Path(COMPONENTS).read_text(encoding="utf-8"))))
    killer = _Killer(out, kill_at)
    os.replace = killer  # type: ignore[assignment]
    if verb == "run":
        start(plan(Path(RECIPE)), out, pictures=False)
    else:
        resume(out, pictures=False)
    print(killer.count)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
