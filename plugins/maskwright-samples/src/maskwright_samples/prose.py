"""Docstrings made into plain paragraphs: examples, tables, signatures and markup go, sentences stay."""

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent

import attrs

from maskwright_samples.sections import sections

_KEPT_SECTIONS = frozenset({"", "note", "notes", "warning", "warnings"})
_KEPT_DIRECTIVES = frozenset({"note", "warning", "tip", "important"})
_FEWEST_WORDS = 3  # of a paragraph and of a summary; shorter ones are labels

_SIMPLE_TABLE = re.compile(r"\s*=+(\s+=+)+\s*$")
_GRID_TABLE = re.compile(r"\s*(\+[-=+]+\+|\|.*\|)\s*$")
_DIRECTIVE = re.compile(r"(\s*)\.\.(?:\s+([\w-]+)::(.*)|\s.*|)$")
_FIELD = re.compile(r"(\s*):[\w][\w \-*]*:(\s|$)")
_BULLET = re.compile(r"\s*([-*+•]|[0-9]{1,2}[.)]|\(?[a-zA-Z]\))\s+")
_SIGNATURE = re.compile(r"[\w.]+\([^)]*\)(\s*->.*)?[:.]?$")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!cf\.)(?<!vs\.)\s+(?=[\"'(A-Z0-9])")

_INLINE = (
    (re.compile(r":[\w+.-]+(?::[\w+.-]+)*:`~?([^`<]*?)(?:\s*<[^`]*>)?`"), r"\1"),  # roles
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),  # links with a text
    (re.compile(r"\[[\w.]+\]_"), ""),  # references
    (re.compile(r"\$[^$\n]*\$"), ""),  # mathematics
    (re.compile(r"<?\b(?:https?|ftp)://[^\s>]*>?"), ""),
    (re.compile(r"`+"), ""),
    (re.compile(r"\*\*?(?=\S)([^*\n]*?\S)\*\*?(?!\w)"), r"\1"),  # emphasis
)


@attrs.frozen
class Prose:
    paragraphs: tuple[str, ...]
    summary: str  # first sentence of three words or more
    body: str  # all else

    @property
    def text(self) -> str:
        return "\n".join(self.paragraphs)


def clean(docstring: str) -> Prose:
    """The leading part, notes and warnings of a docstring as prose; empty strings where nothing is left."""
    kept = [section.text for section in sections(docstring) if section.title in _KEPT_SECTIONS]
    found = [paragraph for text in kept for paragraph in paragraphs(text)]
    if found and _SIGNATURE.match(found[0]):
        found = found[1:]
    summary, rest = _first_sentence(found[0]) if found else ("", "")
    body = "\n".join(part for part in (rest, *found[1:]) if part)
    return Prose(tuple(found), summary, body)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of three words or more in a piece of reStructuredText, markup removed, one line each."""
    lines = _without_literal_blocks(_without_directives(text.splitlines()))
    found = []
    for block in _blocks(lines):
        if any(_SIMPLE_TABLE.match(line) for line in block):
            continue
        kept = [line for line in block if not (_GRID_TABLE.match(line) or line.lstrip().startswith("$ "))]
        for item in _list_items(_without_fields(kept)):
            paragraph = plain(item)
            if len(paragraph.split()) >= _FEWEST_WORDS:
                found.append(paragraph)
    return found


def plain(text: str) -> str:
    """Text on one line without roles, backquotes, emphasis, references, formulas and addresses."""
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return re.sub(r"\s+([,.;:)])", r"\1", " ".join(text.split()))


def words(text: str) -> list[str]:
    """Lower-case words and numbers, in order: what duplicates and overlaps are counted in."""
    return re.findall(r"[a-z]+|[0-9]+", text.lower())


def fingerprint_words(text: str) -> str:
    """Equal for texts that differ in case, punctuation and digits only."""
    return re.sub(r"[^a-z0]+", " ", re.sub(r"[0-9]", "0", text.lower())).strip()


def _first_sentence(paragraph: str) -> tuple[str, str]:
    for end in _SENTENCE_END.finditer(paragraph):
        if len(paragraph[: end.start()].split()) >= _FEWEST_WORDS:
            return paragraph[: end.start()], paragraph[end.end() :]
    return paragraph, ""


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines between blank lines, without the examples: `>>>` hides all up to the next blank line."""
    block: list[str] = []
    example = False
    for line in [*lines, ""]:
        if not line.strip():
            if block:
                yield block
            block, example = [], False
        elif example or line.lstrip().startswith(">>>"):
            example = True
        else:
            block.append(line)


def _without_directives(lines: Sequence[str]) -> list[str]:
    """`.. name::` with its indented block goes; of notes, warnings, tips the text stays."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        match = _DIRECTIVE.match(lines[number])
        if match is None:
            kept.append(lines[number])
            number += 1
            continue
        end = _end_of_block(lines, number + 1, len(match[1]))
        if match[2] in _KEPT_DIRECTIVES:
            inside = dedent("\n".join(lines[number + 1 : end])).splitlines()
            kept += ["", match[3].strip(), *_without_directives(inside)]
        kept.append("")
        number = end
    return kept


def _without_literal_blocks(lines: Sequence[str]) -> list[str]:
    """Drop the more deeply indented block after a line that ends in `::`."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.rstrip().endswith("::"):
            kept.append(line.rstrip()[:-1] if line.strip() != "::" else "")
            number = _end_of_block(lines, number, _indentation(line))
            kept.append("")
        else:
            kept.append(line)
    return kept


def _without_fields(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    number = 0
    while number < len(lines):
        match = _FIELD.match(lines[number])
        if match is None:
            kept.append(lines[number])
            number += 1
        else:
            number = _end_of_block(lines, number + 1, len(match[1]))
    return kept


def _end_of_block(lines: Sequence[str], start: int, indentation: int) -> int:
    """Number of the first line from `start` that is neither blank nor indented more deeply."""
    for number in range(start, len(lines)):
        if lines[number].strip() and _indentation(lines[number]) <= indentation:
            return number
    return len(lines)


def _list_items(lines: Sequence[str]) -> Iterator[str]:
    """A paragraph, or each item of a list that is written without blank lines."""
    item: list[str] = []
    for line in lines:
        bullet = _BULLET.match(line)
        if bullet:
            if item:
                yield " ".join(item)
            item = [line[bullet.end() :]]
        else:
            item.append(line.strip())
    if item:
        yield " ".join(item)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
