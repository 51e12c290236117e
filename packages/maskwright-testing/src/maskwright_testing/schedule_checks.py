"""Contracts of schedules: `maskwright.contracts.Schedule`."""

import math
from typing import Any

from maskwright_testing.cases import Case, fail

PROGRESS = [number / 100 for number in range(101)]
DRAWS = (0.0, 0.25, 0.5, 0.999)
"""Values of a row's own uniform number."""

ROUNDING = 1e-12
"""Relative. start + (end - start) x may miss `end` by the last bits."""


def _values(schedule: Any) -> list[tuple[float, float, Any]]:
    return [(progress, u, schedule(progress, u)) for progress in PROGRESS for u in DRAWS]


def check_schedule_finite(case: Case) -> None:
    """Every value is a finite Python number, for every share of the run and every draw."""
    for progress, u, value in _values(case.build()):
        if isinstance(value, bool) or not isinstance(value, float | int):
            fail(f"at {progress:g} (u = {u:g}) the value is a {type(value).__name__}, not a number")
        if not math.isfinite(value):
            fail(f"at {progress:g} (u = {u:g}) the value is {value}")


def check_schedule_range(case: Case) -> None:
    """No value lies outside the declared `range`."""
    schedule = case.build()
    low, high = schedule.range
    if not low <= high:
        fail(f"the range is {(low, high)}")
    slack = ROUNDING * max(1.0, *(abs(bound) for bound in (low, high) if math.isfinite(bound)), 0.0)
    for progress, u, value in _values(schedule):
        if not low - slack <= value <= high + slack:
            fail(f"at {progress:g} (u = {u:g}) the value {value:g} lies outside {low:g} … {high:g}")


def check_schedule_deterministic(case: Case) -> None:
    """The same share and draw give the same value, in any order, from any instance."""
    one, two = case.build(), case.build(seed=1)
    first = _values(one)
    if first != list(reversed([(p, u, one(p, u)) for p in reversed(PROGRESS) for u in reversed(DRAWS)])):
        fail("asked again, the schedule gives other values")
    if first != _values(two):
        fail("two instances with the same settings give other values")


def check_schedule_beyond_the_run(case: Case) -> None:
    """Before the run it has its first value, after the run its last."""
    schedule = case.build()
    for outside, edge in ((-0.5, 0.0), (1.5, 1.0)):
        for u in DRAWS:
            if schedule(outside, u) != schedule(edge, u):
                fail(
                    f"at {outside} the value is {schedule(outside, u):g}, at {edge} it is {schedule(edge, u):g}"
                )


def check_schedule_per_row(case: Case) -> None:
    """It follows the row's own draw exactly when it says so with the tag `per-row`."""
    schedule = case.build()
    follows = any(len({schedule(progress, u) for u in DRAWS}) > 1 for progress in PROGRESS)
    declared = "per-row" in case.tags()
    if follows != declared:
        fail(
            f"it {'follows' if follows else 'ignores'} u, but {'has' if declared else 'lacks'} the tag per-row"
        )
