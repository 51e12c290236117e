"""Labelled sets as they are published, one file at a time: rows with a text or two, and a label in words.

.jsonl  {"text" or "text_a", "text_b", "label"}, or SNLI's {"sentence1", "sentence2", "gold_label"}, "-" dropped
.tsv    GLUE: a header with sentence, sentence1/2, question1/2, question and sentence or text, and label; MRPC's
        names; CoLA has no header. A test file without labels counts as not there
.json   CLOTH: {"article", "options", "answers"}; each option in its blank is a row, right or wrong
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError

SUFFIXES = (".jsonl", ".tsv", ".json")
SPLITS = {"train": "train", "dev": "val", "val": "val", "validation": "val", "valid": "val", "test": "test"}

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
    source: str = ""
    """What it was made from, where other rows were made from it too: a share that is held back holds all or none."""


def files_of(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Task -> split ("" where the file does not say) -> files; UserError where there is none."""
    found: dict[str, dict[str, list[Path]]] = {}
    _refuse_splits([path.stem for path in sorted(folder.iterdir()) if _is_table(path)], folder)
    for path in sorted(folder.iterdir()):
        if _is_table(path):
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


def _is_table(path: Path) -> bool:
    return path.is_file() and path.suffix in SUFFIXES


def _split_of(words: Iterable[str]) -> str:
    """The split that one of the words names, "" where none does."""
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def _words(stem: str) -> list[str]:
    """snli_1.0_dev -> snli, 1, 0, dev"""
    return re.split(r"[_.\-]", stem.lower())


def _refuse_splits(stems: Sequence[str], folder: Path) -> None:
    """UserError where the files of a folder are not tasks but the splits of one."""
    splits = [_split_of(_words(stem)) for stem in stems]
    if splits and all(splits) and ("train" in splits or all(stem.lower() in SPLITS for stem in stems)):
        raise UserError(
            f"these files are splits of one task, not tasks: {', '.join(stems[:3])}",
            where=str(folder),
            why="each file or folder in it is a task, and a folder holds the splits of one",
            cure="put them into a folder that is named after the task: path/TASK/train.jsonl",
        )


def _in_folder(folder: Path) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if _is_table(p)):
        folders = [part.lower() for part in path.relative_to(folder).parts[:-1]]
        split = _split_of([*_words(path.stem), *folders])  # snli_1.0_dev, dev_matched, dev/high/1
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
    """UserError with file and line for what is no labelled text. A table without labels has no rows for `test`.

    A file is read as far as rows are asked for.
    """
    reader = {".jsonl": _json_lines, ".tsv": _tsv, ".json": _cloth}[path.suffix]
    yield from reader(path, _lines(path), split)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(where it stands, line) of each line with something in it."""
    found = False
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    found = True
                    yield f"{path}, line {number}", line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as text", where=str(path), why=str(error), cure="save it as UTF-8"
        ) from None
    if not found:
        raise UserError(f"{path} is empty", where=str(path), cure="leave it out, or put the data in")


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
            if path.suffix != ".json"  # CLOTH has none
        ]
        return any(next(rows_in(*place), Row("", "", "")).other is not None for place in found)
    except UserError:
        return False  # reading it for the run will say so


def _json_lines(path: Path, lines: Iterator[tuple[str, str]], split: str) -> Iterator[Row]:
    for where, line in lines:
        yield from _picked(_object(line, where), where)


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


def _picked(record: Mapping[str, Any], where: str) -> Iterator[Row]:
    """Text, second text and label of a record, by the names they go by in known sets; none without gold label."""
    first = next((name for name in FIRST if record.get(name) is not None), None)
    label = next((name for name in LABEL if record.get(name) is not None), None)
    for name, what, known in ((first, "text", FIRST), (label, "label", LABEL)):
        if name is None or not _said(record, name, where).strip():
            raise UserError(
                f"there is no {what}",
                where=where,
                why=f"found {', '.join(map(str, record)) or 'nothing'}; looked for {', '.join(known)}",
                cure=f"give every row a {what}",
            )
    assert first is not None and label is not None
    second = next((name for name in SECOND if name != first and record.get(name) is not None), None)
    said = _said(record, label, where)
    # SNLI's annotators did not agree: "-" as published, -1 where labels are numbers. Elsewhere both are labels.
    if not ((label == "gold_label" and said == "-") or (second == "hypothesis" and said == "-1")):
        other = None if second is None else _said(record, second, where)
        yield Row(where, _said(record, first, where), said, other)


def _said(record: Mapping[str, Any], name: str, where: str) -> str:
    """A text or a label as a word; UserError for what is none."""
    value = record[name]
    if isinstance(value, Mapping | list):
        raise UserError(
            f'"{name}" is {"a list" if isinstance(value, list) else "an object"}, not a word or number',
            where=where,
            why=f"found {str(value)[:60]}",
            cure="one text and one label a row",
        )
    return _whole_characters(str(value), name, where)


def _whole_characters(text: str, name: str, where: str) -> str:
    """The text; UserError for one that no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f'"{name}" has half a character, {text[error.start]!a}',
            where=where,
            why="JSON writes a character beyond U+FFFF as two halves, and one is missing",
            cure="mend or leave out the row",
        ) from None
    return text


def _header(line: str) -> list[str]:
    """Names of the columns as the first line has them; empty where it is a row already."""
    names = [name.strip() for name in line.split("\t")]
    return names if set(names) & {*FIRST, *SECOND, *LABEL} else []


def _lacks_labels(header: Sequence[str]) -> bool:
    return bool(header) and not set(header) & set(LABEL)


def _tsv(path: Path, lines: Iterator[tuple[str, str]], split: str) -> Iterator[Row]:
    header: list[str] = []
    for where, line in lines:
        if not header:
            if header := _header(line):
                if split == "test" and _lacks_labels(header):
                    return
                continue
            header = ["source", "label", "mark", "sentence"]  # CoLA; the mark is its author's
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"a row has {len(cells)} columns, and there are {len(header)}",
                where=where,
                why=f"the columns are {', '.join(header)}",
                cure="separate columns by one tab, and keep tabs out of texts",
            )
        yield from _picked(dict(zip(header, cells, strict=True)), where)


def _cloth(path: Path, lines: Iterator[tuple[str, str]], split: str) -> Iterator[Row]:
    record = _object("\n".join(line for _, line in lines), str(path))
    article, options, answers = (record.get(name) for name in ("article", "options", "answers"))
    if not isinstance(article, str) or not _is_list(options) or not _is_list(answers):
        raise UserError(
            "this is no passage of CLOTH",
            where=str(path),
            why=f"found {', '.join(map(str, record)) or 'nothing'}; wanted article, options and answers",
            cure="name files with one object a line .jsonl",
        )
    _whole_characters(article, "article", str(path))
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
            where = f"{path}, blank {number}"
            word = _said({"options": option}, "options", where)
            filled = article[: blank.start()] + word + article[blank.end() :]
            yield Row(where, filled, "right" if place == right else "wrong", source=article)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
