"""dataset:arrow: what `datasets` saves, made here with pyarrow, and what it leaves beside the data."""

import copy
import json
import sys

import pytest
from text_reading import ids, items, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_text.arrow_data import pyarrow
from maskwright_text.params_data import Arrow

LIBRARY = pyarrow()
WORDS = ["one", "two", "three"]


def arrow(path, **settings):
    return Arrow(path=path, **{"test_share": 0.0, **settings}).build()


def stream(path, columns, classes=None):
    table = LIBRARY.table(columns)
    if classes:
        features = {"label": {"names": classes, "_type": "ClassLabel"}}
        told = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(told)
    path.parent.mkdir(parents=True, exist_ok=True)
    with LIBRARY.ipc.new_stream(str(path), table.schema) as file:
        file.write_table(table, max_chunksize=2)
    return path


def saved(folder, splits, classes=None):
    """As `DatasetDict.save_to_disk` lays it out: two files a split, and a result of map() that nobody asked for."""
    for split, columns in splits.items():
        half = len(next(iter(columns.values()))) // 2
        names = [f"data-0000{n}-of-00002.arrow" for n in range(2)]
        stream(folder / split / names[0], {key: rows[:half] for key, rows in columns.items()}, classes)
        stream(folder / split / names[1], {key: rows[half:] for key, rows in columns.items()}, classes)
        stream(folder / split / "cache-1f.arrow", columns, classes)
        state = {"_data_files": [{"filename": name} for name in names], "_split": split}
        written(folder / split / "state.json", json.dumps(state))
    written(folder / "dataset_dict.json", json.dumps({"splits": list(splits)}))
    return folder


def test_a_saved_folder_with_splits(tmp_path):
    splits = {
        "train": {"text": WORDS},
        "val": {"text": ["v", "w"]},
        "unsupervised": {"text": ["u", "x"]},
    }
    data = arrow(saved(tmp_path / "in", splits))
    assert data.splits() == ("train", "test", "unsupervised")
    assert (
        texts(data) == WORDS
        and texts(data, "test") == ["v", "w"]
        and texts(data, "unsupervised") == ["u", "x"]
    )
    assert ids(data) == [
        "train/data-00000-of-00002.arrow:1",
        "train/data-00001-of-00002.arrow:1",
        "train/data-00001-of-00002.arrow:2",
    ]


def test_a_saved_folder_without_splits_is_cut_by_hash(tmp_path):
    saved(tmp_path / "in", {"x": {"text": [f"text {n}" for n in range(200)]}})
    data = arrow(tmp_path / "in" / "x", test_share=0.2)
    assert data.splits() == ("train", "test") and data.length("train") + data.length("test") == 200
    assert 15 < data.length("test") < 65
    assert sorted(texts(data) + texts(data, "test")) == sorted(f"text {n}" for n in range(200))


def test_one_file_of_each_kind(tmp_path):
    table = LIBRARY.table({"text": WORDS})
    LIBRARY.parquet.write_table(table, tmp_path / "a.parquet")
    with LIBRARY.ipc.new_file(str(tmp_path / "b.arrow"), table.schema) as file:
        file.write_table(table)
    stream(tmp_path / "c.arrow", {"text": WORDS})
    for name in ("a.parquet", "b.arrow", "c.arrow"):
        assert texts(arrow(tmp_path / name)) == WORDS
        assert ids(arrow(tmp_path / name))[2] == f"{name}:3"


def test_files_of_a_folder_by_their_names(tmp_path):
    (tmp_path / "in").mkdir()
    for split in ("train", "test"):
        table = LIBRARY.table({"text": [f"{split} 1", f"{split} 2"], "more": [1, 2]})
        LIBRARY.parquet.write_table(table, tmp_path / "in" / f"{split}-00000-of-00001.parquet")
    stream(tmp_path / "in" / "cache-train.arrow", {"text": ["left over"]})
    data = arrow(tmp_path / "in")
    assert texts(data) == ["train 1", "train 2"] and texts(data, "test") == ["test 1", "test 2"]
    data = arrow(tmp_path / "in", splits={"test": "train-*"})
    assert data.splits() == ("test",) and texts(data, "test") == ["train 1", "train 2"]


def test_class_names_of_the_file(tmp_path):
    columns = {"text": WORDS, "label": [1, 0, 1]}
    fields = {"text": "text", "label": "label"}
    data = arrow(stream(tmp_path / "a.arrow", columns, ["neg", "pos", "never"]), fields=fields)
    assert data.about("train")["classes"] == ["neg", "pos", "never"]
    assert [item["label"] for item in items(data)] == [1, 0, 1]
    plain = arrow(stream(tmp_path / "b.arrow", {"text": WORDS, "label": ["b", "a", "b"]}), fields=fields)
    assert plain.about("train")["classes"] == ["a", "b"]
    assert [item["label"] for item in items(plain)] == [1, 0, 1]
    secret = stream(tmp_path / "c.arrow", {"text": WORDS, "label": [1, -1, 0]}, ["neg", "pos"])
    assert_one_error(lambda: arrow(secret, fields=fields), '"label" is null', "c.arrow, row 2")


def test_files_that_number_their_classes_otherwise(tmp_path):
    fields = {"text": "text", "label": "label"}
    stream(tmp_path / "in" / "train.arrow", {"text": ["one", "two"], "label": [0, 1]}, ["pos", "neg"])
    stream(tmp_path / "in" / "test.arrow", {"text": ["three", "four"], "label": [0, 1]}, ["neg", "pos"])
    data = arrow(tmp_path / "in", fields=fields)
    assert data.about("train")["classes"] == ["neg", "pos"]
    assert [item["label"] for item in items(data)] == [1, 0]
    assert [item["label"] for item in items(data, "test")] == [0, 1]


def test_columns_with_lists_and_tables(tmp_path):
    columns = {"words": [["a", "##b"], ["c"]], "of": [{"name": "x"}, {"name": "y"}]}
    data = arrow(stream(tmp_path / "a.arrow", columns), fields={"text": "words", "name": "of.name"})
    assert [(item["text"], item["name"]) for item in items(data)] == [("ab", "x"), ("c", "y")]


def test_a_copy_reads_the_file_anew(tmp_path):
    data = arrow(stream(tmp_path / "a.arrow", {"text": WORDS}))
    assert texts(copy.deepcopy(data)) == WORDS
    assert all(table._table is None for table in copy.deepcopy(data)._tables)  # nothing mapped travels


def test_a_cache_of_token_ids_is_refused(tmp_path):
    columns = {"input_ids": [[101, 102]], "sentA_length": [2], "pos_subword_info": [[-1, -1]]}
    assert_one_error(
        lambda: arrow(stream(tmp_path / "a.arrow", columns)),
        "holds token ids, not text",
        "input_ids, sentA_length, pos_subword_info",
        "as it was before tokenizing",
    )
    both = stream(tmp_path / "b.arrow", {**columns, "sentence": ["one"]})
    assert texts(arrow(both, fields={"text": "sentence"})) == ["one"]


def test_what_is_wrong_with_a_row_or_column(tmp_path):
    path = stream(tmp_path / "a.arrow", {"text": ["one", ""], "more": ["x", "y"]})
    assert_one_error(lambda: arrow(path), '"text" is empty', "a.arrow, row 2")
    assert texts(arrow(path, empty="skip")) == ["one"]
    assert ids(arrow(stream(tmp_path / "b.arrow", {"text": ["", "two"]}), empty="skip")) == ["b.arrow:2"]
    assert_one_error(
        lambda: arrow(path, fields={"text": "body"}),
        'there is no column "body"',
        "the columns are text, more",
        "fields.text=COLUMN",
    )
    assert_one_error(lambda: arrow(stream(tmp_path / "c.arrow", {"text": [3]})), '"text" is no text', "row 1")


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"no arrow at all, but long enough to be one", b"ARROW1\0\0 and no more"]
)
def test_a_damaged_file(tmp_path, name, content):
    path = written(tmp_path / name, content)
    assert_one_error(lambda: arrow(path), f"{name} is damaged, or no .", "save the data set again")


def test_a_file_that_is_cut_short(tmp_path):
    path = stream(tmp_path / "a.arrow", {"text": ["some words"] * 500})
    written(path, path.read_bytes()[:3000])
    assert_one_error(lambda: arrow(path), "a.arrow is damaged", "save the data set again")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("dataset_dict.json", "{", "JSONDecodeError"),
        ("dataset_dict.json", '{"splits": 3}', '"splits" is no list'),
        ("dataset_dict.json", "[]", "TypeError"),
        ("train/state.json", "{}", "KeyError"),
    ],
)
def test_a_damaged_list_of_files(tmp_path, name, content, says):
    saved(tmp_path / "in", {"train": {"text": WORDS}})
    written(tmp_path / "in" / name, content)
    assert_one_error(lambda: arrow(tmp_path / "in"), f"{name} is damaged", says, "save the data set again")


def test_archives_are_refused_and_missing_folders_named(tmp_path):
    assert_one_error(lambda: arrow(tmp_path / "a.zip"), "reads no archives", "unpack it")
    assert_one_error(lambda: arrow(tmp_path / "no"), "there is no file or folder", "no")


def test_without_pyarrow_the_pip_line(tmp_path, monkeypatch):
    path = stream(tmp_path / "a.arrow", {"text": WORDS})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert_one_error(
        lambda: arrow(path), "dataset:arrow needs pyarrow", 'pip install "maskwright-text[arrow]"'
    )
