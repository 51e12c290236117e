"""One pass for both losses of PMLM (UniLMv2, arXiv:2002.12804): the text, and behind it an appendix, block by block.

The appendix has a pseudo mask and the original for each hidden token, both at the token's own position; the originals
of the last block are left out, nobody reads them. Who reads whom:

    reader               context    pseudo masks of block t    originals of block t
    context              yes        no                         no
    pseudo mask of s     yes        t = s                      t < s
    original of s        yes        no                         t <= s
    padding              nothing but itself

`B` rows, `N` tokens of the text, `M` tokens with the appendix. Blocks are int64 (B, N): the number of the block of each
hidden token, from 0 in the order of prediction, NONE for the others.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_text.word_groups import NONE

CONTEXT, PSEUDO, ORIGINAL, PADDING = range(4)

_NUMBERING = (
    "numbers of the blocks of a row are 0, 1, 2 …, without a gap, and -1 for tokens that are not hidden"
)


@attrs.frozen(eq=False)
class PseudoLayout:
    """What stands where in the extended input, int64 (B, M) each."""

    place: Tensor
    """The place in the text, which is the position for the encoder; 0 for padding of the appendix."""
    kind: Tensor
    """CONTEXT, PSEUDO, ORIGINAL or PADDING."""
    block: Tensor
    """The block that a token belongs to; NONE for visible ones and padding."""
    context: int
    """N: the text itself comes first."""

    @property
    def predicts(self) -> Tensor:
        """bool (B, M): where a token is predicted, at the hidden tokens of the text and at pseudo masks."""
        return (self.block != NONE) & (self.kind != ORIGINAL)

    def attend(self) -> Tensor:
        """bool (B, M, M): row reads column, by the table above.

        Reading goes by level: the text is level -1, the originals of block s are level s, and each reader has a limit.
        What has no level is read by its own group only: the pseudo masks of a block, or a single padding.
        """
        pseudo, padding = self.kind == PSEUDO, self.kind == PADDING
        own = torch.arange(self.kind.shape[1], device=self.kind.device)
        step = self.block.masked_fill(self.kind == CONTEXT, -1)
        level = step.masked_fill(pseudo | padding, len(own))
        limit = (step - pseudo.long()).masked_fill(padding, -2)
        group = torch.where(pseudo, self.block, -1 - own)
        return (level[:, None, :] <= limit[:, :, None]) | (group[:, None, :] == group[:, :, None])


def pseudo_layout(blocks: Tensor, real: Tensor, *, keep_last: bool = False) -> PseudoLayout:
    """The layout of blocks (B, N) in texts whose tokens are `real`, bool (B, N).

    `keep_last`: the originals of the last block too, as a sequence-to-sequence layout has them.
    """
    count = blocks.shape[1]
    # Two candidates a token: its pseudo mask, then its original.
    place = torch.arange(2 * count, device=blocks.device)
    original = place >= count
    block = blocks.repeat(1, 2)
    wanted = block != NONE
    if not keep_last:
        wanted &= ~original | (block < blocks.amax(dim=1, keepdim=True))
    rank = (2 * block + original) * count + place % count
    rank = rank.masked_fill(~wanted, torch.iinfo(torch.int64).max)
    most = int(wanted.sum(dim=1).max()) if len(blocks) else 0
    chosen = rank.argsort(dim=1)[:, :most]
    kept = wanted.gather(1, chosen)
    kind = torch.where(original[chosen], ORIGINAL, PSEUDO).masked_fill(~kept, PADDING)
    text = torch.arange(count, device=blocks.device).expand_as(blocks)
    return PseudoLayout(
        place=torch.cat([text, (chosen % count).masked_fill(~kept, 0)], dim=1),
        kind=torch.cat([torch.where(real, CONTEXT, PADDING), kind], dim=1),
        block=torch.cat([blocks, block.gather(1, chosen).masked_fill(~kept, NONE)], dim=1),
        context=count,
    )


def check_blocks(blocks: Tensor, valid: Tensor) -> None:
    """UserError that names the first block which is empty, or holds a token that may not be hidden.

    `valid` bool (B, N): tokens that may be.
    """
    wrong = ((blocks != NONE) & ~valid) | (blocks < NONE)
    if bool(wrong.any()):
        row, place = wrong.nonzero()[0].tolist()
        number = int(blocks[row, place])
        raise UserError(
            f"block {number} holds token {place}, which may not be hidden",
            where=f"row {row} of the batch",
            why=f"it is a special token or padding, or the number is below {NONE}",
            cure=f"a masker whose blocks keep to units.valid; {_NUMBERING}",
        )
    count = int(blocks.max()) + 1 if blocks.numel() else 0
    found = torch.zeros(len(blocks), count + 1, dtype=torch.bool, device=blocks.device)
    found.scatter_(1, blocks + 1, torch.ones_like(valid))
    number = torch.arange(count, device=blocks.device)
    empty = ~found[:, 1:] & (number <= blocks.amax(dim=1, keepdim=True))
    if bool(empty.any()):
        row, block = empty.nonzero()[0].tolist()
        raise UserError(f"block {block} is empty", where=f"row {row} of the batch", cure=_NUMBERING)


def numbered(blocks: Sequence[Sequence[int]], count: int) -> Tensor:
    """Places by block, in the order of prediction, in a text of `count` tokens -> int64 (1, count)."""
    made = torch.full((1, count), NONE)
    for number, places in enumerate(blocks):
        if not places:
            raise UserError(f"block {number} is empty", where="blocks", cure="give the places of its tokens")
        for place in places:
            if not 0 <= place < count:
                raise UserError(
                    f"block {number} holds token {place}, the text has tokens 0 to {count - 1}",
                    where="blocks",
                    cure="places counted from 0",
                )
            if int(made[0, place]) != NONE:
                raise UserError(
                    f"block {number} overlaps block {int(made[0, place])}: both hold token {place}",
                    where="blocks",
                    cure="each token in one block",
                )
            made[0, place] = number
    return made
