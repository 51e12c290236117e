"""Every component of the plugin keeps the contracts."""

from collections.abc import Callable

import pytest

from maskwright_testing import parametrize_contracts
from maskwright_testing.registry import checks_for
from maskwright_testing.report import components_of

MEASURED = {
    "evaluator:latency": {"check_evaluator_deterministic": "times are measured, never the same twice"}
}


@parametrize_contracts("maskwright-cap", MEASURED)
def test_contracts(check: Callable[[], None]):
    check()


@pytest.mark.parametrize(
    ("kind", "check"), [("masker", "check_masker_rows_apart"), ("objective", "check_objective_after_step")]
)
def test_tensors_are_checked(kind: str, check: str):
    found = [dict(checks_for(listed)) for listed in components_of("maskwright-cap") if listed.kind == kind]
    assert found
    assert all(check in checks for checks in found)
