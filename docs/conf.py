"""The site: sphinx-build -W -b html docs docs/_build/html. Nothing of Maskwright is imported, nothing is downloaded.

A page is a file of docs/, or a thin page there that includes a file from elsewhere: the README of a package, the
page of a plugin. Links are written for the repository, relative to the file they stand in, and are turned here.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Maskwright"
copyright = "the Maskwright authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Maskwright"
html_copy_source = False
exclude_patterns = ["_build", "requirements.txt"]
myst_heading_anchors = 3
# Blocks of output and of notation have no language.
highlight_language = "text"

DOCS = Path(__file__).resolve().parent
INCLUDE = re.compile(r"^```\{(?:literal)?include\} (\S+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^()#\s]*)(#[^()\s]*)?\)")
# Fenced blocks and code in a line hold no links.
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def anchor_of(text: str) -> str:
    """The anchor of the first heading, as the parser makes it: lower case, dashes for blanks, no punctuation."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    words = heading[1].lower().replace(" ", "-") if heading else ""
    return re.sub(r"[^\w-]", "", words)


def included() -> dict[Path, str]:
    """File from elsewhere -> where on the site it is; what does not come first on its page has an anchor, too."""
    places = {}
    for page in sorted(DOCS.rglob("*.md")):
        for number, name in enumerate(INCLUDE.findall(page.read_text(encoding="utf-8"))):
            file = (page.parent / name).resolve()
            anchor = f"#{anchor_of(file.read_text(encoding='utf-8'))}" if number else ""
            places[file] = f"/{page.relative_to(DOCS)}{anchor}"
    return places


PLACES = included()


def on_the_site(target: str, folder: Path) -> str:
    """Where a link from a file in `folder` leads on the site; a target that is not there is left to the parser."""
    path = (folder / target).resolve()
    if path.is_dir():
        path = path / "index.md"
    if path in PLACES:
        return PLACES[path]
    return f"/{path.relative_to(DOCS)}" if path.is_relative_to(DOCS) else target


def turn_links(text: str, folder: Path) -> str:
    def turned(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if not target or ":" in target:
            return match[0]
        place = on_the_site(target, folder)
        return f"]({place.partition('#')[0] if anchor else place}{anchor})"

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(turned, part) for number, part in enumerate(parts))


def page_read(app: "Sphinx", page: str, source: list[str]) -> None:
    source[0] = turn_links(source[0], (DOCS / page).parent)


def include_read(app: "Sphinx", path: Path, page: str, source: list[str]) -> None:
    if path.suffix == ".md":
        source[0] = turn_links(source[0], (DOCS / path).resolve().parent)


def setup(app: "Sphinx") -> None:
    app.connect("source-read", page_read)
    app.connect("include-read", include_read)
