"""Contract checks for Maskwright components, and helpers for the tests of plugins.

    from maskwright_testing import parametrize_contracts

    @parametrize_contracts("maskwright-samples")
    def test_contracts(check):
        check()

`maskwright_testing.cases` says what a Params class offers so that its component can be checked.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskwright_testing.assertions import (
        assert_mistakes,
        assert_one_error,
        assert_run_folders_equal,
        assert_user_error,
    )
    from maskwright_testing.listed_data import ListedData, sample_data
    from maskwright_testing.parametrize import parametrize_contracts
    from maskwright_testing.report import Report, check_component, check_distribution

_HOMES = {
    "ListedData": "listed_data",
    "Report": "report",
    "assert_mistakes": "assertions",
    "assert_one_error": "assertions",
    "assert_run_folders_equal": "assertions",
    "assert_user_error": "assertions",
    "check_component": "report",
    "check_distribution": "report",
    "parametrize_contracts": "parametrize",
    "sample_data": "listed_data",
}

__all__ = [
    "ListedData",
    "Report",
    "assert_mistakes",
    "assert_one_error",
    "assert_run_folders_equal",
    "assert_user_error",
    "check_component",
    "check_distribution",
    "parametrize_contracts",
    "sample_data",
]


def __getattr__(name: str) -> Any:
    # Resolved on first use: pytest loads this package in every run, also of projects that check no contract.
    if name not in _HOMES:
        raise AttributeError(f"module 'maskwright_testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"maskwright_testing.{_HOMES[name]}"), name)
