"""Which split a file or a text belongs to: by name, by pattern, by hash."""

import numpy as np
import pytest
from text_reading import ids, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_text.params_data import JsonLines, Lines
from maskwright_text.text_splits import SPLIT_WORDS, hash_share, split_of_name


def lines(path, **settings):
    return Lines(path=path, **settings).build()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.txt", "train"),
        ("wiki.valid.tokens", "validation"),
        ("dev.tsv", "validation"),
        ("en_ewt-ud-test.conllu", "test"),
        ("testset_w_refs.csv", "test"),
        ("train-00000-of-00002.parquet", "train"),
        ("Test/pos/1_9.txt", "test"),
        ("test/train.txt", "train"),
        ("contest/latest.txt", None),
        ("1.txt", None),
    ],
)
def test_names_tell_the_split(name, split):
    assert split_of_name(name) == split


def test_a_name_with_two_splits_is_asked_about():
    assert set(SPLIT_WORDS.values()) == {"train", "validation", "test"}
    assert_one_error(
        lambda: split_of_name("a/train_test.txt"), "a/train_test.txt may be test or train", "splits = {"
    )


def test_files_of_a_folder_by_their_names(tmp_path):
    for name in ("valid.txt", "train.txt", "test.txt", "notes.txt", "test.md", ".train.txt"):
        written(tmp_path / "in" / name, f"{name}\n")
    data = lines(tmp_path / "in")
    assert data.splits() == ("train", "validation", "test")
    assert [ids(data, split) for split in data.splits()] == [["train.txt:1"], ["valid.txt:1"], ["test.txt:1"]]
    assert data.about("train")["notices"] == [
        "1 files are left out, for their names tell no split: notes.txt; splits = { … } names them"
    ]
    assert data.about("test")["count"] == 1
    named = lines(tmp_path / "in", splits={"train": "train.txt", "test": "test.txt"})
    assert named.about("train")["notices"] == [], "whoever names files knows the others"


def test_without_a_test_the_validation_is_it(tmp_path):
    for name in ("dev.txt", "train.txt"):
        written(tmp_path / "in" / name, f"{name}\n")
    data = lines(tmp_path / "in")
    assert data.splits() == ("train", "test") and texts(data, "test") == ["dev.txt"]
    (notice,) = data.about("test")["notices"]
    assert notice == "there is no test split: the texts for validation are the split test"


def test_patterns_say_what_names_do_not(tmp_path):
    for name in ("a/one.txt", "a/two.log", "b/three.txt", "b/train.txt"):
        written(tmp_path / "in" / name, f"{name}\n")
    data = lines(tmp_path / "in", splits={"test": "three.*", "train": "a/*"})
    assert ids(data, "train") == ["a/one.txt:1", "a/two.log:1"] and ids(data, "test") == ["b/three.txt:1"]


def test_one_file_is_cut_by_hash(tmp_path):
    path = written(tmp_path / "train.txt", "".join(f"text {n}\n" for n in range(400)))
    data = lines(path, test_share=0.2, valid_share=0.1)
    assert data.splits() == ("train", "validation", "test")
    counts = {split: data.length(split) for split in data.splits()}
    assert sum(counts.values()) == 400
    assert 50 < counts["test"] < 110 and 20 < counts["validation"] < 65  # 80 and 40 expected: 4 s.e. each
    assert all(hash_share(name) < 0.2 for name in ids(data, "test"))
    assert all(0.2 <= hash_share(name) < 0.3 for name in ids(data, "validation"))
    early = [name for name in ids(data, "test") if int(name.partition(":")[2]) <= 300]
    written(path, "".join(f"text {n}\n" for n in range(300)))
    fewer = lines(path, test_share=0.2, valid_share=0.1)
    assert ids(fewer, "test") == early and len(early) > 30


def test_what_there_is_is_not_cut_again(tmp_path):
    written(tmp_path / "in" / "train.txt", "".join(f"text {n}\n" for n in range(100)))
    written(tmp_path / "in" / "test.txt", "test\n")
    data = lines(tmp_path / "in", test_share=0.5, valid_share=0.3)
    assert data.splits() == ("train", "validation", "test")
    assert data.length("test") == 1 and 10 < data.length("validation") < 50
    assert data.length("train") + data.length("validation") == 100


def test_a_split_that_is_not_there_is_told(tmp_path):
    path = written(tmp_path / "a.txt", "one\n")
    assert lines(path, test_share=0.0).about("train")["notices"] == [
        "there is no test split, so nothing can be judged: evaluators read the split test"
    ]
    assert lines(path, splits={"test": "*"}).about("test")["notices"] == [
        "there is no train split, so nothing can be trained"
    ]
    assert_one_error(lambda: lines(path).length("valid"), 'no split "valid"', "it has train")


def test_a_share_that_no_text_falls_into_is_no_split(tmp_path):
    path = written(tmp_path / "a.txt", "one\n")
    data = lines(path, test_share=hash_share("a.txt:1") / 2)
    assert data.splits() == ("train",) and "there is no test split" in data.about("train")["notices"][0]


def test_splits_of_ones_own(tmp_path):
    written(tmp_path / "in" / "a.txt", "a\n")
    written(tmp_path / "in" / "b.txt", "b\n")
    data = lines(tmp_path / "in", splits={"hard": "b.txt", "train": "a.txt"}, test_share=0.0)
    assert data.splits() == ("train", "hard") and texts(data, "hard") == ["b"]


def test_shares_have_to_leave_something(tmp_path):
    path = written(tmp_path / "a.txt", "one\n")
    share = hash_share("a.txt:1") + 0.001
    assert_one_error(
        lambda: lines(path, test_share=share),
        "leave no text to train on",
        "there are 1 texts",
        "smaller shares",
    )
    assert_one_error(
        lambda: lines(path, test_share=0.7, valid_share=0.3),
        "valid_share",
        "test_share + valid_share is 1, which leaves nothing to train on",
    )


def test_what_is_not_found_is_named(tmp_path):
    written(tmp_path / "in" / "a.md", "one\n")
    assert_one_error(
        lambda: lines(tmp_path / "in"),
        "holds no file that ends in .txt or .text",
        "it holds a.md",
        "splits = {",
    )
    assert_one_error(
        lambda: lines(tmp_path / "in", splits={"train": "b*"}), 'splits.train = "b*"', "there are a.md"
    )
    assert_one_error(
        lambda: lines(tmp_path / "in", splits={"train": "a*", "test": "*.md"}),
        "a.md is in two splits, train and test",
        "must not be judged on",
    )
    (tmp_path / "none").mkdir()
    assert_one_error(
        lambda: JsonLines(path=tmp_path / "none").build(), ".jsonl or .ndjson", "it holds nothing"
    )


def test_draws_are_even():
    drawn = np.array([hash_share(str(number)) for number in range(4000)])
    assert abs(drawn.mean() - 0.5) < 4 * (1 / 12 / 4000) ** 0.5
    assert drawn.min() >= 0 and drawn.max() < 1
