"""Schedules: pure functions of progress, on floats. The same object drives a masking ratio, sparsity,
a temperature, momentum or a learning rate. All widths are fractions of the run; floors and caps belong to
the objective that needs them. An objective that asks after its step uses `step.done`, or the end is not reached.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import attrs

from maskwright.errors import UserError


@attrs.frozen
class Curve:
    """A schedule made from a function of progress, clamped to [0, 1]."""

    function: Callable[[float], float]
    range: tuple[float, float]

    def __call__(self, progress: float, u: float = 0.0) -> float:
        return self.function(min(max(progress, 0.0), 1.0))


@attrs.frozen
class PerRow:
    """A schedule that draws a value for each row from the row's own uniform number `u` in [0, 1)."""

    function: Callable[[float], float]
    range: tuple[float, float]

    def __call__(self, progress: float, u: float = 0.0) -> float:
        return self.function(u)


def _between(*values: float) -> tuple[float, float]:
    return min(values), max(values)


def constant(value: float) -> Curve:
    return Curve(lambda _: value, (value, value))


def linear(start: float, end: float) -> Curve:
    """start + (end - start) x; 0.30 -> 0.15 is the decay of arXiv:2305.15096."""
    return Curve(lambda x: start + (end - start) * x, _between(start, end))


def cosine(start: float, end: float) -> Curve:
    """Half a cosine from start to end, flat at both."""
    return Curve(lambda x: end + (start - end) * (1 + math.cos(math.pi * x)) / 2, _between(start, end))


def cubic(start: float, end: float, hold_start: float, hold_end: float) -> Curve:
    """end + (start - end)(1 - x)^3 between two holds: the sparsity schedule of movement pruning and CAP."""
    width = 1.0 - hold_start - hold_end

    def value(x: float) -> float:
        inner = min(max((x - hold_start) / width, 0.0), 1.0)
        return end + (start - end) * (1 - inner) ** 3

    return Curve(value, _between(start, end))


def steps(start: float, end: float, count: int) -> Curve:
    """A staircase of `count` equal treads; the first lies at start, the last at end (10, 20, … 90 %)."""

    def value(x: float) -> float:
        tread = min(int(x * count), count - 1)
        return start + (end - start) * (tread / (count - 1) if count > 1 else 1.0)

    return Curve(value, _between(start, end))


def piecewise(at: Sequence[float], values: Sequence[float]) -> Curve:
    """Straight lines between the points (at, value); level before the first and after the last."""

    def value(x: float) -> float:
        if x <= at[0]:
            return values[0]
        for left, right, low, high in zip(at, at[1:], values, values[1:], strict=False):
            if x <= right:
                return low + (high - low) * (x - left) / (right - left)
        return values[-1]

    return Curve(value, _between(*values))


@attrs.frozen
class Warmup:
    """From `start` straight up (or down) to the inner schedule's first value, then the inner schedule."""

    inner: Callable[..., float]
    start: float
    width: float
    range: tuple[float, float]

    def __call__(self, progress: float, u: float = 0.0) -> float:
        progress = min(max(progress, 0.0), 1.0)
        if progress < self.width:
            return self.start + (self.inner(0.0, u) - self.start) * progress / self.width
        rest = 1.0 - self.width
        return self.inner((progress - self.width) / rest if rest > 0 else 1.0, u)


def warmup(inner: Callable[..., float], start: float, width: float) -> Warmup:
    low, high = getattr(inner, "range", (-math.inf, math.inf))
    return Warmup(inner, start, width, (min(low, start), max(high, start)))


# Masking-ratio decay ("Learning Better Masking for Better Language Model Pre-training", arXiv:2208.10806):
# p is the fixed ratio that the curve replaces, x = updates done / updates in all. The added constants are
# those of the official code, which keep a curve that ends at zero from masking nothing.


def mrd_linear(p: float) -> Curve:
    return Curve(lambda x: 2 * p * (1 - x), (0.0, 2 * p))


def mrd_cosine(p: float) -> Curve:
    return Curve(lambda x: p * (1 + math.cos(math.pi * x)) + 0.02, (0.02, 2 * p + 0.02))


def mrd_ascend(p: float) -> Curve:
    return Curve(lambda x: 2 * p * x, (0.0, 2 * p))


def mrd_convex(p: float) -> Curve:
    return Curve(lambda x: 2 * p * (1 - x) ** 2, (0.0, 2 * p))


def mrd_concave(p: float) -> Curve:
    return Curve(lambda x: 2 * p * (1 - x * x) + 0.01, (0.01, 2 * p + 0.01))


def mrd_up_down(p: float) -> Curve:
    return Curve(lambda x: 4 * p * x if x < 0.5 else 4 * p * (1 - x), (0.0, 2 * p))


def mrd_down_up(p: float) -> Curve:
    return Curve(lambda x: 2 * p * abs(1 - 2 * x) + 0.01, (0.01, 2 * p + 0.01))


def mrd_warm_decay(p: float, width: float) -> Curve:
    """Up to 2p within `width`, then linearly to 0; the official code fixes the width at 80 000 updates."""

    def value(x: float) -> float:
        if x < width:
            return 2 * p * x / width
        return 2 * p * (1 - (x - width) / (1 - width))

    return Curve(value, (0.0, 2 * p))


def cosine_of_uniform(smallest: float) -> PerRow:
    """cos(pi u / 2) with u uniform for each row (MaskGIT, VampNet): mean 2/pi, median 0.7071."""
    return PerRow(lambda u: min(max(math.cos(math.pi * u / 2), smallest), 1.0), (smallest, 1.0))


@attrs.frozen
class Clamped:
    """Another schedule, held between `low` and `high`."""

    inner: Callable[..., float]
    low: float
    high: float
    range: tuple[float, float]

    def __call__(self, progress: float, u: float = 0.0) -> float:
        return min(max(self.inner(progress, u), self.low), self.high)


def clamped(inner: Callable[..., float], low: float, high: float) -> Callable[..., float]:
    """`inner` with a floor and a cap: for objectives whose ratio must not reach an end."""
    first, last = getattr(inner, "range", (-math.inf, math.inf))
    within = (min(max(first, low), high), min(max(last, low), high))
    if isinstance(inner, Curve):  # stays a curve: the same for all rows, asked once a batch
        return Curve(lambda x: min(max(inner.function(x), low), high), within)
    return Clamped(inner, low, high, within)


def check_points(at: Sequence[float], values: Sequence[float]) -> None:
    """Refuse points that do not make a function."""
    if len(at) != len(values) or not at:
        raise UserError(
            f"a piecewise schedule needs as many values as points, found {len(at)} points and {len(values)} values"
        )
    if any(right <= left for left, right in itertools.pairwise(at)):
        raise UserError(f"the points of a piecewise schedule must rise, found {list(at)}", cure="sort `at`")
