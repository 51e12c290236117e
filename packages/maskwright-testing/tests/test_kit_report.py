"""The report, the pytest parametrisation, the command, the isolated catalogue and the assertions."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit_toys import toy
from test_kit_schedules import Ramp, TooHigh

from maskwright import Component, UserError, hookimpl
from maskwright import catalogue as catalogue_module
from maskwright.catalogue import Listed, catalogue
from maskwright.params import slot
from maskwright_testing import (
    assert_mistakes,
    assert_one_error,
    assert_run_folders_equal,
    assert_user_error,
    check_component,
    check_distribution,
    parametrize_contracts,
)
from maskwright_testing.isolation import IsolatedCatalogue, isolated
from maskwright_testing.report import contracts_for_doctor

Declare = Callable[..., Listed]
RANGE = "check_schedule_range"


def test_a_report_counts_what_ran(declare: Declare):
    report = check_component(declare("schedule", toy(Ramp)).reference)
    assert report.ok
    assert report.ran == len(report.passed) >= 10
    assert report.summary() == f"ran {report.ran}, passed {report.ran}"


def test_a_failure_is_told_with_its_reason(declare: Declare):
    report = check_component(declare("schedule", toy(TooHigh)).reference)
    assert not report.ok
    assert [(result.component, result.check, result.outcome) for result in report.failed] == [
        ("schedule:toy-0", RANGE, "failed")
    ]
    assert report.summary().endswith(", failed 1")


def test_an_exception_is_a_failure_with_its_place(declare: Declare):
    report = check_component(declare("schedule", toy(Ramp, example=classmethod(lambda cls: 1 / 0))).reference)
    failed = {result.check: result.reason for result in report.failed}
    assert failed.keys() == {"check_params_example"}
    assert failed["check_params_example"].startswith(
        "raised ZeroDivisionError: division by zero (test_kit_report.py, line"
    )


def test_skips_are_counted_with_their_reasons(declare: Declare):
    report = check_component(declare("recipe", toy(object, example=None)).reference)
    assert report.ok
    assert report.summary().endswith(
        f"skipped {len(report.skipped)} ({len(report.skipped)} × no example(): it runs components of other packages)"
    )


def test_expected_failures_are_no_failures(declare: Declare):
    reference = declare("schedule", toy(TooHigh)).reference
    report = check_component(reference, {RANGE: "the range is a guess"})
    assert report.ok
    assert [(result.outcome, result.reason) for result in report.expected_failures] == [
        ("failed as expected", "the range is a guess")
    ]
    assert "failed as expected 1" in report.summary()


def test_an_expected_failure_that_passes_is_a_failure(declare: Declare):
    report = check_component(declare("schedule", toy(Ramp)).reference, {RANGE: "was wrong once"})
    assert not report.ok
    assert [result.reason for result in report.unexpected_passes] == ["expected to fail: was wrong once"]


def test_expected_failures_name_checks_that_are_made(declare: Declare):
    reference = declare("schedule", toy(Ramp)).reference
    assert_user_error(
        lambda: check_component(reference, {"check_schedule_rnge": "why"}),
        'schedule:toy-0 has no check "check_schedule_rnge"',
        'did you mean "check_schedule_range"',
    )
    assert_user_error(
        lambda: check_component(reference, {RANGE: " "}), f"the expected failure of {RANGE} has no reason"
    )
    assert_user_error(
        lambda: check_distribution("toy", {"schedule:toy-1": {RANGE: "why"}}),
        'there is no component "schedule:toy-1"',
    )


def test_names_that_mean_nothing(declare: Declare):
    declare("schedule", toy(Ramp))
    assert_user_error(lambda: check_component("toy-0"), '"toy-0" is no component', "write kind:name")
    assert_user_error(lambda: check_component("schedule:nope"), 'there is no schedule called "nope"')
    assert_user_error(
        lambda: check_distribution("toys"), 'no component comes from "toys" — did you mean "toy"?'
    )


def test_a_distribution_that_does_not_load(isolated_catalogue: IsolatedCatalogue):
    isolated_catalogue.add(SimpleNamespace(), name="late", distribution="late", may_fail=True)
    assert_user_error(lambda: check_distribution("late"), "late does not load", "MASKWRIGHT_API is missing")


def test_the_command_says_what_it_found(declare: Declare, capsys: pytest.CaptureFixture[str]):
    declare("schedule", toy(Ramp))
    assert contracts_for_doctor("toy") == 0
    good = capsys.readouterr().out.splitlines()
    assert good[0].startswith("schedule:toy-0  ran ")
    assert good[-1].startswith("toy: ran ")
    declare("schedule", toy(TooHigh))
    assert contracts_for_doctor("toy") == 1
    assert f"  {RANGE}: at 0.91 (u = 0) the value 0.91 lies outside 0 … 0.9" in capsys.readouterr().out
    assert contracts_for_doctor("schedule:toy-0") == 0


def test_nothing_checked_is_a_failure(declare: Declare, monkeypatch: pytest.MonkeyPatch):
    reference = declare("schedule", toy(Ramp)).reference
    monkeypatch.setattr("maskwright_testing.report.checks_for", lambda listed: [])
    assert not check_component(reference).ok
    assert contracts_for_doctor(reference) == 2


def test_contracts_become_pytest_cases(declare: Declare):
    declare("schedule", toy(TooHigh))
    mark = parametrize_contracts("toy", {"schedule:toy-0": {RANGE: "the range is a guess"}}).mark
    assert mark.args[0] == "check"
    cases = {case.id: case for case in mark.args[1]}
    assert f"schedule:toy-0-{RANGE}" in cases
    assert len(cases) >= 10
    marks = {name: [(m.name, m.kwargs) for m in case.marks] for name, case in cases.items() if case.marks}
    assert marks == {
        f"schedule:toy-0-{RANGE}": [("xfail", {"reason": "the range is a guess", "strict": True})]
    }
    cases["schedule:toy-0-check_schedule_finite"].values[0]()
    with pytest.raises(AssertionError, match=r"the value 0\.91 lies outside"):
        cases[f"schedule:toy-0-{RANGE}"].values[0]()


def test_no_component_is_an_error_when_tests_are_collected(declare: Declare):
    assert_user_error(
        lambda: parametrize_contracts("nothing-like-it"), 'no component comes from "nothing-like-it"'
    )


def test_a_skipped_check_is_a_skipped_test(declare: Declare):
    declare("recipe", toy(object, example=None))
    cases = {case.id: case for case in parametrize_contracts("toy").mark.args[1]}
    with pytest.raises(pytest.skip.Exception, match="it runs components of other packages"):
        cases["recipe:toy-0-check_params_example"].values[0]()


def test_an_isolated_catalogue_sees_only_what_is_added(isolated_catalogue: IsolatedCatalogue):
    assert {listed.package for listed in catalogue().listed} == {"maskwright"}

    class Plugin:
        MASKWRIGHT_API = 1

        @hookimpl
        def maskwright_datasets():  # type: ignore[misc]
            return [Component("mine", "mine:Mine", "mine")]

    isolated_catalogue.add(Plugin, name="mine", distribution="mine", version="2.0")
    found = catalogue().find("dataset", "mine")
    assert (found.package, found.version) == ("mine", "2.0")


def test_an_isolated_catalogue_refuses_to_look_around(isolated_catalogue: IsolatedCatalogue):
    catalogue_module.set_catalogue(None)
    with pytest.raises(AssertionError, match="does not look at what is installed"):
        catalogue()


def test_an_isolated_catalogue_reports_what_does_not_load(isolated_catalogue: IsolatedCatalogue):
    with pytest.raises(AssertionError, match=r"the plugin does not load: .*MASKWRIGHT_API is missing"):
        isolated_catalogue.add(SimpleNamespace())


def test_afterwards_everything_is_as_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MASKWRIGHT_STRICT", "1")
    before, discover = catalogue(), catalogue_module.load_catalogue
    with pytest.raises(KeyError), isolated() as made:
        assert catalogue() is made.catalogue is not before
        made.add(SimpleNamespace(), may_fail=True)
        assert len(catalogue().problems) == 1
        raise KeyError
    assert catalogue() is before
    assert catalogue_module.load_catalogue is discover
    assert os.environ["MASKWRIGHT_STRICT"] == "1"


def raising(error: Exception) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


def test_assert_user_error_looks_at_all_four_parts():
    error = UserError("no such file", where="a.toml", why="it is gone", cure="give another")
    assert assert_user_error(raising(error), "no such file", "a.toml", "it is gone", "give another") is error
    with pytest.raises(AssertionError, match=r"does not say \['b\.toml'\]"):
        assert_user_error(raising(error), "b.toml")
    with pytest.raises(AssertionError, match="expected a UserError, got 3"):
        assert_user_error(lambda: 3)
    with pytest.raises(KeyError):
        assert_user_error(raising(KeyError("a")))


def test_assert_one_error_wants_a_way_out():
    assert assert_one_error(raising(UserError("no such file", cure="give another")), "no such file")
    with pytest.raises(AssertionError, match="says neither why nor what to do"):
        assert_one_error(raising(UserError("no such file")))


def test_assert_one_error_wants_one_mistake():
    from maskwright.errors import Mistake, RecipeError

    assert assert_one_error(raising(RecipeError("a", [Mistake("steps", "is required")])), "steps")
    two = RecipeError("a", [Mistake("steps", "is required"), Mistake("rate", "is required")])
    with pytest.raises(AssertionError, match="expected one mistake, found 2"):
        assert_one_error(raising(two))


def test_assert_mistakes_wants_each_and_no_other(isolated_catalogue: IsolatedCatalogue):
    isolated_catalogue.add_component("recipe", Component("sum", "kit_recipes:Sum", "a sum"))
    recipe = {"use": "sum", "steps": 0, "fult": "x"}
    assert_mistakes(recipe, {"steps": "must be >= 1, found 0", "fult": 'did you mean "fault"'})
    with pytest.raises(AssertionError, match=r"expected mistakes at \['steps'\], found"):
        assert_mistakes(recipe, {"steps": "must be >= 1"})
    with pytest.raises(AssertionError, match=r"the messages at \['steps'\] do not say"):
        assert_mistakes(recipe, {"steps": "must be >= 2", "fult": "unknown"})


def run_folder(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    base = {"resolved.json": "{}", "status.json": json.dumps({"status": "finished"}), "metrics.jsonl": "1\n"}
    for name, text in {**base, **files}.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_equal_runs_may_differ_in_report_and_timing(tmp_path: Path):
    one = run_folder(tmp_path / "one", **{"timing.jsonl": "1", "parts__a__b": "x"})
    two = run_folder(tmp_path / "two", **{"timing.jsonl": "2", "parts__a__b": "x"})
    assert_run_folders_equal(one, two)


DIFFERENT_RUNS = [
    ({"metrics.jsonl": "2\n"}, "other bytes: metrics.jsonl"),
    ({"checkpoints__00000001__a": "x"}, "in one of the two runs only: checkpoints/00000001/a"),
    ({"status.json": '{"status": "failed"}'}, "is failed"),
    (
        {"children__a__resolved.json": "{}", "children__a__metrics.jsonl": "1"},
        "runs only: children/a/metrics.jsonl",
    ),
]


@pytest.mark.parametrize(("files", "says"), DIFFERENT_RUNS)
def test_other_runs_are_told_apart(tmp_path: Path, files: dict[str, str], says: str):
    one, two = run_folder(tmp_path / "one"), run_folder(tmp_path / "two", **files)
    with pytest.raises(AssertionError, match=says):
        assert_run_folders_equal(one, two)


@pytest.mark.parametrize("kind", ["masker", "encoder", "objective"])
def test_without_torch_a_part_of_tensors_is_held_to_its_settings(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, kind: str
):
    monkeypatch.setattr("maskwright_testing.cases.tensors_there", lambda: False)
    monkeypatch.setattr("maskwright_testing.registry.tensors_there", lambda: False)
    report = check_component(declare(kind, toy(object), provides={"torch", "fills"}).reference)
    assert report.ok
    assert {result.check.split("_")[1] for result in report.results} == {"params"}
    assert [(result.check, result.reason) for result in report.skipped] == [
        ("check_params_build", "torch is not installed: pip install maskwright-testing[torch]")
    ]


def test_a_pipeline_with_an_open_slot_may_go_without_an_example(declare: Declare):
    inner = slot("dataset", help="data of another package")
    cls = toy(object, annotations={"inner": Any}, inner=inner, example=None)
    report = check_component(declare("pipeline", cls).reference)
    assert report.failed == []
    assert "no example(): it runs components of other packages" in report.summary()
    assert check_component(declare("evaluator", cls).reference).failed != []
    assert check_component(declare("pipeline", toy(object, example=None)).reference).failed != []
