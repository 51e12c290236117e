"""One set of typing rules for files, the command line and Python; nothing is rounded, guessed or cut."""

from pathlib import Path
from typing import Any, Literal

import pytest
from commands import Command
from toyplugin.params import Counts, Loss, Train

from maskwright import api
from maskwright.params import params, setting
from maskwright.planning import plan
from maskwright.values import coerce, describe, parse_text

REFUSED = [
    (3.7, int, "expected whole number, found 3.7 (number)"),
    (3.0, int, "expected whole number, found 3.0 (number)"),
    ("10", int, 'expected whole number, found "10" (text)'),
    (True, int, "expected whole number, found true (true or false)"),
    (True, float, "expected number, found true (true or false)"),
    ("0.5", float, 'expected number, found "0.5" (text)'),
    (float("nan"), float, "expected a finite number, found nan"),
    (float("inf"), float, "expected a finite number, found inf"),
    (10**400, float, "expected a finite number, found 1000"),
    (1, bool, "expected true or false, found 1 (whole number)"),
    ("true", bool, 'expected true or false, found "true" (text)'),
    (5, str, "expected text, found 5 (whole number)"),
    (5, Path, "expected path, found 5 (whole number)"),
    ("", Path, 'expected a path, found ""'),
    ("a\0b", Path, "expected a path, found"),
    ("box", Literal["line", "dot"], 'expected one of "line", "dot", found "box" (text)'),
    (1, Literal[True], "expected one of true, found 1 (whole number)"),
    (1.5, int | None, "expected whole number or none, found 1.5 (number)"),
    (None, int, "expected whole number, found none"),
    ([1, 2.5], list[int], "entry 2: expected whole number, found 2.5 (number)"),
    ("a,b", list[str], 'expected list of text, found "a,b" (text)'),
    ([1, 2, 3], tuple[int, int], "expected 2 entries (list of whole number, whole number), found 3"),
    ({"a": "x"}, dict[str, float], '"a": expected number, found "x" (text)'),
    ({1: 1.0}, dict[str, float], "expected table of number, found {1: 1.0} (table)"),
    ([[1], ["x"]], list[list[int]], 'entry 2: entry 1: expected whole number, found "x" (text)'),
]


@pytest.mark.parametrize(("value", "kind", "message"), REFUSED, ids=[repr(row[:2])[:60] for row in REFUSED])
def test_refused(value: Any, kind: Any, message: str):
    with pytest.raises(ValueError, match="^") as refused:
        coerce(value, kind)
    assert str(refused.value).startswith(message)


TAKEN = [
    (3, int, 3),
    (3, float, 3.0),
    (None, int | None, None),
    ("none", int | None, None),
    ("line", Literal["line"], "line"),
    ("a/b", Path, Path("a/b")),
    ((1, 2), list[int], [1, 2]),
    ([1, 2], tuple[int, ...], (1, 2)),
    ({"a": 1}, dict[str, float], {"a": 1.0}),
    (3, int | str, 3),
    ("x", int | str, "x"),
]


@pytest.mark.parametrize(("value", "kind", "result"), TAKEN, ids=[repr(row[:2])[:60] for row in TAKEN])
def test_taken(value: Any, kind: Any, result: Any):
    found = coerce(value, kind)
    assert found == result
    assert type(found) is type(result)


TYPED = [
    ("3", int, 3),
    ("-3", int, -3),
    (".5", float, 0.5),
    ("1e-3", float, 0.001),
    ("true", bool, True),
    ("none", int | None, None),
    ("none", str, "none"),
    ("blocks", str, "blocks"),
    ('"quoted"', str, '"quoted"'),
    ("a=b", str, "a=b"),
    ("runs/a b", Path, Path("runs/a b")),
    ("1,2, 3", list[int], [1, 2, 3]),
    ("[1, 2]", list[int], [1, 2]),
    ("", list[int], []),
    ("a,b", list[str], ["a", "b"]),
    ("1,x", tuple[int, str], (1, "x")),
    ("{ a = 1 }", dict[str, float], {"a": 1.0}),
    ("line", Literal["line", "box"], "line"),
    ("2", Literal[1, 2], 2),
]


@pytest.mark.parametrize(("text", "kind", "result"), TYPED, ids=[repr(row[:2])[:60] for row in TYPED])
def test_typed_on_a_command_line(text: str, kind: Any, result: Any):
    found = parse_text(text, kind)
    assert found == result
    assert type(found) is type(result)


MISTYPED = [
    ("1e4", int, 'expected whole number, found "1e4"'),
    ("3.7", int, 'expected whole number, found "3.7"'),
    ("", int, 'expected whole number, found ""'),
    ("nan", float, "expected a finite number, found nan"),
    ("1", bool, 'expected true or false, found "1"'),
    ("True", bool, 'expected true or false, found "True"'),
    ("1,x", list[int], 'expected whole number, found "x"'),
    ("1", tuple[int, int], "expected 2 entries (list of whole number, whole number), found 1"),
    ("[1,", list[int], 'cannot read "[1," as a TOML value'),
    ("a", dict[str, float], 'cannot read "a" as a TOML value'),
    ("1\nx = 2", dict[str, float], "expected a value on one line"),
    ("dot", Literal["line", "box"], 'expected one of "line", "box", found "dot"'),
]


@pytest.mark.parametrize(("text", "kind", "message"), MISTYPED, ids=[repr(row[:2])[:60] for row in MISTYPED])
def test_mistyped_on_a_command_line(text: str, kind: Any, message: str):
    with pytest.raises(ValueError, match="^") as refused:
        parse_text(text, kind)
    assert message in str(refused.value)


def test_types_in_words():
    assert describe(int | None) == "whole number or none"
    assert describe(list[float]) == "list of number"
    assert describe(dict[str, bool]) == "table of true or false"
    assert describe(Literal["a", 1]) == 'one of "a", 1'


def test_python_is_as_strict_as_a_file():
    with pytest.raises(ValueError, match=r"^Loss\.speed: expected number, found true \(true or false\)$"):
        Loss(speed=True)
    with pytest.raises(ValueError, match=r"^Counts\.smallest: must be >= 1, found 0$"):
        Counts(smallest=0)
    with pytest.raises(ValueError, match=r"^Loss\.weights: must be >= 0, found -1\.0$"):
        Loss(weights=[1.0, -1.0])
    with pytest.raises(TypeError):
        Loss(0.5)  # type: ignore[call-arg]
    loss = Loss()
    with pytest.raises(ValueError, match="must be > 0 and <= 1, found 2"):
        loss.speed = 2


def test_defaults_are_not_shared():
    first, second = Loss(), Loss()
    first.weights.append(5.0)
    assert second.weights == [1.0]
    one, two = plan("toy-train").require(), plan("toy-train").require()
    one.slots["objective"].settings["weights"].append(7.0)
    assert two.slots["objective"].settings["weights"] == [1.0]
    assert plan("toy-train").require().slots["objective"].settings["weights"] == [1.0]


def test_a_field_without_help_is_no_setting():
    with pytest.raises(TypeError, match=r"Bad\.width: declare it with setting\(\.\.\.\) or slot\(\.\.\.\)"):

        @params
        class Bad:
            width: int = 3

    with pytest.raises(TypeError):
        setting(3)  # type: ignore[call-arg]


def test_a_tree_in_python_is_the_same_as_a_file(here: Command):
    in_python = api.plan(Train(steps=2, objective=Loss(encoder=Counts(smallest=2), ratio=0.25)), seed=5)
    here("run", "toy-train", "steps=2", "objective.encoder=toy-counts", "objective.encoder.smallest=2")
    words = ["steps=2", "objective.encoder=toy-counts", "objective.encoder.smallest=2", "objective.ratio=.25"]
    assert in_python.resolved() == api.plan("toy-train", words, seed=5).resolved()


def test_building_one_part_in_python():
    assert Loss(ratio=0.25).build().ratio(0.5) == 0.25
    first, again, other = (Loss().build(seed=seed).encoder.seed for seed in (1, 1, 2))
    assert first == again != other
