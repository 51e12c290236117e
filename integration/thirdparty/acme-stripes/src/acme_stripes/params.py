"""Settings of the masker and the schedule. Imports nothing heavy: torch enters inside build()."""

from typing import Literal

from maskwright.params import params, setting


@params
class Stripes:
    """Stripes of neighbouring units, shifted at random in each row; the count is exact."""

    width: int = setting(2, ge=1, help="units across a stripe")
    every: int = setting(2, ge=1, help="one run in so many is hidden before any other")
    direction: Literal["vertical", "horizontal"] = setting(
        "vertical", help="on a grid: stripes are columns or rows; in a line of units it plays no part"
    )

    def build(self):
        from acme_stripes.stripes import StripesMasker

        return StripesMasker(self.width, self.every, self.direction)

    @classmethod
    def example(cls):
        return cls()


@params
class Sawtooth:
    """Straight up from low to high and back at once, several times in a run."""

    low: float = setting(0.3, help="value at the beginning of each tooth")
    high: float = setting(0.6, help="value at its top, and at the end of the run")
    teeth: int = setting(4, ge=1, help="how often it rises; with 1 it never falls")
    rise: float = setting(
        1.0, gt=0, le=1, help="share of a tooth that it takes to rise; then it stays at high"
    )

    def build(self):
        from acme_stripes.sawtooth import sawtooth

        return sawtooth(self.low, self.high, self.teeth, self.rise)

    @classmethod
    def example(cls):
        return cls()
