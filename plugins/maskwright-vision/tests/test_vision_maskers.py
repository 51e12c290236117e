"""Block, grid and fixed maskers: exact counts, shapes on the grid, chance."""

import math

import pytest
import torch
from torch import Tensor

from maskwright import Step, UserError
from maskwright_torch.contracts import Units
from maskwright_torch.maskers import RandomMasker
from maskwright_vision.maskers import BlockMasker, FixedMasker, GridMasker

STEP = Step(seed=4, number=1, total=10)


def units(grid: tuple[int, int], rows: int = 8) -> Units:
    count = grid[0] * grid[1]
    return Units(torch.ones(rows, count, dtype=torch.bool), grid, torch.arange(count), torch.arange(rows))


def ratio(value: float, rows: int = 8) -> Tensor:
    return torch.full((rows,), value, dtype=torch.float64)


@pytest.mark.parametrize(
    "masker", [RandomMasker(), BlockMasker(4, 0.3), GridMasker()], ids=["random", "blocks", "grid"]
)
@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (4, 6), (1, 9), (3, 3), (1, 1)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_counts_are_exact(masker: torch.nn.Module, grid: tuple[int, int], share: float):
    hidden = masker(units(grid), ratio(share), STEP)
    count = grid[0] * grid[1]
    assert hidden.sum(dim=1).tolist() == [math.floor(share * count + 0.5)] * 8
    assert torch.equal(hidden, masker(units(grid), ratio(share), STEP))


def test_kept_patches_are_uniform_over_the_grid():
    """chi-square of 2,000 draws of a random masker on 4 x 4, at the 1e-4 level."""
    masker, kept = RandomMasker(), torch.zeros(16)
    for number in range(20):
        kept += (~masker(units((4, 4), 100), ratio(0.75, 100), STEP.at(number))).sum(dim=0)
    expected = 2000 * 4 / 16
    # Without replacement: each count has variance n p (1 - p), and 16 counts have 15 free ones.
    chi = float(((kept - expected) ** 2 / (expected * 0.75)).sum() * 15 / 16)
    assert chi < 45


def edges(hidden: Tensor, grid: tuple[int, int]) -> float:
    """Borders between hidden and visible patches, for each picture."""
    g = hidden.view(-1, *grid)
    across = (g[:, :, 1:] != g[:, :, :-1]).sum() + (g[:, 1:] != g[:, :-1]).sum()
    return float(across) / len(g)


def test_blocks_have_shorter_borders_than_random_masks():
    grid = (14, 14)
    blocks = BlockMasker(16, 0.3)(units(grid, 50), ratio(0.5, 50), STEP)
    random = RandomMasker()(units(grid, 50), ratio(0.5, 50), STEP)
    assert edges(blocks, grid) < 0.45 * edges(random, grid)


def test_the_first_block_is_a_rectangle_of_the_asked_shape():
    grid = (14, 14)
    made = units(grid, 60)
    first = BlockMasker(16, 0.3).first_cover(made, torch.full((60,), 98), STEP).view(-1, *grid)
    for row in first:
        rows, columns = torch.nonzero(row == 0, as_tuple=True)
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert height * width == len(rows), "all of it is covered"
        assert 0.2 < height / width < 5
    assert len({tuple(torch.nonzero(row.flatten() == 0).flatten().tolist()) for row in first}) > 40


def test_the_grid_keeps_one_patch_of_each_square():
    hidden = GridMasker()(units((8, 8), 60), ratio(0.75, 60), STEP).view(-1, 8, 8)
    squares = hidden.unfold(1, 2, 2).unfold(2, 2, 2).flatten(3).sum(dim=-1)
    assert (squares == 3).all()
    assert len({tuple(row.flatten().tolist()) for row in hidden}) == 4, "shifted by one patch each way"
    half = GridMasker()(units((8, 8), 4), ratio(0.5, 4), STEP).view(-1, 8, 8)
    assert (half[:, :, 1:] != half[:, :, :-1]).all(), "half of them: a chess board"


def test_a_fixed_order_hides_the_highest_numbers():
    noise = [0.5, 0.1, 0.9, 0.9, 0.2, 0.7]
    hidden = FixedMasker(noise)(units((2, 3), 2), ratio(0.5, 2), STEP)
    assert hidden.tolist() == [[False, False, True, True, False, True]] * 2
    two = FixedMasker(noise)(units((2, 3), 1), ratio(1 / 6, 1), STEP)
    assert two.tolist() == [[False, False, False, True, False, False]], "of equal numbers the first stays"
    upstream = FixedMasker([float(i) for i in range(10)], "upstream")
    assert int(upstream(units((2, 5), 1), ratio(0.9, 1), STEP).sum()) == 10 - int(10 * (1 - 0.9))


def test_a_fixed_order_for_another_grid_is_one_clear_error():
    with pytest.raises(UserError, match="4 numbers are given for 6 patches") as caught:
        FixedMasker([1.0, 2.0, 3.0, 4.0])(units((2, 3)), ratio(0.5), STEP)
    assert caught.value.why == "the grid is 2 x 3"
