"""Digits, photographs and contact sheets."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.params_images import Digits, SklearnPhotos
from maskwright_samples.sampling_pictures import CELL, GAP, _words, contact_sheet

STEP = Step()


def items(data, split):
    return [data.item(split, index, STEP) for index in range(data.length(split))]


def test_digits_are_in_file_order_with_all_levels_kept_apart():
    data, source = Digits().build(), load_digits()
    found = items(data, "train") + items(data, "test")
    assert (data.length("train"), data.length("test")) == (1297, 500)
    assert [item["label"] for item in found] == source.target.tolist()
    pixels = np.stack([item["pixels"] for item in found])
    assert pixels.dtype == np.uint8 and pixels.shape == (1797, 8, 8, 1)
    assert pixels.max() == 255 and len(np.unique(pixels)) == 17
    assert np.array_equal(np.round(pixels[..., 0] / 255 * 16), source.images)
    assert data.about("test")["classes"][3] == "3"


@pytest.mark.parametrize(("size", "count"), [(32, 2 * 13 * 9), (64, 2 * 6 * 4), (256, 2)])
def test_photo_crops_tile_the_halves_with_a_gap_between(size, count):
    data = SklearnPhotos(size=size).build()
    right_start = 320 + 16
    photos = {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    for split, start, end in (("train", 0, 304), ("test", right_start, 640)):
        found = items(data, split)
        assert len(found) == count == data.length(split)
        for item in found:
            name, _, _, place = item["id"].split("/")
            top, left = map(int, place.split("-"))
            photo = photos[name]
            expected = photo[top : top + size, start + left : start + left + size]
            assert np.array_equal(item["pixels"], expected) and start + left + size <= end
            assert data.about(split)["classes"][item["label"]] == name
        assert len({item["id"] for item in found}) == count
    assert "Creative Commons Attribution 2.0" in data.about("train")["notice"]


def test_fingerprints_differ_by_size():
    assert SklearnPhotos(size=32).build().fingerprint() != SklearnPhotos(size=64).build().fingerprint()


def test_a_sheet_shows_the_very_pixels():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (250, 10, 20)
    sheet = Image.open(io.BytesIO(contact_sheet([{"id": "a", "pixels": pixels}] * 5, columns=2)))
    assert sheet.width == 2 * (CELL + GAP) + GAP and sheet.mode == "RGB"
    side = CELL // 2
    for column in range(2):
        x, y = GAP + column * (CELL + GAP), GAP
        assert (
            sheet.getpixel((x + side + 1, y + 1))
            == sheet.getpixel((x + CELL - 2, y + side - 2))
            == (250, 10, 20)
        )
        assert sheet.getpixel((x + 1, y + 1)) == sheet.getpixel((x + CELL - 2, y + side + 1)) == (0, 0, 0)


def test_large_pictures_are_shrunk_into_their_cell():
    data = SklearnPhotos(size=256).build()
    sheet = Image.open(io.BytesIO(data.picture(items(data, "test"))))
    assert sheet.width < 4 * (CELL + GAP)


def test_words_below_a_picture():
    assert _words({"id": "x", "label": 1}, ["cat", "dog"]) == ["dog"]
    assert _words({"id": "x", "label": 1}, None) == ["1"]
    assert _words({"id": "x"}, None) == ["x"]
    glyph = {
        "id": "x",
        "caption": "LATIN SMALL LETTER O WITH DOUBLE ACUTE AND SOMETHING MORE ABOVE",
        "face": "Serif",
    }
    lines = _words(glyph, ["cat"])
    assert lines[:3] == ["latin small letter", "o with double", "acute and"]
    assert lines[3] == "something more …" and lines[4:] == ["Serif"]
    assert _words(glyph | {"face": "DejaVuSansMono-BoldOblique"}, None)[-2:] == [
        "DejaVuSansMono-",
        "BoldOblique",
    ]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(UserError, match="there is nothing to draw"):
        contact_sheet([])
    with pytest.raises(UserError) as caught:
        contact_sheet([{"id": "row-3", "pixels": np.zeros((8, 8))}])
    text = str(caught.value)
    assert "item row-3, field pixels" in text and "found float64 (8, 8)" in text
    with pytest.raises(UserError, match="this item holds no picture"):
        contact_sheet([{"id": "row-3", "text": "words"}])
