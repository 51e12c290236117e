"""How strong the penalty should be: a formula, an information criterion, or held-out rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import chi2

from maskwright.errors import UserError

from .convex import fit_allowed, least_squares, residual_variance
from .gram import Grams
from .objective import Penalty, lambda_max

Rule = Literal["theory", "bic", "ebic", "cv"]
RULES = ("theory", "bic", "ebic", "cv")
PATH_LENGTH = 30  # strengths on a path
PATH_RATIO = 1e-2  # weakest over strongest strength, at most
PATH_FLOOR = (
    0.1  # weakest strength over the theory value, at most: strengths grow with sigma^2, edges with variances
)
EBIC_GAMMA = 0.5  # weight of the prior over supports in the extended criterion

# From statistics and a strength to the allowed edges (p, p): the order is found anew in every fold.
AllowedBy = Callable[[Grams], np.ndarray]


@dataclass(frozen=True)
class Choice:
    """The chosen strength and what it was chosen from."""

    strength: float
    strengths: np.ndarray  # float64 (L,), falling; empty for the formula
    scores: np.ndarray  # float64 (L,), lower is better


def theory_strength(grams: Grams) -> float:
    """0.5 sigma^2 sqrt(log p * sum_k 1 / n_k), which is 0.5 sqrt(K log p / n) for equal tables and sigma = 1.

    At the truth the gradient of one edge has entries of size about sigma^2 / sqrt(n_k), so this is the size of
    its norm over tasks times sqrt(log p) for the many edges. The rate is the paper's, the constant 0.5 was fixed
    on the paper's generator at p = 20. sigma^2 is taken from the variable with the least pooled variance: under
    equal noise that is a root and its variance is the noise. The least of p estimates lies below the truth
    (by two thirds for one table of 10 rows and 20 variables), so it is divided by what the least of p estimates
    of 1 would be. Without that, weak penalties would be compared with strong ones when task numbers differ.
    """
    p = max(grams.nodes, 2)
    counted = grams.weights > 0
    variance = np.einsum("kii->ki", grams.second)
    pooled = (grams.weights * variance).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    noise = float(pooled[counted.any(axis=0)].min(initial=np.inf))
    if not np.isfinite(noise):
        noise = 1.0
    tasks = counted.any(axis=1)
    freedom = float((grams.counts[tasks] - 1).sum())
    shrunk = float(np.mean(1 - 1 / grams.counts[tasks])) if tasks.any() else 1.0  # divisor n_k, not n_k - 1
    if freedom > 0:
        noise /= shrunk * float(chi2.ppf(1 / (p + 1), freedom)) / freedom
    return 0.5 * noise * float(np.sqrt(np.log(p) * (1.0 / grams.counts).sum()))


def strengths_below(top: float, theory: float) -> np.ndarray:
    """The path: PATH_LENGTH strengths from `top` (empty graph) down, evenly spaced in logarithm."""
    return np.geomspace(top, min(PATH_RATIO * top, PATH_FLOOR * theory), PATH_LENGTH)


def path(
    grams: Grams, allowed: np.ndarray, unit: Penalty, strengths: np.ndarray, tol: float = 1e-6
) -> list[np.ndarray]:
    """Weights (K, p, p) for every strength, each started from the one before."""
    found: list[np.ndarray] = []
    for strength in strengths:
        start = found[-1] if found else None
        found.append(fit_allowed(grams, allowed, unit.scaled(strength), start=start, tol=tol)[0])
    return found


def choose(
    rule: Rule,
    grams: Grams,
    unit: Penalty,
    allowed_by: AllowedBy,
    *,
    rows: Sequence[np.ndarray] | None,
    threshold: float = 0.0,
    folds: int = 5,
    shared_noise: bool = True,
    noise: np.random.Generator | None = None,
) -> Choice:
    """The strength by `rule`.

    The criteria judge the edges with weights of at least `threshold`, as the fit returns them; "cv" judges the
    penalised weights on held-out `rows`, the K tables behind `grams`.
    """
    allowed = allowed_by(grams)
    if rule == "theory":
        return Choice(theory_strength(grams), np.zeros(0), np.zeros(0))
    top = lambda_max(grams, allowed, unit)
    if top == 0:
        return Choice(theory_strength(grams), np.zeros(0), np.zeros(0))
    strengths = strengths_below(top, theory_strength(grams))
    if rule == "cv":
        if rows is None:
            raise UserError(
                "alpha='cv' needs rows, and this fit has covariances only",
                where="alpha",
                cure="use 'ebic' or 'bic'",
            )
        assert noise is not None
        scores = _cross_validate(grams, rows, unit, allowed_by, strengths, folds, shared_noise, noise)
    else:
        gamma = EBIC_GAMMA if rule == "ebic" else 0.0
        scores = np.array(
            [
                information_criterion(grams, (np.abs(coef) >= threshold) & (coef != 0), gamma, shared_noise)
                for coef in path(grams, allowed, unit, strengths)
            ]
        )
    return Choice(float(strengths[int(np.argmin(scores))]), strengths, scores)


def information_criterion(
    grams: Grams, support: np.ndarray, gamma: float, shared_noise: bool = True
) -> float:
    """BIC (gamma = 0) or extended BIC of the least-squares refit on a support, bool (K, p, p).

    -2 log-likelihood + sum_k |E_k| log n_k + 4 gamma |union of E_k| log p. The last term counts the supports of
    that size; all tasks share one, so it is paid once and not K times. A support that leaves no degree of freedom
    somewhere is not a candidate (infinite).
    """
    counted = grams.weights > 0
    parents = support.sum(axis=1)  # (K, p)
    if (counted & (parents + 2 > grams.counts[:, None])).any():
        return np.inf
    variance = residual_variance(grams, least_squares(grams, support))
    if shared_noise:
        variance = _shared(variance, counted)
    fit = (grams.counts[:, None] * counted * np.log(np.maximum(variance, np.finfo(float).tiny))).sum()
    edges = (counted * parents).sum(axis=1)
    union = int(support.any(axis=0).sum())
    return float(fit + (edges * np.log(grams.counts)).sum() + 4 * gamma * union * np.log(grams.nodes))


def _shared(variance: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """One noise variance per task, the mean over its counted nodes, as (K, p)."""
    mean = (variance * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return np.broadcast_to(mean[:, None], variance.shape)


def _cross_validate(
    grams: Grams,
    rows: Sequence[np.ndarray],
    unit: Penalty,
    allowed_by: AllowedBy,
    strengths: np.ndarray,
    folds: int,
    shared_noise: bool,
    noise: np.random.Generator,
) -> np.ndarray:
    """Mean negative held-out log-likelihood per counted cell (up to constants) for every strength."""
    least = min(len(table) for table in rows)
    if folds < 2 or least < folds or least - -(-least // folds) < 2:
        raise UserError(
            f"{folds}-fold cross-validation needs more rows: the smallest table has {least}",
            where="cv",
            cure="lower cv, or choose alpha by 'ebic' or 'theory'",
        )
    fold_of = [noise.permutation(len(table)) % folds for table in rows]
    counted = grams.weights > 0
    total, cells = np.zeros(len(strengths)), 0.0
    for fold in range(folds):
        train = Grams.from_rows([t[f != fold] for t, f in zip(rows, fold_of, strict=True)]).weighted(
            grams.weights
        )
        held = [t[f == fold] - m for t, f, m in zip(rows, fold_of, train.means, strict=True)]
        counts = np.array([len(t) for t in held])
        second = np.stack([t.T @ t / len(t) for t in held])
        test = Grams(second, counts, train.means, grams.weights)
        size = counts[:, None] * counted
        for number, coef in enumerate(path(train, allowed_by(train), unit, strengths)):
            variance = residual_variance(train, coef)
            variance = _shared(variance, counted) if shared_noise else variance
            # n - 1 rows can be fitted exactly, which would make any held-out row infinitely unlikely.
            variance = np.maximum(variance, 1e-3 * np.einsum("kii->ki", train.second))
            error = residual_variance(test, coef)
            total[number] += 0.5 * (size * (np.log(variance) + error / variance)).sum()
        cells += size.sum()
    return total / cells
