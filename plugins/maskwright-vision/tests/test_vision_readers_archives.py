"""dataset:image-folder on zip archives: names, damage, several processes."""

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from vision_picture_files import built, encoded, ids, items, picture, refused, write, zipped

from maskwright_vision.picture_sources import Archive


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


def members(*names: str) -> dict[str, bytes]:
    return {name: encoded(picture(number)) for number, name in enumerate(names)}


def test_an_archive_is_read_like_the_folder_in_it(tmp_path):
    names = ["train/a/1.png", "train/b/1.png", "test/a/1.png"]
    path = zipped(
        tmp_path / "in.zip",
        {f"all/{name}": content for name, content in members(*names).items()}
        | {"__MACOSX/all/train/a/._1.png": b"", "__MACOSX/all/1.png": b"", "all/read.txt": b""},
    )
    data, same = built(path), built(write(tmp_path / "in", *names))
    for split in ("train", "test"):
        for one, other in zip(items(data, split), items(same, split), strict=True):
            assert one["id"] == other["id"] and np.array_equal(one["pixels"], other["pixels"])
    assert data.fingerprint() == same.fingerprint()


def test_one_folder_called_train_is_a_split(tmp_path):
    data = built(zipped(tmp_path / "in.zip", members("train/a/1.png", "train/b/1.png")), test_share=0.0)
    assert data.about("train")["classes"] == ["a", "b"]


def test_names_that_lead_out_of_an_archive_are_not_used(tmp_path):
    path = zipped(tmp_path / "in.zip", members("a/1.png", "b/1.png", "../2.png", "a/../../3.png"))
    data = built(path, most_broken=0.5, test_share=0.0)
    assert ids(data, "train") == ["a/1.png", "b/1.png"]
    assert data.about("train")["unreadable"] == [
        "../2.png: its name leads out of the archive",
        "a/../../3.png: its name leads out of the archive",
    ]
    assert list(tmp_path.rglob("*.png")) == []


def test_damage_in_an_archive(tmp_path):
    path = zipped(tmp_path / "in.zip", members("a/1.png", "a/2.png", "b/1.png"))
    raw = path.read_bytes()
    path.write_bytes(_flip(raw, b"a/2.png"))
    data = built(path, most_broken=0.5)
    assert data.about("train")["unreadable"][0].startswith("a/2.png: Bad CRC-32")
    path.write_bytes(raw[:-40])
    error = refused(path)
    assert error.what == f"cannot read the archive {path}" and error.why == "File is not a zip file"


def _flip(raw: bytes, name: bytes) -> bytes:
    """Another byte in the middle of the (stored, not packed) member."""
    place = raw.index(name) + len(name) + 50
    return raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]


def _digests(data, numbers) -> list[int]:
    return [int(items(data, "train")[number]["pixels"].astype(int).sum()) for number in numbers]


def test_several_processes_read_one_archive(tmp_path):
    """Forked processes would share the position in the file that the first one opened."""
    data = built(
        zipped(tmp_path / "in.zip", members(*(f"{'ab'[n % 2]}/{n}.png" for n in range(12)))), test_share=0.0
    )
    wanted = _digests(data, range(12))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(_digests, [data] * 4, [range(12)] * 4)) == [wanted] * 4


def test_an_archive_is_opened_again_in_another_process(tmp_path):
    archive = Archive(zipped(tmp_path / "in.zip", members("a/1.png")))
    first = archive._zip
    archive._process = -1
    assert archive.read("1.png") and archive._zip is not first
    assert copy.deepcopy(archive).read("1.png") == archive.read("1.png")
