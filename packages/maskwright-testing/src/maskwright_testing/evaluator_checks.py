"""Contracts of evaluators: `maskwright.contracts.Evaluator`."""

import json
import math
from collections.abc import Mapping
from typing import Any

from maskwright.contracts import Figure, Findings
from maskwright.findings import check_findings, plain_value
from maskwright_testing.cases import STEP, Case, Skipped, fail, subject_and_data
from maskwright_testing.differences import difference


def _findings(case: Case) -> tuple[Any, Any]:
    """The evaluator and what it found (Findings, if the first check passes)."""
    evaluator, subject, data = case.judged()
    return evaluator, evaluator.evaluate(subject, data, STEP)


def check_evaluator_example_case(case: Case) -> None:
    """`example_case()` gives an evaluator of this class, a subject and data to judge it on."""
    if not case.has("example_case"):
        fail(f"{case.params_class.__name__} has no classmethod example_case() -> (evaluator, subject, data)")
    made = case.offered("example_case")
    if not isinstance(made, tuple) or len(made) != 3 or not isinstance(made[0], case.params_class):
        fail(f"example_case() must give ({case.params_class.__name__}, subject, data), found {made!r}")
    if not isinstance(_findings(case)[1], Findings):
        fail("evaluate() gives no Findings")


def check_evaluator_metrics(case: Case) -> None:
    """It reports exactly the metrics it declares, each a finite number, and says for each which way is better."""
    evaluator, findings = _findings(case)
    if not evaluator.metrics or not set(evaluator.metrics.values()) <= {"max", "min"}:
        fail(f'metrics must map names to "max" or "min", found {dict(evaluator.metrics)}')
    try:
        check_findings(case.listed.name, evaluator, findings)
    except TypeError as error:
        fail(str(error))
    for name, value in findings.values.items():
        if not math.isfinite(float(value)):
            fail(f"{name} is {value}")


def check_evaluator_rows(case: Case) -> None:
    """Rows have an `id` each, no two the same, and hold plain values; so do tables, files and notes."""
    _, findings = _findings(case)
    names = [row.get("id") for row in findings.rows]
    if not all(isinstance(name, str) and name for name in names):
        fail(f"a row has no id: {names[:5]}")
    if len(set(names)) != len(names):
        fail("two rows have the same id")
    for title, rows in {**findings.tables, "rows": findings.rows}.items():
        if not isinstance(title, str) or not all(isinstance(row, Mapping) for row in rows):
            fail(f"table {title!r} is not a list of rows")
        json.dumps([plain_value(dict(row)) for row in rows])
    if not all(isinstance(name, str) and isinstance(data, bytes) for name, data in findings.files.items()):
        fail("files must map names to bytes")
    if not all(isinstance(note, str) for note in findings.notes):
        fail("notes must be sentences")


def check_evaluator_deterministic(case: Case) -> None:
    """The same subject, data and step give the same findings, from another instance too."""
    (_, one), (_, two) = _findings(case), _findings(case)
    for name in ("values", "rows", "tables", "files", "notes"):
        if found := difference(getattr(one, name), getattr(two, name)):
            fail(f"{name} differ: {found}")


def check_evaluator_figures(case: Case) -> None:
    """Figures are drawn on request only, are not empty, and have the same bytes each time."""
    _, findings = _findings(case)
    if findings.figures is None:
        raise Skipped("it draws no figures")
    if not callable(findings.figures):
        fail("figures must be a function that draws when it is called")
    first, second = list(findings.figures()), list(findings.figures())
    names = [figure.name for figure in first if isinstance(figure, Figure)]
    if len(names) != len(first) or len(set(names)) != len(names) or not names:
        fail(f"figures() must give Figures with names of their own, found {first!r}")
    for one, two in zip(first, second, strict=True):
        if not one.data or not one.caption.strip():
            fail(f"figure {one.name} has no {'data' if not one.data else 'caption'}")
        if one.data != two.data:
            fail(f"figure {one.name} has other bytes when it is drawn again")


def check_evaluator_optimum(case: Case) -> None:
    """A subject that cannot be beaten gets the values that `perfect()` states."""
    if not case.has("perfect"):
        raise Skipped("it has no perfect()")
    evaluator = case.judged()[0]
    subject, data, wanted = case.offered("perfect")
    if not wanted:
        fail("perfect() states no value")
    found = evaluator.evaluate(*subject_and_data(subject, data), STEP).values
    for name, value in wanted.items():
        if name not in found or not math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9):
            fail(f"a perfect subject gets {name} = {found.get(name)}, known optimum {value}")
