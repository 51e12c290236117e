"""Reads the K tables handed to `fit` and refuses what would silently give a wrong graph."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from maskwright.errors import UserError

# A pair of columns counts as the same up to scale above this |correlation|, a column as a combination of
# others below this eigenvalue of the correlation matrix. Both are far from what noise does in float64.
SAME = 1 - 1e-10
FLAT = 1e-11
# From here on a difference of standard deviations is reported (ratio, no unit).
SCALE_RATIO = 1e3
# Variances equal within this share look standardised.
EQUAL_VARIANCE = 0.01
CONSTANT = "a constant has no causes and no effects that data could show"


class TableError(UserError, ValueError):
    """A fault in the tables; also a ValueError, which scikit-learn's tools expect."""


class DataWarning(UserWarning):
    """The tables can be used, but what comes out of them needs a second look."""


@dataclass(frozen=True)
class Tables:
    """K tables with the same columns in the same order."""

    rows: tuple[np.ndarray, ...]  # float64 (n_k, p) each
    variables: tuple[str, ...]
    tasks: tuple[str, ...]


def read_tables(
    X: Any,
    *,
    groups: Any = None,
    feature_names: Sequence[str] | None = None,
    columns: Literal["same", "common"] = "same",
    intervened: np.ndarray | None = None,
    least_rows: int = 2,
) -> Tables:
    """From a list or mapping of arrays / data frames, a (K, n, p) array, or one table with `groups`."""
    pieces = _pieces(X, groups)
    named = [_named(task, piece, feature_names) for task, piece in pieces]
    variables = _agree([task for task, _ in pieces], named, columns)
    rows = tuple(
        _numbers(task, table, names, variables)
        for (task, _), (table, names) in zip(pieces, named, strict=True)
    )
    tables = Tables(rows, variables, tuple(task for task, _ in pieces))
    mask = intervention_mask(intervened, len(rows), len(variables))
    _check_rows(tables, least_rows)
    _check_columns(tables, mask)
    return tables


def intervention_mask(interventions: Any, tasks: int, variables: int) -> np.ndarray:
    """bool (tasks, variables), True where an experiment set the variable; None means nowhere."""
    if interventions is None:
        return np.zeros((tasks, variables), bool)
    try:
        mask = np.asarray(interventions, bool)
        shape = str(mask.shape)
    except ValueError:  # rows of different lengths
        mask, shape = np.zeros(0, bool), "a ragged list"
    if mask.shape != (tasks, variables):
        raise TableError(
            f"interventions must have shape (tasks, variables) = ({tasks}, {variables}), not {shape}",
            where="interventions",
            why="each entry says of one variable in one task whether its loss counts",
            cure="give one row per table and one column per variable, True where the variable was set",
        )
    return mask


def check_variances(variances: np.ndarray, names: Sequence[str], intervened: np.ndarray) -> None:
    """Refuse a zero on the diagonal of a covariance matrix: variances (K, p), intervened bool (K, p)."""
    # Relative to the task's largest; 1e-24 of a variance is 1e-12 of a standard deviation, as for rows.
    flat = (variances <= 1e-24 * variances.max(axis=1, keepdims=True)) & ~intervened
    if flat.any():
        task, column = np.argwhere(flat)[0]
        raise TableError(
            f"variable {names[column]!r} of task {task} is constant (variance {variances[task, column]:g})",
            where=f"covariances[{task}], row and column {column}",
            why=CONSTANT,
            cure="drop the variable, or mark it in interventions= where the experiment held it fixed",
        )


def rows_like(
    X: Any, groups: Any, variables: tuple[str, ...], tasks: Sequence[str]
) -> tuple[np.ndarray, ...]:
    """New rows for a fitted model, one float64 (n_k, p) per task; tables with names may leave tasks out."""
    pieces = _pieces(X, groups)
    by_name = groups is not None or (isinstance(X, Mapping) and not hasattr(X, "columns"))
    unknown = [name for name, _ in pieces if name not in tasks] if by_name else []
    if unknown or (not by_name and len(pieces) != len(tasks)):
        raise TableError(
            f"no such task: {', '.join(unknown)}"
            if unknown
            else f"got {len(pieces)} tables for {len(tasks)} tasks",
            where="X",
            cure=f"the tasks of the fit are {', '.join(tasks)}, in this order",
        )
    out = {name: np.zeros((0, len(variables))) for name in tasks}
    for (name, table), task in zip(pieces, [n for n, _ in pieces] if by_name else tasks, strict=True):
        framed = hasattr(table, "columns")
        table, names = _named(name, table, None)
        if not framed and len(names) != len(variables):
            raise TableError(
                f"X has {len(names)} features, but OrderConsistentDAG is expecting {len(variables)} features as input",
                where=f"table {name}",
            )
        names = names if framed else list(variables)
        missing = [v for v in variables if v not in names]
        if missing:
            raise TableError(
                f"table {name} lacks {', '.join(missing)}",
                where=f"table {name}",
                cure="add the columns of the fit",
            )
        out[task] = _numbers(task, table, names, variables)
    return tuple(out[name] for name in tasks)


def _pieces(X: Any, groups: Any) -> list[tuple[str, Any]]:
    if issparse(X):
        raise TableError(
            "sparse matrices are not supported: got a sparse X",
            where="X",
            why="centring makes every entry non-zero, so nothing would be saved",
            cure="pass X.toarray()",
        )
    if isinstance(X, Mapping) and not hasattr(X, "columns"):
        pieces = [(str(name), table) for name, table in X.items()]
    elif isinstance(X, list | tuple) and (not X or np.ndim(X[0]) == 2):
        pieces = [(str(k), table) for k, table in enumerate(X)]
    elif np.ndim(X) == 3:
        pieces = [(str(k), table) for k, table in enumerate(np.asarray(X))]
    else:
        if np.ndim(X) != 2:
            raise TableError(
                f"a table needs rows and columns: got an array with {np.ndim(X)} dimension(s). "
                "Reshape your data to 2-D",
                where="X",
                cure="pass a list of (rows, columns) tables, a (tasks, rows, columns) array, or one table and groups=",
            )
        return _by_group(X, groups)
    if groups is not None:
        raise TableError(
            "groups= goes with one table, not with several",
            where="groups",
            cure="drop groups=, or stack the tables into one",
        )
    if not pieces:
        raise TableError("no table was given", where="X", cure="pass at least one table with two rows")
    return pieces


def _by_group(X: Any, groups: Any) -> list[tuple[str, Any]]:
    if groups is None:
        return [("0", X)]
    groups = np.asarray(groups)
    if groups.shape != (len(X),):
        raise TableError(
            f"groups has shape {groups.shape}, the table has {len(X)} rows",
            where="groups",
            cure="give one task label per row",
        )
    names, where = np.unique(groups, return_inverse=True)
    take = X.iloc.__getitem__ if hasattr(X, "iloc") else np.asarray(X).__getitem__
    return [(str(name), take(np.flatnonzero(where == k))) for k, name in enumerate(names)]


def _named(task: str, table: Any, feature_names: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The table and its column names."""
    if issparse(table):
        return _pieces(table, None)[0]  # raises
    if not hasattr(table, "columns"):
        table = np.asarray(table)
    if np.ndim(table) != 2:
        raise TableError(f"table {task} has {np.ndim(table)} dimensions, not 2", where=f"table {task}")
    width = table.shape[1]
    if hasattr(table, "columns"):
        names = [str(name) for name in table.columns]
    elif feature_names is not None:
        names = [str(name) for name in feature_names]
    else:
        names = [f"x{j}" for j in range(width)]
    if len(names) != width:
        raise TableError(
            f"{len(names)} feature names for {width} columns of table {task}",
            where="feature_names",
            cure="give one name per column",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"column name {twice[0]!r} appears more than once in table {task}",
            where=f"table {task}",
            cure="rename or drop one of the columns",
        )
    return table, names


def _agree(tasks: list[str], named: list[tuple[Any, list[str]]], columns: str) -> tuple[str, ...]:
    first = named[0][1]
    names = [set(n) for _, n in named]
    if all(not hasattr(table, "columns") for table, _ in named):
        widths = [len(n) for _, n in named]
        if len(set(widths)) > 1:
            raise TableError(
                f"the tables have different numbers of columns: {dict(zip(tasks, widths, strict=True))}",
                where="X",
                why="all tables must describe the same variables",
                cure='pass data frames with column names and columns="common", or cut the arrays',
            )
        return tuple(first)
    common = set.intersection(*names)
    if common != set.union(*names):
        missing = {t: sorted(set.union(*names) - n) for t, n in zip(tasks, names, strict=True)}
        text = "; ".join(f"table {task} lacks {', '.join(m)}" for task, m in missing.items() if m)
        if columns != "common":
            raise TableError(
                f"the tables have different columns: {text}",
                where="X",
                why="a graph needs the same variables in every task",
                cure=f'add the columns, or fit the {len(common)} shared ones with columns="common"',
            )
        if not common:
            raise TableError("the tables share no column", where="X", cure="check the column names")
        warnings.warn(
            f"fitting the {len(common)} columns that all tables have; {text}", DataWarning, stacklevel=5
        )
    moved = [
        t
        for t, (_, n) in zip(tasks, named, strict=True)
        if [c for c in n if c in common] != _kept(first, common)
    ]
    if moved:
        warnings.warn(
            f"table {', '.join(moved)} has its columns in another order than table {tasks[0]}; aligned by name",
            DataWarning,
            stacklevel=5,
        )
    return tuple(_kept(first, common))


def _kept(names: Iterable[str], common: set[str]) -> list[str]:
    return [name for name in names if name in common]


def _numbers(task: str, table: Any, names: list[str], variables: tuple[str, ...]) -> np.ndarray:
    where = [names.index(name) for name in variables]
    if hasattr(table, "columns"):
        columns = [np.asarray(table.iloc[:, j]) for j in where]
    else:
        columns = list(np.asarray(table)[:, where].T)
    out = np.empty((len(table), len(variables)))
    for j, (name, values) in enumerate(zip(variables, columns, strict=True)):
        if np.iscomplexobj(values):
            raise TableError(
                f"Complex data not supported: column {name!r} of table {task}", where=f"table {task}"
            )
        try:
            out[:, j] = values.astype(np.float64)
        except (TypeError, ValueError):
            bad = next(i for i, v in enumerate(values) if not _is_number(v))
            raise TableError(
                f"column {name!r} of table {task} is not numeric: row {bad} holds {values[bad]!r}",
                where=f"table {task}, column {name!r}, row {bad}",
                cure="drop the column, or turn its categories into numbers that have a meaningful distance",
            ) from None
    faulty = np.argwhere(~np.isfinite(out))
    if len(faulty):
        row, column = faulty[0]
        word = "NaN" if np.isnan(out[row, column]) else "infinity"
        more = f" ({len(faulty)} such cells in this table)" if len(faulty) > 1 else ""
        raise TableError(
            f"table {task} holds {word} in column {variables[column]!r}, row {row}{more}",
            where=f"table {task}, column {variables[column]!r}, row {row}",
            why="a gap would turn every covariance into NaN",
            cure="drop the row, or fill gaps first, for example with sklearn.impute.IterativeImputer",
        )
    return out


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _check_rows(tables: Tables, least: int) -> None:
    if not tables.variables:
        raise TableError(
            f"0 feature(s) (shape={tables.rows[0].shape}) while a minimum of 1 is required.", where="X"
        )
    for task, rows in zip(tables.tasks, tables.rows, strict=True):
        if len(rows) < least:
            raise TableError(
                f"table {task} has n_samples = {len(rows)}, a minimum of {least} is required",
                where=f"table {task}",
                why="one row has no variance",
                cure="drop the table, or merge it with one measured under the same conditions",
            )


def _check_columns(tables: Tables, intervened: np.ndarray) -> None:
    for k, (task, rows) in enumerate(zip(tables.tasks, tables.rows, strict=True)):
        spread = rows.std(axis=0)
        flat = (spread <= 1e-12 * np.maximum(np.abs(rows).max(axis=0), 1e-300)) & ~intervened[k]
        if flat.any():
            first = int(np.argmax(flat))
            name = tables.variables[first]
            raise TableError(
                f"column {name!r} of table {task} is constant (all {len(rows)} values equal {rows[0, first]:g})",
                where=f"table {task}, column {name!r}",
                why=CONSTANT,
                cure="drop the column, or mark it in interventions= where the experiment held it fixed",
            )
        _check_collinear(
            task, rows[:, spread > 0], [v for v, s in zip(tables.variables, spread, strict=True) if s > 0]
        )


def _check_collinear(task: str, rows: np.ndarray, variables: list[str]) -> None:
    if len(rows) < 4 or len(variables) < 2:
        return  # three points are on a line too often
    scaled = rows - rows.mean(axis=0)
    scaled /= np.sqrt((scaled**2).sum(axis=0))
    correlation = scaled.T @ scaled
    pairs = np.argwhere(np.triu(np.abs(correlation) > SAME, 1))
    if len(pairs):
        a, b = (variables[i] for i in pairs[0])
        raise TableError(
            f"columns {a!r} and {b!r} of table {task} are the same up to scale and shift",
            where=f"table {task}",
            why="which of the two is the cause cannot be told from data",
            cure=f"drop one of them, for example {b!r}",
        )
    if len(rows) > len(variables):
        values, vectors = np.linalg.eigh(correlation)
        if values[0] < FLAT:
            part = np.argsort(-np.abs(vectors[:, 0]))
            names = [variables[i] for i in part if abs(vectors[i, 0]) > 1e-4]
            raise TableError(
                f"columns {', '.join(map(repr, names))} of table {task} add up to a constant (collinear)",
                where=f"table {task}",
                why="each of them is an exact combination of the others, so parents cannot be told apart",
                cure=f"drop one of them, for example {names[0]!r}",
            )


def warn_of_scales(
    variables: Sequence[str], variances: np.ndarray, sortability: Callable[[], float], *, stacklevel: int = 3
) -> None:
    """What can be fitted but not trusted: standardised columns and wild scales, from variances (K, p).

    `sortability` is asked only where scales differ: it costs p products of (p, p) matrices.
    """
    pooled = variances.mean(axis=0)
    pooled = np.where(pooled > 0, pooled, np.nan)
    low, high = np.nanargmin(pooled), np.nanargmax(pooled)
    if len(pooled) > 1 and pooled[high] <= (1 + EQUAL_VARIANCE) * pooled[low]:
        warnings.warn(
            "the columns look standardised: all variances are equal within 1 %. The order is read from variances, "
            "so after standardising it is no better than chance; fit the data in their natural units",
            DataWarning,
            stacklevel=stacklevel,
        )
    elif np.sqrt(pooled[high] / pooled[low]) > SCALE_RATIO:
        warnings.warn(
            f"the scales differ by a factor of {np.sqrt(pooled[high] / pooled[low]):.0f} ({variables[low]!r} "
            f"to {variables[high]!r}). The method is not scale invariant: the order will mostly follow the "
            f"variances (varsortability of the fitted graphs: {sortability():.2f}, 1 = sorting columns by variance "
            "already gives it); bring related quantities to one unit",
            DataWarning,
            stacklevel=stacklevel,
        )


def warn_of_codes(tables: Tables, *, stacklevel: int = 3) -> None:
    """Columns of few whole numbers, which may be categories."""
    for j, name in enumerate(tables.variables):
        values = np.concatenate([rows[:, j] for rows in tables.rows])
        if len(values) >= 50 and np.array_equal(values, np.round(values)) and len(np.unique(values)) <= 10:
            warnings.warn(
                f"column {name!r} holds {len(np.unique(values))} different whole numbers: a category coded as a "
                "number? Its distances would be taken literally",
                DataWarning,
                stacklevel=stacklevel,
            )
