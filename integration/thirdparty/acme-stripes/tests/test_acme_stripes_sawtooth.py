"""The teeth: where they begin, where they end, and that the last does not fall."""

import pytest
from acme_stripes.params import Sawtooth


def values(settings, *progress):
    schedule = settings.build()
    return pytest.approx([schedule(x) for x in progress], abs=1e-12)


def test_it_rises_and_falls_back_at_once():
    teeth = Sawtooth(low=0.2, high=0.6, teeth=4)
    assert values(teeth, 0.0, 0.125, 0.25, 0.3125, 0.9375) == [0.2, 0.4, 0.2, 0.3, 0.5]
    assert values(teeth, 0.25 - 1e-14) == [0.6]


def test_the_run_ends_at_the_top():
    for teeth in (1, 3, 7):
        assert values(Sawtooth(low=0.2, high=0.6, teeth=teeth), 1.0, 2.0) == [0.6, 0.6]


def test_after_its_rise_a_tooth_stays_at_the_top():
    held = Sawtooth(low=0.0, high=0.8, teeth=2, rise=0.5)
    assert values(held, 0.0, 0.125, 0.25, 0.45, 0.5, 0.75) == [0.0, 0.4, 0.8, 0.8, 0.0, 0.8]


def test_with_one_tooth_it_never_falls():
    schedule = Sawtooth(low=0.0, high=0.5, teeth=1, rise=0.6).build()
    found = [schedule(number / 200) for number in range(201)]
    assert found == sorted(found) and found[0] == 0.0 and found[120] == pytest.approx(0.5)


def test_it_may_go_down():
    down = Sawtooth(low=0.6, high=0.2, teeth=2)
    assert values(down, 0.0, 0.25, 0.5, 1.0) == [0.6, 0.4, 0.6, 0.2]
    assert down.build().range == (0.2, 0.6)
