"""The data sets: one item for each task, with all its rows."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError, did_you_mean
from maskwright.step import Step
from maskwright_causal import generators
from maskwright_causal.readers import Table, default_names, read_tables
from maskwright_causal.table_checks import aligned, notices, refuse_constants
from maskwright_causal.truth_files import read_truth


@attrs.frozen(eq=False)
class Task:
    """One table, cut into splits."""

    name: str
    rows: Mapping[str, np.ndarray]  # split -> float64 (n, p)
    truth: np.ndarray | None = None  # (p, p)
    intervened: np.ndarray | None = None  # bool (p,)


@attrs.frozen(eq=False)
class Content:
    """All that a data set holds."""

    tasks: Sequence[Task]
    variables: tuple[str, ...]
    about: Mapping[str, Any]


class JointTables:
    """K tables over the same variables. The content is made when it is first asked for."""

    def __init__(self, make: Callable[[], Content]) -> None:
        self._make = make

    @cached_property
    def content(self) -> Content:
        content = self._make()
        for task in content.tasks:
            for array in (*task.rows.values(), task.truth, task.intervened):
                if array is not None:
                    array.setflags(write=False)  # items are handed out without a copy
        return content

    def splits(self) -> tuple[str, ...]:
        return tuple(self.content.tasks[0].rows)

    def length(self, split: str) -> int:
        self._known(split)
        return len(self.content.tasks)

    def item(self, split: str, index: int, step: Step) -> dict[str, Any]:
        """Task `index`: id, task, samples (n, p), variables; truth (p, p) and intervened (p,) where known."""
        self._known(split)
        if not 0 <= index < len(self.content.tasks):
            raise IndexError(f"task {index} of {len(self.content.tasks)}")
        task = self.content.tasks[index]
        item: dict[str, Any] = {
            "id": f"{split}/{task.name}",
            "task": task.name,
            "samples": task.rows[split],
            "variables": self.content.variables,
        }
        if task.truth is not None:
            item["truth"] = task.truth
        if task.intervened is not None:
            item["intervened"] = task.intervened
        return item

    def about(self, split: str) -> dict[str, Any]:
        """Variables, tasks, rows of each task, whether generated, whether there is a truth, notices."""
        self._known(split)
        return {
            "variables": self.content.variables,
            "tasks": tuple(task.name for task in self.content.tasks),
            "rows": tuple(len(task.rows[split]) for task in self.content.tasks),
            "truth": self.content.tasks[0].truth is not None,
            **self.content.about,
        }

    def fingerprint(self) -> str:
        """sha256 of names, rows and graphs."""
        digest = hashlib.sha256(repr(self.content.variables).encode())
        for task in self.content.tasks:
            digest.update(repr((task.name, sorted(task.rows))).encode())
            for split in sorted(task.rows):
                _add(digest, task.rows[split])
            _add(digest, task.truth)
            _add(digest, task.intervened)
        return digest.hexdigest()

    def _known(self, split: str) -> None:
        if split not in self.splits():
            raise UserError(
                f'there is no split "{split}"{did_you_mean(split, self.splits())}',
                where="split",
                why="rows are held out only when held_out is above 0" if split == "test" else "",
                cure=f"use {' or '.join(self.splits())}"
                + (", or set held_out=0.2 on the data" if split == "test" else ""),
            )


def _add(digest: Any, array: np.ndarray | None) -> None:
    digest.update(repr(None if array is None else array.shape).encode())
    if array is not None:
        digest.update(np.ascontiguousarray(array).astype("<f8").tobytes())


# ---- scaling and splitting


def scale_factors(tables: Sequence[np.ndarray], how: str) -> np.ndarray:
    """(K, p) numbers to divide the columns of the tables (n_k, p) by."""
    variances = np.stack([table.var(axis=0) for table in tables])
    if how == "none":
        return np.ones_like(variances)
    if how == "columns":
        return np.sqrt(variances)
    if how == "total":
        return np.broadcast_to(np.sqrt(variances.mean(axis=1, keepdims=True)), variances.shape)
    rows = np.array([len(table) for table in tables])
    return np.broadcast_to(np.sqrt(np.average(variances, axis=0, weights=rows)), variances.shape)


def scaled(tasks: Sequence[Task], how: str, weighted_truth: bool) -> list[Task]:
    """Tasks in other units, learnt from the training rows. True weights follow: G_ij f_i / f_j."""
    result = []
    factors = scale_factors([task.rows["train"] for task in tasks], how)
    for task, factor in zip(tasks, factors, strict=True):
        truth = task.truth
        if truth is not None and weighted_truth:
            truth = truth * factor[:, None] / factor[None, :]
        rows = {split: table / factor for split, table in task.rows.items()}
        result.append(attrs.evolve(task, rows=rows, truth=truth))
    return result


def held_out_rows(rows: np.ndarray, share: float, which: str, step: Step) -> dict[str, np.ndarray]:
    """Cut (n, p) into train and test; without a share there is only train."""
    if share == 0:
        return {"train": rows}
    test = round(share * len(rows))
    if min(test, len(rows) - test) < 2:
        raise UserError(
            f"held_out={share:g} of {len(rows)} rows leaves {len(rows) - test} to fit and {test} to test",
            where="setting held_out",
            cure="leave at least 2 rows on each side",
        )
    if which == "last":
        return {"train": rows[:-test], "test": rows[-test:]}
    chosen = np.sort(generators.random(step, "held-out").permutation(len(rows))[:test])
    kept = np.setdiff1d(np.arange(len(rows)), chosen)
    return {"train": rows[kept], "test": rows[chosen]}


# ---- generated


class GeneratedTables(JointTables):
    """Rows of random models (`models(step)`); `settings` has rows, test_rows, noise, law and scale."""

    def __init__(self, models: Callable[[Step], generators.Models], settings: Any, seed: int) -> None:
        step = Step(seed=seed)
        super().__init__(lambda: _generated(models(step), settings, step))


def _generated(models: generators.Models, settings: Any, step: Step) -> Content:
    names = default_names("x", len(models.order))
    tasks = [
        Task(
            f"task-{number:02d}",
            {
                "train": models.rows(task, settings.rows, step, "train"),
                "test": models.rows(task, settings.test_rows, step, "test"),
            },
            models.weights[task],
        )
        for task, number in enumerate(models.numbers)
    ]
    about = {
        "generated": True,
        "order": tuple(names[node] for node in models.order),
        "noise": settings.noise,
        "law": settings.law,
        "scale": settings.scale,
        "notices": (),
    }
    return Content(scaled(tasks, settings.scale, weighted_truth=True), names, about)


def paper_models(settings: Any, step: Step) -> generators.Models:
    """Models of `params_data.Sem`: drawn together, one group kept."""
    edges, union, degree = generators.paper_sizes(settings.variables)
    edges = settings.edges or edges
    pairs = settings.variables * (settings.variables - 1) // 2
    union = settings.union or (union if settings.edges is None else min(3 * edges, pairs))
    support, order = generators.union_supports(
        settings.variables,
        settings.drawn,
        edges,
        union,
        settings.degree or degree,
        settings.degree_cap,
        settings.cover,
        step,
    )
    kept = generators.group(settings.drawn, settings.tasks, settings.group)
    return _models(support[kept], order, settings, step, kept, settings.unit_variance_tasks)


def erdos_renyi_models(settings: Any, step: Step) -> generators.Models:
    """Models of `params_data.ErdosRenyi`."""
    support, order = generators.erdos_renyi_supports(
        settings.variables, settings.tasks, settings.degree, settings.share, step
    )
    return _models(support, order, settings, step)


def scale_free_models(settings: Any, step: Step) -> generators.Models:
    """Models of `params_data.ScaleFree`."""
    support, order = generators.scale_free_supports(
        settings.variables, settings.tasks, settings.degree, settings.hubs, settings.share, step
    )
    return _models(support, order, settings, step)


def _models(
    support: np.ndarray,
    order: np.ndarray,
    settings: Any,
    step: Step,
    numbers: Sequence[int] | None = None,
    unit_variance_tasks: int = 0,
) -> generators.Models:
    return generators.random_models(
        support,
        order,
        step,
        noise=settings.noise,
        numbers=numbers,
        unit_variance_tasks=unit_variance_tasks,
        explained=settings.explained,
        law=settings.law,
    )


# ---- from files


def tables_from(settings: Any, seed: int) -> JointTables:
    """The data set of `params_data.Tables`."""

    def make() -> Content:
        tables, said = aligned(read_tables(settings.path, settings.task_column), settings.columns)
        truth = _truths(tables, settings.truth)
        return _cut(tables, truth, None, settings, seed, settings.held_out_rows, said)

    return JointTables(make)


def fmri_from(settings: Any, seed: int) -> JointTables:
    """The data set of `params_data.Fmri9`."""

    def make() -> Content:
        tables = []
        for table in read_tables(settings.path):
            kept = [index for index, name in enumerate(table.variables) if name not in settings.drop]
            names = tuple(table.variables[index] for index in kept)
            tables.append(attrs.evolve(table, samples=table.samples[:, kept], variables=names))
        matched, said = aligned(tables, "same")
        return _cut(matched, None, None, settings, seed, settings.held_out_rows, said)

    return JointTables(make)


def sachs_from(settings: Any, seed: int) -> JointTables:
    """The data set of `params_data.Sachs`."""
    from maskwright_causal.sachs import read_conditions

    def make() -> Content:
        tables, intervened = read_conditions(settings.path)
        return _cut(tables, _truths(tables, settings.truth_file()), intervened, settings, seed, "random", ())

    return JointTables(make)


def _truths(tables: Sequence[Table], path: Path | None) -> list[np.ndarray] | None:
    """One true graph for each task: from a file, else those that the tables brought."""
    if path is not None:
        truth = read_truth(path, tables[0].variables, [table.name for table in tables])
        return [np.array(graph) for graph in np.broadcast_to(truth, (len(tables), *truth.shape[-2:]))]
    own = [table.truth for table in tables]
    return None if any(graph is None for graph in own) else own  # type: ignore[return-value]


def _cut(
    tables: Sequence[Table],
    truth: Sequence[np.ndarray] | None,
    intervened: Sequence[np.ndarray] | None,
    settings: Any,
    seed: int,
    which: str,
    said: tuple[str, ...],
) -> Content:
    step = Step(seed=seed)
    names = [table.name for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f'two tasks are called "{name}"', where="setting path", cure="rename one")
    tasks = [
        Task(
            table.name,
            held_out_rows(table.samples, settings.held_out, which, step.fork(table.name)),
            None if truth is None else truth[number],
            None if intervened is None else intervened[number],
        )
        for number, table in enumerate(tables)
    ]
    for task in tasks:
        refuse_constants(task.rows["train"], tables[0].variables, task.name, task.intervened)
    said = (*said, *(notice for table in tables for notice in table.notices), *notices(tables))
    about = {"generated": False, "order": None, "scale": settings.scale, "notices": said}
    return Content(scaled(tasks, settings.scale, weighted_truth=False), tables[0].variables, about)
