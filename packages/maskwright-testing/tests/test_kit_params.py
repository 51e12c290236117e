"""Each check of settings passes on a good class and fails on one with the fault it is for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit_toys import toy
from test_kit_schedules import Ramp

from maskwright.params import setting, slot
from maskwright.planner import Planner
from maskwright_testing import import_probe
from maskwright_testing.params_checks import beyond_bounds
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result


def good(**members: Any) -> type:
    """Settings of every sort, a slot, and bounds."""
    base: dict[str, Any] = {
        "annotations": {
            "rate": float,
            "count": int,
            "at": list[float],
            "names": dict[str, Any],
            "pair": tuple[int, int],
            "file": Path | None,
            "inner": Any,
        },
        "rate": setting(help="a share", gt=0, le=0.5),
        "count": setting(3, help="how many", ge=1),
        "at": setting([0.5], help="shares", ge=0, lt=1),
        "names": setting({}, help="anything by name"),
        "pair": setting((1, 2), help="two numbers", ge=0),
        "file": setting(None, help="where it lies"),
        "inner": slot("schedule", default=0.5, help="another schedule"),
        "example": classmethod(lambda cls: cls(rate=0.25)),
    }
    return toy(Ramp, **{**base, **members})


def drifting(self: Any) -> Any:
    yield "count", "is never right"


FAULTS = [
    ("check_params_example", {"example": None}, "has no classmethod example()"),
    (
        "check_params_example",
        {"example": classmethod(lambda cls: 3)},
        "example() gives 3, not an instance of",
    ),
    ("check_params_example", {"check": drifting}, "the example has mistakes: count: is never right"),
    ("check_params_example", {"tags": lambda self: "per-row"}, "tags() gives 'per-row', not a set of words"),
    ("check_params_build", {"build": lambda self: None}, "build() gives nothing"),
    ("check_params_build", {"build": lambda self: object()}, "is no Schedule: it lacks range, __call__"),
    ("check_params_help", {"__doc__": None}, "has no docstring"),
    ("check_params_help", {"count": setting(3, help=" ")}, "without help: count"),
    (
        "check_params_types",
        {"annotations": {"loose": Any}, "loose": setting(1, help="anything")},
        "these settings accept anything, give them a type: loose",
    ),
    (
        "check_params_defaults",
        {"count": setting(0, help="how many", ge=1)},
        "the default of count would be refused",
    ),
]


def only_annotations(members: dict[str, Any]) -> dict[str, Any]:
    """A fault that brings its own annotations replaces the whole set of settings."""
    if "annotations" not in members:
        return members
    gone = dict.fromkeys(("rate", "count", "at", "names", "pair", "file", "inner"))
    return {**gone, "example": classmethod(lambda cls: cls()), **members}


@pytest.mark.parametrize(("check", "members", "says"), FAULTS)
def test_fault_is_found(verdict: Callable[..., Result], check: str, members: dict[str, Any], says: str):
    assert verdict(check, "schedule", good()).outcome == "passed"
    result = verdict(check, "schedule", good(**only_annotations(members)))
    assert result.outcome == "failed"
    assert says in result.reason


def test_every_check_has_a_fault():
    elsewhere = {"check_params_import_nothing_heavy", "check_params_mistakes", "check_params_round_trip"}
    assert {check for check, _, _ in FAULTS} | elsewhere == {name for name, _ in checks_in("params_checks")}


def test_one_fault_is_told_once(verdict: Callable[..., Result]):
    result = verdict("check_params_build", "schedule", good(example=None))
    assert (result.outcome, result.reason) == ("skipped", "no example(), see check_params_example")


def test_a_recipe_may_have_no_example(verdict: Callable[..., Result]):
    result = verdict("check_params_example", "recipe", toy(object, example=None))
    assert (result.outcome, result.reason) == (
        "skipped",
        "no example(): it runs components of other packages",
    )


@pytest.mark.parametrize("lost", ["count", "at", "pair", "no-such-setting"])
def test_a_planner_that_misses_a_mistake_is_found(
    verdict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, lost: str
):
    assert verdict("check_params_mistakes", "schedule", good()).outcome == "passed"
    wrong = Planner.wrong
    monkeypatch.setattr(Planner, "wrong", lambda self, path, text: path == lost or wrong(self, path, text))
    result = verdict("check_params_mistakes", "schedule", good())
    assert result.outcome == "failed"
    assert result.reason.startswith(f"{lost} ")
    assert result.reason.endswith(f"expected one mistake at {lost}, found none")


def test_bounds_are_tried_on_their_far_side():
    from maskwright.params import fields_of

    fields = fields_of(good())
    assert beyond_bounds(fields["rate"]) == [0.0, 1.5]
    assert beyond_bounds(fields["count"]) == [0]
    assert beyond_bounds(fields["at"]) == [[-1.0], [1.0]]
    assert beyond_bounds(fields["pair"]) == [(-1, -1)]
    assert beyond_bounds(fields["names"]) == []


def test_a_setting_that_changes_on_the_way_is_found(
    verdict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    assert verdict("check_params_round_trip", "schedule", good()).outcome == "passed"
    monkeypatch.setattr("maskwright.planner.coerce", lambda value, kind: value * 2 if kind is int else value)
    result = verdict("check_params_round_trip", "schedule", good())
    assert result.reason == "count was 3 and came back as 6"


def test_a_tree_that_resolved_json_cannot_hold_is_found(
    verdict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    from maskwright_testing import params_checks

    def forgetful(node: Any) -> Any:
        return {key: value for key, value in to_json(node).items() if key != "rate"}

    to_json = params_checks.to_json
    monkeypatch.setattr(params_checks, "to_json", forgetful)
    result = verdict("check_params_round_trip", "schedule", good())
    assert "what resolved.json would hold cannot be read again: rate: is required" in result.reason


HEAVY_MODULE = """
try:
    import numpy.linalg
except ImportError:
    pass
from maskwright.params import params

@params
class Toy:
    "A toy."
    def build(self): return 1
"""


def test_heavy_imports_are_found_even_when_guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "kit_light.py").write_text("import json")
    (tmp_path / "kit_heavy.py").write_text(HEAVY_MODULE)
    (tmp_path / "kit_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    found = import_probe.heavy_imports(("kit_light", "kit_heavy", "kit_broken"))
    assert found["kit_light"] == []
    assert found["kit_heavy"] == ["numpy"]
    assert found["kit_broken"] == ["nothing heavy, but fails with ZeroDivisionError: division by zero"]


def test_a_params_module_that_imports_numpy_is_found(
    isolated_catalogue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from maskwright import Component
    from maskwright_testing.report import check_listed

    (tmp_path / "kit_heavy_params.py").write_text(HEAVY_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(import_probe, "HEAVY", frozenset({"numpy"}))
    listed = isolated_catalogue.add_component("encoder", Component("heavy", "kit_heavy_params:Toy", "a toy"))
    results = {result.check: result for result in check_listed(listed).results}
    assert results["check_params_import_nothing_heavy"].reason == (
        "importing kit_heavy_params imports numpy; move that into build()"
    )


def test_a_slot_that_is_left_out_is_one_mistake(verdict: Callable[..., Result]):
    cls = toy(
        Ramp,
        annotations={"inner": Any},
        inner=slot("schedule", help="wanted"),
        example=classmethod(lambda cls: cls(inner=0.5)),
    )
    assert verdict("check_params_mistakes", "schedule", cls).outcome == "passed"
