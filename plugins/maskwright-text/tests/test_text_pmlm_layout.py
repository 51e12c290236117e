"""The extended input of PMLM: the example of the paper's figure by hand, the table of who reads whom, bad blocks."""

import pytest
import torch
from text_pmlm_cases import BLOCKS, blocks_of, texts

from maskwright import UserError
from maskwright_text.pseudo_layout import (
    CONTEXT,
    ORIGINAL,
    PADDING,
    PSEUDO,
    PseudoLayout,
    check_blocks,
    numbered,
    pseudo_layout,
)


def layout_of(blocks: list[list[int]], count: int, keep_last: bool = False) -> PseudoLayout:
    return pseudo_layout(
        blocks_of([blocks], count), torch.ones(1, count, dtype=torch.bool), keep_last=keep_last
    )


def test_six_tokens_in_two_blocks():
    found = layout_of([[3, 4], [1]], 6)
    assert found.context == 6
    assert found.place.tolist() == [[0, 1, 2, 3, 4, 5, 3, 4, 3, 4, 1]]
    assert found.kind.tolist() == [[CONTEXT] * 6 + [PSEUDO] * 2 + [ORIGINAL] * 2 + [PSEUDO]]
    assert found.block.tolist() == [[-1, 1, -1, 0, 0, -1, 0, 0, 0, 0, 1]]
    assert found.predicts.tolist() == [
        [False, True, False, True, True] + [False] + [True] * 2 + [False] * 2 + [True]
    ]
    appendix = ["00000"] * 6 + ["11000"] * 2 + ["00110"] * 2 + ["00111"]
    assert found.attend()[0].int().tolist() == [[int(read) for read in "111111" + row] for row in appendix]


def test_originals_of_the_last_block_on_request():
    found = layout_of([[3, 4], [1]], 6, keep_last=True)
    assert found.place[0, 6:].tolist() == [3, 4, 3, 4, 1, 1]
    assert found.kind[0, 6:].tolist() == [PSEUDO] * 2 + [ORIGINAL] * 2 + [PSEUDO, ORIGINAL]
    assert found.attend()[0, -1, 6:].tolist() == [False, False, True, True, False, True]


def may_read(layout: PseudoLayout, row: int, reader: int, other: int) -> bool:
    """The table of the paper, one pair at a time."""
    kinds, blocks = layout.kind[row].tolist(), layout.block[row].tolist()
    if PADDING in (kinds[reader], kinds[other]):
        return reader == other
    if kinds[other] == CONTEXT:
        return True
    if kinds[reader] == CONTEXT:
        return False
    s, t = blocks[reader], blocks[other]
    if kinds[reader] == PSEUDO:
        return s == t if kinds[other] == PSEUDO else t < s
    return kinds[other] == ORIGINAL and t <= s


def test_the_table_pair_by_pair_in_rows_of_different_length():
    real = texts((10, 9, 11))["real"]
    layout = pseudo_layout(blocks_of(BLOCKS, 11), real)
    attend = layout.attend()
    by_hand = [
        [[may_read(layout, row, i, j) for j in range(attend.shape[2])] for i in range(attend.shape[1])]
        for row in range(3)
    ]
    assert attend.tolist() == by_hand
    assert layout.kind[1, 11:].tolist() == [PSEUDO, ORIGINAL, PSEUDO] + [PADDING] * 5
    assert layout.kind[1, 9:11].tolist() == [PADDING] * 2
    assert layout.place[1, 11:].tolist() == [6, 6, 2, 0, 0, 0, 0, 0]


def test_nothing_hidden_has_no_appendix():
    layout = pseudo_layout(torch.full((2, 4), -1), torch.ones(2, 4, dtype=torch.bool))
    assert layout.kind.shape == (2, 4)
    assert not bool(layout.predicts.any())
    assert bool(layout.attend().all())


VALID = torch.tensor([[False, True, True, True, True, False]] * 2)


@pytest.mark.parametrize(
    ("rows", "what", "where"),
    [
        ([[-1, 0, -1, 0, -1, -1], [-1, 0, 2, -1, 2, -1]], "block 1 is empty", "row 1 of the batch"),
        ([[-1, 1, -1, 1, -1, -1], [-1, 0, 1, -1, 1, -1]], "block 0 is empty", "row 0 of the batch"),
        ([[-1, 0, -1, 1, -1, 1], [-1, 0, 1, -1, 1, -1]], "block 1 holds token 5, which may not be hidden", "row 0"),
        ([[-1, 0, -1, 1, -1, -1], [-1, 0, 1, -1, -2, -1]], "block -2 holds token 4, which", "row 1 of the batch"),
    ],
)  # fmt: skip
def test_blocks_that_cannot_be(rows: list[list[int]], what: str, where: str):
    with pytest.raises(UserError) as caught:
        check_blocks(torch.tensor(rows), VALID)
    assert caught.value.what.startswith(what)
    assert caught.value.where.startswith(where)
    assert "0, 1, 2 …, without a gap" in caught.value.cure


def test_sound_blocks_pass():
    check_blocks(torch.tensor([[-1, 1, 0, -1, 1, -1], [-1] * 6]), VALID)
    check_blocks(torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, 4, dtype=torch.bool))


def test_given_places_become_numbers():
    assert numbered([[3, 4], [1]], 6).tolist() == [[-1, 1, -1, 0, 0, -1]]


@pytest.mark.parametrize(
    ("blocks", "what"),
    [
        ([[3], []], "block 1 is empty"),
        ([[3], [2, 6]], "block 1 holds token 6, the text has tokens 0 to 5"),
        ([[-1]], "block 0 holds token -1, the text has tokens 0 to 5"),
        ([[3, 4], [1], [4]], "block 2 overlaps block 0: both hold token 4"),
    ],
)
def test_given_places_that_cannot_be(blocks: list[list[int]], what: str):
    with pytest.raises(UserError) as caught:
        numbered(blocks, 6)
    assert caught.value.what == what and caught.value.where == "blocks" and caught.value.cure
