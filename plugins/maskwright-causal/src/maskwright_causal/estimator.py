"""OrderConsistentDAG: K tables with the same columns in, K weighted causal graphs with one order out."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import networkx as nx
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from maskwright.errors import UserError, did_you_mean
from maskwright.step import Step

from . import model_files
from .convex import Backend, least_squares
from .gram import Grams
from .knowledge import Edge, check_order, read_knowledge, read_order
from .likelihood import log_likelihood
from .noise import unbiased_variance
from .objective import Penalty, PenaltyName, lambda_max
from .penalty_choice import RULES, Rule, choose
from .simulation import draw
from .solvers import SOLVERS, Joint, Method, Solver, allowed_quickly, fit_joint
from .sortability import sortability
from .stability import Stability, edge_frequencies
from .tables_in import (
    DataWarning,
    Tables,
    check_variances,
    intervention_mask,
    read_tables,
    rows_like,
    warn_of_codes,
    warn_of_scales,
)

_CHOICES = {
    "solver": SOLVERS,
    "penalty": ("l1l2", "l1", "sparse-group"),
    "refit": ("none", "ols", "ridge"),
    "noise": ("equal", "unknown"),
    "backend": ("bcd", "cvxpy"),
    "columns": ("same", "common"),
}
RIDGE = 0.01  # of refit="ridge", as a share of a table's mean variance


class OrderConsistentDAG(TransformerMixin, BaseEstimator):
    """K linear structural models X_k ~ X_k G_k + noise that share one causal order and a sparse union of edges.

    Column j of each G_k lists the parents of variable j. Every result is acyclic by construction. The order is
    read from variances, so the noise has to be of about equal size: keep the data in their natural units.

    Parameters
    ----------
    solver : "topdown" orders by conditional variance (default); "topdown+search" and "search" descend over orders;
        "dp" is exact for up to 12 variables; "continuous" is the paper's program; "convex" takes `order`.
    penalty : "l1l2" ties an edge's weights over the tasks; "l1" does not; "sparse-group" mixes both by `l1_ratio`.
    alpha : strength of the penalty, or how to choose it: "theory", "bic", "ebic", "cv" (`cv` folds).
    threshold : weights below it (absolute, in units of effect per unit of cause) count as no edge.
    refit : re-estimate the weights on the kept edges: "none", "ols", "ridge".
    noise : "unknown" weights each node by its estimated inverse noise variance.
    task_weights : "equal", "rows" (by number of rows), or K positive numbers.
    order : names, causes first, or lists of names for a partial order; for solver="convex".
    forbidden, required, tiers : background knowledge; pairs (cause, effect), and lists of names, causes first.

    Attributes
    ----------
    order_, order_index_ : names and column numbers, causes first.
    coef_ (K, p, p), union_support_ (p, p), graphs_ : the graphs, after threshold and refit.
    penalised_coef_ (K, p, p), objective_, alpha_ : the joint optimum before that.
    noise_variance_, means_ (K, p); task_names_; converged_ (False after Ctrl-C or an early stop).
    """

    def __init__(
        self,
        solver: Solver = "topdown",
        penalty: PenaltyName = "l1l2",
        alpha: float | Rule = "theory",
        *,
        l1_ratio: float = 0.5,
        threshold: float = 0.3,
        refit: str = "none",
        noise: str = "equal",
        task_weights: str | Sequence[float] = "equal",
        order: Sequence[Any] | None = None,
        forbidden: Sequence[Edge] | None = None,
        required: Sequence[Edge] | None = None,
        tiers: Sequence[Sequence[str]] | None = None,
        columns: Literal["same", "common"] = "same",
        backend: Backend = "bcd",
        restarts: int = 0,
        cv: int = 5,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.solver = solver
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.threshold = threshold
        self.refit = refit
        self.noise = noise
        self.task_weights = task_weights
        self.order = order
        self.forbidden = forbidden
        self.required = required
        self.tiers = tiers
        self.columns = columns
        self.backend = backend
        self.restarts = restarts
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        groups: Any = None,
        feature_names: Sequence[str] | None = None,
        interventions: np.ndarray | None = None,
    ) -> "OrderConsistentDAG":
        """Learn from a list or mapping of tables, a (K, n, p) array, or one table and `groups` (a label per row).

        interventions: bool (K, p), True where the experiment set the variable; its loss is dropped there.
        """
        tables = read_tables(
            X, groups=groups, feature_names=feature_names, columns=self.columns, intervened=interventions
        )
        grams = Grams.from_rows(tables.rows)
        variances = np.stack([rows.var(axis=0) for rows in tables.rows])
        self._learn(grams, tables, intervention_mask(interventions, grams.tasks, grams.nodes))
        warn_of_scales(tables.variables, variances, lambda: self._varsortability(variances))
        warn_of_codes(tables)
        return self

    def fit_covariance(
        self,
        covariances: np.ndarray,
        counts: Sequence[int],
        *,
        feature_names: Sequence[str] | None = None,
        interventions: np.ndarray | None = None,
    ) -> "OrderConsistentDAG":
        """Learn from K covariance matrices (K, p, p) with divisor n_k and the K row counts n_k."""
        grams = Grams.from_covariance(covariances, counts)
        names = (
            [f"x{j}" for j in range(grams.nodes)]
            if feature_names is None
            else [str(n) for n in feature_names]
        )
        if len(names) != grams.nodes or len(set(names)) != len(names):
            raise UserError(
                f"need {grams.nodes} different feature names, got {len(names)}", where="feature_names"
            )
        mask = intervention_mask(interventions, grams.tasks, grams.nodes)
        variances = np.einsum("kii->ki", grams.second)
        check_variances(variances, names, mask)
        self._learn(grams, Tables((), tuple(names), tuple(str(k) for k in range(grams.tasks))), mask)
        warn_of_scales(names, variances, lambda: self._varsortability(variances))
        return self

    def _varsortability(self, variances: np.ndarray) -> float:
        """Mean over tasks with edges: 1 = sorting the columns by variance gives the fitted order already."""
        pairs = zip(variances, self.coef_, strict=True)
        return float(np.mean([sortability(own, coef != 0) for own, coef in pairs if coef.any()] or [np.nan]))

    def _learn(self, grams: Grams, tables: Tables, intervened: np.ndarray) -> None:
        self._check_settings()
        weights = self._task_weights(grams.counts)
        grams = grams.weighted(weights[:, None] * ~intervened)
        method = self._method(tables.variables)
        self.alpha_ = self._strength(method, grams, tables.rows)
        joint = fit_joint(method, grams, self.alpha_)

        self._tables, self._intervened = tables, intervened
        self.n_features_in_ = grams.nodes
        self.feature_names_in_ = np.array(tables.variables, dtype=object)
        self.task_names_ = list(tables.tasks)
        self.means_, self.counts_ = grams.means, grams.counts
        self.order_index_ = joint.order
        self.order_ = [tables.variables[i] for i in joint.order]
        self.penalised_coef_, self.objective_, self.converged_ = joint.coef, joint.objective, joint.converged
        self.coef_ = self._final_weights(joint, grams)
        self.noise_variance_ = unbiased_variance(grams, self.coef_)
        if not joint.converged:
            warnings.warn(
                "the solver stopped early; this is the best order it had", DataWarning, stacklevel=4
            )
        if not joint.coef.any() and self.alpha_ > 0 and grams.nodes > 1:
            top = lambda_max(joint.grams, joint.allowed, method.unit)
            warnings.warn(
                f"the penalty alpha={self.alpha_:.4g} removed every edge; from {top:.4g} downwards the first appears",
                DataWarning,
                stacklevel=4,
            )

    def _final_weights(self, joint: Joint, grams: Grams) -> np.ndarray:
        required = read_knowledge(self._tables.variables, required=self.required).required
        kept = (np.abs(joint.coef) >= self.threshold) | (required & (joint.coef != 0))
        if self.refit == "none":
            return np.where(kept, joint.coef, 0.0)
        return least_squares(grams, kept & (joint.coef != 0), RIDGE if self.refit == "ridge" else 0.0)

    def _method(self, variables: Sequence[str]) -> Method:
        knowledge = read_knowledge(variables, self.forbidden, self.required, self.tiers)
        layers = None
        if self.order is not None:
            layers = read_order(self.order, variables)
            check_order(layers, knowledge, variables)
            if self.solver != "convex":
                raise UserError(
                    f"an order is given, but solver={self.solver!r} would look for one",
                    where="order",
                    cure="use solver='convex', or drop order",
                )
        unit = Penalty.named(self.penalty, 1.0, self.l1_ratio, knowledge.factors())
        return Method(
            self.solver, unit, knowledge, layers, self.backend, self.noise == "unknown",
            self.restarts, self.random_state, self.n_jobs,
        )  # fmt: skip

    def _strength(self, method: Method, grams: Grams, rows: Sequence[np.ndarray]) -> float:
        if not isinstance(self.alpha, str):
            if self.alpha == 0 and (grams.counts <= grams.nodes).any():
                raise UserError(
                    f"alpha=0 with fewer rows ({grams.counts.min()}) than variables ({grams.nodes})",
                    where="alpha",
                    why="without a penalty the weights are not determined",
                    cure="give alpha > 0, or alpha='theory'",
                )
            return float(self.alpha)
        stream = np.random.Generator(np.random.Philox(key=Step(seed=self.random_state).stream("folds")))
        choice = choose(
            self.alpha, grams, method.unit, lambda g: allowed_quickly(method, g), rows=rows or None,
            threshold=self.threshold, folds=self.cv, shared_noise=self.noise == "equal", noise=stream,
        )  # fmt: skip
        self.alpha_path_ = {"alpha": choice.strengths, "score": choice.scores}
        return choice.strength

    def _task_weights(self, counts: np.ndarray) -> np.ndarray:
        if isinstance(self.task_weights, str):
            if self.task_weights not in ("equal", "rows"):
                raise _no_such("task_weights", self.task_weights, ("equal", "rows"))
            return counts / counts.mean() if self.task_weights == "rows" else np.ones(len(counts))
        weights = np.asarray(self.task_weights, dtype=float)
        if weights.shape != (len(counts),) or not (np.isfinite(weights) & (weights > 0)).all():
            raise UserError(
                f"task_weights must be {len(counts)} positive numbers, got {list(self.task_weights)}",
                where="task_weights",
                cure="give one for each table, or 'equal' or 'rows'",
            )
        return weights

    def _check_settings(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise _no_such(name, getattr(self, name), known)
        if isinstance(self.alpha, str) and self.alpha not in RULES:
            raise _no_such("alpha", self.alpha, RULES)
        numbers = {"alpha": self.alpha, "threshold": self.threshold}
        for name, value in numbers.items():
            if not isinstance(value, str) and not (np.isfinite(value) and value >= 0):
                raise UserError(f"{name} must be a finite number >= 0, got {value}", where=name)
        if not 0 <= self.l1_ratio <= 1:
            raise UserError(f"l1_ratio must lie between 0 and 1, got {self.l1_ratio}", where="l1_ratio")

    @property
    def union_support_(self) -> np.ndarray:
        """bool (p, p): edges that at least one task has."""
        check_is_fitted(self, "coef_")
        return (self.coef_ != 0).any(axis=0)

    @property
    def graphs_(self) -> list[nx.DiGraph]:
        """One graph per task: `weight` on edges, `noise_variance` on nodes, the task's name as its name."""
        check_is_fitted(self, "coef_")
        names = [str(name) for name in self.feature_names_in_]
        graphs = []
        for task, coef, noise in zip(self.task_names_, self.coef_, self.noise_variance_, strict=True):
            graph = nx.DiGraph(name=task)
            graph.add_nodes_from((n, {"noise_variance": float(v)}) for n, v in zip(names, noise, strict=True))
            graph.add_edges_from(
                (names[i], names[j], {"weight": float(coef[i, j])}) for i, j in np.argwhere(coef)
            )
            graphs.append(graph)
        return graphs

    def transform(self, X: Any, groups: Any = None) -> Any:
        """Residuals (noise estimates) of rows: a list like the K tables given, an array for a single table."""
        rows = self._rows(X, groups)
        out = [
            (r - m) @ (np.eye(r.shape[1]) - g) for r, m, g in zip(rows, self.means_, self.coef_, strict=True)
        ]
        return out[0] if len(out) == 1 and not isinstance(X, list | tuple) else out

    def score(self, X: Any, y: None = None, groups: Any = None) -> float:
        """Mean log-likelihood per row, natural logarithm, over all rows of all tables."""
        rows = self._rows(X, groups)
        tiny = 1e-12 * np.maximum(self.noise_variance_.max(axis=1, keepdims=True), 1e-300)
        noise = np.maximum(self.noise_variance_, tiny)
        parts = [
            log_likelihood(r, g, v, m, ~i)
            for r, g, v, m, i in zip(rows, self.coef_, noise, self.means_, self._intervened, strict=True)
        ]
        return float(np.concatenate(parts).mean())

    def _rows(self, X: Any, groups: Any) -> tuple[np.ndarray, ...]:
        check_is_fitted(self, "coef_")
        return rows_like(X, groups, tuple(self.feature_names_in_), self.task_names_)

    def sample(self, n: int, task: int | str = 0, random_state: int | None = None) -> np.ndarray:
        """n new rows (n, p) from a task's fitted model, with Gaussian noise."""
        return self.do({}, task, n, random_state)

    def do(
        self, values: Mapping[str, float], task: int | str = 0, n: int = 1000, random_state: int | None = None
    ) -> np.ndarray:
        """n rows (n, p) of a task after setting variables to values from outside: their causes no longer count."""
        check_is_fitted(self, "coef_")
        seed = self.random_state if random_state is None else random_state
        return draw(self, dict(values), task, n, Step(seed=seed))

    def stability(
        self, n_boot: int = 50, share: float = 0.5, n_jobs: int | None = None, X: Any = None
    ) -> Stability:
        """Edge frequencies over fits on random halves of the rows, at the strength `alpha_` of this fit.

        X: the tables, needed only after `load`, because a saved model does not hold them.
        """
        check_is_fitted(self, "coef_")
        rows = self._tables.rows if X is None else self._rows(X, None)
        if not rows:
            raise UserError(
                "stability needs rows, and this model holds none",
                where="X",
                why="it was loaded from a file or fitted on covariances",
                cure="pass the tables: stability(X=[...])",
            )
        method, weights = self._method(self._tables.variables), self._task_weights(self.counts_)[:, None]

        def refit(tables: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            grams = Grams.from_rows(tables).weighted(weights * ~self._intervened)
            joint = fit_joint(method, grams, self.alpha_)
            return self._final_weights(joint, grams), joint.order

        return edge_frequencies(
            rows, refit, n_boot=n_boot, share=share, seed=self.random_state, n_jobs=n_jobs
        )

    def save(self, folder: Path | str) -> None:
        """Write settings (JSON) and numbers (npz) into a folder; the rows are not kept."""
        check_is_fitted(self, "coef_")
        model_files.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> "OrderConsistentDAG":
        """Read what `save` wrote. No code is run from the files."""
        return model_files.load(cls, Path(folder))


def _no_such(name: str, value: Any, known: Sequence[str]) -> UserError:
    return UserError(
        f"there is no {name} {value!r}{did_you_mean(str(value), known)}",
        where=name,
        cure=f"choose one of {', '.join(known)}",
    )
