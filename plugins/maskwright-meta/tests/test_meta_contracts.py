"""Every component of the plugin keeps the contracts."""

from collections.abc import Callable

import pytest

from maskwright_testing import parametrize_contracts
from maskwright_testing.registry import checks_for
from maskwright_testing.report import components_of


@parametrize_contracts("maskwright-meta")
def test_contracts(check: Callable[[], None]):
    check()


@pytest.mark.parametrize(
    ("kind", "check", "count"),
    [
        ("objective", "check_objective_halves", 1),
        ("encoder", "check_encoder_hidden_content", 1),
        ("dataset", "check_dataset_fields", 4),
        ("evaluator", "check_evaluator_deterministic", 3),
    ],
)
def test_what_is_checked(kind: str, check: str, count: int):
    found = [dict(checks_for(listed)) for listed in components_of("maskwright-meta") if listed.kind == kind]
    assert len(found) == count
    assert all(check in checks for checks in found)
