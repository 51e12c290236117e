"""Each check of schedules passes on a good one and fails on one with the fault it is for."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from kit_toys import toy

from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result


class Ramp:
    """From 0 to 1."""

    range: tuple[float, float] = (0.0, 1.0)

    def __call__(self, progress: float, u: float = 0.0) -> float:
        return min(max(progress, 0.0), 1.0)


class Infinite(Ramp):
    def __call__(self, progress: float, u: float = 0.0) -> float:
        return math.inf if progress == 0.5 else 0.0


class Worded(Ramp):
    def __call__(self, progress: float, u: float = 0.0) -> Any:
        return "half"


class TooHigh(Ramp):
    range = (0.0, 0.9)


class Counting(Ramp):
    def __init__(self) -> None:
        self.calls = itertools.count()

    def __call__(self, progress: float, u: float = 0.0) -> float:
        return next(self.calls) * 1e-9


class GoesOn(Ramp):
    def __call__(self, progress: float, u: float = 0.0) -> float:
        return progress


class Drawn(Ramp):
    def __call__(self, progress: float, u: float = 0.0) -> float:
        return u


FAULTS = [
    ("check_schedule_finite", Infinite, "at 0.5 (u = 0) the value is inf"),
    ("check_schedule_finite", Worded, "the value is a str, not a number"),
    ("check_schedule_range", TooHigh, "at 0.91 (u = 0) the value 0.91 lies outside 0 … 0.9"),
    ("check_schedule_deterministic", Counting, "asked again, the schedule gives other values"),
    ("check_schedule_beyond_the_run", GoesOn, "at -0.5 the value is -0.5, at 0.0 it is 0"),
    ("check_schedule_per_row", Drawn, "it follows u, but lacks the tag per-row"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("schedule_checks")}


@pytest.mark.parametrize(("check", "fault", "says"), FAULTS)
def test_fault_is_found(verdict: Callable[..., Result], check: str, fault: type, says: str):
    assert verdict(check, "schedule", toy(Ramp)).outcome == "passed"
    result = verdict(check, "schedule", toy(fault))
    assert result.outcome == "failed"
    assert says in result.reason


def test_rows_of_their_own_need_the_tag(verdict: Callable[..., Result]):
    assert verdict("check_schedule_per_row", "schedule", toy(Drawn), provides={"per-row"}).outcome == "passed"
    result = verdict("check_schedule_per_row", "schedule", toy(Ramp), provides={"per-row"})
    assert result.reason == "it ignores u, but has the tag per-row"
