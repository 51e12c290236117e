"""Each check of data sets passes on a good one and fails on one with the fault it is for."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit_toys import toy

from maskwright import Step, UserError
from maskwright.params import setting, slot
from maskwright_testing import ListedData, assert_user_error, sample_data
from maskwright_testing.field_types import RULES, wrong_fields
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result

ITEMS = {
    "train": [{"id": f"a{n}", "text": f"text {n}", "label": n % 2} for n in range(3)],
    "test": [{"id": "b", "text": "last", "label": 1}],
}
FIELDS = {"text", "label", "by-id"}


class Good(ListedData):
    """Two splits, ids, labels with classes, and find."""

    def __init__(self) -> None:
        super().__init__(ITEMS, {"classes": ["even", "odd"]})

    def find(self, split: str, name: str) -> Mapping[str, Any]:
        return next(dict(item) for item in ITEMS[split] if item["id"] == name)


class SplitsTwice(Good):
    def splits(self) -> tuple[str, ...]:
        return ("train", "train")


class SplitsAsList(Good):
    def splits(self) -> Any:
        return ["train", "test"]


class Empty(Good):
    def length(self, split: str) -> int:
        return 0


class Changed(Good):
    """Items with one field replaced."""

    field, value = "label", "one"

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return {**super().item(split, index, step), self.field: self.value}


class MoreFields(Changed):
    field = "extra"


class HighLabel(Changed):
    value = 2  # type: ignore[assignment]


class SameIds(Changed):
    field = "id"


class NumberedIds(Changed):
    field, value = "id", 7  # type: ignore[assignment]


class Noisy(Good):
    count = itertools.count()

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return {**super().item(split, index, step), "text": f"draw {next(self.count)}"}


class Remembering(Good):
    """Gives another item once it has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, int]] = set()

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        before = (split, index) in self.seen
        self.seen.add((split, index))
        return {**super().item(split, index, step), "text": "again" if before else "first"}


class FindsAnother(Good):
    def find(self, split: str, name: str) -> Mapping[str, Any]:
        return ITEMS["train"][1]


class NoClasses(Good):
    def about(self, split: str) -> Mapping[str, Any]:
        return {**super().about(split), "classes": None}


class AboutDrifts(Good):
    count = itertools.count()

    def about(self, split: str) -> Mapping[str, Any]:
        return {"classes": ["a", "b"], "drawn": next(self.count)}


class AboutText(Good):
    def about(self, split: str) -> Any:
        return "two classes"


class ShortFingerprint(Good):
    def fingerprint(self) -> str:
        return "abc"


class OwnFingerprint(Good):
    count = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.count)

    def fingerprint(self) -> str:
        return f"{self.number:064x}"


class AnySplit(Good):
    def about(self, split: str) -> Mapping[str, Any]:
        return {"classes": ["even", "odd"]}


class KeyErrors(Good):
    def length(self, split: str) -> int:
        return len(ITEMS[split])


class Anonymous(Good):
    def length(self, split: str) -> int:
        if split not in ITEMS:
            raise UserError("there is no such thing")
        return super().length(split)


class Endless(Good):
    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return super().item(split, index % self.length(split), step)


class Surprised(Good):
    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return (
            dict(dict(enumerate(ITEMS[split]))[index]) if split in ITEMS else super().item(split, index, step)
        )


class AugmentedForAll(Good):
    """Changes items with the step, and offers no plain ones."""

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        item = super().item(split, index, step)
        return {**item, "text": f"{item['text']} at {step.number}"}


class PlainOthers(AugmentedForAll):
    def plain(self) -> ListedData:
        return ListedData(
            {split: [{**item, "id": f"p{item['id']}"} for item in ITEMS[split]] for split in ITEMS}
        )


FAULTS = [
    ("check_dataset_splits", SplitsTwice, "splits() names one twice"),
    ("check_dataset_splits", SplitsAsList, "not a tuple of names"),
    ("check_dataset_splits", Empty, "the lengths of the splits are {'train': 0, 'test': 0}"),
    ("check_dataset_fields", MoreFields, "declared but in no item: []; in items but not declared: ['extra']"),
    ("check_dataset_field_types", Changed, 'item 0 of train: "label" is a str, not a whole number'),
    ("check_dataset_field_types", HighLabel, "item 0 of train has the label 2 of 2"),
    ("check_dataset_field_types", NoClasses, "items of train have labels, but about('train') has no classes"),
    (
        "check_dataset_same_item_twice",
        Noisy,
        "item 0 of test is not the same in another instance: ['text'] is",
    ),
    ("check_dataset_same_item_twice", Remembering, "is not the same when read again: ['text'] is 'first'"),
    ("check_dataset_ids", SameIds, "items 0 and 1 of train have the same id 'one'"),
    ("check_dataset_ids", NumberedIds, "item 0 of train has the id 7"),
    ("check_dataset_ids", FindsAnother, "find('train', 'a0') is not item 0"),
    ("check_dataset_about", AboutDrifts, "about('train') is not the same in another instance: ['drawn'] is"),
    ("check_dataset_about", AboutText, "gives 'two classes', not a table"),
    ("check_dataset_fingerprint", ShortFingerprint, "the fingerprint is 'abc', not 64 hexadecimal digits"),
    ("check_dataset_fingerprint", OwnFingerprint, "with the same settings have other fingerprints"),
    ("check_dataset_unknown_split", AnySplit, "about of an unknown split raises nothing"),
    ("check_dataset_unknown_split", KeyErrors, "length of an unknown split raises KeyError"),
    (
        "check_dataset_unknown_split",
        Anonymous,
        "length: the error does not name the split: there is no such thing",
    ),
    ("check_dataset_index_out_of_range", Endless, "split train has 3 items, yet item 3 is there"),
    ("check_dataset_plain", AugmentedForAll, "item 0 of train is another one at another step"),
    ("check_dataset_plain", PlainOthers, "item 0 of train is 'a0', without augmentation 'pa0'"),
    ("check_dataset_index_out_of_range", Surprised, "item 3 of train raises KeyError: 3, not an IndexError"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("dataset_checks")}


@pytest.mark.parametrize(("check", "fault", "says"), FAULTS)
def test_fault_is_found(verdict: Callable[..., Result], check: str, fault: type, says: str):
    assert verdict(check, "dataset", toy(Good), provides=FIELDS).outcome == "passed"
    result = verdict(check, "dataset", toy(fault), provides=FIELDS)
    assert result.outcome == "failed"
    assert says in result.reason


def test_a_declared_field_that_is_missing_is_found(verdict: Callable[..., Result]):
    result = verdict("check_dataset_fields", "dataset", toy(Good), provides=FIELDS | {"pixels"})
    assert result.reason == "declared but in no item: ['pixels']; in items but not declared: []"


def test_fields_that_settings_add_count(verdict: Callable[..., Result]):
    cls = toy(Good, tags=lambda self: {"label"})
    assert (
        verdict("check_dataset_fields", "dataset", cls, provides={"text", "vendor:tag"}).outcome == "passed"
    )


def test_data_handed_over_ready_made_has_unknown_fields(verdict: Callable[..., Result]):
    cls = toy(
        Good,
        annotations={"inner": Any},
        inner=slot("dataset", inherit=True, help="whose items"),
        example=classmethod(lambda cls, data: cls(inner=data)),
    )
    assert verdict("check_dataset_ids", "dataset", cls).outcome == "passed"
    assert verdict("check_dataset_fields", "dataset", cls).outcome == "skipped"


def reading(fault: Any) -> type:
    """A data set with one text in the file `path`; `fault` is what a missing file raises, or nothing."""

    def build(self: Any) -> ListedData:
        if not self.path.is_file() and fault is not None:
            raise fault(f"cannot read {self.path}")
        text = self.path.read_text() if self.path.is_file() else "made up"
        return ListedData({"train": [{"id": "a", "text": text}]})

    def example(cls: type, folder: Path) -> Any:
        (folder / "one.txt").write_text("one")
        return cls(path=folder / "one.txt")

    members: dict[str, Any] = {"annotations": {"path": Path}, "path": setting(help="the file to read")}
    return toy(object, build=build, example=classmethod(example), **members)


class Vague(UserError):
    def __init__(self, what: str) -> None:
        super().__init__("cannot read the file")


PATH_FAULTS = [
    (KeyError, "path: a missing path raises KeyError"),
    (None, "path: a missing path raises nothing"),
    (Vague, "path: the error does not name the path: cannot read the file"),
]


@pytest.mark.parametrize(("fault", "says"), PATH_FAULTS)
def test_a_missing_path_has_to_be_named(verdict: Callable[..., Result], fault: Any, says: str):
    assert [name for name, _ in checks_in("path_checks")] == ["check_path_missing"]
    assert verdict("check_path_missing", "dataset", reading(UserError)).outcome == "passed"
    result = verdict("check_path_missing", "dataset", reading(fault))
    assert result.outcome == "failed"
    assert says in result.reason


def array(dtype: str, *shape: int) -> Any:
    """As much of an array as the rules look at, without numpy."""
    return SimpleNamespace(dtype=dtype, shape=shape, size=0)


NO_SPANS = "is no list of rising spans (start, end, tag) within the text"
WRONG_VALUES = [
    ("id", 3, '"id" is a int, not a text'),
    ("options", ["a", 2], '"options" is no list of texts'),
    ("label", True, '"label" is a bool, not a whole number'),
    ("label", -1, '"label" is -1, an index begins at 0'),
    ("tags", [(0, 2, "X"), (1, 3, "X")], f"\"tags\" {NO_SPANS}: (1, 3, 'X')"),
    ("tags", [(2, 2, "X")], f"\"tags\" {NO_SPANS}: (2, 2, 'X')"),
    ("tags", [[0, 1]], f'"tags" {NO_SPANS}: [0, 1]'),
    ("tags", "NOUN", f'"tags" {NO_SPANS}: None'),
    ("relevant", {"a": "much"}, '"relevant" is no table of document id -> gain'),
    ("pixels", [[1]], '"pixels" is a list, not an array'),
    (
        "pixels",
        array("float32", 8, 8, 1),
        '"pixels" is float32 of shape (8, 8, 1), not uint8 or uint16 with 3 dimensions',
    ),
    ("waveform", array("float32", 5), '"waveform" is float32 of shape (5,), not float32 with 2 dimensions'),
    ("truth", array("float64", 2, 3), '"truth" has the shape (2, 3), not (p, p)'),
    ("intervened", array("int64", 2), '"intervened" is int64 of shape (2,), not bool with 1 dimensions'),
]


@pytest.mark.parametrize(("field", "value", "says"), WRONG_VALUES)
def test_values_of_known_fields(field: str, value: Any, says: str):
    assert wrong_fields({field: value}) == [says]


def test_tags_lie_within_the_text():
    item = {"text": "one two", "tags": [(0, 3, "NUM"), (4, 7, "NUM")]}
    assert wrong_fields(item) == []
    assert wrong_fields({**item, "text": "one"}) == [f"\"tags\" {NO_SPANS}: (4, 7, 'NUM')"]


def test_columns_of_a_table_have_names():
    item = {"samples": array("float64", 10, 3), "variables": ("a", "b")}
    assert wrong_fields(item) == ['"samples" has 3 columns for 2 variables']
    assert wrong_fields({**item, "variables": ("a", "b", "c")}) == []


def test_every_field_of_the_core_has_a_rule():
    from maskwright.tags import FIELDS as KNOWN

    assert KNOWN.keys() - RULES.keys() == {"vector"}


def test_sample_data_is_what_its_fields_mean():
    data = sample_data(["query", "document", "label", "aliases"])
    items = [data.item(split, n, Step()) for split in data.splits() for n in range(data.length(split))]
    assert len(items) == 12
    assert [wrong for item in items for wrong in wrong_fields(item)] == []
    assert data.about("train") == {"classes": ["even", "odd"]}


def test_sample_data_makes_up_no_tables():
    assert_user_error(
        lambda: sample_data({"samples", "text"}), "the fields samples", "add the classmethod example_data"
    )
