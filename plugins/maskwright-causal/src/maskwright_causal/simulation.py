"""New rows from a fitted model, as observed or after setting variables from outside."""

from typing import Any

import numpy as np

from maskwright.errors import UserError, did_you_mean
from maskwright.step import Step


def draw(model: Any, values: dict[str, float], task: int | str, n: int, step: Step) -> np.ndarray:
    """n rows (n, p) of `task`; the variables in `values` are held there and their own equations dropped."""
    k = task_number(task, model.task_names_)
    names = [str(name) for name in model.feature_names_in_]
    for name, value in values.items():
        if name not in names:
            raise UserError(
                f"there is no variable {name!r}{did_you_mean(name, names)}",
                where="do",
                cure="check its spelling",
            )
        if not np.isfinite(value):
            raise UserError(f"cannot set {name!r} to {value}", where="do", cure="give a finite number")
    if n < 0:
        raise UserError(f"cannot draw {n} rows", where="n", cure="give n >= 0")
    noise = np.random.Generator(np.random.Philox(key=step.fork("task", k).stream("noise")))
    # All noise is drawn first, so that two interventions with one seed share it and differ by effect alone.
    rows = noise.standard_normal((n, len(names))) * np.sqrt(model.noise_variance_[k])
    mean = model.means_[k]
    for node in model.order_index_:
        if names[node] in values:
            rows[:, node] = values[names[node]] - mean[node]
        else:
            rows[:, node] += rows @ model.coef_[k][:, node]
    return rows + mean


def task_number(task: int | str, names: list[str]) -> int:
    """Position of a task given by number or name."""
    if isinstance(task, str) and task in names:
        return names.index(task)
    if isinstance(task, int | np.integer) and 0 <= task < len(names):
        return int(task)
    raise UserError(
        f"there is no task {task!r}",
        where="task",
        cure=f"give a number from 0 to {len(names) - 1}, or a name",
    )
