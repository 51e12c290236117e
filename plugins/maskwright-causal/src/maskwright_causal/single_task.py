"""NotearsLinear: the continuous program for one table, as a plain scikit-learn estimator."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .estimator import OrderConsistentDAG
from .penalty_choice import Rule
from .solvers import Solver


class NotearsLinear(TransformerMixin, BaseEstimator):
    """One weighted acyclic graph from one table (n, p): `OrderConsistentDAG` with K = 1.

    The continuous program with a smooth cycle measure, then an exact lasso on the order it ends in; so the
    result is acyclic at any threshold. `transform` gives residuals. The caution about scales applies here too.

    Parameters
    ----------
    alpha : strength of the l1 penalty, or "theory", "bic", "ebic", "cv".
    threshold : weights below it (absolute) count as no edge.
    solver : any solver of OrderConsistentDAG that looks for an order.

    Attributes
    ----------
    coef_ (p, p), column j lists the parents of j; order_index_ (p,) and order_, causes first;
    noise_variance_ (p,); model_, the OrderConsistentDAG behind.
    """

    def __init__(
        self,
        alpha: float | Rule = "theory",
        *,
        threshold: float = 0.3,
        solver: Solver = "continuous",
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.threshold = threshold
        self.solver = solver
        self.random_state = random_state

    def fit(self, X: Any, y: None = None) -> "NotearsLinear":
        """Learn from one table (n, p), array or data frame."""
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        names = getattr(self, "feature_names_in_", None)
        self.model_ = OrderConsistentDAG(
            self.solver, "l1", self.alpha, threshold=self.threshold, random_state=self.random_state
        ).fit([rows], feature_names=names)
        self.coef_ = self.model_.coef_[0]
        self.order_, self.order_index_ = self.model_.order_, self.model_.order_index_
        self.noise_variance_ = self.model_.noise_variance_[0]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Residuals (n, p): what is left of each variable after its causes."""
        return self.model_.transform([self._checked(X)])[0]

    def score(self, X: Any, y: None = None) -> float:
        """Mean log-likelihood per row, natural logarithm."""
        return self.model_.score([self._checked(X)])

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        return validate_data(self, X, dtype=np.float64, reset=False)
