"""What reading pictures keeps from one start to the next: scans, decoded pixels; and the fingerprint."""

import copy

import numpy as np
import pytest
from vision_picture_files import built, encoded, items, noise, picture, plain, write

from maskwright_vision import picture_scan
from maskwright_vision.picture_cache import PixelStore, cache_folder
from maskwright_vision.picture_sources import Folder, unreadable


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def looked_at(monkeypatch) -> list[str]:
    """Names of the files that a scan reads, with even the smallest scans kept."""
    names: list[str] = []
    look = picture_scan.look
    monkeypatch.setattr(picture_scan, "FEWEST_KEPT", 1)
    monkeypatch.setattr(picture_scan, "look", lambda source, name: names.append(name) or look(source, name))
    return names


def test_the_next_start_reads_only_what_changed(tmp_path, looked_at):
    folder = plain(tmp_path / "in")
    first = built(folder)
    assert len(looked_at) == 30
    looked_at.clear()
    (kept,) = cache_folder().glob("scan-*.json")
    before = kept.stat()
    assert built(folder).fingerprint() == first.fingerprint() and looked_at == []
    assert kept.stat().st_ino == before.st_ino  # not even written again
    (folder / "cat" / "01.png").write_bytes(encoded(picture(77, size=9)))
    write(folder, "dog/new.png")
    again = built(folder)
    assert sorted(looked_at) == ["cat/01.png", "dog/new.png"] and again.fingerprint() != first.fingerprint()


def test_what_could_not_be_opened_is_tried_again(tmp_path, looked_at, monkeypatch):
    """To change permissions changes neither size nor time of a file."""
    folder, read = plain(tmp_path / "in"), Folder.read

    def denied(source, name):
        if name == "cat/01.png":
            raise unreadable(name, "Permission denied")
        return read(source, name)

    monkeypatch.setattr(Folder, "read", denied)
    assert built(folder).about("train")["unreadable"] == ["cat/01.png: Permission denied"]
    monkeypatch.setattr(Folder, "read", read)
    looked_at.clear()
    assert built(folder).about("train")["unreadable"] == [] and looked_at == ["cat/01.png"]


def test_a_damaged_or_foreign_scan_is_made_again(tmp_path, looked_at):
    folder = plain(tmp_path / "in")
    first = built(folder)
    (kept,) = cache_folder().glob("scan-*.json")
    for content in (
        b"",
        b"{",
        b"[1]",
        b'{"cat/01.png": [[1, 2], 3, 4, 5, 6, 7, 8, 9]}',
        b'{"cat/01.png": 3}',
    ):
        kept.write_bytes(content)
        looked_at.clear()
        assert built(folder).fingerprint() == first.fingerprint() and len(looked_at) == 30


def test_a_scan_that_is_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    folder, seen = plain(tmp_path / "in"), []
    look = picture_scan.look

    def stopped(source, name):
        seen.append(name)
        if len(seen) == 20:
            raise KeyboardInterrupt
        return look(source, name)

    monkeypatch.setattr(picture_scan, "FEWEST_KEPT", 1)
    monkeypatch.setattr(picture_scan, "PIECE", 5)
    monkeypatch.setattr(picture_scan, "look", stopped)
    with pytest.raises(KeyboardInterrupt):
        built(folder)
    seen.clear()
    seen += ["past the stop"] * 50
    built(folder)
    assert 10 <= len(seen) - 50 <= 15


def test_small_scans_are_not_kept_and_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    folder = plain(tmp_path / "in")
    built(folder)
    assert not cache_folder().exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(picture_scan, "FEWEST_KEPT", 1)
    with pytest.warns(UserWarning, match="every start will read all files again. Set MASKWRIGHT_CACHE"):
        built(folder)


def test_decoded_pictures_can_be_kept(tmp_path):
    folder = plain(tmp_path / "in", 8)
    (folder / "cat" / "x.png").write_bytes(encoded(noise(3, 5, top=65535)))
    plainly = built(folder, channels=3, test_share=0.0)
    kept = built(folder, channels=3, test_share=0.0, cache=True)
    assert kept.fingerprint() == plainly.fingerprint()
    for data in (kept, copy.deepcopy(kept)):
        for one, other in zip(items(plainly, "train"), items(data, "train"), strict=True):
            assert one["id"] == other["id"] and one["pixels"].dtype == other["pixels"].dtype
            assert np.array_equal(one["pixels"], other["pixels"])
            other["pixels"][:] = 0  # the caller's own


def test_kept_pictures_are_not_decoded_again_also_when_split_otherwise(tmp_path, monkeypatch):
    folder = plain(tmp_path / "in", 8)
    built(folder, cache=True)
    monkeypatch.setattr("maskwright_vision.picture_data.decode", None)
    data = built(folder, cache=True, test_match="dog/04")
    (item,) = items(data, "test")
    assert item["id"] == "dog/04.png" and np.array_equal(item["pixels"], picture(4))
    monkeypatch.undo()
    # Without the folder of this test nothing is kept yet, and without decoding nothing can be.
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("maskwright_vision.picture_data.decode", None)
    with pytest.raises(TypeError):
        built(folder, cache=True)


def test_the_cache_folder_is_the_named_one_or_that_of_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MASKWRIGHT_CACHE", "~/kept")
    assert cache_folder() == tmp_path / "kept/vision"
    monkeypatch.delenv("MASKWRIGHT_CACHE")
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library/Caches/maskwright/vision"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder().as_posix() == "/xdg/maskwright/vision"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache/maskwright/vision"


def test_a_damaged_store_is_made_again(tmp_path):
    folder = plain(tmp_path / "in", 8)
    built(folder, cache=True)
    (kept,) = cache_folder().glob("pixels-*")
    whole = (kept / "pixels.bin").read_bytes()
    (kept / "pixels.bin").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="has another size than its table says"):
        PixelStore(kept)
    built(folder, cache=True)
    assert (kept / "pixels.bin").read_bytes() == whole
    (kept / "table.npz").write_bytes(b"PK")
    built(folder, cache=True)
    assert len(PixelStore(kept)) == 8


def test_the_fingerprint_follows_content_labels_and_decoding(tmp_path):
    folder = plain(tmp_path / "in")
    settings = [{}, {"channels": 1}, {"at_least": 8}, {"labelled": False}, {"test_share": 0.0}]
    prints = [built(folder, **each).fingerprint() for each in settings]
    (folder / "cat" / "01.png").write_bytes(encoded(picture(199)))
    prints.append(built(folder).fingerprint())
    (folder / "cat").rename(folder / "lynx")
    prints.append(built(folder).fingerprint())
    assert len(set(prints)) == 7
