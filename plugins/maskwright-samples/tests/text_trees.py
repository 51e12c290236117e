"""Small package trees written to disk, so that tests need none of the installed packages' sources."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from maskwright_samples.library import Text, cleaned
from maskwright_samples.source import records_below

_WORDS = (
    "matrix graph vector signal buffer socket thread parser filter kernel cluster sample window driver header "
    "returns computes removes collects compares rotates divides inserts measures smooths copies orders hides "
    "small large sparse dense hidden former second narrow given stable broken random early later whole plain"
)


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write `files` (path -> source) below `root`."""
    for path, source in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source, encoding="utf-8")
    return root


def texts_below(root: Path, package: str) -> list[Text]:
    """The cleaned docstrings of a tree, as the library would give them for an installed package."""
    return [cleaned(record) for record in records_below(root, package, package)]


def function(name: str, docstring: str, arguments: str = "") -> str:
    """Source of a function that has a docstring and no other body."""
    indented = docstring.replace("\n", "\n    ")
    return f'def {name}({arguments}):\n    """{indented}\n    """\n\n\n'


def sentences(key: int, count: int, length: int = 12) -> str:
    """`count` made-up sentences of `length` words, the same for the same key."""
    words = _WORDS.split()
    draw = np.random.Generator(np.random.Philox(key=key))
    return " ".join(" ".join(draw.choice(words, size=length)).capitalize() + "." for _ in range(count))


def many_modules(root: Path, package: str, modules: int, functions: int = 3) -> Path:
    """A package of modules in two sub-packages; each function has a summary and a body of its own."""
    files = {}
    for number in range(modules):
        source = ""
        for place in range(functions):
            key = 1000 * number + place
            source += function(
                f"job{number}_{place}", f"{sentences(key, 1)}\n\n{sentences(key + 500_000, 3)}"
            )
        files[f"part{number % 2}/module{number}.py"] = source
    return write_tree(root, files)
