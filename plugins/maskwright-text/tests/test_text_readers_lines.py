"""dataset:lines and dataset:documents: which bytes of a file become which text, and what files may not hold."""

import os
import tracemalloc
import zipfile

import pytest
from text_reading import items, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_text import text_files
from maskwright_text.params_data import Documents, Lines


def lines(path, **settings):
    return Lines(path=path, **{"test_share": 0.0, **settings}).build()


def documents(path, **settings):
    return Documents(path=path, **{"test_share": 0.0, **settings}).build()


@pytest.mark.parametrize(
    "content",
    [
        "one two\n\n  \t\nthree\n",
        "one two\n\n\nthree",
        "\ufeffone two\r\n\r\n\r\n  three  \r\n",
    ],
    ids=["unix", "no-last-break", "windows"],
)
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_every_line_with_text_is_a_document(tmp_path, monkeypatch, content, block):
    monkeypatch.setattr(text_files, "_BLOCK", block)
    data = lines(written(tmp_path / "a.txt", content))
    assert items(data) == [{"id": "a.txt:1", "text": "one two"}, {"id": "a.txt:4", "text": "three"}]


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_line_of_wide_or_fixed_spaces_is_blank(tmp_path, monkeypatch, block):
    monkeypatch.setattr(text_files, "_BLOCK", block)
    blank = ["\u3000", " \u00a0\t", "\u2003\u2028", "\u3000" * 9 + "\r", "\x85"]
    filled = ["\u3000我们", "é", "\u3001", "\u00a1", "\u200b"]  # of bytes that stand in those spaces, too
    path = written(tmp_path / "a.txt", "\n".join(blank + filled) + "\n")
    assert texts(lines(path)) == [line.strip() for line in filled]
    assert texts(documents(path)) == ["\n".join(filled).strip()]
    assert_one_error(
        lambda: lines(written(tmp_path / "b.txt", "\n".join(blank))), "b.txt is empty", "but white space"
    )


def test_a_file_is_the_same_in_blocks_of_any_size(tmp_path, monkeypatch):
    path = written(tmp_path / "a.txt", "".join(f"{'é' * (n % 9)} {n}\n" * (n % 3) for n in range(40)))
    whole = lines(path)
    expected = [line.strip() for line in path.read_text().split("\n") if line.strip()]
    assert texts(whole) == expected and len(expected) == 39
    for size in (1, 2, 3, 11, 64):
        monkeypatch.setattr(text_files, "_BLOCK", size)
        again = lines(path)
        assert texts(again) == expected
        assert again.fingerprint() == whole.fingerprint()


def test_the_fingerprint_is_of_content_and_splits(tmp_path):
    one = written(tmp_path / "a" / "x.txt", "one\ntwo\n")
    two = written(tmp_path / "b" / "x.txt", "one\ntwo\n")
    other = written(tmp_path / "c" / "x.txt", "one\ntoo\n")
    assert lines(one).fingerprint() == lines(two).fingerprint()
    found = [lines(one), lines(other), lines(one, splits={"test": "*"}), documents(one)]
    assert len({data.fingerprint() for data in found}) == 4


def test_documents_have_blank_lines_between(tmp_path):
    path = written(tmp_path / "a.txt", "\n\nSPEAKER:\r\nOne line,\r\nanother.\r\n \t\n\nSecond\n")
    data = documents(path)
    assert items(data) == [
        {"id": "a.txt:3", "text": "SPEAKER:\nOne line,\nanother."},
        {"id": "a.txt:8", "text": "Second"},
    ]


def test_a_file_may_be_a_document(tmp_path):
    written(tmp_path / "in" / "one.txt", "\n a\n\nb \n\n")
    written(tmp_path / "in" / "two.txt", "c")
    data = documents(tmp_path / "in", unit="file")
    assert items(data) == [{"id": "one.txt:2", "text": "a\n\nb"}, {"id": "two.txt:1", "text": "c"}]


def test_the_class_may_be_the_file_or_the_folder(tmp_path):
    for name in ("train/pos/1.txt", "train/neg/1.txt", "test/pos/1.txt"):
        written(tmp_path / "in" / name, f"text of {name}\n")
    data = documents(tmp_path / "in", unit="file", label_from="folder")
    assert data.about("train")["classes"] == ["neg", "pos"]
    assert [(item["id"], item["label"]) for item in items(data)] == [
        ("train/neg/1.txt:1", 0),
        ("train/pos/1.txt:1", 1),
    ]
    assert [item["label"] for item in items(data, "test")] == [1]
    written(tmp_path / "flat" / "a.neg", "bad\nworse\n")
    written(tmp_path / "flat" / "a.pos", "good\n")
    data = lines(tmp_path / "flat", splits={"train": "a.*"}, label_from="file")
    assert [(item["text"], item["label"]) for item in items(data)] == [("bad", 0), ("worse", 0), ("good", 1)]
    assert data.about("train")["classes"] == ["a.neg", "a.pos"]
    assert (
        Lines(path=tmp_path, label_from="file").tags() == {"label"} and Lines(path=tmp_path).tags() == set()
    )


def test_classes_that_are_never_trained_are_told(tmp_path):
    for name in ("train/a/1.txt", "train/b/1.txt", "test/c/1.txt"):
        written(tmp_path / "in" / name, "text\n")
    data = documents(tmp_path / "in", unit="file", label_from="folder")
    assert data.about("train")["notices"] == ["classes without training texts: c (1 in all)"]


def test_a_class_needs_a_folder_and_another_class(tmp_path):
    path = written(tmp_path / "a.txt", "one\n")
    assert_one_error(
        lambda: lines(path, label_from="folder"), "a.txt lies in no folder", "a folder for each class"
    )
    assert_one_error(
        lambda: lines(path, label_from="file"), 'all texts are of one class, "a.txt"', "leave the label out"
    )


def test_an_archive_is_read_like_its_folder(tmp_path):
    written(tmp_path / "in" / "train.txt", "one\ntwo\n")
    written(tmp_path / "in" / "test.txt", "three\n")
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train.txt", "test.txt"):
            archive.write(tmp_path / "in" / name, name)
        archive.writestr("__MACOSX/._train.txt", "rubbish")
        archive.writestr(".hidden.txt", "rubbish")
    folder, packed = lines(tmp_path / "in"), lines(tmp_path / "in.zip")
    assert packed.splits() == folder.splits() == ("train", "test")
    assert all(items(packed, split) == items(folder, split) for split in packed.splits())
    assert packed.fingerprint() == folder.fingerprint()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"good\nbad \xe9t\xe9\n", ("is no text in UTF-8", "a.txt, line 2", "0xe9", "iconv")),
        (b"\xff\xfeo\x00n\x00e\x00\n\x00", ("is no text in UTF-8", "a.txt, line 1", "0xff", "save the file")),
        (b"o\x00n\x00e\x00\n\x00", ("is no plain text", "a.txt, line 1", "a zero byte", "in UTF-8")),
        (b"", ("a.txt is empty", "there is no text in it", "give a file with text")),
        (b" \n\t\r\n\n", ("a.txt is empty", "nothing but white space", "give a file with text")),
    ],
    ids=["latin", "utf-16", "utf-16-bare", "empty", "blank"],
)
@pytest.mark.parametrize("block", [3, 1 << 20])
def test_a_file_that_is_no_text(tmp_path, monkeypatch, content, says, block):
    monkeypatch.setattr(text_files, "_BLOCK", block)
    path = written(tmp_path / "a.txt", content)
    assert_one_error(lambda: lines(path), *says)
    assert_one_error(lambda: documents(path), *says)


def test_a_missing_file_and_a_damaged_archive(tmp_path):
    assert_one_error(
        lambda: lines(tmp_path / "no.txt"), "there is no file or folder", "no.txt", "check the path"
    )
    path = written(tmp_path / "bad.zip", b"PK\x03\x04 and nothing more")
    assert_one_error(lambda: lines(path), "bad.zip is no .zip that can be read", "fetch it again")
    with zipfile.ZipFile(tmp_path / "cut.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", "one\n")
    raw = (tmp_path / "cut.zip").read_bytes().replace(b"one\n", b"two\n")
    path = written(tmp_path / "cut.zip", raw)
    assert_one_error(lambda: lines(path), "cannot unpack a.txt", "CRC", "fetch the archive again")


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch):
    path = written(tmp_path / "a.txt", "one\n")

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(text_files.Path, "open", refused)
    assert_one_error(lambda: lines(path), "cannot read", "a.txt", "Permission denied", "who may read it")


def test_a_file_that_changes_is_noticed(tmp_path):
    path = written(tmp_path / "a.txt", "one\ntwo\n")
    data = lines(path)
    written(path, "other\nwords\n")
    assert_one_error(lambda: items(data), "a.txt has changed while it was in use", "start again")
    data = lines(path)
    assert texts(data) == ["other", "words"]
    os.truncate(path, 3)  # the file is open already: what is missing is noticed, not read as an empty text
    assert_one_error(lambda: items(data), "a.txt has changed while it was in use")
    path.unlink()
    path = written(tmp_path / "b.txt", "one\n")
    data = lines(path)
    path.unlink()
    assert_one_error(lambda: items(data), "cannot read", "b.txt", "No such file")


def test_many_lines_are_kept_as_numbers(tmp_path):
    path = written(tmp_path / "a.txt", f"{'word ' * 80}\n" * 20_000)
    tracemalloc.start()
    try:
        data = lines(path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data.length("train") == 20_000
    assert kept < 60 * 20_000  # bytes: five numbers of eight a line, and no text
    assert (
        peak < 24 * 2**20
    )  # some blocks of 1 MB and what is counted in them: not the 8 MB of text as objects


def test_more_files_than_may_be_open(tmp_path):
    for number in range(100):
        written(tmp_path / "in" / f"{number:03d}.txt", f"text {number}\n")
    data = documents(tmp_path / "in", unit="file")
    text_files._opened.cache_clear()
    before = len(os.listdir("/dev/fd"))
    assert texts(data) == [f"text {number}" for number in range(100)]
    assert len(os.listdir("/dev/fd")) <= before + 64
