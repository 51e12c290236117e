"""dataset:csv — a header, then one record a line; entries in quotes may hold separators and line breaks."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from maskwright.errors import UserError
from maskwright_text.columns import Columns
from maskwright_text.record_data import Record, record_rows
from maskwright_text.text_data import TextRows
from maskwright_text.text_files import Lines, TextFile

SUFFIXES = (".csv", ".tsv", ".tab")
_MARKS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_LONGEST = (
    2**31 - 1
)  # characters of an entry; the reader's own limit of 131072 is less than a long document has


def csv_table(settings: Any) -> TextRows:
    """The data set for `maskwright_text.params_data.Csv`."""
    read = ReadRow(Columns(settings.fields), settings.separator, settings.quotes)
    kept = [settings.separator, settings.quotes]
    return record_rows("csv", settings, SUFFIXES, read.columns, read.records, read, kept)


class ReadRow:
    """Lines as fields, by the header of their file, which the pass over all records has read."""

    def __init__(self, columns: Columns, separator: str, quotes: bool) -> None:
        self.columns, self.separator, self.quotes = columns, separator, quotes
        self._headers: dict[str, list[str]] = {}

    def __call__(self, file: TextFile, text: str, where: str) -> dict[str, Any]:
        cells = next(self._reader(file, (_with_one_end(line) for line in text.split("\n"))))
        return self.columns.pick(dict(zip(self._headers[file.name], cells, strict=True)), where)

    def records(self, file: TextFile, lines: Lines) -> Iterator[Record]:
        """Every record below the header."""
        reader = self._reader(file, _texts(file, lines))
        header: list[str] = []
        while True:
            first = reader.line_num
            where = f"{file.shown}, line {first + 1}"
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise self._no_csv(where, error) from None
            # Separators alone are a record with empty entries, unless they stand above the header.
            if not any(cell.strip() for cell in cells) and (len(cells) < 2 or not header):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                self._check_header(header, where)
                self._headers[file.name] = header
                continue
            if len(cells) != len(header):
                raise self._ragged(cells, header, where)
            yield first, reader.line_num, dict(zip(header, cells, strict=True))

    def _reader(self, file: TextFile, texts: Iterable[str]) -> Any:
        csv.field_size_limit(_LONGEST)
        by_suffix = "comma" if file.name.lower().endswith(".csv") else "tab"
        mark = _MARKS[by_suffix if self.separator == "by-suffix" else self.separator]
        quoting = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        return csv.reader(texts, delimiter=mark, quoting=quoting, strict=True)

    def _check_header(self, header: list[str], where: str) -> None:
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise UserError(
                f'the header names "{twice[0]}" twice',
                where=where,
                why=f"it is {', '.join(header)[:120]}",
                cure="a name of its own for each column",
            )

    def _ragged(self, cells: list[str], header: list[str], where: str) -> UserError:
        entries = "1 entry" if len(cells) == 1 else f"{len(cells)} entries"
        return UserError(
            f"a line has {entries}, the header has {len(header)}",
            where=where,
            why=f"the columns are {', '.join(header)[:120]}",
            cure='put texts that hold the separator in "quotes", or name it: separator = "tab"; '
            "where quotes are letters like any other: quotes = false",
        )

    def _no_csv(self, where: str, error: csv.Error) -> UserError:
        return UserError(
            "a line cannot be read as CSV",
            where=where,
            why=str(error),
            cure='a quote within quotes is written twice: ""; where quotes are letters like any other: quotes = false',
        )


def _texts(file: TextFile, lines: Lines) -> Iterator[str]:
    for start, end in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True):
        yield _with_one_end(file.piece(start, end).decode("utf-8"))


def _with_one_end(line: str) -> str:
    """The first pass and each later look must read the same, within quotes too: \\r\\n is \\n there."""
    return line.rstrip("\r") + "\n"
