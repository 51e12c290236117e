"""dataset:image-folder: layouts, splits, classes, damaged files, what is kept from one start to the next."""

import attrs
import numpy as np
import pytest
from PIL import Image
from vision_picture_files import built, encoded, ids, items, noise, picture, plain, png, refused, write

from maskwright.errors import RecipeError, UserError
from maskwright_vision.params_data import ImageFolder
from maskwright_vision.splitting import arrange, hash_share


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


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


def test_a_share_that_takes_nothing_makes_no_test():
    splits, notices = arrange({"train": ["a", "b"]}, 1e-9)
    assert splits == {"train": ["a", "b"]} and notices[0].startswith(
        "there is no test split, so nothing can be"
    )


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
