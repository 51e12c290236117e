"""Original, hidden and filled side by side: the very pixels, whatever the channels, whole files only."""

import io

import numpy as np
import pytest
from PIL import Image

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.params_parts import Fill
from maskwright_vision.drawing import coloured, encoded, sheet, triptych, write_triptych
from maskwright_vision.params_models import Mae, Vit
from maskwright_vision.pictures import ImagePrepare

HIDDEN = np.array([[True, False], [False, False]])


def prepare(channels=1, side=8):
    return ImagePrepare(side, side, channels, (0.5,) * channels, (0.5,) * channels)


def item(channels=1, side=8):
    pixels = np.arange(side * side * channels, dtype=np.int64) % 251
    pixels = pixels.astype(np.uint8).reshape(side, side, channels)
    return {"id": "a", "pixels": pixels, "filled": 255 - pixels, "hidden": HIDDEN}


def test_hidden_patches_are_grey_and_the_rest_is_the_original():
    given = item()
    original, shown, filled = triptych(given, prepare())
    assert (original == given["pixels"].repeat(3, axis=2)).all()
    assert (shown[:4, :4] == 127).all()
    assert (shown[4:] == original[4:]).all() and (shown[:, 4:] == original[:, 4:]).all()
    assert (filled == given["filled"].repeat(3, axis=2)).all()


def test_the_original_is_what_the_model_sees():
    given = item(side=16)
    original, shown, _ = triptych(given, prepare())
    assert original.shape == shown.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (4, [0, 1, 2])]
)
def test_channels(channels, shown):
    pixels = item(channels)["pixels"]
    assert (coloured(pixels) == pixels[..., shown]).all()
    assert all(panel.shape == (8, 8, 3) for panel in triptych(item(channels), prepare(channels)))


def test_small_pictures_are_enlarged_without_smoothing():
    row = triptych(item(), prepare())
    drawn = np.asarray(sheet([row, row]))
    assert drawn.shape == (24 + 2 * 168, 3 * 160 + 4 * 8, 3)  # 20 times, gaps of 8, a line of titles
    for line in range(2):
        for column in range(3):
            top, left = 24 + line * 168, 8 + column * 168
            panel = drawn[top : top + 160, left : left + 160]
            assert (panel == row[column].repeat(20, axis=0).repeat(20, axis=1)).all()
    assert (drawn[:24] != 255).any()  # titles


def test_large_pictures_keep_their_size():
    row = triptych(item(side=200), prepare(side=200))
    assert sheet([row]).size == (3 * 200 + 4 * 8, 24 + 208)


def test_the_notice_is_written_below():
    row = triptych(item(), prepare())
    plain = np.asarray(sheet([row]))
    told = np.asarray(sheet([row], "brightness is that of the original " * 4))
    below = told[plain.shape[0] :]
    assert (told[: plain.shape[0]] == plain).all() and len(below) == 2 * 16 + 8
    assert (below[:16] != 255).any() and (below[16:32] != 255).any()
    assert (below[:, -8:] == 255).all()  # no line runs out of the sheet


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.JPG", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.webp", "WEBP"),
        ("a.tif", "TIFF"),
        ("a.bmp", "BMP"),
    ],
)
def test_the_suffix_says_what_is_written(tmp_path, name, kind):
    write_triptych(item(), prepare(), "", tmp_path / "new" / name)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    with Image.open(tmp_path / "new" / name) as picture:
        assert picture.format == kind and picture.size == (512, 192)


def test_without_a_suffix_it_is_a_png(tmp_path):
    write_triptych(item(), prepare(), "", tmp_path / "digit-0001")
    with Image.open(tmp_path / "digit-0001.png") as picture:
        assert picture.format == "PNG"


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UserError) as error:
        write_triptych(item(), prepare(), "", tmp_path / "a.gif")
    assert str(error.value).splitlines() == [
        '".gif" is no kind of picture that can be written',
        f"  where: {tmp_path / 'a.gif'}",
        "  why:   the result is a drawing: original, hidden and filled side by side",
        "  do:    one of .png, .jpg, .jpeg, .webp, .tif, .tiff, .bmp",
    ]
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_drawn_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        write_triptych({key: value for key, value in item().items() if key != "filled"}, prepare(), "", path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_an_objective_draws_what_it_filled(tmp_path):
    """Through pipeline:fill, as `maskwright apply RUN photo.png --out filled.png` does."""
    objective = Mae(
        encoder=Vit(image=8, patch=4, width=16, depth=1, heads=2), decoder_width=16, decoder_depth=1,
        decoder_heads=2, ratio=0.25, target="normalised",
    ).build()  # fmt: skip
    fill = Fill(objective=objective).build()
    (made,) = fill([{"id": "a", "pixels": item()["pixels"]}], Step())
    fill.write(made, tmp_path / "filled.png")
    with Image.open(tmp_path / "filled.png") as picture:
        drawn = np.asarray(picture)
    assert drawn.shape[0] > 192 and made["hidden"].sum() == 1
    hidden = drawn[24:184:20, 176:336:20][:, :, 0] == 127
    wanted = made["hidden"].repeat(4, axis=0).repeat(4, axis=1)
    assert (hidden == (wanted | (item()["pixels"][..., 0] == 127))).all()


def test_the_same_rows_give_the_same_bytes():
    row = triptych(item(), prepare())
    assert encoded(sheet([row], "told")) == encoded(sheet([row], "told"))
    with Image.open(io.BytesIO(encoded(sheet([row])))) as picture:
        assert picture.format == "PNG"
