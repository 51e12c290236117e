"""Cut a docstring into its sections, and parameter and See Also sections into their entries."""

import re
from collections.abc import Iterator
from textwrap import dedent

import attrs

_UNDERLINE = re.compile(r"(-{3,}|={3,}|~{3,})\s*$")
_LONGEST_TITLE = 60  # characters
# The other style of writing sections: a lone word and an indented block.
_LONE_TITLE = re.compile(
    r"(Args|Arguments|Keyword args|Keyword arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Warnings?"
    r"|Attributes|Shape|Inputs|Outputs|References)::?\s*$",
    re.IGNORECASE,
)

_SHORT_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\(([^)]*)\))?\s*:\s+(.*)")


@attrs.frozen
class Section:
    title: str  # lower case, "" for the leading part
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@attrs.frozen
class Entry:
    """`x, y : int, optional` and the indented lines below it."""

    names: tuple[str, ...]
    type: str
    description: str


def sections(docstring: str) -> list[Section]:
    """The leading part and every titled section, in order; a title may come more than once."""
    lines = docstring.splitlines()
    found: list[tuple[str, list[str]]] = [("", [])]
    indented = False  # inside a section of the lone-title style, which ends with its indentation
    number = 0
    while number < len(lines):
        line = lines[number]
        if _is_underlined(lines, number):
            found.append((line.strip().lower(), []))
            indented = False
            number += 2
            continue
        if _LONE_TITLE.match(line) and _is_indented(lines, number + 1):
            found.append((line.strip().rstrip(":").lower(), []))
            indented = True
        elif indented and line.strip() and not line[0].isspace():
            found.append(("", [line]))
            indented = False
        else:
            found[-1][1].append(line)
        number += 1
    return [Section(title, tuple(dedent("\n".join(body)).splitlines())) for title, body in found]


def entries(section: Section) -> list[Entry]:
    """The entries of a Parameters, Returns or Attributes section in numpy's style, in order."""
    found = []
    for head, body in _blocks(section.lines):
        names, _, kind = head.partition(" : ") if " : " in head else head.partition(":")
        every = tuple(name.strip().lstrip("*") for name in names.split(","))
        if all(name.isidentifier() for name in every):
            found.append(Entry(every, kind.strip(), dedent("\n".join(body)).strip()))
    return found


def short_entries(section: Section) -> list[Entry]:
    """The entries of an Args section, `x (int, optional): what it is`, in order."""
    found = []
    for head, body in _blocks(section.lines):
        match = _SHORT_ENTRY.match(head)
        if match:
            found.append(Entry((match[1],), match[2] or "", dedent("\n".join([match[3], *body])).strip()))
    return found


def see_also(section: Section) -> list[str]:
    """The names a See Also section links to, without roles and descriptions."""
    found = []
    for head, _ in _blocks(section.lines):
        names = re.sub(r":\w+(?::\w+)*:`~?\.?([^`]*)`", r"\1", head)
        names = re.split(r"\s+:(?:\s|$)|:\s|:$", names, maxsplit=1)[0]
        for name in names.split(","):
            name = name.strip().strip("`").lstrip("~.").removesuffix("()")
            if re.fullmatch(r"[A-Za-z_][\w.]*", name):
                found.append(name)
    return found


def _is_underlined(lines: list[str], number: int) -> bool:
    title = lines[number]
    if not title.strip() or title[0].isspace() or len(title) >= _LONGEST_TITLE or _UNDERLINE.match(title):
        return False
    return number + 1 < len(lines) and _UNDERLINE.match(lines[number + 1]) is not None


def _is_indented(lines: list[str], number: int) -> bool:
    following = next((line for line in lines[number:] if line.strip()), "")
    return following[:1].isspace()


def _blocks(lines: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """(line at column 0, the indented lines below it)."""
    head, body = "", []
    for line in lines:
        if line.strip() and not line[0].isspace():
            if head:
                yield head, body
            head, body = line.strip(), []
        else:
            body.append(line)
    if head:
        yield head, body
