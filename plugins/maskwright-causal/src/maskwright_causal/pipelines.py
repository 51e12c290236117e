"""A fitted set of graphs put to work: residuals of rows, new rows, and rows under an intervention."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.errors import UserError, did_you_mean
from maskwright.step import Step
from maskwright_causal.generators import propagate, random
from maskwright_causal.likelihood import known_noise
from maskwright_causal.readers import TABLE_SUFFIXES, read_tables
from maskwright_causal.writers import table_csv, write_whole


class _Fitted:
    """What the three share: the subject's tasks, names and files."""

    added = ""  # name of the field that a pipeline adds

    def __init__(self, subject: Any, task: str | None = None, tasks: list[str] | None = None) -> None:
        self.subject = subject
        self.variables = tuple(
            name
            for _, name in sorted(zip(np.asarray(subject.order_index_).tolist(), subject.order_, strict=True))
        )
        count = len(subject.coef_)
        self.tasks = list(
            tasks or getattr(subject, "task_names_", None) or [f"task-{k:02d}" for k in range(count)]
        )
        if len(self.tasks) != count:
            raise UserError(
                f"{len(self.tasks)} task names for {count} graphs",
                where="setting tasks",
                cure="give one name for each task, in the order of the fit",
            )
        if task is not None and task not in self.tasks:
            raise UserError(
                f'there is no task "{task}"{did_you_mean(task, self.tasks)}',
                where="setting task",
                cure=f"the tasks are {', '.join(self.tasks)}",
            )
        self.task = task

    def read(self, argument: str) -> Iterable[Mapping[str, Any]]:
        """Items of a table file or folder (CSV, TSV, npz ...), or of a task called `argument`."""
        path = Path(argument)
        if path.exists():
            for table in read_tables(path):
                yield {
                    "id": table.name,
                    "task": table.name,
                    "samples": table.samples,
                    "variables": table.variables,
                }
        elif argument in self.tasks:
            yield {"id": argument, "task": argument}
        elif path.suffix.lower() in TABLE_SUFFIXES or "/" in argument:
            raise UserError(f"there is no file {argument}", where="input", cure="check the path")
        else:
            raise UserError(
                f'"{argument}" is neither a file nor a task{did_you_mean(argument, self.tasks)}',
                where="input",
                cure=f"give a table, or one of the tasks {', '.join(self.tasks)}",
            )

    def write(self, item: Mapping[str, Any], path: Path) -> None:
        """The added rows as CSV with the variables as header."""
        write_whole(path, table_csv(item[self.added], self.variables).encode())

    def _task(self, item: Mapping[str, Any]) -> int:
        name = self.task or item.get("task")
        if name in self.tasks:
            return self.tasks.index(name)
        if len(self.tasks) == 1:
            return 0
        raise UserError(
            f'there is no task "{name}"{did_you_mean(str(name), self.tasks)}',
            where=f"item {item.get('id', '')}",
            why="each task has a graph of its own",
            cure=f"call the file after its task, or set task=NAME: {', '.join(self.tasks)}",
        )

    def _columns(self, item: Mapping[str, Any]) -> np.ndarray:
        """The item's rows (n, p) in the fit's column order."""
        samples, names = (
            np.asarray(item["samples"], dtype=float),
            tuple(item.get("variables", self.variables)),
        )
        missing = [name for name in self.variables if name not in names]
        if missing or samples.shape[1] != len(names):
            raise UserError(
                f"the table lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
                where=f"item {item.get('id', '')}",
                cure=f"the fit needs {', '.join(self.variables)}",
            )
        return samples[:, [names.index(name) for name in self.variables]]

    def _means(self, task: int) -> np.ndarray:
        """(p,) means of the training rows; 0 for a subject fitted to covariances alone."""
        means = getattr(self.subject, "means_", None)
        return np.zeros(len(self.variables)) if means is None else np.asarray(means)[task]


class Residuals(_Fitted):
    """Adds `residuals` (n, p): what is left of each column after its causes, an estimate of the noise."""

    added = "residuals"

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        for item in items:
            task = self._task(item)
            centred = self._columns(item) - self._means(task)
            yield {**item, self.added: centred - centred @ np.asarray(self.subject.coef_)[task]}


class Draws(_Fitted):
    """Adds `drawn` (rows, p): new rows of the item's task, with the variables of `values` set from outside.

    Setting a variable cuts the edges into it and leaves all others as they are: the do-operator. With no values
    these are plain samples of the fitted model.
    """

    added = "drawn"

    def __init__(
        self,
        subject: Any,
        rows: int,
        values: Mapping[str, float] | None = None,
        task: str | None = None,
        tasks: list[str] | None = None,
    ) -> None:
        super().__init__(subject, task, tasks)
        self.number, self.values = rows, dict(values or {})
        for name in self.values:
            if name not in self.variables:
                raise UserError(
                    f'there is no variable "{name}" to set{did_you_mean(name, self.variables)}',
                    where="setting values",
                    cure=f"the variables are {', '.join(self.variables)}",
                )

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        for item in items:
            yield {**item, self.added: self.draw(self._task(item), step)}

    def default_items(self) -> Iterable[Mapping[str, Any]]:
        """Without input: every task of the fit."""
        return [{"id": task, "task": task} for task in self.tasks]

    def draw(self, task: int, step: Step) -> np.ndarray:
        """(rows, p) of one task; the noise is a function of the step and the task's name alone."""
        means = self._means(task)
        weights = np.array(self.subject.coef_[task], dtype=float)
        deviations = np.sqrt(known_noise(self.subject)[task])
        generator = random(step.fork("draw", self.tasks[task]), "noise")
        noise = generator.standard_normal((self.number, len(self.variables))) * deviations
        for name, value in self.values.items():
            node = self.variables.index(name)
            weights[:, node] = 0.0
            noise[:, node] = value - means[node]
        return propagate(noise, weights, np.asarray(self.subject.order_index_)) + means
