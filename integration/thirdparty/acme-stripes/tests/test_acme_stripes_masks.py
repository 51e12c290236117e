"""What the contracts cannot know: that what is hidden lies in stripes, and where."""

import itertools
import math

import pytest
import torch
from acme_stripes.params import Stripes

from maskwright.step import Step
from maskwright_torch.contracts import Units

STEP = Step(seed=5, number=1, total=10)
ROWS = 400


def masks(settings, grid, ratio, valid=None):
    """bool (ROWS, *grid)"""
    count = math.prod(grid)
    valid = torch.ones(ROWS, count, dtype=torch.bool) if valid is None else valid.expand(ROWS, count)
    units = Units(valid, grid, torch.arange(count), torch.arange(ROWS))
    share = torch.full((ROWS,), ratio, dtype=torch.float64)
    return settings.build()(units, share, STEP).view(ROWS, *grid)


def written(row):
    return "".join("#" if hidden else "." for hidden in row.tolist())


def test_stripes_in_a_line_are_regular_and_begin_anywhere():
    found = {written(row) for row in masks(Stripes(width=2, every=2), (12,), 0.5)}
    assert found == {"##..##..##..", "#..##..##..#", "..##..##..##", ".##..##..##."}


def test_one_run_in_three():
    found = {written(row) for row in masks(Stripes(width=1, every=3), (9,), 1 / 3)}
    assert found == {"#..#..#..", ".#..#..#.", "..#..#..#"}


def test_a_line_has_no_direction():
    one, two = (masks(Stripes(direction=word), (15,), 0.4) for word in ("vertical", "horizontal"))
    assert torch.equal(one, two)


@pytest.mark.parametrize(("direction", "axis"), [("vertical", 1), ("horizontal", 2)])
def test_on_a_grid_stripes_run_from_edge_to_edge(direction, axis):
    found = masks(Stripes(width=2, every=2, direction=direction), (8, 12), 0.5)
    across = found.select(axis, 0)
    assert torch.equal(found, across.unsqueeze(axis).expand_as(found))
    assert {int(row.sum()) for row in across} == {across.shape[1] // 2}
    assert len({written(row) for row in across}) == 4


def test_stripes_lie_on_the_grid_whatever_is_padding():
    """The second half of each row is no unit; the stripes of the first half are cut from the same pattern."""
    valid = torch.arange(24) < 12
    found = masks(Stripes(width=3, every=2), (24,), 0.5, valid)
    assert not found[:, 12:].any()
    assert {written(row[:12]) for row in found} == {
        "###...###...", "##...###...#", "#...###...##", "...###...###", "..###...###.", ".###...###..",
    }  # fmt: skip


def test_more_is_added_to_what_is_hidden_and_the_rest_comes_last():
    settings = Stripes(width=2, every=2)
    quarter, half, most = (masks(settings, (24,), ratio) for ratio in (0.25, 0.5, 0.75))
    assert not (quarter & ~half).any() and not (half & ~most).any()
    assert [int(found[0].sum()) for found in (quarter, half, most)] == [6, 12, 18]


def test_which_stripes_go_first_is_drawn_and_the_last_is_cut_at_its_end():
    found = {written(row) for row in masks(Stripes(width=4, every=2), (24,), 6 / 24)}
    for first in (0, 4):  # where the first whole stripe begins, of the offsets that cut none at the edges
        places = range(first, 24, 8)
        for whole, part in itertools.permutations(places, 2):
            hidden = {*range(whole, whole + 4), *range(part, part + 2)}
            assert "".join("#" if unit in hidden else "." for unit in range(24)) in found
