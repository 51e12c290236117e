"""dataset:image-folder: layouts, splits, classes, damaged files, what is kept from one start to the next."""

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import attrs
import numpy as np
import pytest
from PIL import Image
from vision_picture_files import encoded, ids, items, noise, picture, png, write, zipped

from maskwright.errors import RecipeError, UserError
from maskwright_vision import picture_scan
from maskwright_vision.params_data import ImageFolder
from maskwright_vision.picture_cache import PixelStore, cache_folder
from maskwright_vision.picture_sources import Archive, Folder, unreadable
from maskwright_vision.splitting import arrange, hash_share


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


def built(path, **settings):
    return ImageFolder(path=path, **settings).build()


def refused(path, **settings) -> UserError:
    with pytest.raises(UserError) as caught:
        built(path, **settings)
    return caught.value


def plain(folder, count: int = 30):
    """Two classes and nothing that says train or test."""
    return write(folder, *(f"{'cat' if n % 2 else 'dog'}/{n:02d}.png" for n in range(count)))


# -- layouts -------------------------------------------------------------------------------------------------------


def test_train_val_and_test_with_classes(tmp_path):
    names = ["train/cat/1.png", "train/dog/deep/1.png", "val/dog/1.png", "test/dog/1.png", "test/owl/2.png"]
    data = built(write(tmp_path / "in", *names, "train/dog/readme.txt", "train/.thumbs/x.png"))
    assert data.splits() == ("train", "validation", "test")
    assert (
        ids(data, "train") == names[:2]
        and ids(data, "validation") == names[2:3]
        and ids(data, "test") == names[3:]
    )
    assert data.about("test")["classes"] == ["cat", "dog", "owl"]
    assert [item["label"] for item in items(data, "test")] == [1, 2]
    assert np.array_equal(items(data, "test")[0]["pixels"], picture(3))
    assert data.about("train")["count"] == 2
    assert data.about("train")["notices"] == ["classes without training pictures: owl"]


def test_without_a_test_folder_val_is_the_test(tmp_path):
    data = built(write(tmp_path / "in", "train/a/1.png", "train/b/1.png", "Val/a/1.png"))
    assert data.splits() == ("train", "test") and ids(data, "test") == ["Val/a/1.png"]
    assert data.about("test")["notices"] == [
        "there is no test split: the pictures for validation are the split test"
    ]


def test_without_split_folders_the_test_is_cut_by_a_hash_of_the_name(tmp_path):
    data = built(plain(tmp_path / "in"))
    assert data.splits() == ("train", "test")
    assert ids(data, "test") == [f"{name}" for name in sorted(ids(data, "test")) if hash_share(name) < 0.2]
    assert data.length("train") + data.length("test") == 30 and 0 < data.length("test") < 15
    more = built(plain(tmp_path / "in", 40))
    assert set(ids(data, "test")) == {name for name in ids(more, "test") if int(name[-6:-4]) < 30}


def test_a_share_of_0_makes_no_test_and_says_so(tmp_path):
    data = built(plain(tmp_path / "in"), test_share=0.0)
    assert data.splits() == ("train",) and data.length("train") == 30
    assert data.about("train")["notices"] == [
        "there is no test split, so nothing can be judged: evaluators read the split test"
    ]


def test_a_class_may_be_called_test_where_no_folder_is_called_train(tmp_path):
    data = built(write(tmp_path / "in", "test/1.png", "val/1.png", "val/2.png"), test_share=0.0)
    assert data.splits() == ("train",) and data.about("train")["classes"] == ["test", "val"]


def test_what_lies_beside_the_split_folders_is_left_out_and_named(tmp_path):
    data = built(
        write(tmp_path / "in", "icon.png", "extra/x.png", "train/a/1.png", "train/b/1.png", "test/a/1.png")
    )
    assert data.about("train")["notices"] == [
        "pictures outside the folders train, val and test are left out: extra/x.png, icon.png"
    ]


def test_a_flat_folder_needs_no_classes(tmp_path):
    folder = write(tmp_path / "in", "1.png", "2.png", "3.png")
    error = refused(folder)
    assert error.what == "3 of 3 pictures do not lie in a folder that names their class"
    assert error.why == "1.png, 2.png, 3.png" and "labelled = false" in error.cure
    data = built(folder, labelled=False, test_share=0.0)
    assert [sorted(item) for item in items(data, "train")] == [["id", "pixels"]] * 3
    assert "classes" not in data.about("train")


def test_class_depth_says_how_many_folders_are_the_class(tmp_path):
    folder = write(tmp_path / "in", "Greek/c01/1.png", "Greek/c02/1.png", "Latin/c01/1.png")
    classes = {
        depth: built(folder, class_depth=depth, test_share=0.0).about("train")["classes"]
        for depth in (1, 2, 0)
    }
    assert classes[1] == ["Greek", "Latin"]
    assert classes[2] == classes[0] == ["Greek/c01", "Greek/c02", "Latin/c01"]
    assert refused(folder, class_depth=3).what == "3 of 3 pictures do not lie 3 folders deep"


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path):
    data = built(write(tmp_path / "in", "10/a.png", "9/a.png", "2/a.png"), test_share=0.0)
    assert data.about("train")["classes"] == ["2", "9", "10"]


def test_test_match_sends_pictures_to_the_test_by_their_path(tmp_path):
    folder = write(tmp_path / "in", *(f"{c}/0001_{drawer:02d}.png" for c in "ab" for drawer in range(1, 21)))
    data = built(folder, test_match=r"_(19|20)\.png$")
    assert ids(data, "test") == ["a/0001_19.png", "a/0001_20.png", "b/0001_19.png", "b/0001_20.png"]
    assert data.length("train") == 36
    error = refused(folder, test_match="drawer")
    assert error.what == 'test_match = "drawer" is found in no name'
    assert error.why == "the names are like a/0001_01.png, a/0001_02.png, a/0001_03.png"
    assert refused(folder, test_match="png").what == 'test_match = "png" is found in every name'


def test_a_broken_pattern_is_a_mistake_of_the_recipe(tmp_path):
    with pytest.raises(RecipeError, match="test_match  is no regular expression: missing \\), unterminated"):
        built(plain(tmp_path / "in"), test_match="(")


def test_a_share_that_takes_everything_is_refused():
    with pytest.raises(UserError, match="test_share = 0.999 leaves no picture to train on"):
        arrange({"train": ["a", "b"]}, 0.999)


def test_only_a_test_split_says_that_nothing_can_be_trained():
    assert arrange({"test": ["a"]}, 0.2) == (
        {"test": ["a"]},
        ["there is no train split, so nothing can be trained"],
    )


# -- what is wrong with it -----------------------------------------------------------------------------------------


def test_a_file_that_is_no_archive(tmp_path):
    write(tmp_path, "a.png")
    error = refused(tmp_path / "a.png")
    assert error.what == f"{tmp_path / 'a.png'} is neither a folder nor a zip archive"
    assert error.cure == "give the folder of the pictures"


def test_a_missing_path_an_empty_folder_and_one_class(tmp_path):
    assert refused(tmp_path / "gone").what == f"there is no folder or file {tmp_path / 'gone'}"
    (tmp_path / "empty").mkdir()
    error = refused(tmp_path / "empty")
    assert error.what == f"{tmp_path / 'empty'} holds no pictures" and ".jpeg" in error.why
    error = refused(write(tmp_path / "one", "cat/1.png", "cat/2.png"))
    assert error.what == 'all pictures are of one class, "cat"'
    assert error.why == "with one class there is nothing to tell apart" and "labelled = false" in error.cure


def test_broken_pictures_are_left_out_and_listed(tmp_path):
    folder = plain(tmp_path / "in", 38)
    content = encoded(noise(60, 60, 3))
    (folder / "cat" / "01.png").write_bytes(content[: len(content) // 2])
    data = built(folder, most_broken=0.03)
    about = data.about("train")
    assert about["notices"][0].startswith("1 of 38 pictures cannot be read and are left out: cat/01.png (")
    assert len(about["unreadable"]) == 1 and about["unreadable"][0].startswith("cat/01.png: ")
    assert "truncated" in about["unreadable"][0]
    assert "cat/01.png" not in ids(data, "train") + ids(data, "test")
    for number in (3, 5, 7, 9, 11, 13):
        (folder / "cat" / f"{number:02d}.png").write_bytes(b"")
    error = refused(folder)
    assert error.what == "7 of 38 pictures cannot be read, 18.4%"
    assert error.why.endswith("cat/09.png (the file is empty) and 2 more")
    assert "most_broken = 0.05" in error.cure
    assert built(folder, most_broken=0.2).about("train")["notices"][0].startswith("7 of 38 pictures")


def test_nothing_readable_is_an_error_at_any_threshold(tmp_path):
    write(tmp_path / "in", "a/1.png")
    (tmp_path / "in" / "a" / "1.png").write_bytes(b"x")
    error = refused(tmp_path / "in", most_broken=1.0)
    assert error.what == f"no picture of {tmp_path / 'in'} can be read" and "1 tried: a/1.png (" in error.why


def test_different_channels_are_found_at_the_start_and_can_be_made_equal(tmp_path):
    folder = write(tmp_path / "in", "a/1.png", "b/1.png")
    (folder / "b" / "2.png").write_bytes(encoded(noise(4, 4)))
    (folder / "b" / "3.tif").write_bytes(encoded(Image.new("CMYK", (4, 4)), "TIFF"))
    (folder / "b" / "4.png").write_bytes(encoded(noise(4, 4, top=65535)))
    error = refused(folder)
    assert error.what == "the pictures have 1 and 3 channels" and error.why == "1 in b/2.png, 3 in a/1.png"
    assert error.cure == "channels = 3 makes all of them colour, 1 grey, 4 colour with transparency"
    data = built(folder, channels=3, test_share=0.0)
    assert [item["pixels"].shape[2] for item in items(data, "train")] == [3] * 5
    assert [item["pixels"].dtype.name for item in items(data, "train")] == ["uint8"] * 4 + ["uint16"]
    assert data.about("train")["notices"][0] == "1 of 5 pictures have 16 bits, the others 8: b/4.png"


def test_what_is_lost_while_reading_is_told(tmp_path):
    folder = write(tmp_path / "in", "a/1.png", "b/1.png")
    rows = b"".join(b"\0" + b"\x12\x34\x56\x78\x9a\xbc" * 4 for _ in range(4))
    (folder / "b" / "2.png").write_bytes(png(4, 4, 16, 2, rows))
    data = built(folder, test_share=0.0)
    assert data.about("train")["notices"][0] == "16-bit colour is read with 8 bits a channel: b/2.png"


def test_copies_of_training_pictures_in_the_test_are_told(tmp_path):
    folder = write(tmp_path / "in", "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png")
    (folder / "test" / "b" / "2.png").write_bytes((folder / "train" / "a" / "1.png").read_bytes())
    assert built(folder).about("test")["notices"] == [
        "pictures of test that are in train too, byte for byte: test/b/2.png"
    ]


def test_a_file_that_vanishes_later_is_named(tmp_path):
    data = built(plain(tmp_path / "in"))
    gone = ids(data, "train")[0]
    (tmp_path / "in" / gone).unlink()
    with pytest.raises(UserError, match=f"cannot read the picture {gone}") as caught:
        items(data, "train")
    assert caught.value.why == "No such file or directory"


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    folder = plain(tmp_path / "in", 30)
    (folder / "cat" / "\udcff.png").write_bytes(encoded(picture(1)))
    assert built(folder).about("train")["unreadable"] == ["cat/\\udcff.png: its name is no UTF-8"]
    alone = tmp_path / "alone"
    alone.mkdir()
    (folder / "cat" / "\udcff.png").rename(alone / "\udcff.png")
    assert refused(alone).why == "1 tried: \\udcff.png (its name is no UTF-8)"


def test_a_link_to_a_folder_above_is_not_walked_for_ever(tmp_path):
    folder = write(tmp_path / "in", "a/1.png", "b/1.png")
    other = write(tmp_path / "other", "2.png")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "c").symlink_to(other)
    data = built(folder, test_share=0.0)
    assert ids(data, "train") == ["a/1.png", "b/1.png", "c/2.png"]


# -- archives ------------------------------------------------------------------------------------------------------


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


# -- what is kept --------------------------------------------------------------------------------------------------


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


def test_photos_are_decoded_smaller_where_that_is_enough(tmp_path):
    folder = write(tmp_path / "in", "a/1.png")
    (folder / "a" / "1.png").unlink()
    (folder / "a" / "1.jpg").write_bytes(encoded(Image.new("RGB", (640, 480)), "JPEG"))
    data = built(folder, labelled=False, at_least=224, test_share=0.0)
    assert items(data, "train")[0]["pixels"].shape == (240, 320, 3)


def test_tags_follow_the_setting_without_a_look_at_the_files(tmp_path):
    settings = ImageFolder(path=tmp_path / "gone")
    assert settings.tags() == {"label"}
    assert attrs.evolve(settings, labelled=False).tags() == set()
