"""Noise is a function of key, row and unit: uniform, independent, and the same wherever it is computed."""

import math

import pytest
import torch

from maskwright import Step
from maskwright_torch.noise import bits, identities, identity, mix, permutation, uniform

KEY = Step(seed=7).stream("mask")


def test_known_numbers_of_splitmix64():
    """The finaliser of splitmix64 as published: seed 0 gives these first outputs."""
    states = [(0x9E3779B97F4A7C15 * i) & (2**64 - 1) for i in (1, 2, 3)]
    signed = torch.tensor([s - 2**64 if s >> 63 else s for s in states])
    found = [int(v) % 2**64 for v in mix(signed)]
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_a_row_does_not_depend_on_its_neighbours():
    rows = torch.arange(100)
    whole = uniform(KEY, rows, 37)
    assert torch.equal(torch.cat([uniform(KEY, rows[:41], 37), uniform(KEY, rows[41:], 37)]), whole)
    order = torch.arange(99, -1, -1)
    assert torch.equal(uniform(KEY, rows[order], 37), whole[order])
    assert torch.equal(uniform(KEY, rows, 20), whole[:, :20])


def test_uniform_over_rows_units_and_keys():
    draws = torch.stack([uniform(KEY + k, torch.arange(200), 50) for k in range(20)])
    assert 0 <= float(draws.min()) < float(draws.max()) < 1
    counts = torch.histc(draws.flatten(), 64, 0, 1)
    expected = draws.numel() / 64
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert chi < 63 + 4 * math.sqrt(2 * 63), "four deviations above the mean of chi-square with 63 degrees"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_uncorrelated(axis: int):
    draws = torch.stack([uniform(KEY + k, torch.arange(60), 60) for k in range(60)]) - 0.5
    count = draws.shape[axis]
    one, two = draws.narrow(axis, 0, count - 1), draws.narrow(axis, 1, count - 1)
    correlation = float((one * two).mean() * 12)
    assert abs(correlation) < 4 / math.sqrt(one.numel())


def test_rows_of_one_key_are_not_rows_of_the_next():
    """Rows and keys are counters both: without mixing, row r under key k + 1 would repeat row r + 1 under key k."""
    one, two = uniform(KEY, torch.arange(50), 8), uniform(KEY + 1, torch.arange(50), 8)
    assert not set(one.flatten().tolist()) & set(two.flatten().tolist())


def test_permutation_and_identity():
    order = permutation(KEY, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != list(range(1000))
    assert permutation(KEY + 1, 1000).tolist() != order.tolist()
    assert identities(["a", "b", "a"]).tolist() == [identity("a"), identity("b"), identity("a")]
    assert identity("a") != identity("b")


def test_bits_use_all_64():
    values = bits(KEY, torch.arange(500), 4).flatten()
    for place in range(64):
        share = float(((values >> place) & 1).double().mean())
        assert abs(share - 0.5) < 0.06, place
