"""encoder:order-dag: an `OrderConsistentDAG` that is fitted on a data set and travels in run folders."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from maskwright.contracts import Dataset, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.estimator import OrderConsistentDAG
from maskwright_causal.tables_in import DataWarning
from maskwright_causal.tetrad import KnowledgeFile

WARNINGS = "warnings.json"


@attrs.frozen(eq=False)
class TaskTables:
    """One split of a data set of tables."""

    names: tuple[str, ...]
    variables: tuple[str, ...]
    rows: list[np.ndarray]  # float64 (n_k, p) each
    masks: np.ndarray | None  # bool (K, p), variables set from outside
    truth: np.ndarray | None  # float64 (K, p, p)


def read_split(data: Dataset, split: str, step: Step) -> TaskTables:
    """All tasks of a split, with the variables of the first."""
    items = list(items_of(data, split, step))
    masks = [item.get("intervened") for item in items]
    truth = [item.get("truth") for item in items]
    return TaskTables(
        tuple(str(item["task"]) for item in items),
        tuple(items[0]["variables"]),
        [np.asarray(item["samples"], dtype=float) for item in items],
        None if any(mask is None for mask in masks) else np.stack(masks),
        None if any(graph is None for graph in truth) else np.stack(truth),
    )


class OrderDag:
    """`fit` learns from the train split; afterwards it has what the estimator has: `coef_`, `order_`, `graphs_` …"""

    def __init__(
        self, settings: Mapping[str, Any], use_interventions: bool, knowledge: KnowledgeFile | None = None
    ) -> None:
        self.settings, self.use_interventions, self.knowledge = dict(settings), use_interventions, knowledge
        self.model: OrderConsistentDAG | None = None
        self.warnings: list[str] = []

    def make(self) -> OrderConsistentDAG:
        """A fresh estimator with these settings."""
        return OrderConsistentDAG(**self.settings)

    def masks(self, tables: TaskTables) -> np.ndarray | None:
        return tables.masks if self.use_interventions else None

    def fit(self, data: Dataset, step: Step) -> None:
        tables = read_split(data, "train", step)
        if self.knowledge is not None:
            known = self.knowledge.about(tables.variables)
            tiers = [list(tier) for tier in known.tiers if tier]
            self.settings |= {
                "forbidden": list(known.forbidden) or None,
                "required": list(known.required) or None,
                "tiers": tiers or None,
            }
        named = dict(zip(tables.names, tables.rows, strict=True))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            model = self.make().fit(named, feature_names=tables.variables, interventions=self.masks(tables))
        self.warnings = [str(entry.message) for entry in caught if issubclass(entry.category, DataWarning)]
        self.model = model

    def save(self, folder: Path) -> None:
        self._fitted().save(folder)
        # What the fit had to say belongs to it: a run that is resumed must say it again.
        (folder / WARNINGS).write_text(json.dumps(self.warnings, indent=1) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        self.model = OrderConsistentDAG.load(folder)
        self.warnings = [str(text) for text in json.loads((folder / WARNINGS).read_text(encoding="utf-8"))]

    def _fitted(self) -> OrderConsistentDAG:
        if self.model is None:
            raise UserError(
                "order-dag is not fitted yet", cure="take it from a finished run, or fit it first"
            )
        return self.model

    def __getattr__(self, name: str) -> Any:
        # Only what the estimator learned: anything else would hide a misspelt attribute.
        if name.endswith("_") and not name.startswith("_"):
            return getattr(self._fitted(), name)
        raise AttributeError(f"OrderDag has no attribute {name!r}")
