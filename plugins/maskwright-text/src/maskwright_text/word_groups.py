"""Tokens that are hidden together: whole words, or single tokens; and the walk that fills a budget with them.

`G` is the most groups that a row of the batch has. A row's groups are numbered from 0 in reading order; what a row has
fewer of is a group of size 0.
"""

import attrs
import torch
from torch import Tensor

from maskwright_torch.contracts import Units

NONE = -1
"""The group of a token that belongs to none: padding and special tokens."""


@attrs.frozen(eq=False)
class Groups:
    """How the tokens of each row fall into groups of neighbours."""

    of: Tensor
    """int64 (B, N): the group of each token, or NONE."""
    sizes: Tensor
    """int64 (B, G): tokens in each group."""

    def tokens(self, values: Tensor, without: int | bool = False) -> Tensor:
        """What the groups (B, G) have, given to their tokens (B, N); `without` for tokens in no group."""
        return values.gather(1, self.of.clamp(min=0)).masked_fill(self.of < 0, without)

    def means(self, values: Tensor) -> Tensor:
        """float64 (B, G): the mean of the tokens' values (B, N) in each group; 0 in an empty one."""
        inside = values.double().masked_fill(self.of < 0, 0.0)
        sums = torch.zeros(self.sizes.shape, dtype=torch.float64, device=values.device)
        return sums.scatter_add_(1, self.of.clamp(min=0), inside) / self.sizes.clamp(min=1)

    def ahead(self) -> Tensor:
        """int64 (B, G): groups from this one on, itself counted, that follow without a gap between their tokens."""
        count = self.of.shape[1]
        place = torch.arange(count, device=self.of.device).expand_as(self.of)
        # Tokens in no group go to a column that is cut off again.
        column = torch.where(self.of < 0, self.sizes.shape[1], self.of)
        first = torch.full((len(self.of), self.sizes.shape[1] + 1), count, device=self.of.device)
        first = first.scatter_reduce(1, column, place, "amin")[:, :-1]
        after = first + self.sizes
        number = torch.arange(self.sizes.shape[1], device=self.of.device).expand_as(self.sizes)
        # The last group is the end of its line, and each one that the next does not touch.
        ends = torch.ones_like(self.sizes, dtype=torch.bool)
        ends[:, :-1] = after[:, :-1] != first[:, 1:]
        end = torch.where(ends, number, self.sizes.shape[1]).flip(1).cummin(dim=1).values.flip(1)
        return end - number + 1


def groups_of(units: Units, whole_words: bool) -> Groups:
    """Whole words by the feature `word`, or each valid token for itself.

    A word is a run of neighbours with one number: a special token within it would part it in two.
    """
    starts = units.valid.clone()
    if whole_words:
        word = units.features["word"]
        starts[:, 1:] &= (word[:, 1:] != word[:, :-1]) | ~units.valid[:, :-1]
    of = (starts.cumsum(dim=1) - 1).masked_fill(~units.valid, NONE)
    count = max(int(of.max()) + 1, 1)
    sizes = torch.zeros(len(of), count, dtype=torch.int64, device=of.device)
    return Groups(of, sizes.scatter_add_(1, of.clamp(min=0), units.valid.long()))


def fill_budget(scores: Tensor, sizes: Tensor, budget: Tensor, at_least_one: bool = True) -> Tensor:
    """bool (B, G): groups taken by a walk in rising order of score that skips what no longer fits into the budget.

    `scores` (B, G), `sizes` int64 (B, G), `budget` int64 (B,) in tokens. `at_least_one`: where every group is larger
    than a budget above 0, the first of the walk is taken whole.

    What is left only shrinks, so a group that does not fit now never will. All groups before the first that overflows
    are therefore taken at once, and the next pass goes on without those that have become too large.
    """
    order = scores.masked_fill(sizes == 0, torch.inf).argsort(dim=1, stable=True)
    walk = sizes.gather(1, order)
    taken = torch.zeros_like(walk, dtype=torch.bool)
    left = budget
    while True:
        fits = (walk <= left[:, None]) & (walk > 0) & ~taken
        now = fits & ((walk * fits).cumsum(dim=1) <= left[:, None])
        if not bool(now.any()):
            break
        taken |= now
        left = left - (walk * now).sum(dim=1)
    if at_least_one:
        taken[:, 0] |= (budget > 0) & (walk[:, 0] > 0) & ~taken.any(dim=1)
    return torch.zeros_like(taken).scatter_(1, order, taken)
