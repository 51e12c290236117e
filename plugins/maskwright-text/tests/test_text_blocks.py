"""Blocks of the pseudo-masked language model: lengths, order, borders, and equality with plain drawing."""

import math

import pytest
import torch
from text_units import SPECIAL, chi_square, ratio, same_rows, texts, words_in
from torch import Tensor

from maskwright import Step
from maskwright_text.pmlm_blocks import AT_A_TIME, PATIENCE, BlockwiseMasker, order_blocks
from maskwright_torch.noise import uniform

STEP = Step(seed=5, number=2, total=10)

SHARES = [0.0, 0.02, 0.15, 0.5, 0.9, 1.0]


def blocks_of(row: Tensor) -> list[list[int]]:
    """Places of each block in their order."""
    return [(row == number).nonzero()[:, 0].tolist() for number in range(int(row.max()) + 1)]


@pytest.mark.parametrize("share", SHARES)
def test_as_many_tokens_as_asked_and_less_than_one_block_more(share: float):
    units, masker = texts(60), BlockwiseMasker(whole_words=False)
    blocks = masker.blocks(units, ratio(share, units), STEP)
    assert not bool((blocks >= 0)[~units.valid].any()), "never a special token"
    assert torch.equal(masker(units, ratio(share, units), STEP), blocks >= 0)
    for row, valid in zip(blocks, units.valid.sum(dim=1).tolist(), strict=True):
        found = int((row >= 0).sum())
        assert share * valid - 1e-9 <= found < share * valid + 6
        assert share or not found
        for block in blocks_of(row):
            assert 1 <= len(block) <= 6
            assert block == list(range(block[0], block[-1] + 1)), "neighbours"


def test_seven_of_a_hundred_are_seven():
    """0.07 * 100 is a little above 7 in floating point."""
    units = same_rows(list(range(100)), 20)
    single = BlockwiseMasker(ngram_prob=0.0, whole_words=False)
    assert set(single(units, ratio(0.07, units), STEP).sum(dim=1).tolist()) == {7}


@pytest.mark.parametrize("share", SHARES)
def test_blocks_of_words_hold_whole_words(share: float):
    units = texts(60)
    blocks = BlockwiseMasker().blocks(units, ratio(share, units), STEP)
    longest = 0
    for row in range(len(blocks)):
        words = words_in(units, row)
        assert all(len({int(blocks[row, place]) for place in word}) == 1 for word in words)
        assert int((blocks[row] >= 0).sum()) >= share * float(units.valid[row].sum()) - 1e-9
        of_word = [int(blocks[row, word[0]]) for word in words]
        longest = max([longest, *(of_word.count(number) for number in set(of_word) - {-1})])
    assert longest == 0 if share == 0 else 2 <= longest <= 6


def plain_blocks(
    groups: list[list[int]], starts: list[float], lengths: list[int], rest: list[float], wanted: float
) -> list[list[int]]:
    """Blocks one after the other as the paper draws them; then what is missing, group by group."""
    blocks: list[list[int]] = []
    hidden: set[int] = set()
    for draw, length in zip(starts, lengths, strict=True):
        if len(hidden) >= wanted:
            return blocks
        first = int(draw * len(groups))
        block = list(groups[first])
        for group in groups[first + 1 : first + length]:
            if group[0] != block[-1] + 1:  # a special token between them
                break
            block += group
        if not hidden.intersection(block):
            blocks.append(block)
            hidden.update(block)
    for number in sorted(range(len(groups)), key=lambda number: rest[number]):
        if len(hidden) < wanted and not hidden.intersection(groups[number]):
            blocks.append(groups[number])
            hidden.update(groups[number])
    return blocks


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("share", SHARES)
def test_blocks_equal_plain_drawing(whole_words: bool, share: float):
    units, masker = texts(30), BlockwiseMasker(whole_words=whole_words)
    blocks = masker.blocks(units, ratio(share, units), STEP)
    parts = [STEP.fork(str(part)) for part in range(PATIENCE * 48 // AT_A_TIME + 1)]
    starts = torch.cat([uniform(part.stream("starts"), units.rows, AT_A_TIME) for part in parts], dim=1)
    draws = torch.cat([uniform(part.stream("lengths"), units.rows, AT_A_TIME) for part in parts], dim=1)
    lengths, rest = masker.lengths(draws), uniform(STEP.stream("rest"), units.rows, 48)
    for row in range(len(blocks)):
        groups = words_in(units, row)
        if not whole_words:
            groups = [[place] for group in groups for place in group]
        most = PATIENCE * len(groups)
        columns = (starts[row, :most].tolist(), lengths[row, :most].tolist(), rest[row].tolist())
        wanted = share * float(units.valid[row].sum()) - 1e-9
        assert blocks_of(blocks[row]) == plain_blocks(groups, *columns, wanted)


def test_six_in_ten_blocks_are_of_one_word_and_longer_ones_equally_long():
    counts = torch.bincount(BlockwiseMasker().lengths(uniform(1, torch.arange(1000), 100)).flatten())
    shares = torch.tensor([0.6, 0.08, 0.08, 0.08, 0.08, 0.08], dtype=torch.float64)
    assert counts[0] == 0
    # 5 degrees of freedom, at the 1e-4 level.
    assert chi_square(counts[1:], shares) < 25.8


@pytest.mark.parametrize(
    ("settings", "lengths"),
    [((0.0, 2, 6), {1}), ((1.0, 2, 6), {2, 3, 4, 5, 6}), ((1.0, 3, 3), {3}), ((0.5, 4, 5), {1, 4, 5})],
)
def test_lengths_follow_the_settings(settings: tuple[float, int, int], lengths: set[int]):
    assert (
        set(BlockwiseMasker(*settings).lengths(uniform(1, torch.arange(9), 500)).flatten().tolist())
        == lengths
    )


def test_the_first_block_starts_anywhere():
    units = same_rows([SPECIAL, *range(8), SPECIAL], 20_000)
    blocks = BlockwiseMasker().blocks(units, ratio(0.1, units), STEP)
    first = (blocks == 0).to(torch.uint8).argmax(dim=1)
    counts = torch.bincount(first, minlength=10)
    assert counts[0] == counts[9] == 0
    # 7 degrees of freedom, at the 1e-4 level.
    assert chi_square(counts[1:9], torch.full((8,), 1 / 8)) < 29.9


def test_long_texts_end_at_every_ratio():
    units = same_rows(list(range(512)), 4)
    for share in (0.95, 1.0):
        blocks = BlockwiseMasker().blocks(units, ratio(share, units), STEP)
        assert bool(((blocks >= 0).sum(dim=1) >= math.ceil(share * 512)).all())


# -- masks of others -----------------------------------------------------------------------------------------

MASK = torch.tensor([[0, 1, 1, 0, 1, 0, 1, 1, 1, 0], [1] * 10, [0] * 10, [1, 0] * 5]).bool()
ROWS = torch.tensor([8, 1, 5, 2])


def test_runs_of_hidden_tokens_are_blocks_from_left_to_right():
    assert order_blocks(MASK, "left-to-right", ROWS, STEP).tolist() == [
        [-1, 0, 0, -1, 1, -1, 2, 2, 2, -1],
        [0] * 10,
        [-1] * 10,
        [0, -1, 1, -1, 2, -1, 3, -1, 4, -1],
    ]


def test_all_hidden_tokens_can_be_one_block():
    assert torch.equal(order_blocks(MASK, "single", ROWS, STEP), torch.where(MASK, 0, -1))


def test_runs_are_put_into_a_random_order_of_the_rows_own():
    found = order_blocks(MASK, "random", ROWS, STEP)
    assert torch.equal(found >= 0, MASK)
    alone = [order_blocks(MASK[[row]], "random", ROWS[[row]], STEP)[0] for row in range(4)]
    assert torch.equal(torch.stack(alone), found)
    three = order_blocks(MASK[:1].expand(30_000, -1), "random", torch.arange(30_000), STEP)
    assert bool((three[:, 1] == three[:, 2]).all() & (three[:, 6] == three[:, 8]).all())
    orders = three[:, 1] * 9 + three[:, 4] * 3 + three[:, 6]
    counts = torch.bincount(orders)[[5, 7, 11, 15, 19, 21]]  # 012, 021, 102, 120, 201, 210
    assert int(counts.sum()) == 30_000
    assert chi_square(counts, torch.full((6,), 1 / 6)) < 25.8


def test_order_depends_on_the_step():
    one, two = (order_blocks(MASK, "random", ROWS, STEP.at(number)) for number in (0, 1))
    assert not torch.equal(one, two)
