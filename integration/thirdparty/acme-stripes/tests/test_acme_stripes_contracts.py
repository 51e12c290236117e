"""The masker and the schedule keep the contracts of their kinds."""

import pytest

from maskwright_testing import check_component, parametrize_contracts


@parametrize_contracts("acme-stripes")
def test_contracts(check):
    check()


@pytest.mark.parametrize(
    ("component", "proof"),
    [
        ("masker:stripes", "check_masker_exact_count"),
        ("masker:stripes", "check_masker_invalid_units"),
        ("schedule:sawtooth", "check_schedule_range"),
    ],
)
def test_what_matters_most_is_checked(component, proof):
    """A check that cannot be made is skipped; these were made."""
    assert proof in {result.check for result in check_component(component).passed}
