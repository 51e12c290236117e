"""Read tables: CSV, TSV, Parquet, npz, and Tetrad's covariance files. Nothing in a file is ever run.

One file per task in a folder, one long table with a task column, or one npz with all tasks.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError, did_you_mean
from maskwright_causal.table_checks import checked_samples, checked_variables
from maskwright_causal.tetrad import looks_like_covariance, read_covariance, rows_with_covariance
from maskwright_causal.text_files import cells_of, text_of

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "*"})
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".cov")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".npz")


@attrs.frozen(eq=False)
class Table:
    """The rows of one task."""

    name: str
    samples: np.ndarray  # float64 (n, p)
    variables: tuple[str, ...]
    truth: np.ndarray | None = None  # (p, p), where the file itself brings one
    notices: tuple[str, ...] = ()


def read_tables(path: Path, task_column: str | None = None) -> list[Table]:
    """All tasks of a folder or file, checked: numbers only, finite, two rows or more."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no file or folder {path}", where="setting path", cure="check the path")
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in TABLE_SUFFIXES and f.is_file())
        if not files:
            raise UserError(
                f"the folder {path} holds no table",
                where="setting path",
                cure=f"put one file for each task there: {', '.join(TABLE_SUFFIXES)}",
            )
        return [table for file in files for table in _read_file(file, task_column)]
    return _read_file(path, task_column)


def _read_file(path: Path, task_column: str | None) -> list[Table]:
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.suffix.lower() in TEXT_SUFFIXES and looks_like_covariance(path):
        rows, names, covariance = read_covariance(path)
        notice = f"{path.name}: rows rebuilt from covariances; only means and covariances carry meaning"
        return [Table(path.stem, rows_with_covariance(covariance, rows, path), names, notices=(notice,))]
    columns = read_columns(path)
    if task_column is None:
        return [_table(path.stem, columns, path)]
    if task_column not in columns:
        raise UserError(
            f'{path.name} has no column "{task_column}"{did_you_mean(task_column, columns)}',
            where=f"setting task_column, file {path}",
            cure=f"choose one of: {', '.join(columns)}",
        )
    tasks = np.asarray(columns.pop(task_column), dtype=str)
    lines = np.arange(len(tasks)) + 2
    kept = list(dict.fromkeys(tasks.tolist()))
    return [
        _table(
            name, {c: np.asarray(v)[tasks == name] for c, v in columns.items()}, path, lines[tasks == name]
        )
        for name in kept
    ]


def _table(name: str, columns: Mapping[str, Any], path: Path, lines: np.ndarray | None = None) -> Table:
    variables = checked_variables(tuple(columns), str(path))
    samples = (
        np.stack([_numbers(values, column, path, lines) for column, values in columns.items()], axis=1)
        if columns
        else np.zeros((0, 0))
    )
    return Table(name, checked_samples(samples, variables, f"{path} (task {name})", lines), variables)


def _numbers(values: Any, column: str, path: Path, lines: np.ndarray | None) -> np.ndarray:
    """Float64 (n,), missing entries as NaN; UserError naming column and line at the first word."""
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    words = ["nan" if str(word).strip().lower() in _MISSING else str(word) for word in values.tolist()]
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        for row, word in enumerate(words):
            try:
                float(word)
            except ValueError:
                line = row + 2 if lines is None else int(lines[row])
                raise UserError(
                    f'column "{column}" holds "{word}", which is no number',
                    where=f"{path}, line {line}, column {column}",
                    why="the models are linear in numbers",
                    cure="remove the column, or turn it into 0/1 columns; task_column=NAME if it names the task",
                ) from None
        raise


def read_columns(path: Path) -> dict[str, Any]:
    """Column name -> values (words or numbers) of a text or Parquet table, in file order."""
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    text = text_of(path).rstrip()
    lines = text.split("\n")
    if not lines[0].strip():
        raise UserError(
            f"{path.name} is empty" if len(lines) == 1 else f"the first line of {path.name} is empty",
            where=str(path),
            cure="give a header line and rows",
        )
    if lines[0].startswith("/"):
        raise UserError(
            f'{path.name} starts with the section "{lines[0].strip()}"',
            where=f"{path}, line 1",
            why="of Tetrad's files with sections only /covariance can be read as a table",
            cure="save the data as a table with a header line, tab-separated",
        )
    delimiter = next((mark for mark in "\t,;" if mark in lines[0]), None)
    rows = [line.split() for line in lines] if delimiter is None else cells_of(text, delimiter, path)
    header = rows[0]
    if all(_is_number(name) for name in header):
        raise UserError(
            f"the first line of {path.name} holds numbers, not column names",
            where=f"{path}, line 1",
            cure="add a header line with one name for each column",
        )
    checked_variables(header, str(path))
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise UserError(
                f"line {line} of {path.name} has {len(row)} entries, the header has {len(header)}",
                where=f"{path}, line {line}",
                cure="give each row one entry per column (missing ones as NA), or quote entries with separators",
            )
    return (
        dict(zip(header, map(list, zip(*rows[1:], strict=True)), strict=True))
        if rows[1:]
        else {name: [] for name in header}
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _read_parquet(path: Path) -> dict[str, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{path.name} is a Parquet file, and pyarrow is not installed",
            where=str(path),
            cure="pip install 'maskwright-causal[tables]', or save the table as CSV",
        ) from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path.name} cannot be read as Parquet: {error}", where=str(path)) from None
    return {name: table.column(name).to_numpy() for name in table.column_names}


# ---- npz


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; pickled objects are refused, because loading them runs code."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path.name} cannot be read as plain arrays: {error}",
            where=str(path),
            why="pickled content is never loaded: it could run code",
            cure="save plain number and text arrays with numpy.savez",
        ) from None


def read_npz(path: Path) -> list[Table]:
    """Tasks of an npz: `X` (K, n, p) or (n, p); the SERGIO layout; or one (n, p) array for each task.

    Optional beside `X` or the arrays: `variables` (p,), `tasks` (K,), `truth` (p, p) or (K, p, p).
    """
    arrays = open_npz(path)
    if "expression" in arrays:
        return _sergio(arrays, path)
    variables, tasks, truth = (arrays.pop(name, None) for name in ("variables", "tasks", "truth"))
    if "X" in arrays:
        rows = arrays["X"][None] if arrays["X"].ndim == 2 else arrays["X"]
        if rows.ndim != 3:
            raise UserError(
                f"X in {path.name} has shape {arrays['X'].shape}",
                where=str(path),
                cure="store X as (tasks, rows, variables) or (rows, variables)",
            )
        found = [(f"task-{k:02d}", table) for k, table in enumerate(rows)]
    else:
        found = [(name, array) for name, array in arrays.items() if array.ndim == 2]
        if not found or len(found) != len(arrays):
            raise UserError(
                f"{path.name} holds {', '.join(f'{n} {a.shape}' for n, a in arrays.items()) or 'nothing'}",
                where=str(path),
                cure="store X (tasks, rows, variables), or one array (rows, variables) for each task",
            )
    names = [str(name) for name in tasks] if tasks is not None else [name for name, _ in found]
    return _named(path, names, [array for _, array in found], variables, truth)


def _sergio(arrays: Mapping[str, np.ndarray], path: Path) -> list[Table]:
    """SERGIO layout: cells stacked in `expression` (cells, genes), `task_labels` (cells,), graphs.

    The script that writes it stores adjacency matrices transposed, [target, regulator]; we turn them.
    """
    missing = {"expression", "task_labels", "task_adjacencies"} - arrays.keys()
    if missing:
        raise UserError(
            f"{path.name} looks like SERGIO output but lacks {', '.join(sorted(missing))}",
            where=str(path),
            cure="store expression, task_labels and task_adjacencies",
        )
    labels = arrays["task_labels"]
    values = np.unique(labels)
    rows = [arrays["expression"][labels == value] for value in values]
    truth = np.asarray(arrays["task_adjacencies"]).transpose(0, 2, 1)
    notice = f"{path.name}: adjacency matrices read as [target, regulator], as the SERGIO script writes them"
    names = [f"task-{int(value):02d}" for value in values]
    return [attrs.evolve(t, notices=(notice,)) for t in _named(path, names, rows, arrays.get("genes"), truth)]


def _named(
    path: Path, names: Sequence[str], rows: Sequence[np.ndarray], variables: Any, truth: np.ndarray | None
) -> list[Table]:
    width = rows[0].shape[1]
    labels = tuple(map(str, variables)) if variables is not None else default_names("x", width)
    if (
        len(labels) != width
        or len(names) != len(rows)
        or (truth is not None and truth.ndim == 3 and len(truth) != len(rows))
    ):
        raise UserError(
            f"{path.name}: {len(labels)} variables and {len(names)} tasks for {len(rows)} tables of {width} columns",
            where=str(path),
            cure="store as many names as there are columns and tasks",
        )
    checked_variables(labels, str(path))
    if truth is not None:
        truth = np.broadcast_to(truth, (len(rows), width, width))
    return [
        Table(
            name,
            checked_samples(np.asarray(table, np.float64), labels, f"{path} (task {name})", None),
            labels,
            None if truth is None else np.array(truth[k], float),
        )
        for k, (name, table) in enumerate(zip(names, rows, strict=True))
    ]


def default_names(stem: str, number: int) -> tuple[str, ...]:
    """x0 ... x9, or x00 ... x31: as many digits as the last one needs."""
    digits = len(str(max(number - 1, 0)))
    return tuple(f"{stem}{index:0{digits}d}" for index in range(number))
