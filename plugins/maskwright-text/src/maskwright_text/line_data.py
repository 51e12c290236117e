"""dataset:lines and dataset:documents — plain text, cut at line breaks, at blank lines, or into whole files."""

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from maskwright.errors import UserError
from maskwright_text.text_data import Spans, TextRows, arrange_files, notice_new_classes, sorted_classes
from maskwright_text.text_files import Lines, TextFile, find_files, notice_left_out, scan_lines

SUFFIXES = (".txt", ".text")


def lines(settings: Any) -> TextRows:
    """The data set for `maskwright_text.params_data.Lines`."""
    return _plain_text("lines", settings, _each_line)


def documents(settings: Any) -> TextRows:
    """The data set for `maskwright_text.params_data.Documents`."""
    return _plain_text("documents", settings, _whole_file if settings.unit == "file" else _blocks)


def _each_line(found: Lines) -> Spans:
    rows = np.flatnonzero(found.filled)
    return Spans(found.starts[rows], found.ends[rows], rows + 1)


def _blocks(found: Lines) -> Spans:
    first, after = found.blocks()
    return Spans(found.starts[first], found.ends[after - 1], first + 1)


def _whole_file(found: Lines) -> Spans:
    rows = np.flatnonzero(found.filled)[[0, -1]]
    return Spans(found.starts[rows[:1]], found.ends[rows[1:]], rows[:1] + 1)


def _plain_text(name: str, settings: Any, cut: Any) -> TextRows:
    files, splits = zip(*find_files(settings.path, SUFFIXES, settings.splits), strict=True)
    spans, digests = [], []
    for file in files:
        found = scan_lines(file)
        spans.append(cut(found))
        digests.append([file.name, found.digest])
    chosen, notices = arrange_files(
        [len(part) for part in spans],
        splits,
        lambda place: spans[place].identities(files[place]),
        settings.test_share,
        settings.valid_share,
    )
    notices += notice_left_out(settings.path, SUFFIXES, settings.splits, files)
    facts: dict[str, Any] = {}
    read = ReadText(settings.label_from)
    if settings.label_from != "nothing":
        words = [read.word(file) for file in files]
        facts["classes"] = sorted_classes(words, str(settings.path))
        codes = np.repeat([facts["classes"].index(word) for word in words], [len(part) for part in spans])
        notices += notice_new_classes(codes, chosen, facts["classes"])
    facts["notices"] = notices
    content = [digests, settings.label_from, getattr(settings, "unit", "line")]
    return TextRows(name, files, spans, read, chosen, facts, content)


class ReadText:
    """The row's text is the item's, and where the file lies may be its class."""

    def __init__(self, label_from: str) -> None:
        self.label_from = label_from

    def __call__(self, file: TextFile, text: str, where: str) -> dict[str, Any]:
        fields = {"text": text.replace("\r\n", "\n").strip()}
        return fields if self.label_from == "nothing" else fields | {"label": self.word(file)}

    def word(self, file: TextFile) -> str:
        """The class of all texts of a file."""
        path = PurePosixPath(file.name)
        if self.label_from == "file":
            return path.name
        if len(path.parts) < 2:
            raise UserError(
                f"{file.name} lies in no folder that could name its class",
                where=file.shown,
                why='label_from = "folder" takes the name of the folder that a file lies in',
                cure='a folder for each class; or label_from = "file"',
            )
        return path.parts[-2]
