"""Each check of encoders passes on a good one and fails on one with the fault it is for."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from faulty_encoders import (
    REPLACE,
    BeyondTheVocabulary,
    Blind,
    Counts,
    Detached,
    DropsAlways,
    FillsNothing,
    FillsVisible,
    HiddenState,
    Infinite,
    InfiniteTargets,
    Jitters,
    LeavesOneOut,
    NegativePlaces,
    NoSpace,
    NothingValid,
    OfItsInstance,
    OfItsNumber,
    Once,
    OneTooMany,
    OneValueFewer,
    OtherRows,
    Overlapping,
    Peeks,
    PeeksAndDrops,
    Pooler,
    Replaces,
    SeesNeighbours,
    SeesPadding,
    SmallIndex,
    SteepAtZero,
    Tokens,
    TooManyStates,
    Tuples,
    TwoOfOnePlace,
    Undifferentiable,
    Unpicklable,
    WholeNumbers,
    Wider,
    WithIdentities,
    WithWeights,
    comparing,
    fixed_weights,
    prepared,
    unseeded,
)
from kit_toys import toy
from scipy.sparse import csr_array
from tensor_toys import ENCODER, Words, built

from maskwright_testing.differences import difference
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import Baseline, Batch, Units
from maskwright_torch.part import seeded


def tuple_of(found: Baseline) -> tuple[Any, ...]:
    return (found.known, found.asked)


def named(name: str) -> Callable[[Baseline], Baseline]:
    return lambda found: attrs.evolve(found, name=name)


def one_row(found: Baseline) -> Baseline:
    return attrs.evolve(found, known=found.known[:1])


def wider(found: Baseline) -> Baseline:
    return attrs.evolve(found, known=np.hstack([found.known, found.known]))


def infinite(found: Baseline) -> Baseline:
    return attrs.evolve(found, known=found.known * math.inf)


def infinite_and_sparse(found: Baseline) -> Baseline:
    return attrs.evolve(found, asked=csr_array(found.asked * math.inf))


FAULTS = [
    ("check_encoder_example_data", toy(Words), {"consumes": {"pixels"}}, "add example_data()"),
    ("check_encoder_prepare", prepared(WithWeights), {}, "bytes to pickle, 10,000 are allowed"),
    ("check_encoder_prepare", prepared(Unpicklable), {}, "prepare cannot be pickled for a loader process"),
    (
        "check_encoder_prepare",
        prepared(OneTooMany),
        {},
        '"scale" of the batch is (1,); the first axis must be the 5',
    ),
    (
        "check_encoder_prepare",
        prepared(WithIdentities),
        {},
        'prepare gives "rows", which is for the engine to add',
    ),
    (
        "check_encoder_prepare",
        prepared(Jitters),
        {},
        "the same items and step give another batch: ['values']",
    ),
    (
        "check_encoder_prepare",
        prepared(OfItsInstance),
        {},
        "another instance gives another batch: ['values']",
    ),
    (
        "check_encoder_units",
        built(WholeNumbers),
        {},
        "units.valid is torch.int64 (5, 5); with 5 rows on the grid",
    ),
    ("check_encoder_units", built(OtherRows), {}, "units.rows must be the identities in the batch"),
    ("check_encoder_units", built(NothingValid), {}, "an item of the example data has no valid unit"),
    ("check_encoder_units", built(NegativePlaces), {}, "a unit has a negative position"),
    ("check_encoder_units", built(Words), {"provides": {"torch", "patches"}}, "it needs a grid (H, W)"),
    ("check_encoder_targets", built(NoSpace), {}, "space must be a Space with either values or a vocabulary"),
    ("check_encoder_targets", built(OneValueFewer), {}, "(5, 5, 1), not numbers of shape (5, 5, 2)"),
    ("check_encoder_targets", built(InfiniteTargets), {}, "the targets hold values that are not finite"),
    ("check_encoder_targets", built(BeyondTheVocabulary), {}, "outside the vocabulary of 6 tokens"),
    ("check_encoder_states", built(Tuples), {}, "it gives a tuple, not an Encoded"),
    ("check_encoder_states", built(Wider), {}, "states has the shape (5, 5, 8), (5, 5, 4) is wanted"),
    ("check_encoder_states", built(Pooler), {}, "pooled has the shape (5, 4), (5, 3) is wanted"),
    ("check_encoder_states", built(SmallIndex), {}, "index must be int64 and valid bool, found torch.int32"),
    ("check_encoder_states", built(Infinite), {}, "states holds values that are not finite"),
    ("check_encoder_states", built(TwoOfOnePlace), {}, "the positions of row 0 are [1, 1, 2, 3, 4]"),
    (
        "check_encoder_states",
        built(LeavesOneOut),
        {},
        "row 0 has no state for the positions [0] of its units",
    ),
    ("check_encoder_hides", built(Words), REPLACE, "it has the tag hides:replace, but drops hidden units"),
    ("check_encoder_hides", built(Replaces), {}, "it has the tag hides:drop, but keeps all positions"),
    ("check_encoder_hides", built(LeavesOneOut), {}, "it has the tag hides:drop, but does neither"),
    (
        "check_encoder_hides",
        built(TooManyStates),
        {},
        "it gives states and valid of the shapes ((5, 5, 4), (5, 4))",
    ),
    ("check_encoder_hidden_content", built(Peeks), REPLACE, "with other content in hidden units, ['states']"),
    (
        "check_encoder_hidden_content",
        built(PeeksAndDrops),
        {},
        "with other content in hidden units, ['pooled']",
    ),
    (
        "check_encoder_hidden_content",
        built(Blind),
        {},
        "with nothing hidden, it does not look at the content",
    ),
    (
        "check_encoder_hidden_content",
        built(Undifferentiable),
        {},
        "give it with_values(batch, values) -> batch",
    ),
    ("check_encoder_hidden_content", built(FillsVisible), {}, "changes the targets of visible ones"),
    ("check_encoder_hidden_content", built(FillsNothing), {}, "does not change their targets"),
    (
        "check_encoder_rows_apart",
        built(SeesPadding),
        {},
        "item 0 in a batch and alone: states holds other values",
    ),
    (
        "check_encoder_rows_apart",
        built(SeesNeighbours),
        {},
        "item 0 in a batch and alone: pooled holds other values",
    ),
    (
        "check_encoder_evaluation_leaves_no_trace",
        built(DropsAlways),
        {},
        "asked again in evaluation mode: ['states']",
    ),
    ("check_encoder_evaluation_leaves_no_trace", built(Counts), {}, "changed a buffer: ['passes']"),
    (
        "check_encoder_seed",
        built(OfItsNumber),
        {},
        "built twice with one seed: ['embed.weight'] holds other values",
    ),
    ("check_encoder_seed", unseeded(), {}, "building it moves the default generator on"),
    ("check_encoder_seed", built(fixed_weights), {}, "built with two seeds, it has the same weights"),
    (
        "check_encoder_load_gives_the_same",
        built(HiddenState),
        {},
        "after loading, ['states'] holds other values",
    ),
    (
        "check_encoder_double_backward",
        built(Once),
        {},
        "second derivatives fail: trying to differentiate twice",
    ),
    ("check_encoder_baseline", built(comparing(tuple_of)), {}, "baseline() gives a tuple, not a Baseline"),
    (
        "check_encoder_baseline",
        built(comparing(named("random"))),
        {},
        "of its own, and words; found 'random'",
    ),
    ("check_encoder_baseline", built(comparing(named("raw pixels"))), {}, "and words; found 'raw pixels'"),
    (
        "check_encoder_baseline",
        built(comparing(one_row)),
        {},
        "of 5 items and 1 it gives rows of the shapes (1, 1)",
    ),
    ("check_encoder_baseline", built(comparing(wider)), {}, "rows of the shapes (5, 2) and (1, 1)"),
    ("check_encoder_baseline", built(comparing(infinite)), {}, "its numbers are not all finite"),
    ("check_encoder_baseline", built(comparing(infinite_and_sparse)), {}, "its numbers are not all finite"),
    ("check_encoder_double_backward", built(Detached), {}, "second derivatives are lost"),
    ("check_encoder_double_backward", built(SteepAtZero), {}, "second derivatives are not finite"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _, _ in FAULTS} == {name for name, _ in checks_in("encoder_checks")}


@pytest.mark.parametrize(("check", "fault", "about", "reason"), FAULTS)
def test_fault_is_found(
    says: Callable[..., str], check: str, fault: type, about: dict[str, Any], reason: str
):
    assert reason in says(check, "encoder", fault, **{**ENCODER, **about})


GOOD = [
    (name, cls, about)
    for name, _ in checks_in("encoder_checks")
    for cls, about in [
        (Words, ENCODER),
        (Replaces, REPLACE),
        (Tokens, ENCODER),
    ]
]
assert len(GOOD) == 39


@pytest.mark.parametrize(("check", "cls", "about"), GOOD)
def test_a_good_encoder_keeps_it(says: Callable[..., str], check: str, cls: type, about: dict[str, Any]):
    assert says(check, "encoder", built(cls), **about) == ""


def test_units_may_overlap(says: Callable[..., str]):
    assert says("check_encoder_hidden_content", "encoder", built(Overlapping), **ENCODER) == ""


def test_weights_from_elsewhere_need_no_seed(says: Callable[..., str]):
    made = toy(lambda: seeded(3, Words), example_data=built(Words).example_data)
    assert says("check_encoder_seed", "encoder", made, **ENCODER) == ""


def sparse(found: Baseline) -> Baseline:
    return attrs.evolve(found, known=csr_array(found.known), asked=csr_array(found.asked))


def test_a_baseline_may_be_sparse(says: Callable[..., str]):
    assert says("check_encoder_baseline", "encoder", built(comparing(sparse)), **ENCODER) == ""


class NoWeights(Words):
    def __init__(self) -> None:
        super().__init__()
        del self.embed


class NoBaseline(Words):
    def __getattribute__(self, name: str) -> Any:
        if name == "baseline":
            raise AttributeError(name)
        return super().__getattribute__(name)


class Frozen(Words):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class OneWord(Words):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(units.valid & (units.position == 0), units.grid, units.position, units.rows)


SKIPPED = [
    ("check_encoder_double_backward", Once, {"no-double-backward"}, "it has the tag no-double-backward"),
    ("check_encoder_double_backward", Frozen, set(), "nothing in it is trained"),
    ("check_encoder_seed", NoWeights, set(), "it has no weights"),
    ("check_encoder_hides", Words, set(), "it hides nothing"),
    ("check_encoder_baseline", NoBaseline, set(), "it has no baseline()"),
    (
        "check_encoder_hidden_content",
        OneWord,
        {"hides:drop"},
        "has 1 units, too few to hide one and keep one",
    ),
]


@pytest.mark.parametrize(("check", "cls", "tags", "reason"), SKIPPED)
def test_what_cannot_be_checked_is_told(
    says: Callable[..., str], check: str, cls: type, tags: set[str], reason: str
):
    said = says(check, "encoder", built(cls), provides={"torch", *tags}, consumes={"text"})
    assert said.startswith("skipped: ")
    assert reason in said


def test_one_way_to_hide(says: Callable[..., str]):
    both = {"torch", "hides:drop", "hides:replace"}
    assert "it has both tags" in says("check_encoder_hides", "encoder", built(Words), provides=both)


def test_levels_of_a_picture_are_rounded_numbers():
    levels = torch.tensor([0, 100, 255], dtype=torch.uint8)
    near, far = levels + torch.tensor([1, 0, 0]), levels + torch.tensor([0, 2, 0])
    assert difference(levels, near.byte(), exact=False) == ""
    assert difference(levels, far.byte(), exact=False) == "the result holds other values"
    assert difference(levels, near.byte()) == "the result holds other values"
    assert difference(levels.long(), near.long(), exact=False) == "the result holds other values"


def test_one_item_is_too_few(says: Callable[..., str]):
    lonely = classmethod(lambda cls, make_data: make_data({"train": [{"id": "a", "text": "one"}]}))
    cls = toy(Words, example_data=lonely)
    said = says("check_encoder_example_data", "encoder", cls, **ENCODER)
    assert said == "no split of example_data() has 2 items with what it reads (text)"
    said = says("check_encoder_units", "encoder", cls, **ENCODER)
    assert said == "skipped: there are too few items, see check_encoder_example_data"
