"""Each check of evaluators passes on a good one and fails on one with the fault it is for."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from kit_toys import toy

from maskwright import Figure, Findings, Step
from maskwright.contracts import Dataset, items_of
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result


class Accuracy:
    """Share of items whose label the subject tells."""

    metrics: ClassVar[Mapping[str, str]] = {"accuracy": "max"}

    def findings(self, rows: list[dict[str, Any]], value: float) -> dict[str, Any]:
        return {
            "values": {"accuracy": value},
            "rows": rows,
            "figures": lambda: [Figure("all", "what one sees", b"<svg/>")],
        }

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        items = list(items_of(data, "test", step))
        rows = [{"id": item["id"], "correct": int(subject(item) == item["label"])} for item in items]
        return Findings(**self.findings(rows, sum(row["correct"] for row in rows) / len(rows)))


class Changed(Accuracy):
    """Findings with some parts replaced."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def findings(self, rows: list[dict[str, Any]], value: float) -> dict[str, Any]:
        return {**super().findings(rows, value), **self.changes}


class Undirected(Accuracy):
    metrics = {"accuracy": "up"}  # noqa: RUF012


class Drifting(Accuracy):
    count = itertools.count()

    def findings(self, rows: list[dict[str, Any]], value: float) -> dict[str, Any]:
        return {**super().findings(rows, value), "tables": {"Draws": [{"draw": next(self.count)}]}}


class Unfair(Accuracy):
    def findings(self, rows: list[dict[str, Any]], value: float) -> dict[str, Any]:
        return {**super().findings(rows, value), "values": {"accuracy": value * 0.9}}


class NoFindings(Accuracy):
    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Any:
        return {"accuracy": 1.0}


def changing_figures() -> Callable[[], list[Figure]]:
    count = itertools.count()
    return lambda: [Figure("all", "a picture", str(next(count)).encode())]


def evaluator(part: Any, **members: Any) -> type:
    def example_case(cls: type, data: Any) -> Any:
        return cls(), (lambda item: 0), data

    def perfect(cls: type, data: Any) -> Any:
        return (lambda item: item["label"]), data, {"accuracy": 1.0}

    base = {"example_case": classmethod(example_case), "perfect": classmethod(perfect)}
    return toy(part, **{**base, **members})


FAULTS = [
    ("check_evaluator_example_case", NoFindings, "evaluate() gives no Findings"),
    (
        "check_evaluator_metrics",
        lambda: Changed(values={"f1": 1.0}),
        "undeclared metrics ['f1'], declared but not reported ['accuracy']",
    ),
    ("check_evaluator_metrics", lambda: Changed(values={"accuracy": float("nan")}), "accuracy is nan"),
    ("check_evaluator_metrics", Undirected, 'metrics must map names to "max" or "min"'),
    ("check_evaluator_rows", lambda: Changed(rows=[{"correct": 1}]), "a row has no id: [None]"),
    ("check_evaluator_rows", lambda: Changed(rows=[{"id": "a"}, {"id": "a"}]), "two rows have the same id"),
    ("check_evaluator_rows", lambda: Changed(files={"a.csv": "text"}), "files must map names to bytes"),
    ("check_evaluator_rows", lambda: Changed(notes=[3]), "notes must be sentences"),
    ("check_evaluator_rows", lambda: Changed(tables={"All": [1]}), "table 'All' is not a list of rows"),
    ("check_evaluator_deterministic", Drifting, "tables differ: ['Draws'][0]['draw'] is"),
    ("check_evaluator_figures", lambda: Changed(figures=[]), "figures must be a function that draws"),
    (
        "check_evaluator_figures",
        lambda: Changed(figures=lambda: ["picture"]),
        "must give Figures with names of their own",
    ),
    (
        "check_evaluator_figures",
        lambda: Changed(figures=lambda: [Figure("a", "b", b"")]),
        "figure a has no data",
    ),
    ("check_evaluator_figures", lambda: Changed(figures=changing_figures()), "figure all has other bytes"),
    ("check_evaluator_optimum", Unfair, "a perfect subject gets accuracy = 0.9, known optimum 1.0"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("evaluator_checks")}


@pytest.mark.parametrize(("check", "fault", "says"), FAULTS)
def test_fault_is_found(verdict: Callable[..., Result], check: str, fault: Any, says: str):
    assert verdict(check, "evaluator", evaluator(Accuracy)).outcome == "passed"
    result = verdict(check, "evaluator", evaluator(fault))
    assert result.outcome == "failed"
    assert says in result.reason


def test_an_evaluator_must_be_shown_at_work(verdict: Callable[..., Result]):
    cls = evaluator(Accuracy, example_case=None)
    missing = verdict("check_evaluator_example_case", "evaluator", cls)
    assert missing.reason.endswith("has no classmethod example_case() -> (evaluator, subject, data)")
    told_once = verdict("check_evaluator_metrics", "evaluator", evaluator(Accuracy, example_case=None))
    assert (told_once.outcome, told_once.reason) == (
        "skipped",
        "no example_case(), see check_evaluator_example_case",
    )
    wrong = evaluator(Accuracy, example_case=classmethod(lambda cls: (cls(), None)))
    assert (
        "example_case() must give (Toy, subject, data)"
        in verdict("check_evaluator_example_case", "evaluator", wrong).reason
    )


def test_what_an_evaluator_does_not_offer_is_skipped(verdict: Callable[..., Result]):
    optimum = verdict("check_evaluator_optimum", "evaluator", evaluator(Accuracy, perfect=None))
    assert (optimum.outcome, optimum.reason) == ("skipped", "it has no perfect()")
    figures = verdict("check_evaluator_figures", "evaluator", evaluator(lambda: Changed(figures=None)))
    assert (figures.outcome, figures.reason) == ("skipped", "it draws no figures")


def test_a_subject_given_by_its_settings_is_built_and_fitted(verdict: Callable[..., Result]):
    class Majority:
        def fit(self, data: Dataset, step: Step) -> None:
            self.labels = {item["id"]: item["label"] for item in items_of(data, "test", step)}

        def __call__(self, item: Mapping[str, Any]) -> int:
            return self.labels[item["id"]]

    subject = toy(Majority)
    perfect = classmethod(lambda cls, data: (subject(), data, {"accuracy": 1.0}))
    result = verdict("check_evaluator_optimum", "evaluator", evaluator(Accuracy, perfect=perfect))
    assert result.outcome == "passed", result.reason
