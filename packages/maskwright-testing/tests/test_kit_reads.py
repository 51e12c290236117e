"""Each check of what is read passes on a component that says the truth, and fails on one with too many or few words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from kit_toys import toy

from maskwright import Findings, Step
from maskwright.contracts import Dataset, items_of
from maskwright.params import slot
from maskwright_testing import ListedData
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result

Verdict = Callable[..., Result]
READS, DECLARES = "check_reads_what_it_declares", "check_declares_what_it_reads"
ITEMS = [{"id": str(n), "text": "a" * n, "label": n} for n in range(3)]


class Lengths:
    """Adds `vector`: the length of a text."""

    def one(self, item: Mapping[str, Any]) -> list[int]:
        return [len(item["text"])]

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        for item in items:
            yield {**item, "vector": self.one(item)}


class WithLabels(Lengths):
    def one(self, item: Mapping[str, Any]) -> list[int]:
        return [*super().one(item), item["label"]]


class WithLabelsIfAny(Lengths):
    def one(self, item: Mapping[str, Any]) -> list[int]:
        return [*super().one(item), item.get("label", 0)]


class Named(Lengths):
    def one(self, item: Mapping[str, Any]) -> list[int]:
        return [*super().one(item), len(item["id"])]


def reader(part: Callable[[], Any], **members: Any) -> type:
    data = classmethod(lambda cls: ListedData({"train": ITEMS}))
    return toy(part, **{"example_data": data, **members})


def by_settings(*fields: str) -> Callable[[Any], dict[str, str]]:
    return lambda self: dict.fromkeys(fields, "use data with it")


def says(verdict: Verdict, check: str, cls: type, *fields: str, kind: str = "pipeline") -> str:
    """The reason that a check fails for, empty where it passes."""
    provides = {"vector"} if kind == "pipeline" else set()
    found = verdict(check, kind, cls, provides=provides, consumes=set(fields))
    assert found.outcome == ("failed" if found.reason else "passed")
    return found.reason


def test_there_are_no_other_checks():
    assert [name for name, _ in checks_in("reads_checks")] == [READS, DECLARES]


@pytest.mark.parametrize("check", [READS, DECLARES])
def test_what_says_the_truth_passes(verdict: Verdict, check: str):
    assert says(verdict, check, reader(Lengths), "text") == ""
    assert says(verdict, check, reader(WithLabels), "text", "label") == ""
    assert says(verdict, check, reader(WithLabels, reads=by_settings("label")), "text") == ""
    assert says(verdict, check, reader(WithLabelsIfAny), "text") == "", "what may be missing needs no word"


def test_every_item_has_an_id(verdict: Verdict):
    assert says(verdict, DECLARES, reader(Named), "text") == ""
    assert says(verdict, READS, reader(Lengths), "text", "id") == ""


def test_a_field_too_many(verdict: Verdict):
    wanted = 'it declares that it reads "label", and without it gives the same'
    assert says(verdict, READS, reader(Lengths), "text", "label") == wanted
    assert says(verdict, READS, reader(Lengths, reads=by_settings("label")), "text") == wanted


def test_a_field_too_few(verdict: Verdict):
    assert says(verdict, DECLARES, reader(WithLabels), "text") == (
        "it declares that it reads text, and fails without label: KeyError: 'label'"
    )


class Holder(Lengths):
    """Reads what the part inside reads."""

    def __init__(self, inner: Any) -> None:
        self.one = inner.one  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("inner_reads", "feeds", "reason"),
    [
        ({"text", "label"}, {}, ""),
        ({"text", "number"}, {"number": ("label",)}, ""),
        ({"text"}, {}, "it declares that it reads text, and fails without label: KeyError: 'label'"),
    ],
)
def test_a_part_inside_declares_for_itself(
    verdict: Verdict, declare: Callable[..., Any], inner_reads: set[str], feeds: Any, reason: str
):
    inner = declare("encoder", toy(WithLabels), consumes=inner_reads)
    cls = reader(
        Lengths,
        annotations={"encoder": Any},
        encoder=slot("encoder", default=inner.name, help="what reads", feeds=feeds),
        build=lambda self: Holder(self.encoder),
    )
    assert says(verdict, DECLARES, cls, "text") == reason


def test_nothing_is_said_of_a_part_that_is_in_no_catalogue(verdict: Verdict):
    cls = reader(
        Lengths,
        annotations={"encoder": Any},
        encoder=slot("encoder", help="what reads"),
        build=lambda self: Holder(self.encoder),
        example=classmethod(lambda cls: cls(encoder=WithLabels())),
    )
    assert says(verdict, DECLARES, cls, "text") == ""


class Labels:
    """How often the subject tells the label."""

    metrics: ClassVar[Mapping[str, str]] = {"right": "max"}

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        rows = [{"id": item["id"], "right": subject(item)} for item in items_of(data, "train", step)]
        return Findings({"right": sum(row["right"] for row in rows) / len(rows)}, rows)


def test_evaluators_are_held_to_what_they_declare(verdict: Verdict):
    def case(cls: type) -> Any:
        subject = lambda item: float(item.get("label", 0) == len(item["text"]))  # noqa: E731
        return cls(), subject, ListedData({"train": ITEMS})

    cls = toy(Labels, example_case=classmethod(case))
    assert says(verdict, READS, cls, "text", "label", kind="evaluator") == ""
    assert says(verdict, READS, cls, kind="evaluator") == ""
    assert says(verdict, DECLARES, cls, kind="evaluator") == "", "its subject reads them"
    assert says(verdict, READS, cls, "text", "tags", kind="evaluator") == (
        'it declares that it reads "tags", and without it gives the same'
    )
