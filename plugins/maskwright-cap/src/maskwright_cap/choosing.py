"""Which units are pruned next: scores of all layers in one row, shown to a masker as units that can be hidden."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.ranks import Ranks


class Lowest(nn.Module):
    """Hides the units of lowest score, an exact number of them; of equal ones the first."""

    features = ("score",)

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return hide_lowest(units.features["score"], units.valid, counts_of(ratio, units.valid))


def hidden_of(masker: Any, scores: Tensor, valid: Tensor, count: int, step: Step) -> Tensor:
    """bool (N,): `count` of the valid units, chosen by the masker."""
    possible = int(valid.sum())
    if count <= 0 or possible == 0:
        return torch.zeros_like(valid)
    row = torch.zeros(1, dtype=torch.int64, device=scores.device)
    index = torch.arange(len(scores), device=scores.device)
    units = Units(valid[None], (len(scores),), index, row, {"score": scores[None]})
    ratio = torch.tensor([min(count, possible) / possible], dtype=torch.float64, device=scores.device)
    return masker(units, ratio, step)[0]


def next_open(
    masker: Any, scores: Sequence[Tensor], opened: Sequence[Tensor], closed: int, floor: int, step: Step
) -> tuple[list[Tensor], int]:
    """(open units of each layer, how many are lacking): `closed` of all units closed, none opened again.

    `scores` and `opened` are (count,) for each layer. The `floor` best of the units that are still open stay in each
    layer: a unit that is closed may have the highest score and protects nothing.
    """
    may_go = []
    for score, is_open in zip(scores, opened, strict=True):
        best = score.masked_fill(~is_open, -torch.inf).topk(min(floor, int(is_open.sum()))).indices
        may_go.append(is_open.clone().index_fill_(0, best, False))
    before = torch.cat(list(opened))
    wanted = closed - int((~before).sum())
    gone = hidden_of(masker, torch.cat(list(scores)), torch.cat(may_go), wanted, step)
    now = before & ~gone
    lacking = max(closed - int((~now).sum()), 0)
    return list(now.split([len(score) for score in scores])), lacking


def share_of_true(chosen: Sequence[Tensor]) -> float:
    """Of all entries of some bool tensors."""
    return sum(int(one.sum()) for one in chosen) / max(sum(one.numel() for one in chosen), 1)


def agree(ranks: Ranks, chosen: Iterable[Tensor]) -> None:
    """In place, bool: what rank 0 has chosen. Elsewhere a last bit may have put two units in the other order."""
    if ranks.size > 1:
        for own in chosen:
            told = own.to(torch.uint8) * int(ranks.is_first)
            own.copy_(ranks.sum(told).bool())
