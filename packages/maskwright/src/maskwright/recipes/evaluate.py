"""recipe:evaluate: evaluators on parts that exist already."""

from collections.abc import Sequence
from typing import Any

from maskwright.build import Evaluation
from maskwright.runs import Run


class EvaluateRecipe:
    """Fits what is fitted, then asks every evaluator once."""

    def __init__(self, data: Any, evaluations: Sequence[Evaluation]) -> None:
        self.data, self.evaluations = data, evaluations

    def run(self, run: Run) -> None:
        run.fit_parts(self.data)
        run.evaluate(self.evaluations, self.data, run.step())
