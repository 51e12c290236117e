"""Contracts of objectives that predict what is hidden: the capability `fills`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maskwright_testing.cases import Case, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import (
    MIDDLE,
    forget_draws,
    half_hidden,
    known_items,
    like,
    module_and_batch,
)
from maskwright_torch.contracts import Filled
from maskwright_torch.inference import in_use

FIELDS = {"filled", "hidden"}
"""What pipeline:fill adds to an item."""


def _filling(case: Case) -> tuple[Any, dict[str, Tensor], Tensor]:
    """An objective, a batch, and what of it is hidden."""
    objective, batch = module_and_batch(case)
    return objective, batch, half_hidden(objective.encoder.units(batch))


def check_fill_result(case: Case) -> None:
    """`fill` gives finite values like the encoder's targets; visible units keep theirs to the last bit."""
    objective, batch, hidden = _filling(case)
    with in_use(objective):
        truth, filled = objective.encoder.targets(batch), objective.fill(batch, hidden, MIDDLE)
    if not isinstance(filled, Filled):
        fail(f"fill() gives a {type(filled).__name__}, not a Filled")
    values = filled.values
    if (values.dtype, values.shape) != (truth.dtype, truth.shape):
        fail(
            f"the values are {values.dtype} {tuple(values.shape)}, "
            f"the targets {truth.dtype} {tuple(truth.shape)}"
        )
    if filled.score is not None and filled.score.shape != hidden.shape:
        fail(f"the score has the shape {tuple(filled.score.shape)}, not {tuple(hidden.shape)}")
    changed = (values != truth) & like(~hidden, truth)
    if bool(changed.any()):
        fail(f"fill() changes {int(changed.sum())} values of visible units")
    if not bool(values.isfinite().all()):
        fail("fill() predicts values that are not finite")


def check_fill_same_step(case: Case) -> None:
    """Filled again with the same step, the result is the same."""
    objective, batch, hidden = _filling(case)
    with in_use(objective):
        forget_draws(1)
        first = _values(objective.fill(batch, hidden, MIDDLE))
        forget_draws(2)
        again = _values(objective.fill(batch, hidden, MIDDLE))
    if found := difference(first, again):
        fail(f"filled again with the same step: {found}")


def _values(filled: Filled) -> dict[str, Tensor]:
    return {name: value for name, value in vars(filled).items() if value is not None}


def check_fill_nothing(case: Case) -> None:
    """Where nothing is hidden, the encoder's targets come back."""
    objective, batch, hidden = _filling(case)
    with in_use(objective):
        filled = objective.fill(batch, torch.zeros_like(hidden), MIDDLE)
        if not torch.equal(filled.values, objective.encoder.targets(batch)):
            fail("with nothing hidden, fill() gives other values than the targets")


def check_fill_fields(case: Case) -> None:
    """`fields` gives exactly `filled` and `hidden` for each item that was filled."""
    objective, batch, hidden = _filling(case)
    items = known_items(case, case.data())
    with in_use(objective):
        filled = objective.fill(batch, hidden, MIDDLE)
        for row, item in enumerate(items):
            found = objective.fields(item, batch, row, filled, hidden)
            if not isinstance(found, Mapping) or found.keys() != FIELDS:
                fail(f"fields() gives {found!r}, not a table with {' and '.join(sorted(FIELDS))}")
