"""Schedules of the ratio against their closed forms, and what the objective makes of them."""

import itertools
import math
import warnings

import pytest
import torch
from text_models import batch_of, many_tokens, model, sentences

from maskwright import Step
from maskwright.build import build_raw
from maskwright.contracts import items_of
from maskwright_text.maskers import SpanMasker, TokenMasker, WholeWordMasker
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.masking import choose

P, TOTAL = 0.15, 4000
HELD = 0.25
"""Share of the run in which mrd-warm-decay rises."""


def schedule(name, **settings):
    return build_raw({"use": name, **settings}, ("schedule",), name, 0)[0]


CASES = [
    # name, settings, values at 0, T/4, T/2 and T, mean over the run, direction
    ("constant", {"value": P}, (P, P, P, P), P, 0),
    ("mrd-linear", {"p": P}, (2 * P, 1.5 * P, P, 0.0), P, -1),
    ("mrd-cosine", {"p": P}, (2 * P + 0.02, P * (1 + math.sqrt(0.5)) + 0.02, P + 0.02, 0.02), P + 0.02, -1),
    ("mrd-ascend", {"p": P}, (0.0, 0.5 * P, P, 2 * P), P, 1),
    ("mrd-convex", {"p": P}, (2 * P, 2 * P * 9 / 16, P / 2, 0.0), 2 * P / 3, -1),
    ("mrd-concave", {"p": P}, (2 * P + 0.01, 2 * P * 15 / 16 + 0.01, 1.5 * P + 0.01, 0.01), 4 * P / 3 + 0.01, -1),
    ("mrd-up-down", {"p": P}, (0.0, P, 2 * P, 0.0), P, None),
    ("mrd-down-up", {"p": P}, (2 * P + 0.01, P + 0.01, 0.01, 2 * P + 0.01), P + 0.01, None),
    ("mrd-warm-decay", {"p": P, "width": HELD}, (0.0, 2 * P, 4 * P / 3, 0.0), P, None),
    ("linear", {"start": 0.3, "end": 0.15}, (0.3, 0.2625, 0.225, 0.15), 0.225, -1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "values", "mean", "direction"), CASES)
def test_curves_are_those_of_the_closed_forms(name, settings, values, mean, direction):
    curve = schedule(name, **settings)
    assert [curve(share) for share in (0, 0.25, 0.5, 1)] == pytest.approx(list(values), abs=1e-12)
    steps = [curve(Step(number=t, total=TOTAL).progress) for t in range(TOTAL)]
    assert sum(steps) / TOTAL == pytest.approx(mean, abs=1 / TOTAL)
    rises = {math.copysign(1, b - a) for a, b in itertools.pairwise(steps) if b != a}
    assert rises == {0: set(), 1: {1.0}, -1: {-1.0}, None: {1.0, -1.0}}[direction]


@pytest.mark.parametrize(
    "masker",
    [RandomMasker(), TokenMasker("stochastic"), WholeWordMasker(), SpanMasker()],
    ids=["random", "tokens", "whole-word", "spans"],
)
def test_a_constant_ratio_through_the_objective_is_the_masker_alone(masker):
    subject = model(masker=masker, ratio=0.3)
    batch = batch_of(subject, list(items_of(sentences(), "test", Step())))
    step = Step(seed=5, number=7, total=9)
    alone = choose(subject.encoder, masker, schedule("constant", value=0.3), batch, step)
    units = subject.encoder.units(batch)
    units = type(units)(units.valid, units.grid, units.position, units.rows, {"word": batch["word"]})
    direct = masker(units, torch.full((6,), 0.3, dtype=torch.float64), step)
    assert torch.equal(subject.choose(batch, step), direct)
    assert torch.equal(alone, direct)
    assert not torch.equal(subject.choose(batch, step.at(8)), direct)


def test_the_ratio_follows_the_number_of_the_step():
    subject = model(ratio={"use": "mrd-linear", "p": 0.25}, floor=0.05)
    batch = many_tokens(subject, rows=4, length=102)
    hidden = [subject.choose(batch, Step(seed=1, number=t, total=10)).sum(dim=1) for t in (0, 2, 5, 9, 10)]
    assert [set(count.tolist()) for count in hidden] == [{50}, {40}, {25}, {5}, {5}]


def test_a_schedule_that_is_over_stays_at_its_end_and_says_so_once():
    subject = model(ratio={"use": "mrd-linear", "p": 0.25}, floor=0.05)
    batch = many_tokens(subject, rows=4, length=102)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as Python starts: a text is shown once
        hidden = [
            subject.choose(batch, Step(number=number, total=10)).sum(dim=1) for number in (10, 11, 30, 31)
        ]
    assert [set(count.tolist()) for count in hidden] == [{5}] * 4
    assert [str(warning.message) for warning in caught] == [
        "a schedule of 10 steps is asked for later ones: it stays at its end value, 0.05; give Step the total of the "
        "whole training"
    ]


@pytest.mark.parametrize("ratio", [0.3, "cosine-of-uniform"])
def test_a_ratio_that_does_not_move_has_no_end(ratio):
    subject = model(ratio=ratio)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        subject.choose(many_tokens(subject, rows=2, length=20), Step(number=30, total=10))
    assert caught == []


def test_cap_and_floor_hold_a_row_that_has_its_own_ratio_too():
    subject = model(ratio="cosine-of-uniform", floor=0.4, cap=0.6)
    counts = subject.choose(many_tokens(subject, rows=60, length=102), Step(seed=1)).sum(dim=1)
    assert int(counts.min()) == 40 and int(counts.max()) == 60 and len(counts.unique()) > 3


def test_a_token_of_each_text_is_hidden_at_least_unless_told_otherwise():
    subject = model(ratio=0.02)
    batch = batch_of(subject, list(items_of(sentences(), "test", Step()))[:5])
    assert subject.choose(batch, Step()).sum(dim=1).tolist() == [1] * 5  # 0.02 of 11 is no token
    bare = model(ratio=0.02, at_least_one=False)
    assert not bool(bare.choose(batch, Step()).any())
    kept = model(ratio=0.3)
    both = kept.choose(batch, Step())
    assert torch.equal(both, model(ratio=0.3, at_least_one=False).choose(batch, Step()))
    places = {tuple(subject.choose(batch, Step(number=t)).long().argmax(dim=1).tolist()) for t in range(5)}
    assert len(places) == 5, "another one at each step"
