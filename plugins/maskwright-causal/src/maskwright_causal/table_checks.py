"""What makes a table unusable (UserError), and what is worth a word (notices)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from maskwright.errors import UserError

if TYPE_CHECKING:
    from maskwright_causal.readers import Table

_SCALE_RATIO = 1e3  # standard deviations further apart than this are surely units, not causes
_EQUAL = 1.01  # variances closer than this were made equal by somebody
_FEW_VALUES = 10  # whole numbers with no more distinct values look like category codes, if they repeat


def checked_variables(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Column names: present and different."""
    for place, name in enumerate(names, start=1):
        if not name:
            raise UserError(
                f"column {place} has no name",
                where=where,
                why="a row index saved with the table often looks like this",
                cure="name the column, or save without the index",
            )
        if names.index(name) != place - 1:
            raise UserError(f'two columns are called "{name}"', where=where, cure="give each its own name")
    return tuple(names)


def checked_samples(
    samples: np.ndarray, variables: Sequence[str], where: str, lines: np.ndarray | None
) -> np.ndarray:
    """Two rows (n, p) or more, all finite. `lines`: line of each row in its file, for messages."""
    if len(samples) < 2:
        raise UserError(
            f"{len(samples)} row{'s' if len(samples) != 1 else ''} of data",
            where=where,
            why="variances need two rows or more",
            cure="give more rows, or leave this task out",
        )
    bad = ~np.isfinite(samples)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        line = row + 2 if lines is None else int(lines[row])
        what = "a missing value" if np.isnan(samples[row, column]) else "an infinite value"
        more = int(bad.sum()) - 1
        raise UserError(
            f'column "{variables[column]}" has {what}' + (f" (and {more} more in this task)" if more else ""),
            where=f"{where}, line {line}, column {variables[column]}",
            why="covariances need every entry",
            cure="drop these rows, or fill them first, e.g. with sklearn.impute.IterativeImputer",
        )
    return samples


def refuse_constants(
    samples: np.ndarray, variables: Sequence[str], task: str, intervened: np.ndarray | None = None
) -> None:
    """UserError when a column of rows (n, p) to be fitted never changes, unless it was set from outside, bool (p,)."""
    constant = np.ptp(samples, axis=0) == 0
    if intervened is not None:
        constant &= ~intervened
    if constant.any():
        names = [name for name, still in zip(variables, constant, strict=True) if still]
        raise UserError(
            f"column{'s' if len(names) > 1 else ''} {', '.join(names)} never change{'s' * (len(names) == 1)}",
            where=f"task {task}",
            why="a constant has no variance, so nothing can be said about its causes or effects",
            cure="remove the column from all tasks, or leave this task out",
        )


def aligned(tables: "Sequence[Table]", columns: str) -> "tuple[list[Table], tuple[str, ...]]":
    """Tables with one common list of columns, and what was done to get there.

    `columns="same"`: every task must have them all, in any order; `"common"`: columns not in all tasks go.
    """
    first = tables[0].variables
    common = tuple(name for name in first if all(name in table.variables for table in tables))
    notices = []
    for table in tables:
        missing = [name for name in first if name not in table.variables]
        extra = [name for name in table.variables if name not in first]
        if (missing or extra) and columns == "same":
            parts = [f"lacks {', '.join(missing)}"] if missing else []
            parts += [f"has {', '.join(extra)}, which task {tables[0].name} does not"] if extra else []
            raise UserError(
                f"task {table.name} {' and '.join(parts)}",
                where=f"task {table.name}",
                why="all tasks must describe the same variables",
                cure="mend the columns, or set columns=common to use those that all tasks have",
            )
        if not missing and not extra and table.variables != first:
            notices.append(f"task {table.name} lists its columns in another order; matched by name")
    if len(common) < 2:
        raise UserError(
            f"the tasks have {len(common)} columns in common",
            where="setting columns",
            cure="at least 2 are needed",
        )
    dropped = sorted({name for table in tables for name in table.variables} - set(common))
    notices += [f"left out, because some task lacks them: {', '.join(dropped)}"] if dropped else []
    return [_only(table, common) for table in tables], tuple(notices)


def _only(table: "Table", variables: tuple[str, ...]) -> "Table":
    index = [table.variables.index(name) for name in variables]
    truth = None if table.truth is None else table.truth[np.ix_(index, index)]
    return attrs.evolve(table, samples=table.samples[:, index], variables=variables, truth=truth)


def notices(tables: "Sequence[Table]") -> tuple[str, ...]:
    """Things that a fit does not refuse but a reader should know."""
    found = []
    deviations = np.stack([table.samples.std(axis=0) for table in tables]).mean(axis=0)
    largest, smallest = int(np.argmax(deviations)), int(np.argmin(deviations))
    names = tables[0].variables
    if deviations[largest] > _SCALE_RATIO * deviations[smallest]:
        found.append(
            f"{names[largest]} varies {deviations[largest] / deviations[smallest]:,.0f} times as much as "
            f"{names[smallest]}: equal-variance methods then follow the units; consider scale=pooled"
        )
    variances = [table.samples.var(axis=0) for table in tables]
    if len(names) > 1 and all(v.max() <= _EQUAL * v.min() for v in variances):
        found.append(
            "the columns look standardised: all variances are equal within 1 %. The order is read from variances, so "
            "after standardising it is no better than chance; use the data in their natural units"
        )
    for column, name in enumerate(names):
        entries = np.concatenate([table.samples[:, column] for table in tables])
        values = np.unique(entries)
        repeated = len(values) <= min(_FEW_VALUES, len(entries) // 3)
        if repeated and (values == np.round(values)).all():
            found.append(f"{name} takes only {len(values)} whole values: a category coded as numbers?")
    return tuple(found)
