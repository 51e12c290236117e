"""Prove that tests can fail: each line named in tools/mutations.toml is taken away, and its test must turn red.

    python tools/mutate.py                  # all; about ten minutes
    python tools/mutate.py maskwright-text  # those whose file or test has this in its path

The work is done in a copy; packages are imported from there. First all tests must be green as things stand.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("mutations.toml")
GREEN, RED = 0, 1


class NotThere(Exception):
    """An entry of the list that does not fit the source any more."""


@attrs.frozen
class Mutation:
    """One line, what it is there for, and the test that has to notice when it is gone."""

    guards: str
    file: str
    line: str
    test: str
    put: str | None = None
    """What comes in its place; None: `pass`."""

    def applied(self, text: str) -> str:
        """The source with the line replaced; the line has to be there once, and the rest has to stay Python."""
        lines = text.split("\n")
        places = [i for i, line in enumerate(lines) if line.strip() == self.line]
        if len(places) != 1:
            raise NotThere(f"{self.file}: {len(places)} lines are {self.line!r}, not one ({self.guards})")
        (place,) = places
        indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
        lines[place] = indent + ("pass" if self.put is None else self.put)
        mutated = "\n".join(lines)
        try:
            compile(mutated, self.file, "exec")
        except SyntaxError as error:
            raise NotThere(
                f"{self.file}: without {self.line!r} it is not Python ({error}); give `put`"
            ) from None
        return mutated


def mutations(path: Path = LIST) -> list[Mutation]:
    return [Mutation(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]]


def copy_tree(target: Path) -> None:
    """The files under version control and the new ones, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source.read_bytes())


def environment(tree: Path) -> Mapping[str, str]:
    """Imports come from the copy, before what is installed."""
    sources = [*sorted(tree.glob("packages/*/src")), *sorted(tree.glob("plugins/*/src"))]
    quick = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | quick | {"PYTHONPATH": os.pathsep.join(map(str, sources))}


def run(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-3000:]


def main(words: Sequence[str]) -> int:
    chosen = [m for m in mutations() if all(word in m.file or word in m.test for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_tree(tree)
        code, output = run(tree, sorted({mutation.test for mutation in chosen}))
        if code != GREEN:
            print(output, "\nthe tests are not green as things stand, so nothing can be shown", sep="")
            return 1
        missed = 0
        for number, mutation in enumerate(chosen, 1):
            place = tree / mutation.file
            before = place.read_text(encoding="utf-8")
            place.write_text(mutation.applied(before), encoding="utf-8")
            code, output = run(tree, [mutation.test])
            place.write_text(before, encoding="utf-8")
            missed += code != RED
            verdict = {RED: "red", GREEN: "STILL GREEN"}.get(code, f"BROKEN (pytest ends with {code})")
            print(f"{number:3}/{len(chosen)}  {verdict}  {mutation.guards}", flush=True)
            if code not in (RED, GREEN):
                print(output)
    print(f"{len(chosen) - missed} of {len(chosen)} tests notice that their line is gone")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
