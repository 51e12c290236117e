"""Every component of the plugin keeps the contracts; recipes are killed and resumed among them."""

from collections.abc import Callable

from maskwright_testing import check_distribution, parametrize_contracts


@parametrize_contracts("maskwright-causal")
def test_contracts(check: Callable[[], None]):
    check()


def test_the_contracts_were_really_checked():
    report = check_distribution("maskwright-causal")
    assert report.ok, report.summary()
    assert report.ran >= 200, report.summary()
