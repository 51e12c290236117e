"""Scores, then `hide_lowest`: random, block, weighted and magnitude masking are this one function."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.schedules import Curve
from maskwright.step import Step
from maskwright_torch.contracts import Batch, Encoder, Masker, Units
from maskwright_torch.noise import uniform


def counts_of(ratio: Tensor, valid: Tensor) -> Tensor:
    """int64 (B,): floor(ratio * valid + 0.5). `ratio` is float64: in float32 0.7 of 5 comes out as 3."""
    return torch.floor(ratio * valid.sum(dim=1) + 0.5).long()


def hide_lowest(scores: Tensor, valid: Tensor, counts: Tensor) -> Tensor:
    """bool (B, N): in each row the `counts` valid units with the lowest scores; of equal scores the first ones."""
    counts = torch.minimum(counts, valid.sum(dim=1))
    # Not a number comes last, as infinity does. What is not valid comes after the valid, whatever they score.
    scores = torch.where(valid & ~scores.isnan(), scores.detach(), torch.inf)
    last = _sorted(scores).gather(1, (counts - 1).clamp(min=0)[:, None])
    lower, equal = scores < last, (scores == last) & valid
    left = (counts - lower.sum(dim=1))[:, None]
    return lower | (equal & (equal.cumsum(dim=1) <= left))


def _sorted(scores: Tensor) -> Tensor:
    """Each row in rising order. On CPU numpy sorts several times faster than torch."""
    if scores.device.type != "cpu" or scores.dtype is torch.bfloat16:
        return scores.sort(dim=1).values
    return torch.from_numpy(np.sort(scores.numpy(), axis=1))


def positions_of(mask: Tensor, what: str = "visible") -> Tensor:
    """int64 (B, K): where each row of `mask` is True, in rising order. Every row must have as many as the others."""
    counts = mask.sum(dim=1)
    count = int(counts[0])
    if not bool((counts == count).all()):
        found = sorted(set(counts.tolist()))
        raise UserError(
            f"rows of one batch have different numbers of {what} units: {found[0]} to {found[-1]}",
            why="an encoder that drops hidden units needs equal counts in all rows",
            cure="use a masker with an exact count and a ratio that is the same for all rows, or an encoder with "
            "hides:replace",
        )
    return (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]


def take(values: Tensor, index: Tensor) -> Tensor:
    """`values` (B, N, D) at `index` (B, K) -> (B, K, D)."""
    if values.requires_grad:  # its backward pass adds up in a fixed order
        return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
    first = torch.arange(len(values), device=index.device)[:, None] * values.shape[1]
    rows = values.reshape(-1, values.shape[-1]).index_select(
        0, (index + first).flatten()
    )  # whole rows at a time
    return rows.view(*index.shape, values.shape[-1])


Schedule = Callable[..., float]


def ratios(schedule: Schedule, step: Step, rows: Tensor) -> Tensor:
    """float64 (B,): the schedule's value for each row; a `per-row` schedule sees a draw of the row's own.

    Beyond the last step it stays at its end; who trains on in a loop of their own is told, once.
    """
    if step.number > step.total and _moves(schedule):
        warnings.warn(
            f"a schedule of {step.total} steps is asked for later ones: it stays at its end value, "
            f"{schedule(1.0, 0.5):g}; give Step the total of the whole training",
            stacklevel=2,
        )
    if isinstance(schedule, Curve):  # a function of progress alone
        return torch.full(rows.shape, schedule(step.progress), dtype=torch.float64, device=rows.device)
    draws = uniform(step.stream("ratio"), rows, 1)[:, 0]
    values = [schedule(step.progress, u) for u in draws.tolist()]
    return torch.tensor(values, dtype=torch.float64, device=rows.device)


def _moves(schedule: Schedule) -> bool:
    """Whether it changes as training goes on."""
    return any(schedule(share, 0.5) != schedule(1.0, 0.5) for share in (0.0, 0.3, 0.6))


def choose(encoder: Encoder, masker: Masker, schedule: Schedule, batch: Batch, step: Step) -> Tensor:
    """bool (B, N): what to hide in this batch at this step."""
    units = units_of(encoder, masker, batch)
    return masker(units, ratios(schedule, step, units.rows), step)


def units_of(encoder: Encoder, masker: Masker, batch: Batch) -> Units:
    """The encoder's units with the features that the masker wants of them."""
    units = encoder.units(batch)
    wanted: tuple[str, ...] = getattr(masker, "features", ())
    missing = [name for name in wanted if name not in batch and name not in units.features]
    if missing:
        cures: Mapping[str, str] = getattr(masker, "if_missing", {})
        raise UserError(
            f"the masker wants {', '.join(missing)} for each unit, and the batch has only {', '.join(sorted(batch))}",
            cure=cures.get(missing[0], "use an encoder whose prepare() provides it, or another masker"),
        )
    found: dict[str, Any] = {name: batch[name] for name in wanted if name in batch}
    return attrs.evolve(units, features={**units.features, **found}) if found else units
