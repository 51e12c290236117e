"""evaluator:linear-probe — logistic regression on frozen vectors, the fast probe."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import scipy.sparse
from sklearn.linear_model import LogisticRegression

from maskwright.contracts import Dataset, Findings
from maskwright.step import Step
from maskwright_torch.features import Pool, labelled_split
from maskwright_torch.judging import METRICS, judge

ITERATIONS = 2000


def regress(c: float, known: Any, labels: np.ndarray, asked: Any) -> tuple[np.ndarray, bool]:
    """Predictions of a logistic regression on scaled vectors; whether it converged."""
    known, asked = scaled(known, asked)
    model = LogisticRegression(C=c, max_iter=ITERATIONS).fit(known, labels)
    return model.predict(asked), int(np.max(model.n_iter_)) < ITERATIONS


def scaled(known: Any, asked: Any) -> tuple[Any, Any]:
    """Centred, and divided by one number for all dimensions, so that C means the same for every encoder.

    Dividing each dimension by its own deviation would blow up pixels that hardly ever differ, and the raw pixels would
    look worse than they are: 0.79 for 0.83 on digits with five labels a class. Sparse vectors stay sparse, so they are
    not centred.
    """
    if scipy.sparse.issparse(known):
        known, asked = (scipy.sparse.csr_array(side, dtype=np.float64) for side in (known, asked))
        size = np.sqrt(known.multiply(known).sum() / known.shape[0]) or 1.0
        return known / size, asked / size
    known, asked = known.astype(np.float64), asked.astype(np.float64)
    middle = known.mean(axis=0)
    size = np.sqrt(np.square(known - middle).mean()) or 1.0
    return (known - middle) / size, (asked - middle) / size


class LinearProbe:
    """How well classes can be told apart by a linear map of what an encoder gives."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = METRICS

    def __init__(self, c: float, shots: int, pool: Pool, max_test: int, split: str) -> None:
        self.c, self.shots, self.pool, self.max_test, self.split = c, shots, pool, max_test, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        split = labelled_split(
            data,
            step,
            "evaluator:linear-probe",
            shots=self.shots,
            max_test=self.max_test,
            judged=self.split,
        )
        unfinished = 0

        def classify(known: Any, labels: np.ndarray, asked: Any) -> np.ndarray:
            nonlocal unfinished
            predicted, converged = regress(self.c, known, labels, asked)
            unfinished += not converged
            return predicted

        found = judge(subject, split, step, self.pool, classify, f"logistic regression, C = {self.c:g}")
        if unfinished:
            note = f"{unfinished} of the regressions stopped after {ITERATIONS} iterations without converging"
            found = attrs.evolve(found, notes=[*found.notes, note])
        return found
