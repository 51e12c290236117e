"""dataset:arrow — folders that the library `datasets` saved, and single .arrow and .parquet files. Needs pyarrow."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from maskwright.errors import UserError
from maskwright_text.columns import Columns
from maskwright_text.record_data import Tally
from maskwright_text.text_data import SplitRows, arrange_files, first_rows
from maskwright_text.text_files import TextFile, find_files
from maskwright_text.text_splits import SPLIT_WORDS

SUFFIXES = (".arrow", ".parquet")
_STATE, _SPLITS = "state.json", "dataset_dict.json"
_FILE_MAGIC, _STREAM_END = b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0"
_AT_A_TIME = 1000  # rows turned into Python objects at once


def arrow(settings: Any) -> "ArrowRows":
    """The data set for `maskwright_text.params_data.Arrow`."""
    pyarrow()
    columns = Columns(settings.fields)
    tally = Tally(columns, settings.empty == "skip")
    found = _saved_files(settings.path, settings.splits)
    tables = [Table(file, columns) for file, _ in found]
    rows = [
        np.fromiter((n for n, row in table.records() if tally.takes(row, table.where(n))), dtype=np.int64)
        for table in tables
    ]
    tally.refuse_nothing(str(settings.path))
    chosen, notices = arrange_files(
        [len(part) for part in rows],
        [split for _, split in found],
        lambda place: map(tables[place].identity, rows[place].tolist()),
        settings.test_share,
        settings.valid_share,
    )
    names = [table.class_names() for table in tables]
    alike = names[0] if all(one == names[0] for one in names) else None
    facts = tally.facts(chosen, notices, str(settings.path), alike)
    content = [[[table.file.name, table.digest()] for table in tables], columns.fields, settings.empty]
    return ArrowRows(tables, rows, chosen, facts, content)


def pyarrow() -> ModuleType:
    """The library; UserError with the pip line where it is absent."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            "dataset:arrow needs pyarrow",
            where="dataset:arrow",
            why=str(error),
            cure='pip install "maskwright-text[arrow]"',
        ) from None
    return pyarrow


class ArrowRows(SplitRows):
    """Rows of Arrow tables; `rows` are the places in each table of those that are items."""

    def __init__(
        self,
        tables: Sequence["Table"],
        rows: Sequence[np.ndarray],
        chosen: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        content: Any,
    ) -> None:
        super().__init__("arrow", chosen, facts, content)
        self._tables, self._rows, self._firsts = list(tables), list(rows), first_rows(rows)
        self._numbers = {word: number for number, word in enumerate(facts.get("classes", ()))}

    def _item(self, row: int) -> dict[str, Any]:
        place = int(np.searchsorted(self._firsts, row, side="right")) - 1
        table, at = self._tables[place], int(self._rows[place][row - int(self._firsts[place])])
        fields = table.fields(at)
        if "label" in fields:
            fields["label"] = self._numbers[fields["label"]]
        return {"id": table.identity(at), **fields}


class Table:
    """The columns of one file that are asked for; .arrow files are mapped into memory, not read."""

    def __init__(self, file: TextFile, columns: Columns) -> None:
        self.file, self._columns = file, columns
        self._table: Any = None

    def where(self, row: int) -> str:
        return f"{self.file.shown}, row {row + 1}"

    def identity(self, row: int) -> str:
        return f"{self.file.name}:{row + 1}"

    def fields(self, row: int) -> dict[str, Any]:
        """The fields of a row, the label as a word."""
        (record,) = self._named(self.table().slice(row, 1))
        return self._columns.pick(record, self.where(row))

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(place, columns) of every row."""
        for first in range(0, len(self.table()), _AT_A_TIME):
            yield from enumerate(self._named(self.table().slice(first, _AT_A_TIME)), start=first)

    def class_names(self) -> list[str] | None:
        """The words for the whole numbers in the label's column, where the file knows them."""
        told = (self.table().schema.metadata or {}).get(b"huggingface", b"{}")
        try:
            feature = json.loads(told)["info"]["features"][self._columns.fields["label"]]
            return [str(name) for name in feature["names"]]
        except (ValueError, KeyError, TypeError):
            return None

    def digest(self) -> str:
        with self.file.open() as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()

    def table(self) -> Any:
        if self._table is None:
            self._table = self._read()
        return self._table

    def _named(self, piece: Any) -> list[dict[str, Any]]:
        records, names = piece.to_pylist(), self.class_names()
        if names:
            column = self._columns.fields["label"]
            for record in records:
                number = record[column]
                # The library writes -1 for items whose class is kept secret.
                record[column] = names[number] if number is not None and 0 <= number < len(names) else None
        return records

    def _read(self) -> Any:
        library, path = pyarrow(), self.file.place
        try:
            if path.suffix.lower() == ".parquet":
                names = library.parquet.read_schema(path).names
                return library.parquet.read_table(path, columns=self._wanted(names))
            source = library.memory_map(str(path))
            if source.read(len(_FILE_MAGIC)) == _FILE_MAGIC:
                table = library.ipc.open_file(source).read_all()
            else:
                source.seek(0)
                table = library.ipc.open_stream(source).read_all()
                source.seek(max(source.size() - len(_STREAM_END), 0))
                # A file that is cut off between two batches reads well, without its last rows.
                if source.read() != _STREAM_END:
                    raise library.ArrowInvalid("the file ends before its end mark")
            return table.select(self._wanted(table.column_names))
        except (library.ArrowException, OSError) as error:
            raise UserError(
                f"{self.file.shown} is damaged, or no {path.suffix} file",
                where=self.file.shown,
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                cure="save the data set again",
            ) from None

    def _wanted(self, names: Sequence[str]) -> list[str]:
        """The columns that fields are read from; UserError where one is not there."""
        found = []
        for ours, theirs in self._columns.fields.items():
            column = theirs if theirs in names else theirs.split(".")[0]
            if column in names:
                found.append(column)
            elif "input_ids" in names:
                raise UserError(
                    f"{self.file.shown} holds token ids, not text",
                    where=self.file.shown,
                    why=f"its columns are {', '.join(names)}; ids mean nothing without the tokenizer that made them",
                    cure="give the data set as it was before tokenizing, with its column of texts: fields.text=COLUMN",
                )
            else:
                raise UserError(
                    f'there is no column "{theirs}"',
                    where=self.file.shown,
                    why=f"it is to be the {ours}; the columns are {', '.join(names)}",
                    cure=f"name another one, fields.{ours}=COLUMN",
                )
        return list(dict.fromkeys(found))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_table": None}  # loader processes map the file themselves


def _saved_files(path: Path, patterns: Mapping[str, str]) -> list[tuple[TextFile, str | None]]:
    """The files of a saved data set: what state.json lists; a folder of dataset_dict.json is a split."""
    if path.suffix.lower() == ".zip":
        raise UserError(
            "dataset:arrow reads no archives", where=str(path), cure="unpack it and give the folder"
        )
    if not patterns and (path / _SPLITS).is_file():
        splits = _listed(path / _SPLITS, "splits")
        pairs = [
            (file, SPLIT_WORDS.get(split, split))
            for split in splits
            for file, _ in find_files(path, (), {split: f"{split}/*.arrow"})
        ]
    else:
        pairs = find_files(path, SUFFIXES, patterns)
    return [(file, split) for file, split in pairs if _is_part(file, path)]


def _is_part(file: TextFile, path: Path) -> bool:
    """Not so for what `datasets` leaves beside the data: results of map() and filter()."""
    state = file.place.parent / _STATE
    if file.place == path or not state.is_file():
        return file.place == path or not file.place.name.startswith("cache-")
    return file.place.name in [entry.get("filename") for entry in _listed(state, "_data_files")]


def _listed(path: Path, key: str) -> list[Any]:
    try:
        found = json.loads(path.read_bytes())[key]
        if isinstance(found, list):
            return found
        why = f'"{key}" is no list'
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    raise UserError(f"{path} is damaged", where=str(path), why=why, cure="save the data set again")
