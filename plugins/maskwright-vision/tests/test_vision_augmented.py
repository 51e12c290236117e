"""dataset:augmented: what happens to training pictures, and that nothing happens to others."""

import attrs
import numpy as np
import pytest
from vision_picture_files import STEP, items, noise

from maskwright.errors import RecipeError
from maskwright.step import Step
from maskwright_vision.augmented import ERASED_AREA, TRIES, augment
from maskwright_vision.params_data import Augmented, Shapes

SHAPES = Shapes(count=12, test_count=6)
NONE = Augmented(inner=SHAPES, crop="none", flip=0.0)
"""Changes nothing."""

# Row and column of each pixel can be read from it.
ROWS, COLUMNS = np.mgrid[0:40, 0:60]
PLACES = np.stack([ROWS, COLUMNS, ROWS + COLUMNS], axis=2).astype(np.uint8)


def made(pixels: np.ndarray, number: int = 0, **settings) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=STEP.at(number).stream("augment")))
    return augment(pixels, attrs.evolve(NONE, **settings), rng)


def many(pixels: np.ndarray, count: int = 200, **settings) -> list[np.ndarray]:
    return [made(pixels, number, **settings) for number in range(count)]


# -- the data set --------------------------------------------------------------------------------------------------


def test_only_training_pictures_change():
    plain = SHAPES.build()
    data = Augmented(inner=plain, crop="fixed", shift=3, brightness=0.5, erase=1.0).build()
    assert data.splits() == plain.splits() and data.about("test") == plain.about("test")
    assert data.length("train") == 12 and data.length("test") == 6
    for one, other in zip(items(plain, "test"), items(data, "test"), strict=True):
        assert np.array_equal(one["pixels"], other["pixels"])
    for one, other in zip(items(plain, "train"), items(data, "train"), strict=True):
        assert one["id"] == other["id"] and one["label"] == other["label"]
        assert not np.array_equal(one["pixels"], other["pixels"])


def test_without_any_setting_pictures_stay():
    plain, data = SHAPES.build(), attrs.evolve(NONE, inner=SHAPES).build()
    for one, other in zip(items(plain, "train"), items(data, "train"), strict=True):
        assert np.array_equal(one["pixels"], other["pixels"])


def test_the_same_step_gives_the_same_picture_and_another_another():
    data = Augmented(inner=SHAPES, shift=3, contrast=0.5, erase=0.5).build()
    one, same, other = (data.item("train", 3, step)["pixels"] for step in (STEP, Step(seed=1), STEP.at(1)))
    assert np.array_equal(one, same) and (one.shape != other.shape or not np.array_equal(one, other))


def test_the_fingerprint_is_that_of_the_data():
    """Like a codec's, what is done on the way stands in the recipe."""
    assert Augmented(inner=SHAPES).build().fingerprint() == SHAPES.build().fingerprint()


@pytest.mark.parametrize("name", ["scale", "aspect"])
def test_from_and_to_in_the_wrong_order(name):
    with pytest.raises(
        RecipeError, match=f"{name}  goes from 0.9 down to 0.5; give the smaller number first"
    ):
        Augmented(inner=SHAPES, **{name: (0.9, 0.5)}).build()


# -- crops ---------------------------------------------------------------------------------------------------------


def test_a_fixed_crop_is_a_square_of_seven_eighths_anywhere():
    found = many(PLACES, crop="fixed")
    assert {picture.shape for picture in found} == {(35, 35, 3)}
    corners = np.array([picture[0, 0, :2] for picture in found])
    assert corners.min(axis=0).tolist() == [0, 0] and corners.max(axis=0).tolist() == [5, 25]
    assert all(np.array_equal(p, PLACES[p[0, 0, 0] :, p[0, 0, 1] :][:35, :35]) for p in found)


def test_a_random_crop_keeps_to_scale_and_aspect():
    square = PLACES[:, :40]  # in which every one of these rectangles fits
    found = many(square, 400, crop="random", scale=(0.1, 0.4), aspect=(0.5, 2.0))
    shares = np.array([p.shape[0] * p.shape[1] / 1600 for p in found])
    aspects = np.array([p.shape[1] / p.shape[0] for p in found])
    assert 0.08 < shares.min() < 0.12 and 0.37 < shares.max() < 0.43
    assert shares.mean() == pytest.approx(0.25, abs=0.015)
    assert 0.44 < aspects.min() < 0.55 and 1.8 < aspects.max() < 2.3
    # Uniform in the logarithm: none of the two directions is preferred.
    assert np.log(aspects).mean() == pytest.approx(0, abs=0.06)
    assert all(
        np.array_equal(p, square[p[0, 0, 0] :, p[0, 0, 1] :][: p.shape[0], : p.shape[1]]) for p in found
    )


def test_every_place_of_a_crop_is_equally_likely():
    square = PLACES[:40, :40]
    found = many(square, 600, crop="random", scale=(0.25, 0.25), aspect=(1.0, 1.0))
    tops = np.array([picture[0, 0, 0] for picture in found])
    assert {picture.shape for picture in found} == {(20, 20, 3)}
    counts = np.bincount(tops, minlength=21)
    assert len(counts) == 21 and counts.min() >= 10 and counts.max() <= 55  # 600 / 21 = 29 on average


@pytest.mark.parametrize(("shape", "wanted"), [((4, 100), (4, 5)), ((100, 4), (5, 4)), ((1, 9), (1, 1))])
def test_where_nothing_fits_the_middle_is_taken(shape, wanted):
    line = np.zeros((*shape, 1), np.uint8)
    line[:] = np.maximum(*np.mgrid[0 : shape[0], 0 : shape[1]])[..., None]
    found = many(line, 20, crop="random", scale=(0.9, 1.0))
    assert {picture.shape[:2] for picture in found} == {wanted}
    start = (max(shape) - max(wanted) + 1) // 2
    assert found[0].max() == start + max(wanted) - 1


def test_a_picture_of_an_allowed_shape_in_which_nothing_fits_is_taken_whole():
    """Rectangles of the whole area fit only where they are squares: in one of seven draws, so not in ten of them
    for every fifth picture."""
    square = np.zeros((10, 10, 1), np.uint8)
    found = many(square, 60, crop="random", scale=(1.0, 1.0), aspect=(0.5, 2.0))
    assert {picture.shape for picture in found} == {(10, 10, 1)}


def test_ten_rectangles_are_tried():
    """Squares with 60 to 300 pixels, of which those below 10.5^2 fit into ten rows: 21 %.

    Of these, 40 % are rounded to 10 x 10, which is also what is left when ten do not fit (0.79^10 = 9.6 %): 46 %.
    Five tries would make that 59 %, and twenty 41 %.
    """
    assert TRIES == 10
    found = many(np.zeros((10, 30, 1), np.uint8), 1000, crop="random", scale=(0.2, 1.0), aspect=(1.0, 1.0))
    whole = np.mean([picture.shape[:2] == (10, 10) for picture in found])
    assert whole == pytest.approx(0.456, abs=0.035)


# -- flip, shift, colours, erasing ---------------------------------------------------------------------------------


def test_flip_exchanges_left_and_right_as_often_as_asked():
    found = many(PLACES, flip=0.3)
    flipped = [np.array_equal(picture, PLACES[:, ::-1]) for picture in found]
    assert all(flip or np.array_equal(p, PLACES) for flip, p in zip(flipped, found, strict=True))
    assert 0.2 < np.mean(flipped) < 0.4
    assert np.array_equal(made(PLACES, flip=1.0), PLACES[:, ::-1])


def test_shift_moves_a_picture_and_repeats_its_edge():
    padded = np.pad(PLACES, ((3, 3), (3, 3), (0, 0)), mode="edge")
    moves = set()
    for picture in many(PLACES, shift=3):
        assert picture.shape == PLACES.shape
        fits = [
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(padded[y : y + 40, x : x + 60], picture)
        ]
        assert len(fits) == 1
        moves.add(fits[0])
    assert {y for y, _ in moves} == {x for _, x in moves} == set(range(7))


def test_brightness_multiplies():
    grey = np.full((4, 4, 3), 100, np.uint8)
    levels = np.array([picture[0, 0, 0] for picture in many(grey, brightness=0.4)])
    assert 60 <= levels.min() < 65 and 135 < levels.max() <= 140
    assert all((picture == picture[0, 0, 0]).all() for picture in many(grey, 20, brightness=0.4))
    assert {picture.max() for picture in many(grey, 50, brightness=9.0)} >= {255}  # cut, not wrapped round


def test_contrast_stretches_about_the_mean_grey():
    pixels = np.zeros((2, 2, 1), np.uint8)
    pixels[0] = 120
    for picture in many(pixels, 50, contrast=0.5):
        distance = int(picture[0, 0, 0]) - int(picture[1, 0, 0])
        assert (
            59 <= distance <= 181 and int(picture[1, 0, 0]) == max(round(60 - distance / 2), 0)
        ) or distance > 120
    assert len({picture[0, 0, 0] for picture in many(pixels, 50, contrast=0.5)}) > 20


def test_saturation_moves_colours_towards_their_own_grey():
    red = np.full((2, 2, 3), (200, 50, 50), np.uint8)
    grey = 0.299 * 200 + 0.701 * 50
    found = many(red, 50, saturation=0.5)
    assert len({picture[0, 0, 0] for picture in found}) > 20
    for picture in found:
        factor = (int(picture[0, 0, 0]) - grey) / (200 - grey)
        assert 0.49 < factor < 1.51
        assert int(picture[0, 0, 1]) == pytest.approx(max(grey + (50 - grey) * factor, 0), abs=1.0)
    alike = np.full((2, 2, 1), 77, np.uint8)
    assert all(np.array_equal(picture, alike) for picture in many(alike, 20, saturation=0.9))


def test_transparency_and_16_bits_survive_new_colours():
    four = noise(6, 6, 4)
    changed = made(four, brightness=0.5, contrast=0.5, saturation=0.5)
    assert np.array_equal(changed[..., 3], four[..., 3]) and not np.array_equal(changed, four)
    deep = np.full((4, 4, 1), 40_000, np.uint16)
    found = [picture.max() for picture in many(deep, 50, brightness=0.5)]
    assert max(found) > 50_000 and made(deep, brightness=0.5).dtype == np.uint16


def test_erasing_fills_one_rectangle_with_noise():
    blank = np.zeros((60, 60, 3), np.uint16)
    erased = [picture for picture in many(blank, erase=0.5) if picture.any()]
    assert 70 < len(erased) < 130
    shares = []
    for picture in erased:
        rows, columns = (np.flatnonzero(picture.any(axis=(axis, 2))) for axis in (1, 0))
        inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (inside > 0).mean() > 0.98  # noise everywhere in it
        shares.append(inside.shape[0] * inside.shape[1] / 3600)
    assert max(picture.max() for picture in erased) > 65_000
    assert ERASED_AREA[0] * 0.8 < min(shares) < 0.05 and 0.28 < max(shares) <= ERASED_AREA[1] * 1.05


def test_a_picture_too_small_to_erase_from_stays():
    """A rectangle that is not nearly square is rounded to nothing."""
    pixel = np.full((1, 1, 3), 7, np.uint8)
    assert any(np.array_equal(picture, pixel) for picture in many(pixel, 60, erase=1.0))


def test_the_picture_that_came_in_stays_as_it_was():
    before = noise(20, 20, 3)
    kept = before.copy()
    changed = made(before, crop="fixed", flip=1.0, shift=2, brightness=0.5, erase=1.0)
    changed[:] = 0
    made(before)[:] = 0
    assert np.array_equal(before, kept)
