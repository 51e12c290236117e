"""dataset:shapes: generated pictures."""

import itertools

import numpy as np
import pytest
from vision_picture_files import STEP, items

from maskwright_vision.params_data import Shapes
from maskwright_vision.shapes import CLASSES, draw


def test_shapes_are_a_function_of_the_seed():
    one, two = Shapes(count=12, test_count=6).build(seed=1), Shapes(count=12, test_count=6).build(seed=1)
    other = Shapes(count=12, test_count=6).build(seed=2)
    assert one.fingerprint() == two.fingerprint() != other.fingerprint()
    assert one.about("train")["generated"] and "generated" in one.about("train")["notices"][0]
    assert one.about("train")["classes"] == list(CLASSES) and len(CLASSES) == 6
    assert [item["label"] for item in items(one, "train")] == [0, 1, 2, 3, 4, 5] * 2
    pictures = [item["pixels"].tobytes() for item in items(one, "train") + items(one, "test")]
    assert len(set(pictures)) == 18
    assert items(one, "test")[0]["pixels"].shape == (24, 24, 1)


def test_more_training_pictures_leave_the_others_as_they_are():
    small, large = Shapes(count=6, test_count=6).build(), Shapes(count=12, test_count=6).build()
    for one, other in itertools.islice(zip(items(small, "train"), items(large, "train"), strict=False), 6):
        assert np.array_equal(one["pixels"], other["pixels"])
    assert np.array_equal(items(small, "test")[5]["pixels"], items(large, "test")[5]["pixels"])


def test_size_and_noise():
    plain = draw(0, 64, 0.0, STEP)
    assert plain.shape == (64, 64, 1) and np.array_equal(plain, draw(0, 64, 0.0, STEP))
    ground = plain[0, 0, 0]
    spread = draw(0, 64, 0.1, STEP)[plain == ground].astype(float) - ground
    assert 0.06 * 255 < spread.std() < 0.12 * 255


def area(label: int) -> float:
    """Mean share of the surrounding circle that the shape fills, by the mass that stands out from the ground."""
    found = []
    for number in range(6):
        picture = draw(label, 96, 0.0, STEP.at(number))[..., 0].astype(float)
        cover = (picture - picture.min()) / (picture.max() - picture.min())
        rows, columns = np.nonzero(cover > 0.5)
        spread = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
        found.append(cover.sum() / (np.pi * spread.max()))
        # It lies in the picture as a whole: nothing of it touches the edge.
        assert max(cover[0].max(), cover[-1].max(), cover[:, 0].max(), cover[:, -1].max()) < 0.5
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("disc", 1.0),
        # Largest distance of the half disc from its middle, 4 / (3 pi) above the straight side.
        ("half disc", 0.5 / (1 + (4 / (3 * np.pi)) ** 2)),
        ("triangle", 3 * np.sqrt(3) / 4 / np.pi),
        ("square", 2 / np.pi),
        ("bar", 1.9 * 0.5 / np.pi / (0.95**2 + 0.25**2)),
        ("cross", (2 * 1.9 * 0.5 - 0.25) / np.pi / (0.95**2 + 0.25**2)),
    ],
)
def test_each_shape_has_the_area_of_its_name(name, share):
    assert area(CLASSES.index(name)) == pytest.approx(share, rel=0.08)
