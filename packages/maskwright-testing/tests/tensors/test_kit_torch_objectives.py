"""Each check of objectives passes on a good one and fails on one with the fault it is for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_objectives import (
    Bare,
    Constant,
    CountsNothing,
    CountsPasses,
    Draws,
    DropsAlways,
    FieldsOfItsOwn,
    FillsAll,
    FillsAsTuple,
    FillsByChance,
    FillsFlat,
    FillsInfinity,
    FillsSomething,
    FirstRowCounts,
    Frozen,
    Idle,
    Infinite,
    Means,
    Miscounts,
    Momentum,
    MomentumBeside,
    Normalised,
    OfItsInstance,
    OneDerivative,
    OneNumber,
    OnlyOnce,
    PartSums,
    RowByRow,
    ScoresRows,
    Spread,
    Steep,
    TwoTerms,
    WrongGradient,
    cut_batches,
)
from kit_toys import toy
from tensor_toys import OBJECTIVE, Guess, Words, built
from torch import Tensor, nn

from maskwright import Step
from maskwright.params import slot
from maskwright_testing.cases import Case
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import Batch

FAULTS = [
    ("check_objective_example_data", toy(Guess), {"consumes": {"pixels"}}, "add example_data()"),
    ("check_objective_prepare", built(cut_batches), {}, "the first axis must be the 5 items"),
    ("check_objective_loss", built(OneNumber), {}, "it gives a Tensor, not a Loss"),
    ("check_objective_loss", built(Bare), {}, "the terms of the loss must be Terms by name"),
    ("check_objective_loss", built(RowByRow), {}, "the sum of loss is ["),
    ("check_objective_loss", built(Infinite), {}, "the sum of loss is inf, not one finite number"),
    ("check_objective_loss", built(CountsNothing), {}, "the count of loss is 0"),
    ("check_objective_gradients", built(Idle), {}, "without gradient: idle.weight, idle.bias"),
    ("check_objective_gradients", built(Frozen), {}, "nothing in it is trained"),
    ("check_objective_gradients", built(Constant), {}, "the loss does not depend on any parameter"),
    ("check_objective_gradients", built(Steep), {}, "the gradient is not finite: encoder.embed.weight"),
    (
        "check_objective_halves",
        built(Means),
        {},
        "then its halves together: ['sum of loss'] holds other values",
    ),
    (
        "check_objective_halves",
        built(PartSums),
        {},
        "then its halves together: ['part sum'] holds other values",
    ),
    ("check_objective_halves", built(WrongGradient), {}, "gradients of the whole batch, then of its halves"),
    (
        "check_objective_halves",
        built(Normalised),
        {},
        "then its halves together: ['sum of loss'] holds other",
    ),
    ("check_objective_counts", built(Miscounts), {}, "'all': 1.0}, the terms have"),
    ("check_objective_order", built(FirstRowCounts), {}, "the batch, then turned round: ['sum of loss']"),
    ("check_objective_one_row", built(Spread), {}, "the loss of one row is nan"),
    ("check_objective_same_step", built(Draws), {}, "asked again: ['sum of loss'] holds other values"),
    ("check_objective_same_step", built(OfItsInstance), {}, "another instance: ['sum of loss'] holds other"),
    ("check_objective_evaluation_leaves_no_trace", built(DropsAlways), {}, "asked again in evaluation mode"),
    ("check_objective_evaluation_leaves_no_trace", built(CountsPasses), {}, "changed a buffer: ['passes']"),
    ("check_objective_load_gives_the_same", built(OfItsInstance), {}, "after loading: ['sum of loss'] holds"),
    ("check_objective_after_step", built(MomentumBeside), {}, "two steps after loading, the loss: "),
    ("check_objective_after_step", built(OnlyOnce), {}, "two steps after loading, the state: ['slow']"),
    ("check_objective_double_backward", built(OneDerivative), {}, "second derivatives fail: trying to"),
    ("check_fill_result", built(FillsAsTuple), {}, "fill() gives a tuple, not a Filled"),
    ("check_fill_result", built(FillsFlat), {}, "(5, 10), the targets torch.float32 (5, 5, 2)"),
    ("check_fill_result", built(FillsAll), {}, "values of visible units"),
    ("check_fill_result", built(FillsInfinity), {}, "fill() predicts values that are not finite"),
    ("check_fill_result", built(ScoresRows), {}, "the score has the shape (5,), not (5, 5)"),
    ("check_fill_same_step", built(FillsByChance), {}, "filled again with the same step: ['values'] holds"),
    ("check_fill_nothing", built(FillsSomething), {}, "with nothing hidden, fill() gives other values"),
    ("check_fill_fields", built(FieldsOfItsOwn), {}, "not a table with filled and hidden"),
]
CHECKS = [name for family in ("objective_checks", "fill_checks") for name, _ in checks_in(family)]
assert len(CHECKS) == 18
ELSEWHERE = {"check_objective_slots"}


def test_every_check_has_a_fault():
    assert {check for check, _, _, _ in FAULTS} | ELSEWHERE == set(CHECKS)


@pytest.mark.parametrize(("check", "fault", "about", "reason"), FAULTS)
def test_fault_is_found(
    says: Callable[..., str], check: str, fault: type, about: dict[str, Any], reason: str
):
    assert reason in says(check, "objective", fault, **{**OBJECTIVE, **about})


NOT_THERE = {
    "check_objective_counts": "skipped: it has no counts()",
    "check_objective_after_step": "skipped: no part has after_step",
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_objective_keeps_it(says: Callable[..., str], check: str):
    assert says(check, "objective", built(Guess), **OBJECTIVE) == NOT_THERE.get(check, "")


@pytest.mark.parametrize(
    ("check", "cls"),
    [
        ("check_objective_counts", TwoTerms),
        ("check_objective_halves", TwoTerms),
        ("check_objective_after_step", Momentum),
        ("check_objective_load_gives_the_same", Momentum),
    ],
)
def test_further_good_ones_keep_it(says: Callable[..., str], check: str, cls: type):
    assert says(check, "objective", built(cls), **OBJECTIVE) == ""


def with_slot(build: Callable[[Any], Guess]) -> type:
    """An objective whose encoder fills a slot; `build` puts it where it likes."""
    return toy(
        Guess,
        build=build,
        annotations={"encoder": Any},
        encoder=slot("encoder", help="what encodes"),
        example=classmethod(lambda cls: cls(encoder=Words())),
    )


def kept(params: Any) -> Guess:
    objective = Guess()
    objective.encoder = params.encoder
    return objective


def renamed(params: Any) -> Guess:
    objective = Guess()
    objective.model = params.encoder
    return objective


def test_what_fills_a_slot_keeps_its_name(says: Callable[..., str]):
    assert says("check_objective_slots", "objective", with_slot(kept), **OBJECTIVE) == ""
    reason = says("check_objective_slots", "objective", with_slot(renamed), **OBJECTIVE)
    assert reason == "the part at encoder is not kept as .encoder"


SKIPPED = [
    ("check_objective_halves", Normalised, {"whole-batch"}, "it has the tag whole-batch"),
    ("check_objective_one_row", Spread, {"whole-batch"}, "it has the tag whole-batch"),
    ("check_objective_same_step", Draws, {"stateful"}, "it has the tag stateful"),
    (
        "check_objective_double_backward",
        OneDerivative,
        {"no-double-backward"},
        "it has the tag no-double-backward",
    ),
]


@pytest.mark.parametrize(("check", "cls", "tags", "reason"), SKIPPED)
def test_a_caveat_is_believed(says: Callable[..., str], check: str, cls: type, tags: set[str], reason: str):
    about = {"provides": {"torch", *tags}, "consumes": {"text"}}
    assert says(check, "objective", built(cls), **about) == f"skipped: {reason}"


class Dropout(Guess):
    """Drops words in training, seeded by the engine; pieces of a batch draw for themselves."""

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return nn.functional.dropout(super().predicted(batch, hidden), 0.5, training=self.training)


@pytest.mark.parametrize(
    "check", ["check_objective_halves", "check_objective_order", "check_objective_same_step"]
)
def test_dropout_is_no_fault(says: Callable[..., str], check: str):
    assert says(check, "objective", built(Dropout), **OBJECTIVE) == ""


def test_parts_inside_are_fitted_too(declare: Callable[..., Any], tmp_path: Path):
    class Scale(nn.Module):
        value = 0

        def fit(self, data: Any, step: Step) -> None:
            self.value = data.length("train")

    inner = declare("encoder", toy(Scale), provides={"torch", "fitted"})
    cls = built(
        Guess,
        annotations={"encoder": Any},
        encoder=slot("encoder", default=inner.name, help="what encodes"),
    )
    case = Case(declare("objective", cls, **OBJECTIVE), tmp_path)
    cls._build_part = lambda self: self.encoder
    assert case.working()[0].value == 5
