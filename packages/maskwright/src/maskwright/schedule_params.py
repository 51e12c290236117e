"""Settings of the schedules; `maskwright.schedules` has the curves themselves."""

from typing import Any

from maskwright.params import params, setting, slot


@params
class Constant:
    """The same value throughout; a plain number in a schedule slot means this."""

    value: float = setting(help="the value")

    def build(self):
        from maskwright import schedules

        return schedules.constant(self.value)

    @classmethod
    def example(cls):
        return cls(value=0.15)


@params
class Linear:
    """A straight line from start to end."""

    start: float = setting(0.0, help="value at the beginning")
    end: float = setting(1.0, help="value at the end")

    def build(self):
        from maskwright import schedules

        return schedules.linear(self.start, self.end)

    @classmethod
    def example(cls):
        return cls(start=0.3, end=0.15)


@params
class Cosine:
    """Half a cosine from start to end, flat at both ends."""

    start: float = setting(0.0, help="value at the beginning")
    end: float = setting(1.0, help="value at the end")

    def build(self):
        from maskwright import schedules

        return schedules.cosine(self.start, self.end)

    @classmethod
    def example(cls):
        return cls(start=0.6, end=0.8)


@params
class Cubic:
    """Fast at first, then slower: end + (start - end)(1 - x)^3 between two holds (pruning)."""

    start: float = setting(0.0, help="value during the first hold")
    end: float = setting(1.0, help="value during the last hold")
    hold_start: float = setting(0.0, ge=0, lt=1, help="share of the run that stays at start")
    hold_end: float = setting(0.0, ge=0, lt=1, help="share of the run that stays at end")

    def check(self):
        if self.hold_start + self.hold_end >= 1:
            yield (
                "hold_end",
                f"hold_start + hold_end must stay below 1, found {self.hold_start + self.hold_end:g}",
            )

    def build(self):
        from maskwright import schedules

        return schedules.cubic(self.start, self.end, self.hold_start, self.hold_end)

    @classmethod
    def example(cls):
        return cls(end=0.9, hold_start=0.1, hold_end=0.2)


@params
class Steps:
    """A staircase of equal treads, e.g. sparsity 10, 20, … 90 %."""

    start: float = setting(0.1, help="value of the first tread")
    end: float = setting(0.9, help="value of the last tread")
    count: int = setting(9, ge=1, help="number of treads")

    def build(self):
        from maskwright import schedules

        return schedules.steps(self.start, self.end, self.count)

    @classmethod
    def example(cls):
        return cls()


@params
class Piecewise:
    """Straight lines between given points."""

    at: list[float] = setting(help="rising shares of the run", ge=0, le=1)
    values: list[float] = setting(help="value at each of them")

    def check(self):
        if len(self.at) != len(self.values) or not self.at:
            yield "values", f"needs one value for each point, found {len(self.at)} and {len(self.values)}"
        elif any(right <= left for left, right in zip(self.at, self.at[1:], strict=False)):
            yield "at", f"the points must rise, found {self.at}"

    def build(self):
        from maskwright import schedules

        schedules.check_points(self.at, self.values)
        return schedules.piecewise(self.at, self.values)

    @classmethod
    def example(cls):
        return cls(at=[0.0, 0.25, 1.0], values=[0.0, 1.0, 0.1])


@params
class WarmUp:
    """A straight rise from start to another schedule's first value, then that schedule."""

    then: Any = slot("schedule", inherit=True, help="what follows the warm-up")
    start: float = setting(0.0, help="value at the very beginning")
    width: float = setting(0.1, ge=0, le=1, help="share of the run that the warm-up takes")

    def build(self):
        from maskwright import schedules

        return schedules.warmup(self.then, self.start, self.width)

    @classmethod
    def example(cls):
        return cls(then=Cosine(start=1.0, end=0.0))


def _preset(name: str, curve: str, doc: str) -> type:
    """A Params class for one curve; the presets share their only setting."""

    def build(self):
        from maskwright import schedules

        return getattr(schedules, curve)(self.p)

    def example(cls):
        return cls()

    body = {
        "__doc__": doc,
        "__module__": __name__,
        "__qualname__": name,
        "__annotations__": {"p": float},
        "p": setting(0.15, gt=0, le=0.5, help="the fixed ratio that the curve replaces"),
        "build": build,
        "example": classmethod(example),
    }
    return params(type(name, (), body))


MrdLinear = _preset("MrdLinear", "mrd_linear", "2p(1 - x): masking-ratio decay, linear.")
MrdCosine = _preset("MrdCosine", "mrd_cosine", "p(1 + cos pi x) + 0.02: the recommended masking-ratio decay.")
MrdAscend = _preset("MrdAscend", "mrd_ascend", "2px: rises instead of falling, the negative control.")
MrdConvex = _preset("MrdConvex", "mrd_convex", "2p(1 - x)^2: masks a third fewer tokens in all.")
MrdConcave = _preset("MrdConcave", "mrd_concave", "2p(1 - x^2) + 0.01: masks a third more tokens in all.")
MrdUpDown = _preset("MrdUpDown", "mrd_up_down", "Up to 2p at half time, then back to zero.")
MrdDownUp = _preset("MrdDownUp", "mrd_down_up", "From 2p to 0.01 at half time, then up again.")


@params
class MrdWarmDecay:
    """Up to 2p within `width`, then linearly to zero."""

    p: float = setting(0.15, gt=0, le=0.5, help="the fixed ratio that the curve replaces")
    width: float = setting(0.1, gt=0, lt=1, help="share of the run until the peak")

    def build(self):
        from maskwright import schedules

        return schedules.mrd_warm_decay(self.p, self.width)

    @classmethod
    def example(cls):
        return cls()


@params
class CosineOfUniform:
    """cos(pi u / 2), u uniform for each row: the training ratio of MaskGIT and VampNet."""

    smallest: float = setting(1e-10, ge=0, lt=1, help="lower clamp")

    def build(self):
        from maskwright import schedules

        return schedules.cosine_of_uniform(self.smallest)

    @classmethod
    def example(cls):
        return cls()
