"""Every component of the plugin keeps the contracts."""

from collections.abc import Callable

import pytest

from maskwright_testing import parametrize_contracts
from maskwright_testing.registry import checks_for
from maskwright_testing.report import components_of


@parametrize_contracts("maskwright-text")
def test_contracts(check: Callable[[], None]):
    check()


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("masker", "check_masker_rows_apart"),
        ("encoder", "check_encoder_hidden_content"),
        ("objective", "check_objective_halves"),
    ],
)
def test_tensors_are_checked(kind: str, check: str):
    found = [dict(checks_for(listed)) for listed in components_of("maskwright-text") if listed.kind == kind]
    assert found
    assert all(check in checks for checks in found)
