"""Paired intervals against published values."""

import math

import pytest

from maskwright.statistics import incomplete_beta, mean, paired_interval, spread, t_distribution, t_quantile

QUANTILES = [
    # (probability, degrees of freedom, value of the printed tables)
    (0.975, 1, 12.706205),
    (0.975, 2, 4.302653),
    (0.975, 4, 2.776445),
    (0.975, 9, 2.262157),
    (0.975, 29, 2.045230),
    (0.975, 1000, 1.962339),
    (0.95, 2, 2.919986),
    (0.95, 9, 1.833113),
    (0.995, 2, 9.924843),
    (0.995, 29, 2.756386),
]


@pytest.mark.parametrize(("probability", "freedom", "value"), QUANTILES)
def test_t_quantiles(probability: float, freedom: int, value: float):
    assert t_quantile(probability, freedom) == pytest.approx(value, abs=1e-6)
    assert t_distribution(value, freedom) == pytest.approx(probability, abs=1e-7)


def test_t_in_closed_form():
    """One degree of freedom is Cauchy's distribution; two have a root in closed form."""
    for t in (0.0, 0.3, 1.0, 7.0, 300.0):
        assert t_distribution(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-14)
        assert t_distribution(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-14)


def test_incomplete_beta_in_closed_form():
    for x in (0.0, 1e-9, 0.2, 0.5, 0.9, 1.0):
        assert incomplete_beta(x, 1, 1) == pytest.approx(x, abs=1e-14)
        assert incomplete_beta(x, 3, 1) == pytest.approx(x**3, abs=1e-14)
        assert incomplete_beta(x, 2, 2) == pytest.approx(x * x * (3 - 2 * x), abs=1e-14)
        assert incomplete_beta(x, 0.5, 0.5) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)), abs=1e-13)


def test_an_interval_by_hand():
    found = paired_interval([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3)  # sample deviation 1
    assert (found.mean, found.count) == (2.0, 3)
    assert found.low == pytest.approx(2 - half, abs=1e-9)
    assert found.high == pytest.approx(2 + half, abs=1e-9)


def test_few_values():
    assert paired_interval([5.0]).low == -math.inf
    assert paired_interval([5.0]).high == math.inf
    same = paired_interval([0.5, 0.5, 0.5])
    assert (same.low, same.mean, same.high) == (0.5, 0.5, 0.5)
    assert spread([3.0]) == 0.0
    assert spread([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert mean([0.1] * 10) == 0.1  # fsum: no rounding on the way
