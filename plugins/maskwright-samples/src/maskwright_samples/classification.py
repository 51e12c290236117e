"""evaluator:classification: logistic regression on the vectors of a pipeline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.preprocessing import StandardScaler

from maskwright.contracts import Dataset, Figure, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.pictures import heat_map
from maskwright_samples.vectors import matrix_of

_ITERATIONS = 1000


class LinearClassification:
    """Fits on one split, judges on another. Dense vectors are standardised by the fitting split."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"accuracy": "max", "macro_f1": "max"}

    def __init__(self, train: str, split: str, c: float, balanced: bool):
        self._train, self._split, self._c = train, split, c
        self._weights = "balanced" if balanced else None

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        known = _labelled(data, self._train, step)
        asked = _labelled(data, self._split, step)
        right = np.array([item["label"] for item in known]), np.array([item["label"] for item in asked])
        if len(set(right[0].tolist())) < 2:
            raise UserError(
                f"split {self._train!r} holds fewer than two classes",
                where="evaluator:classification, setting train",
                why="a classifier needs two classes to tell apart",
                cure="take another split, or a data set with more classes",
            )
        fit, judge = matrix_of(subject, known, step), matrix_of(subject, asked, step)
        if not sparse.issparse(fit):
            scaler = StandardScaler().fit(fit)
            fit, judge = scaler.transform(fit), scaler.transform(judge)
        model = LogisticRegression(C=self._c, class_weight=self._weights, max_iter=_ITERATIONS).fit(
            fit, right[0]
        )
        guessed = model.predict(judge)
        majority = Counter(right[0].tolist()).most_common(1)[0][0]
        values = _scores(right[1], guessed)
        names = _names(data, self._train, right)
        rows = [
            {"id": item["id"], "correct": int(label == guess), "label": int(label), "predicted": int(guess)}
            for item, label, guess in zip(asked, right[1], guessed, strict=True)
        ]
        table = [
            {"system": "logistic regression", **values},
            {"system": f"always {names[majority]}", **_scores(right[1], np.full(len(asked), majority))},
        ]
        slow = int(np.max(model.n_iter_)) >= _ITERATIONS
        return Findings(
            values=values,
            rows=rows,
            tables={f"{len(known)} to fit, {len(asked)} to judge, {len(names)} classes": table},
            figures=lambda: [_confusions(right[1], guessed, names)],
            notes=[f"the classifier stopped after {_ITERATIONS} iterations without converging"]
            if slow
            else [],
        )


def _labelled(data: Dataset, split: str, step: Step) -> list[Mapping[str, Any]]:
    items = [data.item(split, index, step) for index in range(data.length(split))]
    missing = [item["id"] for item in items if "label" not in item]
    if not items or missing:
        raise UserError(
            f"split {split!r} cannot be classified",
            where="evaluator:classification",
            why=f"item {missing[0]!r} has no label" if missing else "it has no items",
            cure="take a data set with the field label, and a split that is not empty",
        )
    return items


def _scores(right: np.ndarray, guessed: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float(accuracy_score(right, guessed)),
        "macro_f1": float(f1_score(right, guessed, average="macro", zero_division=0)),
    }


def _names(data: Dataset, split: str, labels: Sequence[np.ndarray]) -> dict[int, str]:
    classes = data.about(split).get("classes", [])
    used = sorted({int(label) for side in labels for label in side})
    return {label: str(classes[label]) if label < len(classes) else str(label) for label in used}


def _confusions(right: np.ndarray, guessed: np.ndarray, names: Mapping[int, str]) -> Figure:
    counts = confusion_matrix(right, guessed, labels=list(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = heat_map(shares, list(names.values()), "predicted", "right")
    return Figure("confusions", "Share of each class (row) that was taken for another (column)", picture)
