"""Contracts of maskers: `maskwright_torch.contracts.Masker`."""

from typing import Any

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_testing.cases import Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import MIDDLE, buffers_of, forget_draws
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of
from maskwright_torch.noise import identity, uniform
from maskwright_torch.part import load_state, read_state, state_of, write_state

IDENTITIES = (3, 0, 41, 7, 12, 5)
"""Rows of the batch: in no order, as in training."""

RATIOS = (0.5, 0.7, 0.25, 1.0, 0.6, 0.4)
"""A ratio for each row; 0.7 of 15 is 10.5 and shows who computes in float32."""

LINES, PICTURES, TEXTS = ((15,), (2, 5)), ((3, 5), (1, 5)), ((15,), (10,))
"""Grids for maskers in general, for those that expect patches, and for those that expect tokens."""


def _grids(case: Case) -> tuple[tuple[int, ...], ...]:
    if case.has("example_grid"):
        return (tuple(case.offered("example_grid")),)
    expects = case.listed.component.expects
    return PICTURES if "patches" in expects else TEXTS if "tokens" in expects else LINES


def _units(case: Case, masker: Any, grid: tuple[int, ...], ragged: bool = False) -> Units:
    """Units of six rows. Ragged: the last ones of a row are not valid, in the third row none is."""
    rows = torch.tensor(IDENTITIES)
    count = torch.Size(grid).numel()
    lengths = [count, max(count // 3, 1), 0, count - 1, count, 1] if ragged else [count] * len(rows)
    valid = torch.arange(count) < torch.tensor(lengths)[:, None]
    # The same features in every row: what then differs between rows was drawn.
    given = case.params_class.example_features(count) if case.has("example_features") else {}
    features = {
        name: torch.tensor(given[name]).expand(len(rows), -1)
        if name in given
        else uniform(identity(name), torch.zeros_like(rows), count).float()
        for name in getattr(masker, "features", ())
    }
    return Units(valid, grid, torch.arange(count), rows, features)


def _rows(units: Units, index: Any) -> Units:
    features = {name: tensor[index] for name, tensor in units.features.items()}
    return Units(units.valid[index], units.grid, units.position, units.rows[index], features)


def _mask(masker: Any, units: Units, ratio: Any = 0.5, step: Step = MIDDLE) -> Tensor:
    """The mask at one ratio, or at one for each row."""
    ratio = torch.tensor(ratio, dtype=torch.float64, device=units.valid.device).expand(len(units.rows))
    return masker(units, ratio, step)


def _in_words(mask: Tensor) -> str:
    """A row of a mask for a message: `..##.`, hidden as #."""
    return "".join("#" if hidden else "." for hidden in mask.tolist())


def check_masker_result(case: Case) -> None:
    """It is a module that gives a bool mask (rows, units) where the units are, and leaves the units as they were."""
    masker = case.build()
    if not isinstance(masker, nn.Module):
        fail(f"the built part is a {type(masker).__name__}, not a torch module")
    for grid in _grids(case):
        units = _units(case, masker, grid, ragged=True)
        before = {"valid": units.valid.clone(), "rows": units.rows.clone()}
        mask = _mask(masker, units, RATIOS)
        if mask.dtype != torch.bool or mask.shape != units.valid.shape:
            fail(f"the mask is {mask.dtype} {tuple(mask.shape)}, not bool {tuple(units.valid.shape)}")
        if mask.device != units.valid.device:
            fail(f"the units are on {units.valid.device}, the mask is on {mask.device}")
        if found := difference(before, {"valid": units.valid, "rows": units.rows}):
            fail(f"the units were changed in place: {found}")


def check_masker_invalid_units(case: Case) -> None:
    """It never hides a unit that is not valid, at any ratio."""
    masker = case.build()
    for grid in _grids(case):
        units = _units(case, masker, grid, ragged=True)
        for ratio in (0.0, 0.5, 1.0, RATIOS):
            if bool((wrong := _mask(masker, units, ratio) & ~units.valid).any()):
                fail(
                    f"at ratio {ratio} on a grid {grid} it hides {int(wrong.sum())} units that are not valid"
                )


def check_masker_exact_count(case: Case) -> None:
    """In each row it hides floor(ratio * valid + 0.5) units, unless it has the tag `inexact-count`."""
    if "inexact-count" in case.tags():
        raise Skipped("it has the tag inexact-count")
    masker = case.build()
    for grid in _grids(case):
        for units in (_units(case, masker, grid), _units(case, masker, grid, ragged=True)):
            ratio = torch.tensor(RATIOS, dtype=torch.float64)
            wanted, found = counts_of(ratio, units.valid), _mask(masker, units, RATIOS).sum(dim=1)
            if not torch.equal(wanted, found):
                row = int((wanted != found).nonzero()[0])
                valid = int(units.valid[row].sum())
                fail(
                    f"at ratio {RATIOS[row]} it hides {found[row]} of {valid} units, {wanted[row]} are wanted"
                )


def check_masker_follows_ratio(case: Case) -> None:
    """A ratio of 0 hides nothing and 1 all that is valid, exactly when it says so with the tag `follows-ratio`."""
    masker = case.build()
    follows = True
    for grid in _grids(case):
        for units in (_units(case, masker, grid), _units(case, masker, grid, ragged=True)):
            follows &= not bool(_mask(masker, units, 0.0).any())
            follows &= torch.equal(_mask(masker, units, 1.0), units.valid)
    declared = "follows-ratio" in case.tags()
    if follows != declared:
        fail(
            f"ratios 0 and 1 {'hide' if follows else 'do not hide'} nothing and everything, "
            f"but it {'has' if declared else 'lacks'} the tag follows-ratio"
        )


def check_masker_same_step(case: Case) -> None:
    """The same units, ratio and step give the same mask, from another instance too, unless it has `stateful`."""
    if "stateful" in case.tags():
        raise Skipped("it has the tag stateful")
    one, two = case.build(), case.build()
    for grid in _grids(case):
        units = _units(case, one, grid)
        forget_draws(1)
        first = _mask(one, units, RATIOS)
        forget_draws(2)
        for masker, what in ((one, "asked again"), (two, "another instance")):
            if not torch.equal(first, _mask(masker, units, RATIOS)):
                fail(f"{what}, it gives another mask for the same step")


def check_masker_other_step(case: Case) -> None:
    """Another step, and a step of other streams, give another mask."""
    masker = case.build()
    drew = False
    for grid in _grids(case):
        units = _units(case, masker, grid)
        others = {"another step": MIDDLE.at(0), "a forked step": MIDDLE.fork("other")}
        first = _mask(masker, units)
        masks = {name: _mask(masker, units, step=step) for name, step in others.items()}
        if all(torch.equal(mask, first[:1].expand_as(mask)) for mask in (first, *masks.values())):
            continue
        drew = True
        for name, mask in masks.items():
            if torch.equal(mask, first):
                fail(f"{name} gives the same mask, though rows differ from each other")
    if not drew:
        raise Skipped("it draws nothing: all rows and steps have the same mask")


def check_masker_rows_apart(case: Case) -> None:
    """The mask of a row depends neither on the rows beside it nor on its place: halves of a batch give the whole."""
    masker = case.build()
    for grid in _grids(case):
        units, ratio = _units(case, masker, grid, ragged=True), torch.tensor(RATIOS, dtype=torch.float64)
        whole = _mask(masker, units, RATIOS)
        places = list(range(len(IDENTITIES)))
        pieces = {
            "in halves": [places[:3], places[3:]],
            "turned round": [places[::-1]],
            "alone": [[place] for place in places],
        }
        for how, found in pieces.items():
            for piece in found:
                mask = masker(_rows(units, piece), ratio[piece], MIDDLE)
                for own, place in zip(mask, piece, strict=True):
                    if not torch.equal(own, whole[place]):
                        fail(
                            f"row {place} has the mask {_in_words(whole[place])} in the batch, "
                            f"{_in_words(own)} when it is taken {how}"
                        )


def check_masker_one_unit(case: Case) -> None:
    """It works on a grid of a single unit: that unit is hidden, or it is not."""
    if case.has("example_grid"):
        raise Skipped(f"it is made for one grid, {tuple(case.offered('example_grid'))}")
    masker = case.build()
    for dimensions in sorted({len(grid) for grid in _grids(case)}):
        for ratio in (0.0, 0.4, 0.5, 1.0):
            units = _units(case, masker, (1,) * dimensions, ragged=True)
            mask = _mask(masker, units, ratio)
            if mask.shape != units.valid.shape or bool((mask & ~units.valid).any()):
                fail(f"on the grid {units.grid} at ratio {ratio} the mask is {mask.tolist()}")


def check_masker_keeps_nothing(case: Case) -> None:
    """Masking changes nothing that it remembers, unless it has the tag `stateful`."""
    if "stateful" in case.tags():
        raise Skipped("it has the tag stateful")
    masker = case.build()
    before = buffers_of(masker)
    for grid in _grids(case):
        _mask(masker, _units(case, masker, grid), RATIOS)
    if found := difference(before, buffers_of(masker)):
        fail(f"masking changed a buffer: {found}")


def check_masker_load_gives_the_same(case: Case) -> None:
    """Saved and loaded into a new instance, what it remembers gives the same mask."""
    masker, other = case.build(), case.build(seed=1)
    if not masker.state_dict():
        raise Skipped("it remembers nothing")
    units = _units(case, masker, _grids(case)[0])
    _mask(masker, units, step=MIDDLE.at(0))
    write_state(case.folder, *state_of(masker))
    load_state(other, read_state(case.folder), str(case.folder))
    if not torch.equal(_mask(masker, units), _mask(other, units)):
        fail("after loading, it gives another mask")
