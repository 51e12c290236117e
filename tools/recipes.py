"""docs/recipes.md from what is installed: python tools/recipes.py [--check]

The table is made from the recipes that the installed packages declare, and from the heads of the files that they ship:
`needs: …`, and in brackets how long a run takes. What stands above the line MARK is written by people and stays.
"""

import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from maskwright.catalogue import Listed, catalogue

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
MARK = "<!-- below: made by tools/recipes.py -->"
OWN = "maskwright"
"""Only recipes of this repository's packages are listed, whatever else is installed."""

MINUTES = re.compile(r"\((?:2 cores: )?((?:about|under) [^()]*?(?:minutes?|seconds?)|not run whole yet)\)")
NEEDS = re.compile(r"needs: (.*?)(?: {2,}|$)", re.MULTILINE)


def head_of(listed: Listed) -> str:
    """The comment that a shipped file begins with; empty for a recipe that is a class."""
    if not listed.is_file:
        return ""
    package, _, name = listed.component.params.partition(":")
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    return "\n".join(re.match(r"(?:#.*\n)*", text)[0].splitlines())  # type: ignore[index]


def row_of(listed: Listed) -> str:
    head = head_of(listed)
    minutes, needs = MINUTES.search(head), NEEDS.search(head)
    took = minutes[1].removeprefix("about ") if minutes else "–"
    cells = [
        f"`{listed.name}`",
        listed.component.summary,
        took,
        needs[1].strip() if needs else listed.package,
    ]
    return f"| {' | '.join(cells)} |"


def sections(listed: Sequence[Listed]) -> list[str]:
    """A table for each package."""
    packages = sorted({entry.package for entry in listed if entry.package.startswith(OWN)})
    made = []
    for package in packages:
        rows = [row_of(entry) for entry in listed if entry.package == package]
        made.append(
            "\n".join(
                [
                    f"## {package}\n",
                    "| recipe | what it does | on 2 cores | needs |",
                    "|---|---|---|---|",
                    *rows,
                ]
            )
        )
    return made


def page(text: str, listed: Sequence[Listed]) -> str:
    above, mark, _ = text.partition(MARK)
    if not mark:
        sys.exit(f"{PAGE} has no line {MARK}")
    return "\n\n".join([above.rstrip(), MARK, *sections(listed)]) + "\n"


def main(words: Sequence[str]) -> None:
    if list(words) not in ([], ["--check"]):
        sys.exit(__doc__)
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text, catalogue().of_kind("recipe"))
    if text == wanted:
        return
    if words:
        sys.exit(f"{PAGE} is not what is installed; run  python tools/recipes.py")
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
