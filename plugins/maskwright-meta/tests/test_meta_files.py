"""Labelled sets as files: read as they are published, and named by file and line where they are broken."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from maskwright import Step
from maskwright_meta.task_files import task_files
from maskwright_meta.task_formats import has_pairs
from maskwright_testing import assert_one_error

STEP = Step()


def rows_of(data: Any, split: str = "train") -> list[Any]:
    return [data.item(split, n, STEP) for n in range(data.length(split))]


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


def test_a_dash_is_a_label_where_it_is_no_gold_label(tmp_path: Path):
    write(tmp_path / "signs.jsonl", lines({"text": "x", "label": "-"}, {"text": "y", "label": "+"}))
    write(tmp_path / "signs2/train.tsv", "sentence\tlabel\nx\t-\ny\t+\n")
    write(tmp_path / "mnli/train.tsv", "sentence1\tsentence2\tgold_label\na\tb\t-\nc\td\tneutral\n")
    told = task_files(tmp_path, 0.0).about("train")["classes_of"]
    assert told == {"signs": ["+", "-"], "signs2": ["+", "-"], "mnli": ["neutral"]}


def test_labels_that_look_like_numbers_are_words(tmp_path: Path):
    for name, labels in (("squares", ["\u00b2", "1"]), ("dashes", ["--1", "1"]), ("long", ["9" * 5000, "1"])):
        write(tmp_path / f"{name}.jsonl", lines(*({"text": "x", "label": label} for label in labels)))
    write(tmp_path / "numbers.jsonl", lines(*({"text": "x", "label": label} for label in (10, 9, -1))))
    told = task_files(tmp_path, 0.0).about("train")["classes_of"]
    assert told["squares"] == ["1", "\u00b2"] and told["dashes"] == ["--1", "1"]
    assert told["long"] == ["1", "9" * 5000] and told["numbers"] == ["-1", "9", "10"]


def test_long_texts_are_read(tmp_path: Path):
    text = "word " * 40_000 + "end"
    write(tmp_path / "a.tsv", f"sentence\tlabel\n{text}\t1\n")
    assert [item["text"] for item in rows_of(task_files(tmp_path, 0.0))] == [text]


def test_passages_are_held_back_whole(tmp_path: Path):
    """Options that fill one blank differ by a word: half of them in the test split would give the rest away."""
    for n in range(40):
        passage = {
            "article": f"Story {n} _ and _ .",
            "options": [["a", "b", "c", "d"]] * 2,
            "answers": ["A", "B"],
        }
        write(tmp_path / f"cloth/{n}.json", json.dumps(passage))
    data = task_files(tmp_path, 0.4)
    stories = {
        split: Counter(item["text"].split()[1] for item in rows_of(data, split))
        for split in ("train", "test")
    }
    assert set(stories["test"]) and not set(stories["train"]) & set(stories["test"])
    assert set(stories["train"].values()) == set(stories["test"].values()) == {8}


def test_a_task_of_one_class_is_told_of(tmp_path: Path):
    write(tmp_path / "a.jsonl", lines({"text": "x", "label": "yes"}, {"text": "y", "label": "yes"}))
    write(tmp_path / "b.jsonl", lines({"text": "x", "label": "yes"}, {"text": "y", "label": "no"}))
    assert task_files(tmp_path, 0.0).about("train")["notices"] == [
        'all training rows of the task "a" have the label "yes": there is nothing to tell apart'
    ]


@pytest.mark.parametrize(
    "names", [("train", "dev", "test"), ("train",), ("dev", "test"), ("snli_1.0_train", "snli_1.0_dev")]
)
def test_splits_beside_each_other_are_no_tasks(tmp_path: Path, names: tuple[str, ...]):
    for name in names:
        write(tmp_path / f"{name}.jsonl", lines({"text": "x", "label": 1}))
    assert_one_error(
        lambda: task_files(tmp_path, 0.0),
        f"these files are splits of one task, not tasks: {', '.join(sorted(names))}", "path/TASK/train.jsonl",
    )  # fmt: skip


def test_a_task_may_have_a_split_in_its_name(tmp_path: Path):
    for name in ("test-anxiety", "mood", "train"):
        write(tmp_path / f"{name}.jsonl", lines({"text": "x", "label": 1}))
    assert set(task_files(tmp_path, 0.0).about("train")["tasks"]) == {"test-anxiety", "mood", "train"}


def test_pairs_are_found_by_the_first_row_of_a_file(tmp_path: Path):
    """What follows may be long, or broken: reading it for the run will say so."""
    pair = {"sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
    write(tmp_path / "nli.jsonl", lines({**pair, "gold_label": "-"}, pair) + "no json\n" * 3)
    assert has_pairs(tmp_path)
    write(tmp_path / "nli.jsonl", lines({"text": "a", "label": 1}))
    assert not has_pairs(tmp_path)


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
        ("a.jsonl", '{"text": "x", "label": ""}\n', ("there is no label", "a.jsonl, line 1")),
        ("a.tsv", "sentence\tlabel\nx\t\n", ("there is no label", "a.tsv, line 2")),
        ("a.jsonl", '{"text": "x", "label": ["y"]}\n', ('"label" is a list, not a word', "line 1", "['y']")),
        ("a.jsonl", '{"text": {"a": 1}, "label": 1}\n', ('"text" is an object, not a word', "line 1")),
        (
            "a.jsonl",
            '\n{"text": "x\\ud800", "label": 1}\n',
            ('"text" has half a character', "line 2", "ud800"),
        ),
        ("a.jsonl", '{"text": "x", "label": "\\udc00"}\n', ('"label" has half a character', "line 1")),
        (
            "a.json",
            '{"article": "\\ud800 _ .", "options": [["a", "b"]], "answers": ["A"]}',
            ('"article" has half a character', "a.json"),
        ),
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
