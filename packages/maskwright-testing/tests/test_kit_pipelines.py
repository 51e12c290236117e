"""Each check of pipelines and fitted parts passes on a good one and fails on one with the fault it is for."""

import itertools
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit_toys import toy

from maskwright import Step, UserError
from maskwright.contracts import Dataset, items_of
from maskwright_testing import ListedData
from maskwright_testing.differences import difference
from maskwright_testing.registry import checks_in
from maskwright_testing.report import Result

Items = Iterable[Mapping[str, Any]]
PIPELINE = {"provides": {"vector", "fitted"}, "consumes": {"text"}}


class Lengths:
    """Adds `vector`: how much longer a text is than the texts it was fitted on, on average."""

    def __init__(self) -> None:
        self.mean: float | None = None

    def fit(self, data: Dataset, step: Step) -> None:
        lengths = [len(item["text"]) for item in items_of(data, "train", step)]
        self.mean = sum(lengths) / len(lengths)

    def save(self, folder: Path) -> None:
        (folder / "mean.json").write_text(json.dumps(self.mean))

    def load(self, folder: Path) -> None:
        path = folder / "mean.json"
        if not path.is_file():
            raise UserError(f"{folder} holds no mean")
        self.mean = json.loads(path.read_text())

    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        assert self.mean is not None
        return {**item, "vector": [len(item["text"]) - self.mean]}

    def __call__(self, items: Items, step: Step) -> Iterator[Mapping[str, Any]]:
        for place, item in enumerate(items):
            yield self.one(item, place)


class ShortensText(Lengths):
    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return {**super().one(item, place), "text": item["text"][:3]}


class AddsMore(Lengths):
    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return {**super().one(item, place), "score": 1.0}


class AddsNothing(Lengths):
    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return item


class DropsOne(Lengths):
    def __call__(self, items: Items, step: Step) -> Iterator[Mapping[str, Any]]:
        yield from list(super().__call__(items, step))[1:]


class ByPlace(Lengths):
    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return {**item, "vector": [float(place)]}


class ByBatch(Lengths):
    def __call__(self, items: Items, step: Step) -> Iterator[Mapping[str, Any]]:
        entries = list(items)
        for item in entries:
            yield {**item, "vector": [float(len(entries))]}


class Counting(Lengths):
    count = itertools.count()

    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return {**item, "vector": [float(next(self.count))]}


class InPlace(Lengths):
    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        item["vector"] = [1.0]  # type: ignore[index]
        return item


class Talkative(Lengths):
    def __call__(self, items: Items, step: Step) -> Iterator[Mapping[str, Any]]:
        yield from super().__call__(items, step)
        yield {"id": "end", "vector": []}


PIPELINE_FAULTS = [
    ("check_pipeline_fields", ShortensText, "the fields of an item changed: ['text'] is"),
    ("check_pipeline_fields", AddsMore, "added but not declared: score"),
    ("check_pipeline_fields", AddsNothing, "declared but not added: vector"),
    ("check_pipeline_fields", DropsOne, "6 items went in, 5 came out"),
    ("check_pipeline_one_by_one", ByBatch, "item 0 in a list and alone: ['vector'][0] is 6.0, then 1.0"),
    (
        "check_pipeline_order",
        ByPlace,
        "item 0 of 6, and with the list turned round: ['vector'][0] is 0.0, then 5.0",
    ),
    ("check_pipeline_same_step", Counting, "asked again: [0]['vector'][0] is"),
    ("check_pipeline_leaves_items_alone", InPlace, "an item was changed in place: [0] has the keys"),
    ("check_pipeline_nothing", Talkative, "nothing went in, 1 items came out"),
]


def test_every_check_of_pipelines_has_a_fault():
    with_data = {"check_pipeline_example_data"}
    assert {check for check, _, _ in PIPELINE_FAULTS} | with_data == {
        n for n, _ in checks_in("pipeline_checks")
    }


@pytest.mark.parametrize(("check", "fault", "says"), PIPELINE_FAULTS)
def test_fault_of_a_pipeline_is_found(verdict: Callable[..., Result], check: str, fault: type, says: str):
    assert verdict(check, "pipeline", toy(Lengths), **PIPELINE).outcome == "passed"
    result = verdict(check, "pipeline", toy(fault), **PIPELINE)
    assert result.outcome == "failed"
    assert says in result.reason


def test_data_for_a_pipeline(verdict: Callable[..., Result]):
    ask = "check_pipeline_example_data"
    assert verdict(ask, "pipeline", toy(Lengths), **PIPELINE).outcome == "passed"
    result = verdict(ask, "pipeline", toy(Lengths), provides={"vector"}, consumes={"samples"})
    assert "there is no sample data with the fields samples; add example_data()" in result.reason
    lonely = classmethod(lambda cls, make_data: make_data({"train": [{"id": "a", "text": "one"}]}))
    result = verdict(ask, "pipeline", toy(Lengths, example_data=lonely), **PIPELINE)
    assert result.reason == "no split of example_data() has two items with what it reads (text)"


def test_a_pipeline_is_fed_with_the_split_that_has_its_fields(verdict: Callable[..., Result]):
    def example_data(cls: type) -> ListedData:
        corpus = [{"id": str(n), "document": "text"} for n in range(3)]
        return ListedData({"corpus": corpus, "train": [{"id": str(n), "text": "a" * n} for n in range(3)]})

    cls = toy(Lengths, example_data=classmethod(example_data))
    assert verdict("check_pipeline_example_data", "pipeline", cls, **PIPELINE).outcome == "passed"
    assert verdict("check_pipeline_order", "pipeline", cls, **PIPELINE).outcome == "passed"


class SavesNothing(Lengths):
    def save(self, folder: Path) -> None:
        pass


class LoadsAnother(Lengths):
    def load(self, folder: Path) -> None:
        super().load(folder)
        self.mean = 0.0


class LoadsHalf(Lengths):
    """Saves what it loaded, but works with something else."""

    loaded = False

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.loaded = True

    def one(self, item: Mapping[str, Any], place: int) -> Mapping[str, Any]:
        return {**item, "vector": [0.0]} if self.loaded else super().one(item, place)


class FitsByChance(Lengths):
    count = itertools.count()

    def fit(self, data: Dataset, step: Step) -> None:
        self.mean = float(next(self.count))


class Pickles(Lengths):
    def save(self, folder: Path) -> None:
        (folder / "mean.bin").write_bytes(b"\x80\x04K\x01.")


class ObjectArrays(Lengths):
    def save(self, folder: Path) -> None:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        with zipfile.ZipFile(folder / "mean.npz", "w") as archive:
            archive.writestr("mean.npy", header)


class LoadsThinAir(Lengths):
    def load(self, folder: Path) -> None:
        self.mean = 0.0


class LoadsWithKeyError(Lengths):
    def load(self, folder: Path) -> None:
        raise KeyError("mean")


class LoadsVaguely(Lengths):
    def load(self, folder: Path) -> None:
        if not (folder / "mean.json").is_file():
            raise UserError("cannot load")
        super().load(folder)


FITTED_FAULTS = [
    ("check_fitted_load_gives_the_same", SavesNothing, "save() wrote no file"),
    ("check_fitted_load_gives_the_same", LoadsAnother, "saved after loading, these files differ: mean.json"),
    ("check_fitted_load_gives_the_same", LoadsHalf, "after loading: [0]['vector'][0] is"),
    ("check_fitted_same_data_same_bytes", FitsByChance, "fitted twice, these files differ: mean.json"),
    ("check_fitted_saves_no_code", Pickles, "mean.bin can run code when it is read"),
    (
        "check_fitted_saves_no_code",
        ObjectArrays,
        "mean.npz holds arrays of Python objects, which are pickled: mean.npy",
    ),
    (
        "check_fitted_load_refuses_what_is_not_there",
        LoadsThinAir,
        "loading from an empty folder raises nothing",
    ),
    (
        "check_fitted_load_refuses_what_is_not_there",
        LoadsWithKeyError,
        "raises KeyError: 'mean', not a UserError",
    ),
    (
        "check_fitted_load_refuses_what_is_not_there",
        LoadsVaguely,
        "the error does not name the folder: cannot load",
    ),
]


def test_every_check_of_fitted_parts_has_a_fault():
    with_data = {"check_fitted_example_data"}
    assert {check for check, _, _ in FITTED_FAULTS} | with_data == {n for n, _ in checks_in("fitted_checks")}


@pytest.mark.parametrize(("check", "fault", "says"), FITTED_FAULTS)
def test_fault_of_a_fitted_part_is_found(verdict: Callable[..., Result], check: str, fault: type, says: str):
    assert verdict(check, "pipeline", toy(Lengths), **PIPELINE).outcome == "passed"
    result = verdict(check, "pipeline", toy(fault), **PIPELINE)
    assert result.outcome == "failed"
    assert says in result.reason


class FakeArray(SimpleNamespace):
    """An array of bytes, without numpy."""

    def tobytes(self) -> bytes:
        return self.data


DIFFERENCES = [
    ({"a": 1}, {"b": 1}, "the result has the keys ['a'], then ['b']"),
    ({"a": [1, 2]}, {"a": [1, 3]}, "['a'][1] is 2, then 3"),
    ([1], [1, 2], "the result has 1 entries, then 2"),
    (1, 1.0, "the result is of type int, then float"),
    (0.1, 0.1 + 1e-9, "the result is 0.1, then 0.100000001"),
    (
        FakeArray(dtype="int8", shape=(2,), data=b"ab"),
        FakeArray(dtype="int8", shape=(1, 2), data=b"ab"),
        "the result is int8[2], then int8[1, 2]",
    ),
]


@pytest.mark.parametrize(("one", "two", "says"), DIFFERENCES)
def test_differences_have_a_place(one: Any, two: Any, says: str):
    assert difference(one, two) == says
    assert difference(one, one) == ""


def test_rounding_is_forgiven_where_asked():
    assert difference([0.1, float("nan")], [0.1 + 1e-9, float("nan")], exact=False) == ""
    assert difference([0.1], [0.1001], exact=False) == "[0] is 0.1, then 0.1001"


def test_data_for_a_fitted_part(verdict: Callable[..., Result]):
    ask = "check_fitted_example_data"
    assert verdict(ask, "encoder", toy(Lengths), provides={"fitted"}, consumes={"text"}).outcome == "passed"
    result = verdict(ask, "encoder", toy(Lengths), provides={"fitted"}, consumes={"samples"})
    assert result.outcome == "failed"
    assert "there is no sample data with the fields samples; add example_data()" in result.reason
