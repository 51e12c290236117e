"""dataset:wine-by-class, dataset:iris-by-species — one real table cut by class into K tables of the same columns."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_iris, load_wine

from maskwright_samples.array_items import ArrayItems
from maskwright_samples.splits import two_way

Scale = Literal["within", "raw"]

SOURCES: dict[str, tuple[Callable[..., Any], str]] = {
    "wine-by-class": (
        load_wine,
        "UCI Wine (M. Forina et al., 1988; S. Aeberhard), as shipped by scikit-learn.",
    ),
    "iris-by-species": (load_iris, "Iris (R. A. Fisher, 1936), as shipped by scikit-learn."),
}


class ClassTables(ArrayItems):
    """Item k is the table of class k: `samples` float64 (rows, variables), rows in file order.

    Rows are split by hash of their number in the file: 20 % test. With `scale="within"` each class is centred and all
    classes are divided by one deviation per column, both taken from train rows only. Raw columns differ in units, and
    the order of their variances (6.4 million to one in wine) means nothing.
    """

    def __init__(self, name: str, scale: Scale = "within") -> None:
        load, notice = SOURCES[name]
        source = load()
        labels = source.target
        side = np.array([two_way(str(row)) for row in range(len(labels))])
        centres = {k: np.zeros(source.data.shape[1]) for k in range(len(source.target_names))}
        deviation = np.ones(source.data.shape[1])
        if scale == "within":
            train = side == "train"
            centres = {k: source.data[train & (labels == k)].mean(axis=0) for k in centres}
            deviation = pooled_deviation(source.data[train], labels[train])
        tasks = [str(task) for task in source.target_names]
        # scikit-learn's names carry units in brackets: "sepal length (cm)".
        variables = [str(variable) for variable in source.feature_names]
        splits = {
            split: [
                {
                    "id": f"{task}/{split}",
                    "task": task,
                    "samples": (source.data[(side == split) & (labels == k)] - centres[k]) / deviation,
                    "variables": tuple(variables),
                }
                for k, task in enumerate(tasks)
            ]
            for split in ("train", "test")
        }
        super().__init__(
            name, splits, {"variables": variables, "tasks": tasks, "scale": scale, "notice": notice}
        )


def pooled_deviation(data: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Root mean square distance of each column from the class means, (variables,)."""
    classes = np.unique(labels)
    squares = sum(((data[labels == k] - data[labels == k].mean(axis=0)) ** 2).sum(axis=0) for k in classes)
    return np.sqrt(squares / len(data))
