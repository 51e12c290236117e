"""dataset:image-list — pictures named in a CSV or JSON lines file, with their classes and splits."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError, did_you_mean
from maskwright_vision.folder_data import picture_files, usable
from maskwright_vision.picture_data import PictureFiles
from maskwright_vision.picture_scan import scan
from maskwright_vision.picture_sources import Folder
from maskwright_vision.splitting import SPLIT_WORDS, arrange

KEYS = ("path", "label", "split")


@attrs.frozen
class Row:
    """One line of the list."""

    path: str
    label: str
    split: str


def image_list(settings: Any) -> PictureFiles:
    """The data set for `maskwright_vision.params_data.ImageList`."""
    rows = read_list(settings.path, settings.labelled)
    source = Folder(settings.path.parent, list(rows))
    good, bad, notices = usable(source, seen := scan(source), settings)
    given: dict[str, list[str]] = {}
    for name in good:
        given.setdefault(rows[name].split, []).append(name)
    names, how = arrange(given, settings.test_share, settings.test_match)
    words = {name: rows[name].label for name in good} if settings.labelled else {}
    return picture_files("image-list", source, names, words, seen, [*notices, *how], bad, settings)


def read_list(path: Path, labelled: bool) -> dict[str, Row]:
    """Path as written -> row, in the order of the file."""
    text = _text(path)
    lines = (
        _json_lines(text, path) if path.suffix.lower() in (".jsonl", ".ndjson") else _csv_lines(text, path)
    )
    rows: dict[str, Row] = {}
    places: dict[str, int] = {}
    for number, line in lines:
        row = _row(line, f"{path}, line {number}", labelled)
        if row.path in rows:
            raise UserError(
                f"{row.path} is listed twice",
                where=f"{path}, line {number}",
                why=f"it also stands in line {places[row.path]}",
                cure="one line for each picture",
            )
        rows[row.path], places[row.path] = row, number
    if not rows:
        raise UserError(f"{path} lists no pictures", where=str(path), cure="one line for each picture")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}", where=str(path), cure="check the path") from None
    except OSError as error:
        raise UserError(
            f"cannot read {path}",
            where=str(path),
            why=error.strerror or str(error),
            cure="give a CSV or JSON lines file",
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8", where=str(path), why=str(error), cure="save it as UTF-8"
        ) from error


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.split("\n", 1)[0]
    mark = next((mark for mark in "\t;," if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not header:
                header = [cell.strip().lower() for cell in cells]
                _check_header(header, path)
            elif cells and len(cells) != len(header):
                raise UserError(
                    f"a line has {len(cells)} entries, the header has {len(header)}",
                    where=f"{path}, line {reader.line_num}",
                    cure='one entry for each column; paths with a separator stand in "quotes"',
                )
            elif cells:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{path} is no CSV file",
            where=f"{path}, line {reader.line_num}",
            why=str(error),
            cure="a header path,label[,split], then one line for each picture",
        ) from error


def _check_header(header: list[str], path: Path) -> None:
    if "path" not in header:
        raise UserError(
            f'{path} has no column "path"{did_you_mean("path", header)}',
            where=f"{path}, line 1",
            why=f"its first line is {', '.join(header)[:80]}",
            cure="begin with the line path,label or path,label,split",
        )


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(
                    "a line is no JSON", where=f"{path}, line {number}", why=str(error), cure=_JSON_CURE
                ) from error
            if not isinstance(found, dict):
                raise UserError("a line is no JSON object", where=f"{path}, line {number}", cure=_JSON_CURE)
            yield number, found


_JSON_CURE = 'lines such as {"path": "a.png", "label": "cat", "split": "train"}'


def _row(line: dict[str, Any], where: str, labelled: bool) -> Row:
    path, label, split = (line.get(key) for key in KEYS)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise UserError('there is no "path" of a picture', where=where, cure="the path, relative to the list")
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if labelled and (not isinstance(label, str) or not label.strip()):
        raise UserError(
            f'{path} has no "label"',
            where=where,
            why="nothing stands there"
            if label in (None, "")
            else f"{label!r} is neither a word nor a whole number",
            cure="name its class; or labelled = false uses the pictures without classes",
        )
    if split not in (None, "") and str(split).strip().lower() not in SPLIT_WORDS:
        raise UserError(
            f'there is no split "{split}"{did_you_mean(str(split), SPLIT_WORDS)}',
            where=where,
            cure=f"one of {', '.join(SPLIT_WORDS)}",
        )
    word = SPLIT_WORDS[str(split).strip().lower()] if split not in (None, "") else "train"
    return Row(path.strip(), str(label).strip() if label is not None else "", word)
