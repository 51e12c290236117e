"""The sawtooth: a pure function of the share of the run that is over."""

from maskwright.schedules import Curve


def sawtooth(low: float, high: float, teeth: int, rise: float) -> Curve:
    """`teeth` times from `low` to `high`; `rise` in (0, 1] is the share of a tooth that this takes."""

    def value(x: float) -> float:
        # The end of the run is the top of the last tooth, not the foot of one more.
        tooth = min(int(x * teeth), teeth - 1)
        height = min((x * teeth - tooth) / rise, 1.0)
        return low + (high - low) * height

    return Curve(value, (min(low, high), max(low, high)))
