"""dataset:image-list: CSV and JSON lines, and everything that can be wrong with a line."""

import numpy as np
import pytest
from vision_picture_files import ids, items, picture, write

from maskwright.errors import UserError
from maskwright_vision.params_data import ImageList


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "in", "a.png", "b/c.png", "d, e.png")


def built(folder, text: str, name: str = "list.csv", **settings):
    (folder / name).write_text(text, encoding="utf-8")
    return ImageList(path=folder / name, **settings).build()


def refused(folder, text: str, name: str = "list.csv", **settings) -> UserError:
    with pytest.raises(UserError) as caught:
        built(folder, text, name, **settings)
    return caught.value


FULL = 'path,label,split\na.png,cat,train\nb/c.png,dog,val\n\n"d, e.png",cat,test\n'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (FULL, "list.csv"),
        ("\ufeff" + FULL.replace("\n", "\r\n"), "list.csv"),
        ("Split;Path;LABEL\ntrain;a.png;cat\nvalid;b/c.png;dog\ntest;d, e.png;cat\n", "list.csv"),
        (
            "path\tlabel\tsplit\tmore\na.png\tcat\t\tx\nb/c.png\tdog\tvalidation\tx\nd, e.png\tcat\tTEST\tx",
            "list.tsv",
        ),
        (
            '{"path": "a.png", "label": "cat"}\n\n{"path": "b/c.png", "label": "dog", "split": "val"}\n'
            '{"path": "d, e.png", "label": "cat", "split": "test", "more": 1}\n',
            "list.jsonl",
        ),
    ],
    ids=["csv", "csv-windows", "semicolons", "tabs", "json-lines"],
)
def test_the_same_list_in_every_form(folder, text, name):
    data = built(folder, text, name)
    assert data.splits() == ("train", "validation", "test")
    assert [ids(data, split) for split in data.splits()] == [["a.png"], ["b/c.png"], ["d, e.png"]]
    assert [items(data, split)[0]["label"] for split in data.splits()] == [0, 1, 0]
    assert data.about("train")["classes"] == ["cat", "dog"]
    assert np.array_equal(items(data, "validation")[0]["pixels"], picture(1))


def test_labels_may_be_whole_numbers(folder):
    lines = '{"path": "a.png", "label": 10}\n{"path": "b/c.png", "label": 9}\n'
    data = built(folder, lines, "list.jsonl", test_share=0.0)
    assert data.about("train")["classes"] == ["9", "10"]
    assert [item["label"] for item in items(data, "train")] == [1, 0]


def test_without_labels_the_items_have_none(folder):
    data = built(folder, "path\na.png\nb/c.png\n", labelled=False, test_share=0.0)
    assert [sorted(item) for item in items(data, "train")] == [["id", "pixels"]] * 2
    assert ImageList(path=folder / "list.csv", labelled=False).tags() == set()
    assert ImageList(path=folder / "list.csv").tags() == {"label"}


def test_without_a_split_the_test_is_cut_by_hash_or_by_pattern(tmp_path):
    names = [f"{number:02d}.png" for number in range(30)]
    folder = write(tmp_path / "in", *names)
    text = "path,label\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(names))
    data = built(folder, text)
    assert 0 < data.length("test") < 15 and data.length("train") + data.length("test") == 30
    assert ids(built(folder, text, test_match="^0[12]"), "test") == ["01.png", "02.png"]


def test_paths_may_be_absolute(folder, tmp_path):
    other = write(tmp_path / "other", "x.png")
    data = built(folder, f"path,label\na.png,1\n{other / 'x.png'},2\n", test_share=0.0)
    assert ids(data, "train") == ["a.png", str(other / "x.png")]


def test_missing_pictures_count_as_broken(folder):
    text = "path,label\na.png,1\nb/c.png,2\nb,1\ngone.png,1\n"
    error = refused(folder, text)
    assert error.what == "2 of 4 pictures cannot be read, 50.0%"
    assert error.why == "b (Is a directory), gone.png (No such file or directory)"
    data = built(folder, text, most_broken=0.5, test_share=0.0)
    assert ids(data, "train") == ["a.png", "b/c.png"]


def test_two_lists_in_one_folder_share_what_was_seen(folder, monkeypatch):
    monkeypatch.setattr("maskwright_vision.picture_scan.FEWEST_KEPT", 1)
    settings = {"labelled": False, "test_share": 0.0}
    built(folder, "path\na.png\n", "one.csv", **settings)
    built(folder, "path\nb/c.png\n", "two.csv", **settings)
    monkeypatch.setattr("maskwright_vision.picture_scan.look", None)  # no file is looked at again
    assert built(folder, "path\na.png\n", "one.csv", **settings).length("train") == 1


# -- mistakes ------------------------------------------------------------------------------------------------------


def test_a_list_that_cannot_be_read(folder):
    with pytest.raises(UserError, match=r"there is no file .*gone.csv"):
        ImageList(path=folder / "gone.csv").build()
    with pytest.raises(UserError, match="cannot read .*/b") as caught:
        ImageList(path=folder / "b").build()
    assert caught.value.why == "Is a directory"
    (folder / "latin.csv").write_bytes(b"path,label\ncaf\xe9.png,1\n")
    with pytest.raises(UserError, match="latin.csv is no text in UTF-8"):
        ImageList(path=folder / "latin.csv").build()


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("", "{} lists no pictures", ""),
        ("path,label\n", "{} lists no pictures", ""),
        ("file,label\na.png,1\n", '{} has no column "path"', ", line 1"),
        ("paths,label\na.png,1\n", '{} has no column "path" — did you mean "paths"?', ", line 1"),
        ("path,label\na.png,1,2\n", "a line has 3 entries, the header has 2", ", line 2"),
        ('path,label\na.png,1\n"b,2\n', "{} is no CSV file", ", line 3"),
        ("path,label\na.png,1\na.png,2\n", "a.png is listed twice", ", line 3"),
        ("path,label\n,1\n", 'there is no "path" of a picture', ", line 2"),
        ("path,label\na.png,\n", 'a.png has no "label"', ", line 2"),
        ("path\na.png\n", 'a.png has no "label"', ", line 2"),
        ("path,label,split\na.png,1,tset\n", 'there is no split "tset" — did you mean "test"?', ", line 2"),
    ],
)
def test_mistakes_in_a_csv_file_name_the_line(folder, text, what, line):
    error = refused(folder, text)
    path = folder / "list.csv"
    assert error.what == what.format(path) and error.where == f"{path}{line}" and error.cure


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        ("{", "a line is no JSON", "Expecting property name"),
        ("[" * 100_000, "a line is no JSON", "recursion"),
        ("[1]", "a line is no JSON object", ""),
        ('{"label": "x"}', 'there is no "path" of a picture', ""),
        ('{"path": 3, "label": "x"}', 'there is no "path" of a picture', ""),
        ('{"path": "b\\u0000", "label": "x"}', 'there is no "path" of a picture', ""),
        ('{"path": "b.png"}', 'b.png has no "label"', "nothing stands there"),
        (
            '{"path": "b.png", "label": 1.5}',
            'b.png has no "label"',
            "1.5 is neither a word nor a whole number",
        ),
        (
            '{"path": "b.png", "label": true}',
            'b.png has no "label"',
            "True is neither a word nor a whole number",
        ),
        ('{"path": "b.png", "label": "x", "split": 3}', 'there is no split "3"', ""),
    ],
    ids=lambda text: text[:40],
)
def test_mistakes_in_json_lines_name_the_line(folder, line, what, why):
    error = refused(folder, '{"path": "a.png", "label": "x"}\n' + line, "list.jsonl")
    assert error.what.startswith(what) and why in error.why
    assert error.where == f"{folder / 'list.jsonl'}, line 2" and error.cure


def test_one_class_is_refused(folder):
    assert refused(folder, "path,label\na.png,x\nb/c.png,x\n").what == 'all pictures are of one class, "x"'
