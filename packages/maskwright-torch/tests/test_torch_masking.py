"""hide_lowest, counts, ratios for rows, and the random masker."""

import pytest
import torch

from maskwright import Step, UserError, schedules
from maskwright_torch.contracts import Units
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.masking import counts_of, hide_lowest, positions_of, ratios, take
from maskwright_torch.noise import uniform

TRUE = torch.ones(1, 5, dtype=torch.bool)


def units(rows: int, count: int, valid: torch.Tensor | None = None) -> Units:
    real = valid if valid is not None else torch.ones(rows, count, dtype=torch.bool)
    return Units(real, (count,), torch.arange(count), torch.arange(rows))


@pytest.mark.parametrize(
    ("ratio", "count", "hidden"),
    [
        (0.7, 5, 4),
        (0.5, 5, 3),
        (0.1, 5, 1),
        (0.09, 5, 0),
        (0.9, 100, 90),
        (0.0, 5, 0),
        (1.0, 5, 5),
        (0.25, 2, 1),
    ],
)
def test_counts_round_half_up(ratio: float, count: int, hidden: int):
    valid = torch.ones(1, count, dtype=torch.bool)
    assert counts_of(torch.tensor([ratio], dtype=torch.float64), valid).tolist() == [hidden]


def test_ratios_are_counted_in_float64():
    """In float32 0.7 * 5 + 0.5 is 3.9999998: the row would hide 3."""
    assert ratios(schedules.constant(0.7), Step(), torch.arange(2)).dtype == torch.float64


def test_the_lowest_valid_units_are_hidden():
    scores = torch.tensor([[5.0, 1.0, 4.0, 2.0, 3.0]])
    assert hide_lowest(scores, TRUE, torch.tensor([2])).tolist() == [[False, True, False, True, False]]
    valid = torch.tensor([[True, False, True, True, True]])
    assert hide_lowest(scores, valid, torch.tensor([2])).tolist() == [[False, False, False, True, True]]


def test_ties_infinities_and_too_large_counts():
    scores = torch.tensor([[float("inf"), 0.0, 0.0, float("inf"), -1.0]])
    valid = torch.tensor([[False, True, True, True, True]])
    assert hide_lowest(scores, valid, torch.tensor([2])).tolist() == [[False, True, False, False, True]]
    assert hide_lowest(scores, valid, torch.tensor([9])).tolist() == valid.tolist()
    assert not hide_lowest(scores, valid, torch.tensor([0])).any()
    assert not hide_lowest(scores, torch.zeros_like(valid), torch.tensor([3])).any()


def test_what_is_not_a_number_is_hidden_last():
    scores = torch.tensor([[float("nan"), 3.0, float("inf"), 1.0]])
    every = torch.ones(1, 4, dtype=torch.bool)
    assert hide_lowest(scores, every, torch.tensor([2])).tolist() == [[False, True, False, True]]
    assert hide_lowest(scores, every, torch.tensor([4])).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_the_lowest_are_those_of_a_stable_sort(dtype):
    """Many ties, other counts in every row."""
    rows = torch.arange(40)
    scores = (uniform(1, rows, 30) * 8).floor().to(dtype)
    valid = uniform(2, rows, 30) < 0.7
    counts = torch.minimum(rows, valid.sum(dim=1))
    for row, found in enumerate(hide_lowest(scores, valid, rows)):
        places = [place for place in range(30) if valid[row, place]]
        places.sort(key=lambda place: float(scores[row, place]))
        assert found.nonzero()[:, 0].tolist() == sorted(places[: counts[row]])


def test_positions_and_take():
    mask = torch.tensor([[True, False, True], [False, True, True]])
    index = positions_of(mask)
    assert index.tolist() == [[0, 2], [1, 2]]
    values = torch.arange(12.0).view(2, 3, 2)
    expected = [[[0.0, 1.0], [4.0, 5.0]], [[8.0, 9.0], [10.0, 11.0]]]
    assert take(values, index).tolist() == expected
    assert take(values.requires_grad_(), index).tolist() == expected


def test_rows_with_different_counts_are_refused():
    with pytest.raises(UserError, match="different numbers of visible units: 1 to 2"):
        positions_of(torch.tensor([[True, False], [True, True]]))


def test_random_masker_counts_and_uniformity():
    rows, count, draws = 50, 20, 40
    masker, ratio = RandomMasker(), torch.full((rows,), 0.75, dtype=torch.float64)
    hidden = torch.stack([masker(units(rows, count), ratio, Step(1, n, draws)) for n in range(draws)])
    assert (hidden.sum(dim=-1) == 15).all()
    share = hidden.double().mean(dim=(0, 1))  # of 2000 draws for each unit
    assert float((share - 0.75).abs().max()) < 4 * (0.75 * 0.25 / (rows * draws)) ** 0.5


@pytest.mark.parametrize(
    ("count", "ratio", "kept"), [(100, 0.9, 9), (16, 0.95, 0), (196, 0.75, 49), (16, 0.75, 4)]
)
def test_upstream_rounding_keeps_what_the_official_code_keeps(count: int, ratio: float, kept: int):
    masker = RandomMasker("upstream")
    hidden = masker(units(1, count), torch.tensor([ratio], dtype=torch.float64), Step())
    assert int((~hidden).sum()) == kept == int(count * (1 - ratio))


def test_per_row_schedules_see_each_rows_own_draw():
    schedule = schedules.cosine_of_uniform(1e-10)
    step, rows = Step(3, 5, 10), torch.arange(40)
    found = ratios(schedule, step, rows)
    draws = uniform(step.stream("ratio"), rows, 1)[:, 0]
    assert found.tolist() == [schedule(step.progress, u) for u in draws.tolist()]
    assert len(set(found.tolist())) == 40
    halves = torch.cat([ratios(schedule, step, rows[:13]), ratios(schedule, step, rows[13:])])
    assert torch.equal(halves, found)


def test_a_schedule_of_progress_is_asked_once_for_all_rows():
    found = ratios(schedules.linear(0.2, 0.4), Step(0, 5, 10), torch.arange(3))
    assert found.tolist() == [pytest.approx(0.3)] * 3
