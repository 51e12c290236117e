"""Beam search: the best few beginnings are gone on with, as long as one of them may still become a better text."""

import torch
from torch import Tensor

from maskwright_text.choosing import Rules, Written, penalty
from maskwright_text.writers import Writer


def beam_search(
    writer: Writer, rules: Rules, beam: int, length_penalty: float, limit: int
) -> list[list[Written]]:
    """For each item up to `beam` texts, best first; those that were cut at the limit last.

    The writer has a row for each item; here it gets `beam` rows for each. A beam of 1 takes the likeliest token.
    """
    items, device = len(writer.source), writer.source.device
    first = torch.arange(items, device=device) * beam
    writer.select(torch.arange(items, device=device).repeat_interleave(beam))
    texts = torch.zeros(items * beam, 0, dtype=torch.int64, device=device)
    # All beginnings of an item are the same, the empty one: only the first is gone on with.
    sums = torch.full((items, beam), -torch.inf, dtype=torch.float64, device=device)
    sums[:, 0] = 0.0
    ended: list[list[Written]] = [[] for _ in range(items)]
    for place in range(limit):
        log_probs = rules(writer.next(texts), place, texts).double()
        size = log_probs.shape[1]
        totals = (sums[:, :, None] + log_probs.view(items, beam, size)).flatten(1)
        # Each beginning ends in one way, so twice the beam leaves enough that go on.
        best, choice = totals.topk(min(2 * beam, totals.shape[1]), dim=1)
        origin, token = choice.div(size, rounding_mode="floor") + first[:, None], choice % size
        _take_ended(ended, texts, best[:, :beam], origin, token, rules.sep, length_penalty)
        best = best.masked_fill(token == rules.sep, -torch.inf)
        sums, rank = best.topk(beam, dim=1)
        # A sum can only fall, and is divided by no more than at the limit.
        reachable = sums[:, :1] / penalty(limit, length_penalty)
        worst = [found[-1].score if len(found) == beam else -torch.inf for found in ended]
        sums = sums.masked_fill(reachable <= sums.new_tensor(worst)[:, None], -torch.inf)
        rows = origin.gather(1, rank).flatten()
        texts = torch.cat([texts[rows], token.gather(1, rank).view(-1, 1)], dim=1)
        if not bool((sums > -torch.inf).any()):
            break
        writer.select(rows)
    return [
        found + _cut(texts[start : start + beam], own, length_penalty)[: beam - len(found)]
        for found, own, start in zip(ended, sums.tolist(), first.tolist(), strict=True)
    ]


def _take_ended(
    ended: list[list[Written]],
    texts: Tensor,
    best: Tensor,
    origin: Tensor,
    token: Tensor,
    end: int,
    length_penalty: float,
) -> None:
    """Texts whose end is among the best `beam` ways to go on: `best` (B, beam) are their log-probabilities.

    The `beam` texts of an item with the best scores stay. An end that is a less likely way is none: else a model that
    is a little unsure at every token would write nothing at all.
    """
    beam, scale = best.shape[1], penalty(texts.shape[1] + 1, length_penalty)
    for item, rank in ((token[:, :beam] == end) & (best > -torch.inf)).nonzero().tolist():
        text = texts[int(origin[item, rank])].tolist()
        ended[item].append(Written(text, float(best[item, rank]) / scale, True))
    ended[:] = [_ranked(found)[:beam] for found in ended]


def _cut(texts: Tensor, sums: list[float], length_penalty: float) -> list[Written]:
    """What had not ended at the limit."""
    scale = penalty(texts.shape[1], length_penalty)
    pairs = zip(texts.tolist(), sums, strict=True)
    return _ranked([Written(text, total / scale, False) for text, total in pairs if total > -torch.inf])


def _ranked(found: list[Written]) -> list[Written]:
    return sorted(found, key=lambda text: -text.score)
