"""dataset:npz, dataset:idx, dataset:shapes: pictures that are arrays."""

import gzip

import numpy as np
import pytest
from vision_picture_files import ids, items, noise

from maskwright.errors import UserError
from maskwright_vision.idx_data import image_files
from maskwright_vision.params_data import Idx, Npz
from maskwright_vision.splitting import hash_share

GREY = noise(10, 4, 5)
LABELS = np.arange(10) % 3


def saved(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def npz(folder, settings=None, **arrays):
    return Npz(path=saved(folder, **arrays), **(settings or {})).build()


def refused(make, *arguments, **words) -> UserError:
    with pytest.raises(UserError) as caught:
        make(*arguments, **words)
    return caught.value


# -- npz -----------------------------------------------------------------------------------------------------------


def test_arrays_named_by_split(tmp_path):
    data = npz(
        tmp_path,
        train_images=GREY[:6], train_labels=LABELS[:6, None].astype(np.uint8),  # as MedMNIST has them
        val_images=GREY[6:8], val_labels=LABELS[6:8], test_images=GREY[8:], test_labels=LABELS[8:],
        classes=np.array(["a", "b", "c"]),
    )  # fmt: skip
    assert data.splits() == ("train", "validation", "test")
    found = [item for split in data.splits() for item in items(data, split)]
    assert np.array_equal(np.stack([item["pixels"] for item in found])[..., 0], GREY)
    assert [item["label"] for item in found] == LABELS.tolist()
    assert ids(data, "validation") == ["val-000000", "val-000001"]
    assert data.about("test") == {"classes": ["a", "b", "c"], "notices": [], "count": 2}


def test_one_array_is_cut_by_hash(tmp_path):
    data = npz(tmp_path, images=noise(40, 4, 5, 3), labels=np.arange(40) % 3)
    names = [f"image-{number:06d}" for number in range(40)]
    assert ids(data, "test") == [name for name in names if hash_share(name) < 0.2] != []
    for item in items(data, "test") + items(data, "train"):
        number = int(item["id"][-6:])
        assert np.array_equal(item["pixels"], noise(40, 4, 5, 3)[number]) and item["label"] == number % 3
    assert data.about("train")["classes"] == ["0", "1", "2"]


def test_without_labels(tmp_path):
    data = npz(tmp_path, {"labelled": False, "test_share": 0.0}, images=GREY, labels=LABELS)
    assert [sorted(item) for item in items(data, "train")] == [["id", "pixels"]] * 10
    assert "classes" not in data.about("train")
    assert Npz(path=tmp_path, labelled=False).tags() == set() and Npz(path=tmp_path).tags() == {"label"}


def test_items_are_the_callers_own_and_channels_are_made(tmp_path):
    data = npz(tmp_path, {"channels": 3, "labelled": False, "test_share": 0.0}, images=GREY)
    items(data, "train")[0]["pixels"][:] = 0
    pixels = items(data, "train")[0]["pixels"]
    assert pixels.shape == (4, 5, 3) and np.array_equal(pixels[..., 2], GREY[0])


@pytest.mark.parametrize(
    ("values", "wanted", "notice"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255], ""),
        (np.array([0, 7, 9], np.uint16), [0, 7, 9], ""),
        (np.array([False, True]), [0, 255], ""),
        (np.array([0, 7, 255], np.int64), [0, 7, 255], ""),
        (np.array([0, 7, 256], np.int64), [0, 7, 256], ""),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255], "[0, 1]"),
        (np.array([0, 0.6, 254.6], np.float64), [0, 1, 255], "[0, 255]"),
        (np.array([0, 1, 0.25], np.float16), [0, 255, 64], "[0, 1]"),
    ],
)
def test_numbers_become_8_or_16_bits_by_one_rule(tmp_path, values, wanted, notice):
    images = values.reshape(-1, 1, 1)
    data = npz(tmp_path, {"labelled": False, "test_share": 0.0}, images=images)
    found = [item["pixels"] for item in items(data, "train")]
    deep = values.dtype == np.uint16 or max(wanted) > 255
    assert {array.dtype.name for array in found} == {"uint16" if deep else "uint8"}
    assert [int(array[0, 0, 0]) for array in found] == wanted
    said = data.about("train")["notices"][:-1]
    assert said == ([f"images with fractions in {notice} are read as 256 levels"] if notice else [])


def test_the_rule_looks_at_all_splits_together(tmp_path):
    dark, light = np.full((2, 2, 2), 0.5), np.full((2, 2, 2), 200.0)
    data = npz(tmp_path, {"labelled": False}, train_images=light, test_images=dark)
    assert items(data, "test")[0]["pixels"].max() <= 1


def spoilt(value):
    images = np.zeros((4, 2, 2), dtype=np.float32)
    images[2, 1, 0] = images[3, 0, 0] = value
    return images


def test_values_that_are_no_pixels_name_file_array_and_picture(tmp_path):
    for value, what in ((np.nan, "NaN or infinity"), (np.inf, "NaN or infinity"), (-0.1, "a number below 0")):
        error = refused(npz, tmp_path, test_images=spoilt(value), train_images=GREY, train_labels=LABELS)
        assert error.what == f"picture 2 holds {what}"
        assert error.where == f"{tmp_path / 'a.npz'}, test_images" and error.why == "2 of 4 pictures do"
    error = refused(npz, tmp_path, images=spoilt(300))
    assert error.what == f"the images of {tmp_path / 'a.npz'} hold numbers up to 300"
    assert "up to 65536" in refused(npz, tmp_path, images=np.full((1, 2, 2), 65536)).what
    assert refused(npz, tmp_path, images=np.array(["a"])).what == "these images are no numbers but <U1"


@pytest.mark.parametrize(
    "shape", [(10,), (4, 5), (10, 3, 4, 5), (10, 4, 5, 2), (0, 4, 5), (10, 4, 0), (2, 2, 2, 2, 3)]
)
def test_shapes_that_are_no_pictures(tmp_path, shape):
    error = refused(npz, tmp_path, {"labelled": False}, images=np.zeros(shape, np.uint8))
    assert error.what == f"images has the shape {shape}" and "channels last" in error.cure


def test_arrays_that_are_missing_or_too_many(tmp_path):
    path = tmp_path / "a.npz"
    error = refused(npz, tmp_path, x=GREY)
    assert error.what == f'{path} has no array "images"' and error.why == "it holds x"
    assert refused(npz, tmp_path).why == "it holds nothing"
    error = refused(npz, tmp_path, images=GREY, test_images=GREY)
    assert error.what == f'{path} has an array "images" beside test_images'
    error = refused(npz, tmp_path, images=GREY)
    assert error.what == "there are no labels" and error.where == f"{path}, labels"
    assert error.cure == "add them; or labelled = false uses the pictures without classes"
    error = refused(npz, tmp_path, train_images=GREY, train_labels=LABELS, test_images=GREY[..., None].repeat(3, 3),
                    test_labels=LABELS)  # fmt: skip
    assert error.what == "the splits have other numbers of channels" and error.why == "train 1, test 3"


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (LABELS[:9], "the labels have the shape (9,) for 10 pictures"),
        (np.zeros((10, 14), int), "the labels have the shape (10, 14) for 10 pictures"),
        (LABELS - 1, "the labels hold a number below 0"),
        (LABELS * 1.0, "the labels hold float64, no whole numbers"),
        (np.array(list("abcabcabca")), "the labels hold <U1, no whole numbers"),
        (LABELS * 0 + 4, "all pictures have the label 4"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, what):
    error = refused(npz, tmp_path, images=GREY, labels=labels)
    assert error.what == what and "labelled = false" in error.cure


def test_too_few_names_of_classes(tmp_path):
    error = refused(npz, tmp_path, images=GREY, labels=LABELS, classes=np.array(["a", "b"]))
    assert error.what == "there are 2 names of classes, and a label 2"


def test_npz_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.npz"
    assert refused(Npz(path=path).build).what == f"there is no file {path}"
    whole = saved(tmp_path, images=GREY, labels=LABELS).read_bytes()
    contents = (b"", b"hello", whole[:200], whole[:80] + bytes([whole[80] ^ 255]) * 400 + whole[480:])
    for content in contents:
        path.write_bytes(content)
        error = refused(Npz(path=path).build)
        assert error.what == f"cannot read the arrays of {path}" and error.why
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    error = refused(Npz(path=path).build)
    assert error.what == f"cannot read the arrays of {path}" and "allow_pickle=False" in error.why
    np.save(tmp_path / "b.npy", GREY)
    assert refused(Npz(path=tmp_path / "b.npy").build).why == "it is a single array"


def test_the_fingerprint_follows_pixels_labels_and_channels(tmp_path):
    other = GREY.copy()
    other[0, 0, 0] ^= 1
    prints = [
        npz(tmp_path, images=GREY, labels=LABELS).fingerprint(),
        npz(tmp_path, images=other, labels=LABELS).fingerprint(),
        npz(tmp_path, images=GREY, labels=LABELS[::-1]).fingerprint(),
        npz(tmp_path, {"channels": 3}, images=GREY, labels=LABELS).fingerprint(),
        npz(tmp_path, {"test_share": 0.0}, images=GREY, labels=LABELS).fingerprint(),
        npz(tmp_path, images=GREY, labels=LABELS, classes=np.array(list("abc"))).fingerprint(),
    ]
    assert len(set(prints)) == 6


# -- idx -----------------------------------------------------------------------------------------------------------


def idx_bytes(values: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, values.ndim])
        + np.array(values.shape, ">u4").tobytes()
        + values.astype(np.uint8).tobytes()
    )


@pytest.fixture
def fashion(tmp_path):
    """The four files under the names that Fashion-MNIST has them."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    for word, rows in (("train", slice(0, 6)), ("t10k", slice(6, 10))):
        (folder / f"{word}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(GREY[rows])))
        (folder / f"{word}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(LABELS[rows])))
    return folder


def test_the_four_files_of_fashion_mnist(fashion):
    data = Idx(path=fashion, classes=["a", "b", "c"]).build()
    assert data.splits() == ("train", "test") and data.length("train") == 6
    found = items(data, "train") + items(data, "test")
    assert np.array_equal(np.stack([item["pixels"] for item in found])[..., 0], GREY)
    assert [item["label"] for item in found] == LABELS.tolist()
    assert data.about("test")["classes"] == ["a", "b", "c"]
    assert "2 names of classes" in refused(Idx(path=fashion, classes=["a", "b"]).build).what


def test_unpacked_files_and_other_names(fashion):
    packed = Idx(path=fashion).build().fingerprint()
    for file in list(fashion.iterdir()):
        bare = file.with_suffix("")
        bare.write_bytes(gzip.decompress(file.read_bytes()))
    assert Idx(path=fashion).build().fingerprint() == packed
    for file in list(fashion.glob("*.gz")):
        file.unlink()
    assert Idx(path=fashion).build().fingerprint() == packed
    for file in list(fashion.iterdir()):
        file.rename(file.with_name(file.name.replace("-idx", ".idx")))
    assert Idx(path=fashion).build().fingerprint() == packed


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("emnist-letters-test-images-idx3-ubyte.gz", "test"),
        ("t10k-images.idx3-ubyte", "test"),
        ("Validation-images-idx3-ubyte", "validation"),
        ("train-images-first20000-idx3-ubyte.gz", "train"),
        ("images-idx3-ubyte", "train"),
    ],
)
def test_the_split_is_read_from_the_name(tmp_path, name, split):
    (tmp_path / name).write_bytes(b"")
    assert image_files(tmp_path) == {split: tmp_path / name}


def test_one_file_alone(fashion):
    data = Idx(path=fashion / "t10k-images-idx3-ubyte.gz").build()
    assert data.splits() == ("test",) and data.length("test") == 4
    alone = fashion / "train-images-idx3-ubyte.gz"
    assert set(Idx(path=alone, test_share=0.6).build().splits()) == {"train", "test"}


def test_labels_are_wanted_unless_told_otherwise(fashion):
    (fashion / "train-labels-idx1-ubyte.gz").unlink()
    error = refused(Idx(path=fashion).build)
    assert error.what == "there is no file train-labels-idx1-ubyte.gz" and error.where == str(fashion)
    assert "labelled = false" in error.cure
    assert sorted(items(Idx(path=fashion, labelled=False).build(), "train")[0]) == ["id", "pixels"]
    assert Idx(path=fashion, labelled=False).tags() == set() and Idx(path=fashion).tags() == {"label"}


def test_a_name_that_does_not_tell_where_the_labels_are(fashion):
    file = (fashion / "train-images-idx3-ubyte.gz").rename(fashion / "pictures.gz")
    error = refused(Idx(path=file).build)
    assert error.what == "the name of pictures.gz does not tell where its labels are"
    assert Idx(path=file, labelled=False, test_share=0.0).build().length("train") == 6


def test_colour_has_a_fourth_axis(tmp_path):
    (tmp_path / "train-images-idx4-ubyte").write_bytes(idx_bytes(noise(6, 4, 5, 3)))
    data = Idx(path=tmp_path, labelled=False, test_share=0.0).build()
    assert np.array_equal(items(data, "train")[5]["pixels"], noise(6, 4, 5, 3)[5])


def test_folders_without_or_with_too_many_files(fashion, tmp_path):
    assert (
        refused(Idx(path=tmp_path / "gone").build).what == f"there is no folder or file {tmp_path / 'gone'}"
    )
    (tmp_path / "none").mkdir()
    error = refused(Idx(path=tmp_path / "none").build)
    assert error.what == f"{tmp_path / 'none'} holds no IDX pictures" and "idx3 in its name" in error.why
    (fashion / "letters-train-images-idx3-ubyte").write_bytes(b"")
    error = refused(Idx(path=fashion).build)
    assert error.what == (
        "two files hold pictures of the split train: letters-train-images-idx3-ubyte and train-images-idx3-ubyte.gz"
    )


WHOLE = idx_bytes(GREY[:6])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it begins with the bytes of nothing, not with 0 0 8 3 or 0 0 8 4"),
        (b"\x89PNG", "it begins with the bytes 137 80 78 71, not with 0 0 8 3 or 0 0 8 4"),
        (b"\0\0\x08", "it begins with the bytes 0 0 8, not with 0 0 8 3 or 0 0 8 4"),
        (b"\1\0\x08\x03" + WHOLE[4:], "it begins with the bytes 1 0 8 3, not with 0 0 8 3 or 0 0 8 4"),
        (b"\0\0\x0d\x03" + WHOLE[4:], "it begins with the bytes 0 0 13 3, not with 0 0 8 3 or 0 0 8 4"),
        (b"\0\0\x08\x01" + WHOLE[4:], "it begins with the bytes 0 0 8 1, not with 0 0 8 3 or 0 0 8 4"),
        (WHOLE[:10], "it ends within its first lines"),
        (WHOLE[:-1], "it announces 6 x 4 x 5 = 120 bytes, and 119 follow"),
        (WHOLE + b"x", "it announces 6 x 4 x 5 = 120 bytes, and more follow"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_idx_files(fashion, content, why, packed):
    file = fashion / ("train-images-idx3-ubyte.gz" if packed else "train-images-idx3-ubyte")
    file.write_bytes(gzip.compress(content) if packed else content)
    error = refused(Idx(path=fashion).build)
    assert (
        error.what == f"{file} is no whole IDX file" and error.why == why and error.cure == "fetch it again"
    )


@pytest.mark.parametrize("packed", [True, False])
def test_an_announced_size_that_nothing_could_hold(fashion, packed):
    file = fashion / ("train-images-idx3-ubyte.gz" if packed else "train-images-idx3-ubyte")
    content = b"\0\0\x08\x03" + b"\xff" * 12
    file.write_bytes(gzip.compress(content) if packed else content)
    why = refused(Idx(path=fashion).build).why
    assert why == "it announces 4294967295 x 4294967295 x 4294967295 bytes, more than fit into memory"


def test_damaged_gzip(fashion):
    file = fashion / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    broken = whole[:40] + bytes([whole[40] ^ 255]) + whole[41:]
    for content, why in ((whole[:-20], "end-of-stream"), (b"hello", "Not a gzipped file"), (broken, "")):
        file.write_bytes(content)
        error = refused(Idx(path=fashion).build)
        assert error.what == f"{file} is no whole IDX file" and why in error.why and error.why


def test_counts_of_pictures_and_labels_differ(fashion):
    (fashion / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(LABELS[:5])))
    assert refused(Idx(path=fashion).build).what == "the labels have the shape (5,) for 6 pictures"
