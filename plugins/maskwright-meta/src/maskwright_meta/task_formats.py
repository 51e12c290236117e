"""Labelled sets as they are published, one file at a time: rows with a text or two, and a label in words.

.jsonl  {"text" or "text_a", "text_b", "label"}, or SNLI's {"sentence1", "sentence2", "gold_label"}; "-" is dropped
.tsv    GLUE: a header with sentence, sentence1/2, question1/2, question and sentence or text, and label; MRPC's
        names; CoLA has no header. A test file without labels counts as not there
.json   CLOTH: {"article", "options", "answers"}; each option in its blank is a row, right or wrong
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError

SUFFIXES = (".jsonl", ".tsv", ".json")
SPLITS = {"train": "train", "dev": "val", "val": "val", "validation": "val", "valid": "val", "test": "test"}

NO_GOLD = "-"
"""SNLI's label of pairs that its annotators did not agree on; -1 where labels are numbers."""

FIRST = ("text", "text_a", "question", "sentence", "sentence1", "question1", "premise", "#1 String")
SECOND = ("text_b", "sentence2", "question2", "sentence", "hypothesis", "#2 String")
LABEL = ("label", "gold_label", "is_duplicate", "Quality")
BLANK = re.compile(r"(?<!\S)_+(?=\W|$)")


@attrs.frozen
class Row:
    """One labelled text or pair, and where it stands."""

    where: str
    text: str
    label: str
    other: str | None = None


def files_of(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Task -> split ("" where the file does not say) -> files; UserError where there is none."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in SUFFIXES:
            name, splits = path.stem, {"": [path]}
        elif path.is_dir():
            name, splits = path.name, _in_folder(path)
        else:
            continue
        if splits and name in found:
            raise UserError(
                f'two tasks are called "{name}"',
                where=str(folder),
                cure="rename a file or folder of that name",
            )
        if splits:
            found[name] = splits
    if not found:
        raise UserError(
            "no file in this folder is a task",
            where=str(folder),
            why=f"looked for {', '.join(SUFFIXES)}, and folders with such files",
            cure="path=FOLDER with files such as reviews.jsonl",
        )
    return found


def _in_folder(folder: Path) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in SUFFIXES):
        folders = [part.lower() for part in path.relative_to(folder).parts[:-1]]
        words = [*re.split(r"[_.\-]", path.stem.lower()), *folders]  # snli_1.0_dev, dev_matched, dev/high/1
        split = next((SPLITS[word] for word in words if word in SPLITS), "")
        splits.setdefault(split, []).append(path)
    if len(splits) > 1 and "" in splits:
        odd = ", ".join(str(path.relative_to(folder)) for path in splits[""][:3])
        raise UserError(
            f"some files of a task name their split, and others do not: {odd}",
            where=str(folder),
            why=f"a split is a word of the name of a file or of its folder: {', '.join(SPLITS)}",
            cure="rename them, or take them out",
        )
    return splits


def rows_in(path: Path, split: str = "") -> Iterator[Row]:
    """UserError with file and line for what is no labelled text. A table without labels has no rows for `test`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as text", where=str(path), why=str(error), cure="save it as UTF-8"
        ) from None
    if not text.strip():
        raise UserError(f"{path} is empty", where=str(path), cure="leave it out, or put the data in")
    if path.suffix == ".tsv" and split == "test" and _lacks_labels(_header(text)):
        return
    reader = {".jsonl": _json_lines, ".tsv": _tsv, ".json": _cloth}[path.suffix]
    for row in reader(path, text):
        if row.label != NO_GOLD:
            yield row


def has_pairs(folder: Path) -> bool:
    """Whether any task has two texts; looks at the first row of each file."""
    if not folder.is_dir():
        return False
    try:
        found = [
            (path, split)
            for splits in files_of(folder).values()
            for split, own in splits.items()
            for path in own
        ]
        return any(next(rows_in(*place), Row("", "", "")).other is not None for place in found)
    except UserError:
        return False  # reading it for the run will say so


def _json_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _picked(_object(line, where), where)


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            "this is no JSON",
            where=where,
            why=str(error),
            cure='an object such as {"text": "…", "label": "…"}',
        ) from None
    if not isinstance(found, dict):
        raise UserError(
            "this is no JSON object", where=where, cure='an object such as {"text": "…", "label": "…"}'
        )
    return found


def _picked(record: Mapping[str, Any], where: str) -> Row:
    """Text, second text and label of a record, by the names they go by in known sets."""
    first = next((name for name in FIRST if record.get(name) is not None), None)
    label = next((name for name in LABEL if record.get(name) is not None), None)
    if first is None or label is None or not str(record[first]).strip():
        lacking, known = (
            ("label", LABEL) if first is not None and str(record[first]).strip() else ("text", FIRST)
        )
        raise UserError(
            f"there is no {lacking}",
            where=where,
            why=f"found {', '.join(map(str, record)) or 'nothing'}; looked for {', '.join(known)}",
            cure=f"give every row a {lacking}",
        )
    second = next((name for name in SECOND if name != first and record.get(name) is not None), None)
    other = None if second is None else str(record[second])
    said = NO_GOLD if second == "hypothesis" and str(record[label]) == "-1" else str(record[label])
    return Row(where, str(record[first]), said, other)


def _header(text: str) -> list[str]:
    """Names of the columns as the first line has them; empty where it is a row already."""
    names = [name.strip() for name in text.split("\n", 1)[0].split("\t")]
    return names if set(names) & {*FIRST, *SECOND, *LABEL} else []


def _lacks_labels(header: Sequence[str]) -> bool:
    return bool(header) and not set(header) & set(LABEL)


def _tsv(path: Path, text: str) -> Iterator[Row]:
    lines = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    header = _header(text)
    has_header = bool(header)
    if not has_header:  # CoLA: source, label, mark of the author, sentence
        header = ["source", "label", "mark", "sentence"]
    for number, cells in enumerate(lines, start=1):
        if has_header and number == 1:
            continue
        if not any(cells):
            continue
        where = f"{path}, line {number}"
        if len(cells) != len(header):
            raise UserError(
                f"a row has {len(cells)} columns, and there are {len(header)}",
                where=where,
                why=f"the columns are {', '.join(header)}",
                cure="separate columns by one tab, and keep tabs out of texts",
            )
        yield _picked(dict(zip(header, cells, strict=True)), where)


def _cloth(path: Path, text: str) -> Iterator[Row]:
    record = _object(text, str(path))
    article, options, answers = (record.get(name) for name in ("article", "options", "answers"))
    if not isinstance(article, str) or not _is_list(options) or not _is_list(answers):
        raise UserError(
            "this is no passage of CLOTH",
            where=str(path),
            why=f"found {', '.join(map(str, record)) or 'nothing'}; wanted article, options and answers",
            cure="name files with one object a line .jsonl",
        )
    blanks = list(BLANK.finditer(article))
    if not len(blanks) == len(options) == len(answers):
        raise UserError(
            f"{len(blanks)} blanks, {len(options)} lists of options and {len(answers)} answers",
            where=str(path),
            why="a blank is _ between spaces, and each has four options and a letter",
            cure="mend the passage, or leave the file out",
        )
    for number, (blank, given, answer) in enumerate(zip(blanks, options, answers, strict=True), start=1):
        right = ord(str(answer)[:1].upper() or " ") - ord("A")
        if not _is_list(given) or not 0 <= right < len(given):
            raise UserError(
                f'the answer "{answer}" is none of the options',
                where=f"{path}, blank {number}",
                cure="a letter from A on",
            )
        for place, option in enumerate(given):
            filled = article[: blank.start()] + str(option) + article[blank.end() :]
            yield Row(f"{path}, blank {number}", filled, "right" if place == right else "wrong")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
