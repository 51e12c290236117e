"""dataset:json-lines — one JSON object a line."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from maskwright.errors import UserError
from maskwright_text.columns import Columns
from maskwright_text.record_data import Record, record_rows
from maskwright_text.text_data import TextRows
from maskwright_text.text_files import Lines, TextFile

SUFFIXES = (".jsonl", ".ndjson", ".json")


def json_lines(settings: Any) -> TextRows:
    """The data set for `maskwright_text.params_data.JsonLines`."""
    columns = Columns(settings.fields)
    return record_rows("json-lines", settings, SUFFIXES, columns, _records, ReadObject(columns))


class ReadObject:
    """A line as fields."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __call__(self, file: TextFile, text: str, where: str) -> dict[str, Any]:
        return self.columns.pick(parse_object(text, where), where)


def _records(file: TextFile, lines: Lines) -> Iterator[Record]:
    for row in np.flatnonzero(lines.filled).tolist():
        text = file.piece(int(lines.starts[row]), int(lines.ends[row])).decode("utf-8")
        yield row, row + 1, parse_object(text, f"{file.shown}, line {row + 1}")


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The object that a line holds."""
    cure = 'one object a line, such as {"text": "some words"}'
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("a line is no JSON", where=where, why=str(error), cure=cure) from None
    if not isinstance(found, dict):
        kind = {list: "a list", str: "a text"}.get(type(found), "a single value")
        raise UserError("a line is no JSON object", where=where, why=f"it is {kind}", cure=cure)
    return found
