"""Each check of maskers passes on a good one and fails on one with the fault it is for."""

from collections.abc import Callable

import pytest
import torch
from kit_toys import toy
from torch import Tensor, nn

from maskwright import Step
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

MASKER = {"provides": {"torch", "follows-ratio"}}


class Coin(nn.Module):
    """Any unit alike."""

    def noise(self, units: Units, step: Step) -> Tensor:
        return uniform(step.stream("mask"), units.rows, units.valid.shape[1])

    def counts(self, units: Units, ratio: Tensor) -> Tensor:
        return counts_of(ratio, units.valid)

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return hide_lowest(self.noise(units, step), units.valid, self.counts(units, ratio))


class AsNumbers(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return super().forward(units, ratio, step).float()


class Elsewhere(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return super().forward(units, ratio, step).to("meta")


class InPlace(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        mask = super().forward(units, ratio, step)
        units.valid[:, 0] = False
        return mask


class HidesPadding(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        return hide_lowest(self.noise(units, step), torch.ones_like(units.valid), self.counts(units, ratio))


class InSinglePrecision(Coin):
    def counts(self, units: Units, ratio: Tensor) -> Tensor:
        return torch.floor(ratio.float().double() * units.valid.sum(dim=1) + 0.5).long()


class AtLeastOne(Coin):
    def counts(self, units: Units, ratio: Tensor) -> Tensor:
        return super().counts(units, ratio).clamp(min=1)


class FromTheGenerator(Coin):
    def noise(self, units: Units, step: Step) -> Tensor:
        return torch.empty(units.valid.shape).uniform_()


class OfItsInstance(Coin):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        OfItsInstance.made += 1
        self.number = OfItsInstance.made

    def noise(self, units: Units, step: Step) -> Tensor:
        return super().noise(units, step.fork(self.number))


class ForgetsTheNumber(Coin):
    def noise(self, units: Units, step: Step) -> Tensor:
        return super().noise(units, step.at(0))


class ForgetsTheNames(Coin):
    def noise(self, units: Units, step: Step) -> Tensor:
        return super().noise(units, Step(step.seed, step.number))


class ByPlace(Coin):
    def noise(self, units: Units, step: Step) -> Tensor:
        return uniform(step.stream("mask"), torch.arange(len(units.rows)), units.valid.shape[1])


class ByNeighbours(Coin):
    def counts(self, units: Units, ratio: Tensor) -> Tensor:
        return super().counts(units, ratio.mean().expand_as(ratio))


class NeedsTwo(Coin):
    def noise(self, units: Units, step: Step) -> Tensor:
        noise = super().noise(units, step)
        return noise + noise[:, 1, None]


class HidesTheOnlyOne(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        mask = super().forward(units, ratio, step)
        return mask if mask.shape[1] > 1 else torch.ones_like(mask)


class Remembers(Coin):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        self.seen += 1
        return super().forward(units, ratio, step)


class ForgetsState(Remembers):
    """What the mask depends on is kept beside the state too, and only there."""

    calls = 0

    def noise(self, units: Units, step: Step) -> Tensor:
        self.calls += 1
        return super().noise(units, step.fork(self.calls))


class KeepsState(Remembers):
    def noise(self, units: Units, step: Step) -> Tensor:
        return super().noise(units, step.fork(int(self.seen)))


FAULTS = [
    ("check_masker_result", object, "the built part is a object, not a torch module"),
    ("check_masker_result", AsNumbers, "the mask is torch.float32 (6, 15), not bool (6, 15)"),
    ("check_masker_result", Elsewhere, "the units are on cpu, the mask is on meta"),
    ("check_masker_result", InPlace, "the units were changed in place: ['valid'] holds other values"),
    ("check_masker_invalid_units", HidesPadding, "at ratio 0.5 on a grid (15,) it hides "),
    ("check_masker_exact_count", InSinglePrecision, "at ratio 0.7 it hides 10 of 15 units, 11 are wanted"),
    ("check_masker_follows_ratio", AtLeastOne, "do not hide nothing and everything, but it has the tag"),
    ("check_masker_same_step", FromTheGenerator, "asked again, it gives another mask for the same step"),
    ("check_masker_same_step", OfItsInstance, "another instance, it gives another mask for the same step"),
    ("check_masker_other_step", ForgetsTheNumber, "another step gives the same mask, though rows differ"),
    ("check_masker_other_step", ForgetsTheNames, "a forked step gives the same mask, though rows differ"),
    ("check_masker_rows_apart", ByPlace, "when it is taken in halves"),
    ("check_masker_rows_apart", ByNeighbours, "when it is taken in halves"),
    ("check_masker_one_unit", NeedsTwo, "raised IndexError"),
    ("check_masker_one_unit", HidesTheOnlyOne, "on the grid (1,) at ratio 0.0 the mask is [[True], [True]"),
    ("check_masker_keeps_nothing", Remembers, "masking changed a buffer: ['seen'] holds other values"),
    ("check_masker_load_gives_the_same", ForgetsState, "after loading, it gives another mask"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("masker_checks")}


@pytest.mark.parametrize(("check", "fault", "reason"), FAULTS)
def test_fault_is_found(says: Callable[..., str], check: str, fault: type, reason: str):
    good = KeepsState if "load" in check else Coin
    assert says(check, "masker", toy(good), **MASKER) == ""
    assert reason in says(check, "masker", toy(fault), **MASKER)


TAGS = [
    ("check_masker_exact_count", AtLeastOne, "inexact-count", "skipped: it has the tag inexact-count"),
    ("check_masker_same_step", FromTheGenerator, "stateful", "skipped: it has the tag stateful"),
    ("check_masker_keeps_nothing", Remembers, "stateful", "skipped: it has the tag stateful"),
]


@pytest.mark.parametrize(("check", "cls", "tag", "reason"), TAGS)
def test_a_caveat_is_believed(says: Callable[..., str], check: str, cls: type, tag: str, reason: str):
    assert says(check, "masker", toy(cls), provides={"torch", tag}) == reason


def test_following_the_ratio_has_to_be_declared(says: Callable[..., str]):
    reason = says("check_masker_follows_ratio", "masker", toy(Coin), provides={"torch"})
    assert reason == "ratios 0 and 1 hide nothing and everything, but it lacks the tag follows-ratio"


class Always(Coin):
    """The first units, whatever the row and the step."""

    def noise(self, units: Units, step: Step) -> Tensor:
        return torch.arange(units.valid.shape[1]).double().expand(units.valid.shape)


def test_a_masker_that_draws_nothing_is_no_fault(says: Callable[..., str]):
    reason = says("check_masker_other_step", "masker", toy(Always), **MASKER)
    assert reason == "skipped: it draws nothing: all rows and steps have the same mask"


class OnPictures(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        _, _ = units.grid
        return super().forward(units, ratio, step)


@pytest.mark.parametrize("check", ["check_masker_exact_count", "check_masker_one_unit"])
def test_a_masker_of_patches_gets_grids_of_two_dimensions(says: Callable[..., str], check: str):
    assert "not enough values to unpack" in says(check, "masker", toy(OnPictures), **MASKER)
    assert says(check, "masker", toy(OnPictures), expects={"patches"}, **MASKER) == ""


class OnLines(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        (_,) = units.grid
        return super().forward(units, ratio, step)


class ByWord(Coin):
    features = ("word",)

    def noise(self, units: Units, step: Step) -> Tensor:
        return super().noise(units, step).gather(1, units.features["word"])


class OfFour(Coin):
    def forward(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        assert units.grid == (2, 2)
        return super().forward(units, ratio, step)


def test_a_masker_of_one_grid_says_which(says: Callable[..., str]):
    cls = toy(OfFour, example_grid=classmethod(lambda cls: (2, 2)))
    assert says("check_masker_exact_count", "masker", cls, **MASKER) == ""
    assert (
        says("check_masker_one_unit", "masker", cls, **MASKER) == "skipped: it is made for one grid, (2, 2)"
    )


class ByScore(Coin):
    features = ("score",)

    def noise(self, units: Units, step: Step) -> Tensor:
        return units.features["score"]


def test_a_masker_gets_the_features_it_wants(says: Callable[..., str]):
    assert says("check_masker_exact_count", "masker", toy(ByScore), **MASKER) == ""
    assert says("check_masker_rows_apart", "masker", toy(ByScore), **MASKER) == ""


def test_a_masker_gets_the_features_that_its_settings_give(says: Callable[..., str]):
    """Words are whole numbers, and their first unit is looked up by them."""
    words = classmethod(lambda cls, count: {"word": [place // 2 for place in range(count)]})
    with_words, without = toy(ByWord, example_features=words), toy(ByWord)
    assert says("check_masker_exact_count", "masker", with_words, **MASKER) == ""
    assert "gather" in says("check_masker_exact_count", "masker", without, **MASKER)


@pytest.mark.parametrize("check", ["check_masker_exact_count", "check_masker_one_unit"])
def test_a_masker_of_tokens_gets_lines(says: Callable[..., str], check: str):
    assert "too many values to unpack" in says(check, "masker", toy(OnLines), **MASKER)
    assert says(check, "masker", toy(OnLines), expects={"tokens"}, **MASKER) == ""


def test_what_remembers_nothing_has_nothing_to_load(says: Callable[..., str]):
    said = says("check_masker_load_gives_the_same", "masker", toy(Coin), **MASKER)
    assert said == "skipped: it remembers nothing"
