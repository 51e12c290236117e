"""Data sets of tasks: generated maps, named sets and masked words."""

import copy
from typing import Any

import pytest
from meta_cases import SMALL

from maskwright import Step
from maskwright.build import build_raw
from maskwright_meta.named_sets import NamedSets
from maskwright_meta.smlmt import around
from maskwright_testing import assert_mistakes, assert_one_error
from maskwright_testing.listed_data import ListedData

STEP = Step()


def built(**raw: Any) -> Any:
    return build_raw(raw, ("dataset",), "data")[0]


def maps(**raw: Any) -> Any:
    small = {"topics": 6, "words": 30, "length": 6, "classes": 3, "tasks": 8, "items": 40, "pool": 200}
    return built(use="topic-maps", **{**small, "test_tasks": 4, "test_items": 40, **raw})


def rows_of(data: Any, split: str = "train") -> list[Any]:
    return [data.item(split, n, STEP) for n in range(data.length(split))]


def test_tasks_label_the_same_texts_each_in_its_own_way():
    told: dict[str, set[int]] = {}
    for item in rows_of(maps(items=200)):
        told.setdefault(item["text"], set()).add(item["label"])
    assert sum(len(labels) > 1 for labels in told.values()) > len(told) / 2
    for item in rows_of(same := maps(labels="same")):
        told[item["text"]] = {item["label"]}
    assert all({item["label"]} == told[item["text"]] for item in rows_of(same))


def test_labels_follow_topics_unless_they_are_noise():
    """Within a task, the texts of a label share words with each other."""

    def share(data: Any) -> float:
        found = [item for item in rows_of(data) if item["task"] == "map-0000"]
        pairs = [(a, b) for a in found for b in found if a["id"] < b["id"]]

        def common(alike: bool) -> float:
            counts = [
                len(set(a["text"].split()) & set(b["text"].split()))
                for a, b in pairs
                if (a["label"] == b["label"]) == alike
            ]
            return sum(counts) / len(counts)

        return common(True) / common(False)

    assert share(maps(sharpness=3.0)) > 1.3
    assert share(maps(sharpness=3.0, labels="noise")) < 1.15


@pytest.mark.parametrize("name", ["items", "test_items"])
def test_a_task_of_more_texts_than_there_are_is_refused(name: str):
    recipe = copy.deepcopy(SMALL)
    recipe["data"] |= {"items": 60, "test_items": 60, "pool": 60}
    assert_mistakes(recipe, {})
    recipe["data"][name] = 61
    assert_mistakes(recipe, {f"data.{name}": "a task of 61 texts would hold some of the 60 in pool twice"})


def test_places_of_tasks_are_where_their_items_are():
    data = maps()
    for split in data.splits():
        for name, (first, count) in data.about(split)["tasks"].items():
            assert {data.item(split, first + n, STEP)["task"] for n in range(count)} == {name}
    assert set(maps(labels="same").about("test")["tasks"]) == {f"map-{n:04d}" for n in range(4)}


def test_one_world_has_the_same_topics_for_every_seed():
    def words(seed: int, world: int = 0) -> set[str]:
        raw = {
            "use": "topic-maps",
            "sharpness": 1000.0,
            "topics": 2,
            "classes": 2,
            "pool": 500,
            "world": world,
        }
        data = build_raw(raw, ("dataset",), "data", seed)[0]
        return {word for n in range(50) for word in data.item("train", n, STEP)["text"].split()}

    assert len(words(1)) == 2 and words(1) == words(2) != words(1, world=1)


def test_named_sets_follow_one_another():
    first = ListedData(
        {"train": [{"id": "x", "text": "one", "label": 0}], "test": [{"id": "y", "text": "two", "label": 1}]},
        {"classes": ["no", "yes"]},
    )
    data = NamedSets({"plain": first, "maps": maps()})
    assert data.splits() == ("train", "test") and data.length("train") == 1 + 8 * 40
    assert data.item("train", 0, STEP) == {"id": "plain:x", "text": "one", "label": 0, "task": "plain"}
    third = data.item("train", 1 + 40, STEP)
    assert third["task"] == "maps/map-0001" and third["id"].startswith("maps:")
    tasks = data.about("train")["tasks"]
    assert tasks["plain"] == [0, 1] and tasks["maps/map-0001"] == [41, 40]
    assert data.about("train")["classes"] == ["0", "1", "2"]
    assert_one_error(lambda: data.length("val"), 'no set has the split "val"', "train, test")


TEXT = "The parser reads a parser, and (parsers) of words; then THE PARSER stops."


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (24, "The [MASK] reads a [MASK], and (parsers) of words; then THE [MASK] stops."),
        (2, "The [MASK] reads a"),
    ],
)
def test_a_word_is_masked_wherever_it_stands(window: int, wanted: str):
    assert around(TEXT, "parser", window, "[MASK]") == wanted


def test_a_word_at_the_edge_is_masked():
    assert around("parser", "parser", 3, "[MASK]") == "[MASK]"
    assert around("a (parser).", "parser", 3, "[MASK]") == "a ([MASK])."


def masked(**raw: Any) -> Any:
    animals, tools = ("horse", "sheep", "goose"), ("hammer", "ladder", "shovel")
    texts = [f"we saw the {word} near #{n} today" for n in range(12) for word in (*animals, *tools)]
    texts += ["we saw the horse and the sheep today"] * 3
    items = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    inner = ListedData({"train": items, "test": [{**item, "id": f"t{item['id']}"} for item in items]})
    from maskwright_meta.smlmt import Asked, smlmt

    asked = Asked(
        **{
            "ways": 3,
            "texts": 10,
            "fewest": 6,
            "commonest": 0.3,
            "letters": 5,
            "window": 9,
            "mask": "[MASK]",
            **raw,
        }
    )
    return smlmt(inner, asked, 1, 1, 0)


def test_a_masked_text_holds_none_of_the_words_of_its_task():
    data = masked()
    for split in ("train", "test"):
        (group,) = (data.about(split)["words"][f"{split}/{name}"] for name in data.about(split)["tasks"])
        for item in rows_of(data, split):
            assert "[MASK]" in item["text"]
            assert not set(group) & set(item["text"].split())
            assert item["id"].endswith(group[item["label"]])
        labels = [item["label"] for item in rows_of(data, split)]
        assert [labels.count(n) for n in range(3)] == [10, 10, 10]


def test_test_tasks_ask_for_other_words():
    words = masked().about("train")["words"]
    assert not set(words["train/words-000"]) & set(words["test/words-000"])


def test_too_few_words_are_counted():
    assert_one_error(
        lambda: masked(fewest=13),
        'the split "test" has 2 words that could be asked for, too few',
        "a smaller fewest",
    )
    assert_one_error(lambda: masked(fewest=16), 'the split "test" has 0 words', "a task has 3")
    assert_one_error(lambda: masked(fewest=11), 'the split "test" has 6 words', "they make 0 of 1 tasks")
