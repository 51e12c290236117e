"""Contracts as pytest tests: one for each component and check."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from maskwright.catalogue import Listed
from maskwright_testing.cases import Skipped
from maskwright_testing.registry import Check, checks_for
from maskwright_testing.report import components_of, require_components, require_known, run_check


def parametrize_contracts(
    distribution: str, expected_failures: Mapping[str, Mapping[str, str]] | None = None
) -> Any:
    """Decorate `def test_contracts(check): check()` with every check of every component of a distribution.

    `expected_failures={"dataset:mine": {"check_dataset_ids": "why"}}` marks strict expected failures: one that passes
    is an error. A distribution without components is an error as well. Choose with
    `pytest -k "schedule:cosine"` or `pytest -k check_dataset_ids`.
    """
    expected = dict(expected_failures or {})
    components = components_of(distribution)
    require_components(expected, components)
    cases = []
    for listed in components:
        checks, known = checks_for(listed), dict(expected.get(listed.reference, {}))
        require_known(listed, known, [name for name, _ in checks])
        for name, check in checks:
            marks = [pytest.mark.xfail(reason=known[name], strict=True)] if name in known else []
            cases.append(pytest.param(_as_test(listed, check), id=f"{listed.reference}-{name}", marks=marks))
    return pytest.mark.parametrize("check", cases)


def _as_test(listed: Listed, check: Check) -> Callable[[], None]:
    def run() -> None:
        try:
            run_check(listed, check)
        except Skipped as reason:
            pytest.skip(str(reason))

    return run
