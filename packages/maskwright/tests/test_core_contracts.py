"""The core's own components keep the contracts that every plugin's must keep."""

from collections.abc import Callable

import pytest

from maskwright import data_params
from maskwright.data_params import Classes, Subset
from maskwright_testing import check_component, check_distribution, parametrize_contracts

NO_EXAMPLE = "wraps another data set, and the core has none to wrap"

EXPECTED_FAILURES = {
    f"dataset:{name}": {"check_params_example": NO_EXAMPLE}
    for name in ("classes", "concat", "few-shot", "subset")
}


@parametrize_contracts("maskwright", EXPECTED_FAILURES)
def test_contracts(check: Callable[[], None]):
    check()


def test_the_contracts_were_really_checked():
    report = check_distribution("maskwright", EXPECTED_FAILURES)
    assert report.ok, report.summary()
    assert report.ran >= 16 * 13, report.summary()


WRAPPERS = {
    "subset": ("Subset", lambda cls, data: cls(inner=data, count=2)),
    "few-shot": ("FewShot", lambda cls, data: cls(inner=data, shots=2)),
    "classes": ("Classes", lambda cls, data: cls(inner=data, keep=[1])),
    "concat": (
        "Concat",
        lambda cls, data: cls(parts=[Subset(inner=data, count=2), Classes(inner=data, keep=[0])]),
    ),
}


NOT_KEPT = {
    "concat": {"check_dataset_field_types": "about() does not pass on the classes that all parts share"}
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_keep_the_contracts_around_sample_data(name: str, monkeypatch: pytest.MonkeyPatch):
    home, example = WRAPPERS[name]
    monkeypatch.setattr(getattr(data_params, home), "example", classmethod(example), raising=False)
    report = check_component(f"dataset:{name}", NOT_KEPT.get(name))
    assert report.ok, [(result.check, result.reason) for result in report.failed]
    assert report.ran >= 15, report.summary()
