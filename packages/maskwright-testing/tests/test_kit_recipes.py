"""The checks of recipes, on recipes that resume well and on ones that do not; and those of recipe files."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maskwright import Component
from maskwright_testing.isolation import IsolatedCatalogue
from maskwright_testing.recipe_process import catalogue_as_json, catalogue_from_json
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result, check_listed, run_check

RECIPE_FILE = """# The sum of a few numbers (a second).
use = "sum"
steps = 4
"""


def ask(found: IsolatedCatalogue, check: str, name: str, **about: set[str]) -> str:
    """The reason for which one check fails, or nothing."""
    listed = found.add_component("recipe", Component("sum", f"kit_recipes:{name}", "a sum", **about))
    try:
        run_check(listed, dict(checks_in("recipe_checks"))[check])
    except AssertionError as error:
        return str(error)
    return ""


def test_a_good_recipe_keeps_every_contract(isolated_catalogue: IsolatedCatalogue):
    listed = isolated_catalogue.add_component("recipe", Component("sum", "kit_recipes:Sum", "a sum"))
    report = check_listed(listed)
    assert report.failed == []
    assert {"check_recipe_runs", "check_recipe_kill_and_resume"} <= {result.check for result in report.passed}


FAULTS = [
    ("check_recipe_runs", "LogsNothing", "the run logged no metrics"),
    ("check_recipe_runs", "ByDraw", "RuntimeError: cannot be built"),
    (
        "check_recipe_kill_and_resume",
        "Forgets",
        "and resumed, the run is another: other bytes: metrics.jsonl",
    ),
    (
        "check_recipe_kill_and_resume",
        "BeginsAnew",
        "and resumed, the run is another: other bytes: metrics.jsonl",
    ),
    (
        "check_recipe_kill_and_resume",
        "ByProcess",
        "and resumed, the run is another: other bytes: metrics.jsonl",
    ),
    ("check_recipe_kill_and_resume", "Refuses", "it cannot be resumed:"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("recipe_checks")}


@pytest.mark.parametrize(("check", "name", "says"), FAULTS)
def test_fault_is_found(isolated_catalogue: IsolatedCatalogue, check: str, name: str, says: str):
    assert says in ask(isolated_catalogue, check, name)


def test_child_runs_have_to_be_announced(isolated_catalogue: IsolatedCatalogue):
    reason = ask(isolated_catalogue, "check_recipe_runs", "Sum", provides={"many-runs"})
    assert reason == "it left 0 child runs, but has the tag many-runs"


def test_a_catalogue_travels_to_another_process(isolated_catalogue: IsolatedCatalogue):
    isolated_catalogue.add_component(
        "recipe", Component("sum", "kit_recipes:Sum", "a sum", provides={"many-runs"})
    )
    found = isolated_catalogue.catalogue
    assert catalogue_from_json(catalogue_as_json(found)).listed == found.listed


@pytest.fixture
def file_verdict(
    isolated_catalogue: IsolatedCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Result]:
    """What one check says of a shipped recipe file with a given text."""

    def judge(check: str, text: str) -> Result:
        package = tmp_path / "kit_shipped"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "small.toml").write_text(text)
        listed = isolated_catalogue.add_component(
            "recipe", Component("small", "kit_shipped:small.toml", "a sum")
        )
        results = check_listed(listed).results
        assert text != RECIPE_FILE or {result.outcome for result in results} == {"passed"}
        return next(result for result in results if result.check == check)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kit_shipped", raising=False)
    isolated_catalogue.add_component("recipe", Component("sum", "kit_recipes:Sum", "a sum"))
    isolated_catalogue.add_component("recipe", Component("reads", "kit_recipes:Reads", "a file"))
    return judge


FILE_FAULTS = [
    (
        "check_recipe_file_plans",
        'use = "sum"\nstep = 3\n',
        'step: unknown setting "step" — did you mean "steps"?',
    ),
    ("check_recipe_file_plans", "use = sum\n", "raised TOMLDecodeError"),
    ("check_recipe_file_says_what_it_is", 'use = "sum"\n', "the file does not begin with a comment"),
    ("check_recipe_file_round_trip", 'use = "sum"\nsteps = 0\n', "steps"),
]


def test_every_check_of_files_has_a_fault():
    assert {check for check, _, _ in FILE_FAULTS} == {name for name, _ in checks_in("recipe_file_checks")}


@pytest.mark.parametrize(("check", "text", "says"), FILE_FAULTS)
def test_fault_of_a_file_is_found(
    file_verdict: Callable[[str, str], Result], check: str, text: str, says: str
):
    result = file_verdict(check, text)
    assert result.outcome == "failed"
    assert says in result.reason


def test_a_good_file_keeps_every_contract(file_verdict: Callable[[str, str], Result]):
    assert file_verdict("check_recipe_file_plans", RECIPE_FILE).outcome == "passed"


def test_a_path_that_only_the_user_knows_may_be_open(file_verdict: Callable[[str, str], Result]):
    result = file_verdict("check_recipe_file_plans", '# Reads your file.\nuse = "reads"\n')
    assert result.outcome == "passed", result.reason
