"""dataset:conllu — sentences with gold tags, as Universal Dependencies are published.

The text is put together from the word forms, with a space after each that does not say SpaceAfter=No, so that every tag
has its characters. A contraction in one line (`2-3  don't`) is one piece of text; where its words spell it, each
has its own characters, else all of it has the first word's tag. Empty nodes (`8.1`) stand for no text.
"""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright_text.text_data import Spans, TextRows, arrange_files
from maskwright_text.text_files import Lines, TextFile, find_files, notice_left_out, scan_lines
from maskwright_text.upos import UPOS

SUFFIXES = (".conllu", ".conll")
_COLUMNS = 10
_ID, _FORM, _UPOS, _MISC = 0, 1, 3, 9
_KNOWN = frozenset(UPOS)


def conllu(settings: Any) -> TextRows:
    """The data set for `maskwright_text.params_data.Conllu`."""
    files, splits = zip(*find_files(settings.path, SUFFIXES, settings.splits), strict=True)
    spans, digests, strange = [], [], 0
    for file in files:
        found = scan_lines(file)
        rows = []
        for first, after, text in _sentences(file, found):
            sentence = parse_sentence(text, file, first + 1)
            strange += sentence.strange
            if sentence.text:
                rows.append((first, after))
        first, after = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        spans.append(Spans(found.starts[first], found.ends[after - 1], first + 1))
        digests.append([file.name, found.digest])
    if not sum(len(part) for part in spans):
        raise UserError(
            "there are no sentences",
            where=str(settings.path),
            why="there are comments only",
            cure="a file with lines of ten columns, and a blank line after each sentence",
        )
    chosen, notices = arrange_files(
        [len(part) for part in spans],
        splits,
        lambda place: spans[place].identities(files[place]),
        settings.test_share,
        settings.valid_share,
    )
    notices += notice_left_out(settings.path, SUFFIXES, settings.splits, files)
    if strange:
        notices.append(f"{strange} words have a tag that is none of the 17: they count as X")
    return TextRows("conllu", files, spans, read_sentence, chosen, {"notices": notices}, digests)


def _sentences(file: TextFile, lines: Lines) -> Iterator[tuple[int, int, str]]:
    for first, after in zip(*(part.tolist() for part in lines.blocks()), strict=True):
        text = file.piece(int(lines.starts[first]), int(lines.ends[after - 1])).decode("utf-8")
        yield first, after, text


def read_sentence(file: TextFile, text: str, where: str) -> dict[str, Any]:
    """A sentence as fields."""
    sentence = parse_sentence(text, file, 1)
    return {"text": sentence.text, "tags": sentence.tags}


@attrs.frozen
class Sentence:
    """`tags` are (start, end, tag), in characters of `text`; `strange` counts tags that are none of the 17."""

    text: str
    tags: list[tuple[int, int, str]]
    strange: int


def parse_sentence(block: str, file: TextFile, line: int) -> Sentence:
    """The sentence in lines that begin at number `line` of the file."""
    text, tags, strange = "", [], 0
    contraction: tuple[int, str, str] | None = None  # (last word, form, what follows it)
    parts: list[tuple[str, str]] = []
    for number, row in enumerate(block.split("\n"), start=line):
        if row.startswith("#") or not row.strip():
            continue
        cells = row.rstrip("\r").split("\t")
        if len(cells) != _COLUMNS:
            raise _not_ten(file, number, len(cells))
        if "." in cells[_ID]:
            continue
        after = "" if "SpaceAfter=No" in cells[_MISC].split("|") else " "
        form = cells[_FORM].strip()
        if "-" in cells[_ID]:
            contraction, parts = (_last_word(cells[_ID], file, number), form, after), []
            continue
        strange += cells[_UPOS] not in _KNOWN
        tag = cells[_UPOS] if cells[_UPOS] in _KNOWN else "X"
        if contraction is None:
            tags.append((len(text), len(text) + len(form), tag))
            text += form + after
            continue
        parts.append((form, tag))
        if cells[_ID] == str(contraction[0]):
            tags += _spelled(contraction[1], parts, len(text))
            text += contraction[1] + contraction[2]
            contraction = None
    if contraction is not None:
        raise UserError(
            f'the contraction "{contraction[1]}" has no word {contraction[0]}',
            where=f"{file.shown}, line {line}",
            why="the sentence that begins there ends before it",
            cure="mend the sentence",
        )
    return Sentence(text.rstrip(), tags, strange)


def _spelled(form: str, parts: list[tuple[str, str]], start: int) -> list[tuple[int, int, str]]:
    spelled = "".join(part for part, _ in parts)
    if len(spelled) != len(form) or spelled.lower() != form.lower():
        return [(start, start + len(form), parts[0][1])]
    found = []
    for part, tag in parts:
        found.append((start, start + len(part), tag))
        start += len(part)
    return found


def _last_word(identity: str, file: TextFile, number: int) -> int:
    last = identity.rpartition("-")[2]
    if last.isdecimal():
        return int(last)
    raise UserError(
        f'"{identity}" is no range of words',
        where=f"{file.shown}, line {number}",
        why="the first column holds 1, 2, 3 …, or a range such as 2-3",
        cure="mend the line",
    )


def _not_ten(file: TextFile, number: int, count: int) -> UserError:
    return UserError(
        f"a line has {count} columns, not {_COLUMNS}",
        where=f"{file.shown}, line {number}",
        why="CoNLL-U has ten columns with tabs between them",
        cure="give a file in CoNLL-U; plain text goes into dataset:lines",
    )
