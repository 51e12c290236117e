"""Patches, tables of positions and the way pictures are made to fit: exact, against formulas."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskwright import Step, UserError
from maskwright_torch.noise import uniform
from maskwright_vision.pictures import ImagePrepare, as_pixels, as_tensor, patchify, unpatchify
from maskwright_vision.positions import resample_table, sin_cos_table


def pictures(rows: int, channels: int, height: int, width: int) -> torch.Tensor:
    return (
        uniform(3, torch.arange(rows * channels * height), width).float().view(rows, channels, height, width)
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width", "patch"), [(8, 8, 4), (12, 6, 3), (4, 16, 2)])
def test_unpatchify_inverts_patchify(channels: int, height: int, width: int, patch: int):
    x = pictures(2, channels, height, width)
    cut = patchify(x, patch)
    assert cut.shape == (2, (height // patch) * (width // patch), patch * patch * channels)
    assert torch.equal(unpatchify(cut, patch, (height // patch, width // patch)), x)


def test_channels_come_last_inside_a_patch():
    """One bright pixel: channel 2, row 5, column 3 of 8 x 8, patches of 4."""
    x = torch.zeros(1, 3, 8, 8)
    x[0, 2, 5, 3] = 1
    cut = patchify(x, 4)
    place = torch.nonzero(cut[0]).tolist()
    patch, inside = 1 * 2 + 0, (1 * 4 + 3) * 3 + 2
    assert place == [[patch, inside]]


def test_table_of_positions():
    width, grid = 24, (5, 7)
    table = sin_cos_table(width, grid)
    assert table.shape == (36, width) and table.dtype == torch.float32
    assert torch.equal(table[0], torch.zeros(width))
    half, quarter = width // 2, width // 4
    first = table[1]  # patch (0, 0): sines 0, cosines 1
    expected = torch.tensor([0.0] * quarter + [1.0] * quarter).repeat(2)
    assert torch.equal(first, expected)
    places = table[1:].view(*grid, width)
    assert (places[..., :half] == places[:1, :, :half]).all(), "the first half tells the column"
    assert (places[..., half:] == places[:, :1, half:]).all(), "the second half tells the row"
    rates = [10000 ** (-i / (half / 2)) for i in range(quarter)]
    wanted = [math.sin(6 * rate) for rate in rates] + [math.cos(6 * rate) for rate in rates]
    assert places[0, 6, :half].tolist() == pytest.approx(wanted, abs=1e-6)


def test_inner_products_depend_on_the_displacement_alone():
    places = sin_cos_table(32, (6, 6))[1:].double().view(6, 6, 32)
    one = (places[0, 1] * places[2, 4]).sum()
    for row, column in [(1, 0), (3, 2), (2, 1)]:
        assert torch.allclose((places[row, column] * places[row + 2, column + 3]).sum(), one, atol=1e-5)


def test_resampling_a_table():
    table = sin_cos_table(16, (4, 6))
    assert torch.equal(resample_table(table, (4, 6), (4, 6)), table)
    made = resample_table(table, (4, 6), (8, 5))
    assert made.shape == (1 + 40, 16)
    assert torch.equal(made[0], table[0])
    places = table[1:].view(4, 6, 16).permute(2, 0, 1)[None]
    wanted = F.interpolate(places, (8, 5), mode="bicubic", align_corners=False)[0].permute(1, 2, 0)
    assert torch.allclose(made[1:].view(8, 5, 16), wanted, atol=1e-6)


def prepare(height: int = 8, width: int = 8, **settings: object) -> ImagePrepare:
    usual = {"channels": 1, "mean": (0.25,), "std": (0.5,)} | settings
    return ImagePrepare(height, width, **usual)  # type: ignore[arg-type]


def item(pixels: np.ndarray, **more: object) -> dict[str, object]:
    return {"id": "one", "pixels": pixels, **more}


def test_prepare_normalises_and_raw_undoes_it():
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 4
    batch = prepare()([item(pixels, label=3), item(pixels, label=1)], Step())
    assert batch["pixels"].shape == (2, 1, 8, 8) and batch["label"].tolist() == [3, 1]
    assert torch.allclose(batch["pixels"][0, 0], (torch.from_numpy(pixels[..., 0]) / 255 - 0.25) / 0.5)
    assert np.array_equal(as_pixels(prepare().raw(batch["pixels"][0])), pixels)
    assert "label" not in prepare()([item(pixels, label=3), item(pixels)], Step())


def test_sixteen_bits_are_kept():
    pixels = np.array([[[[0], [256], [65535]]]], dtype=np.uint16)
    assert as_tensor(pixels).flatten().tolist() == [0.0, pytest.approx(256 / 65535), 1.0]


@pytest.mark.parametrize(("fit", "shape"), [("crop", (8, 8)), ("stretch", (8, 8)), ("pad", (8, 8))])
def test_pictures_of_another_shape_are_made_to_fit(fit: str, shape: tuple[int, int]):
    """A wide picture, dark left, bright right, with a bright middle."""
    pixels = np.zeros((16, 32, 1), dtype=np.uint8)
    pixels[:, 16:] = 255
    made = prepare(fit=fit).resized(pixels)[0]
    assert tuple(made.shape) == shape
    assert float(made[4, 1]) < 0.2 and float(made[4, 6]) > 0.8
    if fit == "pad":  # stripes of nothing above and below
        assert float(made[:2].abs().max()) == 0 and float(made[-2:].abs().max()) == 0
    else:
        assert float(made[0, 6]) > 0.8


def test_pictures_of_one_size_are_resampled_together_as_one_by_one():
    draws = (uniform(9, torch.arange(4 * 10), 12) * 255).to(torch.uint8).view(4, 10, 12, 1).numpy()
    together = prepare()([item(p) for p in draws], Step())["pixels"]
    mixed = prepare()([item(p) for p in draws] + [item(draws[0][:9])], Step())["pixels"]
    assert torch.allclose(together, mixed[:4], atol=1e-6)


def test_odd_sizes_are_cropped_in_the_middle():
    pixels = np.zeros((9, 21, 1), dtype=np.uint8)
    pixels[:, 10] = 255
    made = prepare(9, 9, fit="crop").resized(pixels)[0]
    assert int(made.sum(dim=0).argmax()) == 4


def test_a_wrong_number_of_channels_is_one_clear_error():
    with pytest.raises(UserError, match="has 3 channels, the encoder wants 1") as caught:
        prepare()([item(np.zeros((8, 8, 3), dtype=np.uint8))], Step())
    assert caught.value.where == "one"
    assert "channels=1 of the data set, or channels=3 of the encoder" in caught.value.cure


def test_a_picture_without_channels_is_one_clear_error():
    with pytest.raises(UserError, match="axes height, width, channels") as caught:
        prepare()([item(np.zeros((8, 8), dtype=np.uint8))], Step())
    assert (caught.value.where, caught.value.why) == ("one", "its pixels have the shape (8, 8)")
    assert caught.value.cure.startswith("pixels[:, :, None]")
