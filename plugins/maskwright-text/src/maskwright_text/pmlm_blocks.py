"""Blocks of tokens in the order in which they are predicted (UniLMv2, arXiv:2002.12804), for masks of its own or given.

Blocks are int64 (B, N): the number of the block that a token belongs to, from 0 in the order of prediction, or NONE
where it is not hidden.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_text.word_groups import NONE, Groups, groups_of
from maskwright_torch.contracts import Units
from maskwright_torch.noise import uniform

Order = Literal["random", "left-to-right", "single"]

PATIENCE = 2
"""Proposals for a row at most, for each of its groups; what is still missing then becomes blocks of one group."""

AT_A_TIME = 64
"""Proposals drawn at once."""

ROUNDING = 1e-9
"""0.07 * 100 is 7.000000000000001 and still asks for 7 tokens."""


class BlockwiseMasker(nn.Module):
    """Blocks from uniform starts, mostly of one word, some of several, until the ratio is reached.

    A block that would overlap an earlier one is given up. The order of drawing is the order of prediction. Blocks end
    at special tokens and at the end of the text.
    """

    def __init__(
        self, ngram_prob: float = 0.4, shortest: int = 2, longest: int = 6, whole_words: bool = True
    ) -> None:
        super().__init__()
        self.ngram_prob, self.shortest, self.longest = ngram_prob, shortest, longest
        self.whole_words = whole_words
        self.features = ("word",) if whole_words else ()

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return self.blocks(units, ratio, step) != NONE

    def blocks(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        """Number of each token's block, or NONE. At least ratio * valid tokens have one."""
        groups = groups_of(units, self.whole_words)
        wanted = (ratio * units.valid.sum(dim=1) - ROUNDING).ceil().long()
        blocks = self._drawn(groups, wanted, units.rows, step)
        order = uniform(step.stream("rest"), units.rows, blocks.shape[1])
        return groups.tokens(_filled_up(blocks, groups.sizes, wanted, order), without=NONE)

    def lengths(self, draws: Tensor) -> Tensor:
        """int64: 1, or with probability `ngram_prob` uniform on `shortest` to `longest`, from uniform draws."""
        choices = self.longest - self.shortest + 1
        several = self.shortest + (draws / max(self.ngram_prob, ROUNDING) * choices).floor().long()
        return torch.where(draws < self.ngram_prob, several.clamp(max=self.longest), 1)

    def _drawn(self, groups: Groups, wanted: Tensor, rows: Tensor, step: Step) -> Tensor:
        """int64 (B, G): blocks of groups, as long as there are fewer tokens in them than wanted, and patience."""
        count = (groups.sizes > 0).sum(dim=1)
        ahead = groups.ahead()
        longest = max(self.longest, 1)
        # Spare columns, so that a block may be looked up beyond the last group.
        sizes = nn.functional.pad(groups.sizes, (0, longest))
        blocks = torch.full_like(sizes, NONE)
        hidden, number = torch.zeros_like(wanted), torch.zeros_like(wanted)
        reach = torch.arange(longest, device=rows.device)
        for proposal in range(PATIENCE * groups.sizes.shape[1]):
            part = proposal % AT_A_TIME
            if part == 0:
                name = str(proposal // AT_A_TIME)
                starts = uniform(step.fork(name).stream("starts"), rows, AT_A_TIME)
                starts = (starts * count[:, None]).long()
                lengths = self.lengths(uniform(step.fork(name).stream("lengths"), rows, AT_A_TIME))
            active = (hidden < wanted) & (proposal < PATIENCE * count)
            if not bool(active.any()):
                break
            start = starts[:, part, None]
            length = torch.minimum(lengths[:, part, None], ahead.gather(1, start))
            place, inside = start + reach, reach < length
            before = blocks.gather(1, place)
            taken = active & ~((before != NONE) & inside).any(dim=1)
            blocks.scatter_(1, place, torch.where(taken[:, None] & inside, number[:, None], before))
            hidden += (sizes.gather(1, place) * inside).sum(dim=1) * taken
            number += taken
        return blocks[:, :-longest]


def _filled_up(blocks: Tensor, sizes: Tensor, wanted: Tensor, order: Tensor) -> Tensor:
    """Further blocks of one group each, by rising `order` (B, G), until as many tokens as wanted are in blocks."""
    free = (blocks == NONE) & (sizes > 0)
    missing = wanted - (sizes * (blocks != NONE)).sum(dim=1)
    if not bool((missing > 0).any()):
        return blocks
    walk = order.masked_fill(~free, torch.inf).argsort(dim=1, stable=True)
    size = (sizes * free).gather(1, walk)
    before = size.cumsum(dim=1) - size
    new = before < missing[:, None]  # never one that is not free: all free ones together are enough
    next_number = blocks.amax(dim=1, keepdim=True) + 1
    numbers = torch.where(new, next_number + new.cumsum(dim=1) - 1, blocks.gather(1, walk))
    return blocks.scatter(1, walk, numbers)


def order_blocks(hidden: Tensor, order: Order, rows: Tensor, step: Step) -> Tensor:
    """Blocks for a mask, bool (B, N), of any masker: each run of hidden neighbours is a block.

    `rows` (B,) are the identities of the rows. Order `single`: all hidden tokens are one block.
    """
    if order == "single":
        return hidden.long() - 1
    starts = hidden.clone()
    starts[:, 1:] &= ~hidden[:, :-1]
    number = (starts.cumsum(dim=1) - 1).masked_fill(~hidden, NONE)
    if order == "left-to-right":
        return number
    noise = uniform(step.stream("order"), rows, hidden.shape[1])
    count = number.amax(dim=1, keepdim=True) + 1
    # Runs that the row does not have come last.
    noise = torch.where(torch.arange(hidden.shape[1], device=rows.device) < count, noise, torch.inf)
    rank = noise.argsort(dim=1, stable=True).argsort(dim=1)
    return rank.gather(1, number.clamp(min=0)).masked_fill(~hidden, NONE)
