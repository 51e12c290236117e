"""The core's own components keep the contracts that every plugin's must keep."""

from collections.abc import Callable

from maskwright_testing import check_distribution, parametrize_contracts


@parametrize_contracts("maskwright")
def test_contracts(check: Callable[[], None]):
    check()


def test_the_contracts_were_really_checked():
    report = check_distribution("maskwright")
    assert report.ok, report.summary()
    assert report.ran >= 16 * 13, report.summary()
