"""One picture file: every kind of pixels, sizes, damage; and reading items from what a user names."""

import numpy as np
import pytest
from PIL import Image
from vision_picture_files import chunk, encoded, noise, picture, png, write, zipped

from maskwright.errors import UserError
from maskwright_vision import image_files
from maskwright_vision.image_files import decode, read_items, to_channels

GREY, COLOUR = noise(5, 7), noise(5, 7, 3)


def pixels_of(content: bytes, **options) -> np.ndarray:
    made = decode(content, "a.png", **options).pixels
    assert made.ndim == 3 and made.flags.writeable
    return made


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_grey_has_one_channel(kind):
    made = pixels_of(encoded(GREY, kind))
    if kind == "GIF":  # always a palette
        assert made.shape == (5, 7, 3)
        made = made[..., :1]
    assert made.dtype == np.uint8 and np.array_equal(made, GREY[..., None])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_colour_has_three(kind):
    assert np.array_equal(pixels_of(encoded(COLOUR, kind)), COLOUR)


def test_black_and_white_becomes_0_and_255():
    bits = GREY > 128
    assert np.array_equal(pixels_of(encoded(bits)), bits[..., None] * np.uint8(255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_keeps_all_of_them(kind):
    deep = noise(5, 7, top=65535)
    # By hand, because older releases of Pillow read this format and cannot write it.
    portable = b"P5 7 5 65535\n" + deep.astype(">u2").tobytes()
    made = pixels_of(portable if kind == "PPM" else encoded(deep, kind))
    assert made.dtype == np.uint16 and np.array_equal(made, deep[..., None])


def test_a_transparent_picture_keeps_its_transparency_as_fourth_channel():
    four = noise(5, 7, 4)
    assert np.array_equal(pixels_of(encoded(four)), four)
    grey_alpha = Image.fromarray(four[..., :2], "LA")
    made = pixels_of(encoded(grey_alpha))
    assert np.array_equal(made, four[..., [0, 0, 0, 1]])


def test_a_palette_is_looked_up_and_its_transparent_entry_obeyed():
    image = Image.fromarray(GREY % 3)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], dtype=np.uint8)[GREY % 3]
    assert image.mode == "P"
    assert np.array_equal(pixels_of(encoded(image)), colours)
    made = pixels_of(encoded(image, transparency=1))
    assert np.array_equal(made[..., :3], colours)
    assert np.array_equal(made[..., 3], np.where(GREY % 3 == 1, 0, 255))


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_colour(kind):
    made = pixels_of(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), kind))
    assert made.shape == (8, 8, 3)
    red, green, blue = made.mean(axis=(0, 1))
    assert red < 5 and green > 250 and blue > 250  # all cyan


def test_colour_of_16_bits_is_read_with_8_and_says_so():
    rows = b"".join(b"\0" + b"\x12\x34\x56\x78\x9a\xbc" * 4 for _ in range(4))
    made = decode(png(4, 4, 16, 2, rows), "a.png")
    assert made.pixels[0, 0].tolist() == [0x12, 0x56, 0x9A]
    assert made.notice == "16-bit colour is read with 8 bits a channel"
    assert decode(encoded(COLOUR), "a.png").notice == ""
    assert decode(encoded(noise(4, 4, top=65535)), "a.png").notice == ""


def test_a_picture_taken_with_the_camera_on_its_side_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # the top row was on the right
    made = pixels_of(encoded(COLOUR, exif=exif))
    assert np.array_equal(made, np.rot90(COLOUR, -1))


def test_a_large_jpeg_is_decoded_smaller_down_to_the_side_asked_for():
    content = encoded(Image.new("RGB", (640, 480)), "JPEG")
    assert pixels_of(content).shape == (480, 640, 3)
    assert pixels_of(content, at_least=100).shape == (120, 160, 3)
    assert pixels_of(content, at_least=121).shape == (240, 320, 3)
    assert pixels_of(content, at_least=481).shape == (480, 640, 3)


def test_of_several_pictures_in_a_file_the_first_is_taken():
    for kind in ("MPO", "GIF", "TIFF"):  # MPO: what phones write as JPEG
        black, white = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), (255, 255, 255))
        made = pixels_of(encoded(black, kind, save_all=True, append_images=[white]))
        assert made.shape == (8, 8, 3) and made.max() == 0


# -- channels ------------------------------------------------------------------------------------------------------


def test_as_is_and_the_own_number_change_nothing():
    for pixels in (GREY[..., None], COLOUR, noise(5, 7, 4)):
        assert to_channels(pixels, "as-is") is pixels
        assert to_channels(pixels, pixels.shape[2]) is pixels


def test_grey_by_brightness_is_what_pillow_makes_of_it():
    assert np.array_equal(to_channels(COLOUR, 1)[..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))
    white = np.full((1, 1, 3), 65535, dtype=np.uint16)
    assert to_channels(white, 1).tolist() == [[[65535]]]


def test_transparency_is_laid_on_white():
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], dtype=np.uint8)
    assert to_channels(pixels, 3).tolist() == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
    assert to_channels(pixels, 1)[0, 1].tolist() == [255]
    deep = np.array([[[1000, 0, 0, 0]]], dtype=np.uint16)
    assert to_channels(deep, 3).tolist() == [[[65535] * 3]]


def test_grey_is_repeated_and_a_fourth_channel_is_opaque():
    deep = noise(5, 7, 1, top=65535)
    three, four = to_channels(deep, 3), to_channels(deep, 4)
    assert three.dtype == four.dtype == np.uint16
    assert np.array_equal(three, np.repeat(deep, 3, axis=2))
    assert np.array_equal(four[..., :3], three) and (four[..., 3] == 65535).all()


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(UserError, match="pictures have 1, 3 or 4 channels, not 2"):
        to_channels(GREY[..., None], 2)


# -- what cannot be read -------------------------------------------------------------------------------------------


def why(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        decode(content, "x/a.png")
    assert caught.value.what == "cannot read the picture x/a.png" and caught.value.where == "x/a.png"
    assert caught.value.cure == "save it again with another program, or remove it"
    return caught.value.why


def test_damage_is_named():
    good = encoded(noise(64, 64, 3))
    assert why(b"") == "the file is empty"
    assert why(b"hello") == "it is damaged, or none of PNG, JPEG, BMP, GIF, TIFF, WEBP, PPM"
    assert "truncated" in why(good[: len(good) // 2])


def test_a_truncated_jpeg_is_noticed_at_a_reduced_size_too():
    content = encoded(noise(640, 480, 3), "JPEG")
    with pytest.raises(UserError) as caught:
        decode(content[: len(content) // 2], "a.jpg", at_least=32)
    assert "truncated" in caught.value.why


@pytest.mark.filterwarnings("ignore")  # Pillow's own on damaged files
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM"])
def test_any_damage_ends_in_a_picture_or_a_user_error(kind):
    content = encoded(noise(20, 20, 3), kind)
    refused = 0
    for place in range(0, len(content), max(len(content) // 60, 1)):
        for damaged in (
            content[:place],
            content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :],
        ):
            try:
                decode(damaged, "a")
            except UserError:
                refused += 1
    assert refused >= 20


def test_numbers_without_a_known_white_are_refused():
    assert why(encoded(np.zeros((3, 3), np.float32), "TIFF")).startswith("it holds floating-point numbers")
    for values, found in (([[0, 65536]], "from 0 to 65536"), ([[-1, 5]], "from -1 to 5")):
        large = np.array(values, dtype=np.int32)
        assert why(encoded(large, "TIFF")) == f"it holds numbers {found}, not 16 bits without a sign"
    small = np.array([[0, 65535]], dtype=np.int32)
    assert pixels_of(encoded(small, "TIFF")).tolist() == [[[0], [65535]]]


def test_an_error_without_words_is_named_by_its_kind(monkeypatch):
    def full(image):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", full)
    assert why(encoded(GREY)) == "MemoryError"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_would_fill_the_memory_is_not_decoded():
    """The header alone says how large the picture is: 100 and 400 million pixels in fewer than 100 bytes."""
    limit = "more than 89,478,485 in all; cut it into tiles"
    assert why(png(10_000, 10_000, 8, 0, b"")) == f"10000 x 10000 pixels are {limit}"
    assert why(png(20_000, 20_000, 8, 0, b"")) == f"it has far {limit}"


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_so_with_pillows_warning_as_an_error():
    assert "it has far more than 89,478,485" in why(png(10_000, 10_000, 8, 0, b""))


def test_postscript_is_no_picture_whatever_its_suffix():
    """Pillow would start Ghostscript for it."""
    assert "none of PNG" in why(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")


def test_an_unknown_chunk_does_no_harm():
    content = encoded(COLOUR)
    assert np.array_equal(pixels_of(content[:33] + chunk(b"quIt", b"abc") + content[33:]), COLOUR)


# -- items ---------------------------------------------------------------------------------------------------------


def test_items_of_a_file_a_folder_and_an_archive(tmp_path):
    write(tmp_path / "in", "b.png", "a/c.PNG", "a/notes.txt", ".hidden.png")
    (one,) = read_items(str(tmp_path / "in" / "b.png"), 1)
    assert one["id"] == "b.png" and np.array_equal(one["pixels"], to_channels(picture(0), 1))
    found = list(read_items(str(tmp_path / "in"), 3))
    assert [item["id"] for item in found] == ["a/c.PNG", "b.png"]
    assert np.array_equal(found[0]["pixels"], picture(1))
    (tmp_path / "in").rename(tmp_path / "out.png")
    assert len(list(read_items(str(tmp_path / "out.png"), 3))) == 2
    archive = zipped(tmp_path / "in.zip", {"x/b.png": encoded(picture(5)), "a.png": encoded(picture(6))})
    assert [item["id"] for item in read_items(str(archive), 4)] == ["a.png", "x/b.png"]


def test_of_many_pictures_the_broken_ones_are_left_out_with_a_warning(tmp_path):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.warns(
        UserWarning, match=r"1 of 2 pictures cannot be read, the first is a.png \(it is damaged"
    ):
        found = list(read_items(str(tmp_path), 3))
    assert [item["id"] for item in found] == ["b.png"]


def test_nothing_readable_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no folder or file .*nowhere"):
        read_items(str(tmp_path / "nowhere"), 3)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="a.txt is neither a picture nor a folder or zip archive") as caught:
        read_items(str(tmp_path / "a.txt"), 3)
    assert caught.value.why.startswith("pictures end in .png, .jpg")
    with pytest.raises(UserError, match="holds no pictures") as caught:
        read_items(str(tmp_path), 3)
    assert ".png, .jpg" in caught.value.why
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot read the picture a.png"):
        list(read_items(str(tmp_path), 3))
    (tmp_path / "b.png").write_bytes(b"no")
    with pytest.raises(UserError, match="no picture of .* can be read") as caught:
        list(read_items(str(tmp_path), 3))
    assert caught.value.why.startswith("2 of 2 pictures cannot be read, the first is a.png (it is damaged")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    write(tmp_path, "a.png")
    monkeypatch.setattr("maskwright_vision.picture_sources.MOST_BYTES", 2)
    with pytest.raises(UserError) as caught:
        list(image_files.read_items(str(tmp_path / "a.png"), 3))
    assert caught.value.why == "it has more than 0 MiB"
