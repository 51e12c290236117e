"""Data sets of tasks: generated maps, named sets, masked words, and files as they are published."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskwright import Step
from maskwright.build import build_raw
from maskwright_meta.named_sets import NamedSets
from maskwright_meta.smlmt import around
from maskwright_meta.task_files import task_files
from maskwright_meta.task_formats import has_pairs
from maskwright_testing import assert_one_error
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
            "pool": 50,
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


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_files_become_tasks(tmp_path: Path):
    write(tmp_path / "mood.jsonl", lines({"text": "good", "label": "yes"}, {"text": "bad", "label": "no"}))
    write(tmp_path / "nli/train.jsonl", lines(
        {"sentence1": "a", "sentence2": "b", "gold_label": "entailment"},
        {"sentence1": "c", "sentence2": "d", "gold_label": "-"},
        {"sentence1": "e", "sentence2": "f", "gold_label": "neutral"},
    ))  # fmt: skip
    write(
        tmp_path / "nli/dev_matched.jsonl",
        lines({"sentence1": "g", "sentence2": "h", "gold_label": "neutral"}),
    )
    write(tmp_path / "cola/train.tsv", "gj04\t1\t\tThey drank.\ngj04\t0\t*\tThey drank the.\n")
    write(tmp_path / "sst/train.tsv", 'sentence\tlabel\nit "is\t1\nnot\t0\n')
    write(tmp_path / "cloth/train/1.json", json.dumps(
        {"article": "He _ to _ .", "options": [["went", "eat"], ["town", "sky"]], "answers": ["A", "B"]}
    ))  # fmt: skip
    data = task_files(tmp_path, 0.0)
    found: dict[str, list[Any]] = {}
    for item in rows_of(data):
        found.setdefault(item["task"], []).append((item["text"], item.get("other"), item["label"]))
    assert found["mood"] == [("good", None, 1), ("bad", None, 0)]
    assert found["nli"] == [("a", "b", 0), ("e", "f", 1)]
    assert found["cola"] == [("They drank.", None, 1), ("They drank the.", None, 0)]
    assert found["sst"] == [('it "is', None, 1), ("not", None, 0)]
    assert found["cloth"] == [
        ("He went to _ .", None, 0), ("He eat to _ .", None, 1),
        ("He _ to town .", None, 1), ("He _ to sky .", None, 0),
    ]  # fmt: skip
    assert data.about("train")["classes_of"]["cloth"] == ["right", "wrong"]
    assert [item["text"] for item in rows_of(data, "val")] == ["g"]


def test_published_folders_say_their_splits_in_any_word(tmp_path: Path):
    for name in ("snli/snli_1.0_{}", "mnli/original/multinli_1.0_{}_matched", "plain/{}-part.1"):
        for split in ("train", "dev", "test"):
            write(tmp_path / f"{name.format(split)}.jsonl", lines({"text": split, "label": 1}))
    data = task_files(tmp_path, 0.0)
    for split, named in (("train", "train"), ("val", "dev"), ("test", "test")):
        assert [item["text"] for item in rows_of(data, split)] == [named] * 3


def test_files_beside_those_that_name_their_split_are_refused(tmp_path: Path):
    for name in ("train", "more"):
        write(tmp_path / f"a/{name}.jsonl", lines({"text": "x", "label": 1}))
    assert_one_error(
        lambda: task_files(tmp_path, 0.0),
        "some files of a task name their split, and others do not: more.jsonl", "validation", "rename them",
    )  # fmt: skip


def test_tables_of_glue_are_read_as_they_are(tmp_path: Path):
    write(tmp_path / "qnli/train.tsv", "index\tquestion\tsentence\tlabel\n0\tWho?\tHe did.\tentailment\n")
    write(tmp_path / "mrpc/train.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tone\ttwo\n")
    write(tmp_path / "mrpc/test.tsv", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tone\ttwo\n")
    write(tmp_path / "sst/train.tsv", "sentence\tlabel\ngood\t1\n")
    write(tmp_path / "sst/test.tsv", "index\tsentence\n0\tunknown\n")
    data = task_files(tmp_path, 0.0)
    found = {item["task"]: (item["text"], item.get("other")) for item in rows_of(data)}
    assert found == {"mrpc": ("one", "two"), "qnli": ("Who?", "He did."), "sst": ("good", None)}
    assert data.splits() == ("train",) and has_pairs(tmp_path)
    write(tmp_path / "sst/dev.tsv", "index\tsentence\n0\tunknown\n")
    assert_one_error(
        lambda: task_files(tmp_path, 0.0), "there is no label", "dev.tsv, line 2", "found index, sentence"
    )


def test_a_pair_without_gold_label_is_dropped_where_labels_are_numbers(tmp_path: Path):
    records = [{"premise": "a", "hypothesis": "b", "label": label} for label in (0, -1, 1)]
    write(tmp_path / "snli.jsonl", lines(*records))
    write(tmp_path / "mood.jsonl", lines({"text": "x", "label": -1}, {"text": "y", "label": 1}))
    told = task_files(tmp_path, 0.0).about("train")["classes_of"]
    assert told == {"snli": ["0", "1"], "mood": ["-1", "1"]}


def test_lines_end_at_line_feeds_only(tmp_path: Path):
    text = "one\u2028two\u0085three"
    write(tmp_path / "a.jsonl", json.dumps({"text": text, "label": 1}, ensure_ascii=False) + "\n")
    assert [item["text"] for item in rows_of(task_files(tmp_path, 0.0))] == [text]


def test_a_share_is_held_back_by_the_text(tmp_path: Path):
    records = [{"text": f"text {n}", "label": n % 2} for n in range(100)]
    write(tmp_path / "a.jsonl", lines(*records))
    data = task_files(tmp_path, 0.3)
    test = {item["text"] for item in rows_of(data, "test")}
    assert 15 < len(test) < 45
    write(tmp_path / "a.jsonl", lines({"text": "new", "label": 0}, *reversed(records)))
    again = {item["text"] for item in rows_of(task_files(tmp_path, 0.3), "test")}
    assert again - {"new"} == test


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"text": "x", "label": 1}\nnot json\n', ("this is no JSON", "a.jsonl, line 2")),
        ("a.jsonl", '["x"]\n', ("this is no JSON object", "a.jsonl, line 1")),
        ("a.jsonl", '{"text": "x"}\n', ("there is no label", "a.jsonl, line 1", "found text")),
        ("a.jsonl", '{"text": " ", "label": 1}\n', ("there is no text", "a.jsonl, line 1")),
        ("a.jsonl", "\n", ("a.jsonl is empty",)),
        (
            "a.tsv",
            "sentence\tlabel\nx\t1\textra\n",
            ("a row has 3 columns, and there are 2", "a.tsv, line 2"),
        ),
        ("a.json", '{"text": "x"}', ("this is no passage of CLOTH", "found text")),
        (
            "a.json",
            '{"article": "He _ .", "options": [["a"], ["b"]], "answers": ["A", "A"]}',
            ("1 blanks, 2 lists of options and 2 answers",),
        ),
        (
            "a.json",
            '{"article": "He _ .", "options": [["a", "b"]], "answers": ["C"]}',
            ('the answer "C" is none of the options', "a.json, blank 1"),
        ),
    ],
)
def test_broken_files_are_named_by_line(tmp_path: Path, name: str, text: str, said: tuple[str, ...]):
    write(tmp_path / name, text)
    assert_one_error(lambda: task_files(tmp_path, 0.0), *said)


def test_a_class_that_was_not_trained_on_is_named(tmp_path: Path):
    write(tmp_path / "a/train.jsonl", lines({"text": "x", "label": "yes"}))
    write(tmp_path / "a/test.jsonl", lines({"text": "y", "label": "yes"}, {"text": "z", "label": "maybe"}))
    assert_one_error(
        lambda: task_files(tmp_path, 0.0),
        'the label "maybe" does not occur in the train split of "a"',
        "test.jsonl, line 2",
    )


def test_folders_without_tasks_are_refused(tmp_path: Path):
    assert_one_error(
        lambda: task_files(tmp_path, 0.0), "no file in this folder is a task", ".jsonl, .tsv, .json"
    )
    write(tmp_path / "a.jsonl", lines({"text": "x", "label": 1}))
    write(tmp_path / "a.tsv", "sentence\tlabel\nx\t1\n")
    assert_one_error(lambda: task_files(tmp_path, 0.0), 'two tasks are called "a"')
    (tmp_path / "a.tsv").unlink()
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    write(tmp_path / "c/test.jsonl", lines({"text": "x", "label": 1}))
    assert_one_error(lambda: task_files(tmp_path, 0.0), 'the task "c" has no training rows', "test (1)")
    write(tmp_path / "c/train.jsonl", "\xff")
    (tmp_path / "c/train.jsonl").write_bytes(b"\xff\xfe")
    assert_one_error(lambda: task_files(tmp_path, 0.0), "cannot be read as text", "UTF-8")
