"""Paired comparisons: mean, spread and a 95 % t interval. Plain Python, because the core has no numpy."""

import math
from collections.abc import Sequence

import attrs


@attrs.frozen
class Interval:
    """Mean of paired differences with its 95 % t interval."""

    mean: float
    low: float
    high: float
    count: int


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def paired_interval(differences: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean difference."""
    count, centre = len(differences), mean(differences)
    if count < 2:
        return Interval(centre, -math.inf, math.inf, count)
    half = t_quantile(0.5 + level / 2, count - 1) * spread(differences) / math.sqrt(count)
    return Interval(centre, centre - half, centre + half, count)


def t_quantile(probability: float, freedom: int) -> float:
    """Inverse of Student's distribution function, by bisection on the exact function."""
    low, high = 0.0, 1.0
    while t_distribution(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if t_distribution(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_distribution(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0: 1 - I_x(v/2, 1/2) / 2 with x = v / (v + t^2)."""
    return 1 - incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b): Lentz's evaluation of its continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)  # the fraction converges fast only below this point
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(log_front) * result / a
