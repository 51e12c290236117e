"""`Step`, the only source of randomness: what a stream depends on, and what it does not."""

from maskwright.step import Step


def test_a_longer_run_draws_the_same():
    assert Step(3, 7, 10).stream("mask") == Step(3, 7, 1000).stream("mask")


def test_streams_never_change():
    """A run that was begun with an older version goes on with the draws that it had."""
    assert Step().stream("mask") == 16675331684688228660
    assert Step(3, 7, 10, ("data", "4")).stream("mask") == 7316653738353788959


def test_everything_that_a_stream_is_made_of_counts():
    step = Step(3, 7, 10)
    others = [
        Step(4, 7, 10).stream("mask"),
        step.at(8).stream("mask"),
        step.stream("order"),
        step.fork("a").stream("mask"),
        step.fork("b").stream("mask"),
        step.fork("a", "b").stream("mask"),
        step.fork("b", "a").stream("mask"),
        # The same letters in other words.
        step.fork("ab").stream("mask"),
        step.fork("ab", "c").stream("mask"),
        step.fork("a", "bc").stream("mask"),
        Step(37, 10).stream("mask"),
        Step(3, 71, names=("0",)).stream("mask"),
    ]
    assert len({step.stream("mask"), *others}) == 13
    assert all(0 <= key < 1 << 64 for key in others)


def test_the_share_of_a_run_that_lies_behind():
    assert [Step(0, number, 4).progress for number in (0, 3)] == [0.0, 0.75]
    assert [Step(0, number, 4).done for number in (0, 3)] == [0.25, 1.0]
    assert Step(0, 0, 0).progress == 0.0
