"""Running checks, and what came of them."""

import tempfile
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from maskwright.catalogue import Listed, catalogue
from maskwright.component import KINDS
from maskwright.errors import UserError, did_you_mean
from maskwright_testing.cases import Case, Skipped
from maskwright_testing.registry import Check, checks_for

Outcome = Literal["passed", "failed", "skipped", "failed as expected", "passed unexpectedly"]


@attrs.frozen
class Result:
    """One check of one component."""

    component: str
    """`kind:name`"""
    check: str
    outcome: Outcome
    reason: str = ""
    """Why it failed or was skipped; for an expected failure, the reason the author gave."""


@attrs.frozen
class Report:
    """What the checks found. `ok` when at least one ran and none failed."""

    results: tuple[Result, ...]

    def having(self, *outcomes: Outcome) -> list[Result]:
        return [result for result in self.results if result.outcome in outcomes]

    @property
    def passed(self) -> list[Result]:
        return self.having("passed")

    @property
    def failed(self) -> list[Result]:
        """Broken contracts, and failures that were announced and did not come."""
        return self.having("failed", "passed unexpectedly")

    @property
    def skipped(self) -> list[Result]:
        return self.having("skipped")

    @property
    def expected_failures(self) -> list[Result]:
        return self.having("failed as expected")

    @property
    def unexpected_passes(self) -> list[Result]:
        return self.having("passed unexpectedly")

    @property
    def ran(self) -> int:
        """Checks that were made; a skipped one was not."""
        return len(self.results) - len(self.skipped)

    @property
    def ok(self) -> bool:
        return self.ran > 0 and not self.failed

    def summary(self) -> str:
        """`ran 29, passed 29, skipped 2 (2 × no perfect())`"""
        words = [f"ran {self.ran}", f"passed {len(self.passed)}"]
        words += [f"failed {len(self.failed)}"] if self.failed else []
        words += [f"failed as expected {len(self.expected_failures)}"] if self.expected_failures else []
        if self.skipped:
            reasons = Counter(result.reason for result in self.skipped)
            words.append(
                f"skipped {len(self.skipped)} ({'; '.join(f'{count} × {why}' for why, count in reasons.items())})"
            )
        return ", ".join(words)


def components_of(distribution: str) -> list[Listed]:
    """Every component that a distribution declares; UserError when there is none, or a part did not load."""
    found = catalogue()
    problems = [problem for problem in found.problems if problem.distribution == distribution]
    if problems:
        raise UserError(
            f"{distribution} does not load",
            where=str(problems[0]),
            why=problems[0].error,
            cure=problems[0].cure,
        )
    components = [
        listed for kind in KINDS for listed in found.of_kind(kind) if listed.package == distribution
    ]
    if not components:
        known = sorted({listed.package for listed in found.listed})
        raise UserError(
            f'no component comes from "{distribution}"{did_you_mean(distribution, known)}',
            why=f"packages with components: {', '.join(known)}",
            cure="name one of these, or a component as kind:name",
        )
    return components


def component_called(reference: str) -> Listed:
    """The component `kind:name` or `kind:name@package`."""
    kind, sign, _ = reference.partition(":")
    if not sign or kind not in KINDS:
        raise UserError(
            f'"{reference}" is no component', cure=f"write kind:name with one of the kinds {', '.join(KINDS)}"
        )
    return catalogue().find(kind, reference)


def run_check(listed: Listed, check: Check) -> None:
    """Make one check in an empty folder of its own; raises AssertionError, Skipped, or what the component raised."""
    with tempfile.TemporaryDirectory(prefix="maskwright-check-") as folder:
        check(Case(listed, Path(folder)))


def check_listed(listed: Listed, expected_failures: Mapping[str, str] | None = None) -> Report:
    """Make every check that applies to a component."""
    expected = dict(expected_failures or {})
    checks = checks_for(listed)
    require_known(listed, expected, [name for name, _ in checks])
    return Report(tuple(_result(listed, name, check, expected.get(name)) for name, check in checks))


def require_known(listed: Listed, expected: Mapping[str, str], names: list[str]) -> None:
    """UserError for an expected failure of a check that is not made, or without a reason."""
    for name, reason in expected.items():
        if name not in names:
            raise UserError(
                f'{listed.reference} has no check "{name}"{did_you_mean(name, names)}',
                where=f"expected_failures of {listed.reference}",
                cure=f"its checks: {', '.join(names)}",
            )
        if not reason.strip():
            raise UserError(
                f"the expected failure of {name} has no reason",
                where=f"expected_failures of {listed.reference}",
                cure="say why it may fail",
            )


def _result(listed: Listed, name: str, check: Check, expected: str | None) -> Result:
    try:
        run_check(listed, check)
    except Skipped as reason:
        return Result(listed.reference, name, "skipped", str(reason))
    except Exception as error:
        if expected is not None:
            return Result(listed.reference, name, "failed as expected", expected)
        return Result(listed.reference, name, "failed", failure_text(error))
    if expected is not None:
        return Result(listed.reference, name, "passed unexpectedly", f"expected to fail: {expected}")
    return Result(listed.reference, name, "passed")


def failure_text(error: Exception) -> str:
    """What to tell of a failed check: its sentence, or for any other exception where it came from."""
    if isinstance(error, AssertionError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"raised {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"


def check_component(reference: str, expected_failures: Mapping[str, str] | None = None) -> Report:
    """Check one component: `check_component("schedule:cosine", {"check_schedule_range": "why it may fail"})`."""
    return check_listed(component_called(reference), expected_failures)


def check_distribution(
    distribution: str, expected_failures: Mapping[str, Mapping[str, str]] | None = None
) -> Report:
    """Check every component of a distribution; expected failures by `kind:name`, then by check."""
    components = components_of(distribution)
    expected = dict(expected_failures or {})
    require_components(expected, components)
    reports = [check_listed(listed, expected.get(listed.reference)) for listed in components]
    return Report(tuple(result for report in reports for result in report.results))


def require_components(expected: Mapping[str, object], components: list[Listed]) -> None:
    """UserError for expected failures of a component that is not there."""
    known = [listed.reference for listed in components]
    for reference in expected:
        if reference not in known:
            raise UserError(
                f'there is no component "{reference}"{did_you_mean(reference, known)}',
                where="expected_failures",
            )


def contracts_for_doctor(name: str) -> int:
    """`maskwright doctor --contracts NAME`: a component or a distribution. 0 kept, 1 broken, 2 nothing checked."""
    report = check_component(name) if ":" in name else check_distribution(name)
    for component in dict.fromkeys(result.component for result in report.results):
        own = Report(tuple(result for result in report.results if result.component == component))
        print(f"{component}  {own.summary()}")
        for result in own.failed:
            print(f"  {result.check}: {result.reason}")
    print(f"{name}: {report.summary()}")
    if report.ran == 0:
        return 2
    return 1 if report.failed else 0
