"""Run folders in which one file was damaged, the verbs that read them, and when a verb may go on all the same."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
from malformed import Draw

Damage = Callable[[Draw, Path], bool]
"""Damages the file in place; False where it does not apply."""


def remove(draw: Draw, path: Path) -> bool:
    path.unlink()
    return True


def cut(draw: Draw, path: Path) -> bool:
    content = path.read_bytes()
    path.write_bytes(content[: draw.number(len(content))])
    return True


def flip(draw: Draw, path: Path) -> bool:
    """One bit is another, somewhere."""
    content = bytearray(path.read_bytes())
    content[draw.number(len(content))] ^= 1 << draw.number(8)
    path.write_bytes(content)
    return True


def empty(draw: Draw, path: Path) -> bool:
    path.write_bytes(b"")
    return True


def folder(draw: Draw, path: Path) -> bool:
    path.unlink()
    path.mkdir()
    return True


def noise(draw: Draw, path: Path) -> bool:
    path.write_bytes(draw.noise.integers(0, 256, size=40).astype("uint8").tobytes())
    return True


def another_type(draw: Draw, path: Path) -> bool:
    """JSON, but not what should be there."""
    if path.suffix not in (".json", ".jsonl"):
        return False
    path.write_text(draw.one(["[]", "5", "null", '"text"', "{}", "[1, 2]", '{"a": 5}']) + "\n")
    return True


def another_value(draw: Draw, path: Path) -> bool:
    """The value of one key is of another type."""
    if path.suffix == ".jsonl":
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([_changed(draw, first), *rest]) + "\n")
    elif path.suffix == ".json":
        path.write_text(_changed(draw, path.read_text()))
    else:
        return False
    return True


def _changed(draw: Draw, text: str) -> str:
    table = json.loads(text)
    key = draw.one(list(table))
    table[key] = draw.one([v for v in ("text", 5, [5], {"a": 5}, None) if type(v) is not type(table[key])])
    return json.dumps(table)


DAMAGES: dict[str, Damage] = {
    "remove": remove,
    "cut": cut,
    "flip": flip,
    "empty": empty,
    "folder": folder,
    "noise": noise,
    "another type": another_type,
    "another value": another_value,
}

VERBS = {
    # verb: arguments for a run called {run}; {out} does not exist yet
    "graphs": {
        "report": ("report", "{run}"),
        "resume": ("resume", "{run}", "-q"),
        "compare": ("compare", "{run}", "{run}", "--json"),
        "export": ("export", "{run}", "{out}", "--to", "csv"),
        "apply": ("apply", "{run}:residuals", "task-00.csv", "--out", "{out}"),
        "evaluate": ("evaluate", "{run}", "with=graph", "-q", "--no-pictures", "--out", "{out}"),
    },
    "stopped": {
        "report": ("report", "{run}"),
        "resume": ("resume", "{run}", "-q", "--no-pictures"),
        "compare": ("compare", "{run}", "{run}", "--json"),
        "apply": ("apply", "{run}:embed", "picture.png", "--out", "{out}"),
    },
}
"""Run -> verb -> how it is called."""


READ = {
    "resolved.json": ("report", "resume", "compare", "export", "apply", "evaluate"),
    "status.json": ("report", "resume", "compare"),
    "environment.json": ("report", "resume"),
    "metrics.jsonl": ("report", "resume", "compare"),
    "artefacts/findings/*/findings.json": ("report", "resume"),
    "artefacts/findings/*/rows.jsonl": ("report", "resume"),
    "artefacts/findings/*/*.svg": ("report",),
    "parts/model/*": ("export", "apply", "evaluate"),
    "checkpoints/*/*": ("resume", "apply"),
    "lock": ("resume",),
    "recipe.*": ("resume", "apply"),
    "timing.jsonl": ("resume", "compare"),
    "log.txt": ("resume", "report"),
}
"""File -> the verbs that are tried once it is damaged: those that read it, and some that need not."""


@attrs.frozen
class Case:
    run: str
    verb: str
    file: str
    damage: str
    number: int

    def __str__(self) -> str:
        return f"{self.verb} after {self.damage} of {self.file} ({self.run}, seed {self.number})"


def cases(good: dict[str, Path]) -> Iterator[Case]:
    """Every verb after every damage of every file that it may read, numbered."""
    number = 0
    for run, verbs in VERBS.items():
        for pattern, readers in READ.items():
            for file in sorted(good[run].glob(pattern)):
                for verb in readers:
                    for damage in DAMAGES if verb in verbs else ():
                        yield Case(run, verb, str(file.relative_to(good[run])), damage, number)
                        number += 1


def damaged(case: Case, good: Path, place: Path) -> bool:
    """A damaged copy of the run at `place`."""
    shutil.copytree(good, place)
    return DAMAGES[case.damage](Draw(case.damage, case.number), place / case.file)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


SEALED = {
    "report": ("log.txt",),
    "resume": ("checkpoints", "lock", "recipe.json", "recipe.toml", "timing.jsonl", "log.txt"),
    "compare": ("timing.jsonl",),
    "export": (),
    "apply": ("checkpoints", "recipe.json", "recipe.toml"),
    "evaluate": (),
}
"""Files that a verb does not read, or that carry a checksum: where it goes on, it must give what it always gives."""
