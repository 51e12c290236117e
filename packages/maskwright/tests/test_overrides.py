"""`key=value` reaches any setting by its path and is read by the type it meets."""

from typing import Any

import pytest
from toyplugin.params import Loss, Train

from maskwright.planning import plan


def resolved(*words: str, source: Any = "toy-train") -> dict[str, Any]:
    made = plan(source, list(words))
    assert not made.mistakes, made.mistakes
    return made.resolved()


def mistakes(*words: str, source: Any = "toy-train") -> dict[str, str]:
    return {mistake.path: mistake.message for mistake in plan(source, list(words)).mistakes}


def test_settings_below_slots():
    found = resolved("steps=7", "data.count=9", "objective.speed=.25", "objective.kind=sum", "seed=4")
    assert (found["steps"], found["data"]["count"], found["seed"]) == (7, 9, 4)
    assert (found["objective"]["speed"], found["objective"]["kind"]) == (0.25, "sum")
    assert found["objective"]["encoder"] == {"use": "toy-hash@toyplugin", "width": 2}


def test_lists_tables_and_none():
    found = resolved("objective.weights=1,2", "values={ a = 1 }", "values.b=2.5", "objective.limit=3")
    assert found["objective"]["weights"] == [1.0, 2.0]
    assert found["values"] == {"a": 1.0, "b": 2.5}
    assert found["objective"]["limit"] == 3
    assert resolved("objective.limit=none")["objective"]["limit"] is None


def test_slots():
    assert resolved("objective.encoder=toy-counts")["objective"]["encoder"]["use"] == "toy-counts@toyplugin"
    assert resolved("objective.ratio=.25")["objective"]["ratio"] == {
        "use": "constant@maskwright",
        "value": 0.25,
    }
    assert resolved("objective.ratio=cosine")["objective"]["ratio"]["end"] == 1.0
    assert resolved('objective.ratio={ use = "cosine", end = 0.8 }')["objective"]["ratio"]["end"] == 0.8
    assert resolved("objective.ratio=linear", "objective.ratio.end=0.5")["objective"]["ratio"] == {
        "use": "linear@maskwright",
        "start": 0.0,
        "end": 0.5,
    }
    assert resolved("objective.ratio.value=0.75")["objective"]["ratio"]["value"] == 0.75


def test_a_table_without_use_changes_the_default():
    source = {"use": "toy-train", "objective": {"speed": 0.75}, "data": {"count": 2}}
    found = resolved("objective.encoder=toy-counts", "data.labels=false", source=source)
    assert (found["objective"]["speed"], found["objective"]["encoder"]["smallest"]) == (0.75, 1)
    assert (found["data"]["count"], found["data"]["labels"]) == (2, False)


def test_entries_of_a_list_by_as_and_by_name():
    source = {
        "use": "toy-train",
        "evaluators": ["toy-score", {"use": "toy-score", "as": "late", "split": "late"}],
    }
    found = resolved(
        "evaluators.toy-score.bonus=1", "evaluators.late.bonus=2", "evaluators.late.every=3", source=source
    )
    assert [entry["bonus"] for entry in found["evaluators"]] == [1.0, 2.0]
    assert [entry["as"] for entry in found["evaluators"]] == ["toy-score", "late"]
    assert found["evaluators"][1]["every"] == 3
    found = resolved("evaluators.late.data=toy-lines", "evaluators.late.data.count=2", source=source)
    assert found["evaluators"][1]["data"]["count"] == 2


def test_a_list_from_words():
    found = resolved("evaluators=toy-score", "evaluators.toy-score.bonus=5")
    assert [entry["bonus"] for entry in found["evaluators"]] == [5.0]


def test_later_words_win_and_the_file_stays_as_it_was():
    source = {"use": "toy-train", "data": {"use": "toy-lines", "count": 2}, "values": {"a": 1.0}}
    found = resolved("data.count=3", "data.count=4", "values.b=2", source=source)
    assert (found["data"]["count"], found["values"]) == (4, {"a": 1.0, "b": 2.0})
    assert source == {"use": "toy-train", "data": {"use": "toy-lines", "count": 2}, "values": {"a": 1.0}}


def test_on_a_tree_in_python():
    source = Train(objective=Loss(speed=0.75))
    found = resolved("objective.ratio=0.1", "objective.encoder.width=3", source=source)
    assert (found["objective"]["speed"], found["objective"]["encoder"]["width"]) == (0.75, 3)
    assert source.objective.ratio == 0.5


def test_values_in_python():
    made = plan("toy-train", {"data.count": 9, "objective.ratio": 0.25, "values": {"a": 1}})
    assert made.resolved()["data"]["count"] == 9
    assert made.resolved()["values"] == {"a": 1.0}
    made = plan("toy-train", {"data.count": "9", "": 3, "objective..speed": 1})
    assert [mistake.path for mistake in made.mistakes] == ["", "objective..speed", "data.count"]


@pytest.mark.parametrize(
    ("word", "path", "message"),
    [
        ("stepz=5", "stepz", 'unknown setting "stepz" — did you mean "steps"?'),
        ("data.counts=5", "data.counts", 'unknown setting "counts" — did you mean "count"?'),
        ("data.zzz=5", "data.zzz", 'unknown setting "zzz"; known: count, labels, path'),
        ("steps", "steps", 'expected path.to.setting=value, found "steps"'),
        ("=5", "=5", 'expected path.to.setting=value, found "=5"'),
        ("a..b=5", "a..b", 'expected path.to.setting=value, found "a..b=5"'),
        ("steps.x=5", "steps.x", '"steps" is a setting, nothing lies below it'),
        ("steps=1e4", "steps", 'expected whole number, found "1e4"'),
        ("steps=-1", "steps", "must be >= 0, found -1"),
        ("seed=x", "seed", 'expected whole number, found "x"'),
        ("seed=-3", "seed", "must be >= 0, found -3"),
        (
            "objective=toy-los",
            "objective",
            'there is no objective called "toy-los" — did you mean "toy-loss"?',
        ),
        ("objective=toy-hash", "objective", 'there is no objective called "toy-hash" — there is a encoder'),
        ("objective={", "objective", 'cannot read "{" as a TOML value'),
        ("objective=none", "objective", "is required: objective — what is trained"),
        ("objective.ratio=maybe", "objective.ratio", 'there is no schedule called "maybe"'),
        ("objective.ratio=nan", "objective.ratio.value", "expected a finite number, found nan"),
        (
            "evaluators.x.bonus=1",
            "evaluators.x.bonus",
            '"evaluators" is empty: fill it first, evaluators=NAME',
        ),
        ("values.a=x", "values", '"a": expected number, found "x" (text)'),
        ("use=toy-lines", "", 'there is no recipe called "toy-lines" — there is a dataset of that name'),
        ("data.path=", "data.path", 'expected a path, found ""'),
    ],
)
def test_a_wrong_word(word: str, path: str, message: str):
    found = mistakes(word)
    assert list(found) == [path]
    assert found[path].startswith(message)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"objective": [1, 2]}, "objective.speed=1"),
        ({"objective": True}, "objective.speed=1"),
        ({"objective": None}, "objective.speed=1"),
        ({"evaluators": [5]}, "evaluators.5.bonus=1"),
        ({"evaluators": 5}, "evaluators.5.bonus=1"),
        ({"evaluators": [[1]]}, "evaluators.x.bonus=1"),
        ({"values": 5}, "values.a=1"),
        ({"values": {"a": {"b": 1}}}, "values.a.b.c=1"),
        ({"data": {"use": "from-run", "set": 5}}, "data.count=1"),
        ({"data": {"use": 5}}, "data.count=1"),
        ({"data": {"use": ["x"]}}, "data.count=1"),
        ({"use": 5}, "data.count=1"),
        ({"evaluators": [{"use": "toy-score", "data": 5}]}, "evaluators.toy-score.data.count=1"),
        ({"evaluators": ["toy-score"]}, "evaluators.toy-score=1"),
        ({"evaluators": ["toy-score"]}, "evaluators.toy-scores.bonus=1"),
        ({"data": {"ref": "objective"}}, "data.count=1"),
    ],
)
def test_a_word_on_a_wrong_file(raw: dict[str, Any], word: str):
    """Whatever the file holds, a word below it gives a mistake and no exception."""
    assert mistakes(word, source={"use": "toy-train", **raw})
