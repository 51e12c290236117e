"""Data sets of records: a pass over all of them that finds every mistake, then rows that are parsed on demand."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from maskwright.errors import UserError
from maskwright_text.columns import Columns, EmptyEntry
from maskwright_text.text_data import Read, Spans, TextRows, arrange_files, notice_new_classes, sorted_classes
from maskwright_text.text_files import Lines, TextFile, find_files, notice_left_out, scan_lines

Record = tuple[int, int, Mapping[str, Any]]
"""(first line, line after the last, both from 0; what stands there)."""


def record_rows(
    name: str,
    settings: Any,
    suffixes: tuple[str, ...],
    columns: Columns,
    records: Callable[[TextFile, Lines], Iterator[Record]],
    read: Read,
    kept: Any = None,
) -> TextRows:
    """`records` walks through a file, `read` makes the fields of one row; `kept` is what else the items depend on."""
    files, splits = zip(*find_files(settings.path, suffixes, settings.splits), strict=True)
    spans, digests, tally = [], [], Tally(columns, settings.empty == "skip")
    for file in files:
        found = scan_lines(file)
        edges = (
            edge
            for first, after, record in records(file, found)
            if tally.takes(record, f"{file.shown}, line {first + 1}")
            for edge in (first, after)
        )
        first, after = np.fromiter(edges, dtype=np.int64).reshape(-1, 2).T
        spans.append(Spans(found.starts[first], found.ends[after - 1], first + 1))
        digests.append([file.name, found.digest])
    tally.refuse_nothing(str(settings.path))
    chosen, notices = arrange_files(
        [len(part) for part in spans],
        splits,
        lambda place: spans[place].identities(files[place]),
        settings.test_share,
        settings.valid_share,
    )
    notices += notice_left_out(settings.path, suffixes, settings.splits, files)
    facts = tally.facts(chosen, notices, str(settings.path))
    content = [digests, columns.fields, settings.empty, kept]
    return TextRows(name, files, spans, read, chosen, facts, content)


class Tally:
    """What a pass over all records learns: which are left out, which classes there are."""

    def __init__(self, columns: Columns, skip_empty: bool) -> None:
        self._columns, self._skip = columns, skip_empty
        self._codes = array("q")  # one a record
        self._words: dict[str, int] = {}  # class -> code, in the order of their first records
        self._taken, self._empty, self._first_empty = 0, 0, ""

    def takes(self, record: Mapping[str, Any], where: str) -> bool:
        """Whether the record becomes an item; UserError where it is wrong."""
        self._columns.check_kinds(record, where)
        try:
            fields = self._columns.pick(record, where)
        except EmptyEntry:
            if not self._skip:
                raise
            self._empty += 1
            self._first_empty = self._first_empty or where
            return False
        if "label" in fields:
            self._codes.append(self._words.setdefault(fields["label"], len(self._words)))
        self._taken += 1
        return True

    def refuse_nothing(self, where: str) -> None:
        if not self._taken:
            raise UserError(
                "there are no records",
                where=where,
                why=f"{self._empty} are empty and left out" if self._empty else "no line holds one",
                cure="give a file with at least one",
            )

    def facts(
        self,
        chosen: Mapping[str, np.ndarray],
        notices: list[str],
        where: str,
        names: list[str] | None = None,
    ) -> dict[str, Any]:
        """For about(): classes, `names` where the data itself lists them, and notices."""
        notices = list(notices)
        if self._empty:
            notices.append(
                f"{self._empty} records with an empty entry are left out, the first: {self._first_empty}"
            )
        if "label" not in self._columns.fields:
            return {"notices": notices}
        notices += notice_new_classes(np.array(self._codes), chosen, list(self._words))
        return {"classes": names or sorted_classes(self._words, where), "notices": notices}
