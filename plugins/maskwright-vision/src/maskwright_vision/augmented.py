"""dataset:augmented — training pictures that look a little different every time, at the size that they have.

The encoder brings pictures to its own size once, after this. What an item looks like depends on its step alone, which
is another one in every epoch.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from maskwright.contracts import Dataset, plain
from maskwright.step import Step

TRIES = 10
"""Rectangles that are drawn before the largest one in the middle is taken."""

FIXED_SHARE = 224 / 256
"""Side of a fixed crop over the shorter side: what is left where pictures of 256 pixels are cut to 224."""

ERASED_AREA, ERASED_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""Of an erased rectangle: share of the picture, height over width (Zhong et al., arXiv:1708.04896)."""

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as image_files.brightness

Rng = np.random.Generator


class Augmented:
    """The data of another data set, with the pictures of `train` changed; all else is passed on."""

    def __init__(self, inner: Dataset, settings: Any) -> None:
        self.inner, self.settings = inner, settings

    def splits(self) -> tuple[str, ...]:
        return self.inner.splits()

    def length(self, split: str) -> int:
        return self.inner.length(split)

    def about(self, split: str) -> Mapping[str, Any]:
        return self.inner.about(split)

    def fingerprint(self) -> str:
        """That of the data: what is done to it on the way is part of the recipe."""
        return self.inner.fingerprint()

    def plain(self) -> Dataset:
        """What evaluators see: pictures as they are."""
        return plain(self.inner)

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        item = self.inner.item(split, index, step)
        if split != "train":
            return item
        rng = np.random.Generator(np.random.Philox(key=step.stream("augment")))
        return {**item, "pixels": augment(item["pixels"], self.settings, rng)}


def augment(pixels: np.ndarray, settings: Any, rng: Rng) -> np.ndarray:
    """Crop, flip, shift, colours, erasing, in this order: the same type of numbers, another shape where cropped."""
    made = _cropped(pixels, settings, rng)
    if rng.random() < settings.flip:
        made = made[:, ::-1]
    if settings.shift:
        made = _shifted(made, settings.shift, rng)
    if settings.brightness or settings.contrast or settings.saturation:
        made = _recoloured(made, settings, rng)
    if rng.random() < settings.erase:
        made = _erased(made, rng)
    return np.array(made)


def _cropped(pixels: np.ndarray, settings: Any, rng: Rng) -> np.ndarray:
    height, width = pixels.shape[:2]
    if settings.crop == "none":
        return pixels
    if settings.crop == "fixed":
        side = max(round(FIXED_SHARE * min(height, width)), 1)
        return _cut(pixels, side, side, *rng.random(2))
    aspect = (settings.aspect[0], settings.aspect[1])
    found = _rectangle(height, width, settings.scale, aspect, rng)
    if found is not None:
        return _cut(pixels, *found)
    # Nothing fits a very long picture: the largest rectangle in the middle whose aspect is allowed.
    tall, wide = height, width
    if width / height < aspect[0]:
        tall = max(round(width / aspect[0]), 1)
    elif width / height > aspect[1]:
        wide = max(round(height * aspect[1]), 1)
    return _cut(pixels, tall, wide, 0.5, 0.5)


def _rectangle(
    height: int, width: int, area: tuple[float, float], aspect: tuple[float, float], rng: Rng
) -> tuple[int, int, float, float] | None:
    """(height, width, down, right) of the first of TRIES rectangles that fits; `area` is a share, uniform.

    `aspect` is width over height, uniform in its logarithm; down and right, in [0, 1), say where it lies.
    """
    for share, log_aspect, down, right in rng.random((TRIES, 4)):
        wanted = height * width * (area[0] + share * (area[1] - area[0]))
        ratio = math.exp(math.log(aspect[0]) + log_aspect * (math.log(aspect[1]) - math.log(aspect[0])))
        tall, wide = round(math.sqrt(wanted / ratio)), round(math.sqrt(wanted * ratio))
        if 0 < tall <= height and 0 < wide <= width:
            return tall, wide, down, right
    return None


def _place(height: int, width: int, tall: int, wide: int, down: float, right: float) -> tuple[int, int]:
    """Top and left of a rectangle; every place that it can have is equally likely."""
    return int(down * (height - tall + 1)), int(right * (width - wide + 1))


def _cut(pixels: np.ndarray, tall: int, wide: int, down: float, right: float) -> np.ndarray:
    top, left = _place(*pixels.shape[:2], tall, wide, down, right)
    return pixels[top : top + tall, left : left + wide]


def _shifted(pixels: np.ndarray, most: int, rng: Rng) -> np.ndarray:
    """Moved by up to `most` pixels each way; the edge is repeated where nothing came from."""
    top, left = rng.integers(0, 2 * most + 1, 2)
    height, width = pixels.shape[:2]
    wide = np.pad(pixels, ((most, most), (most, most), (0, 0)), mode="edge")
    return wide[top : top + height, left : left + width]


def _recoloured(pixels: np.ndarray, settings: Any, rng: Rng) -> np.ndarray:
    """Brightness, contrast, saturation by factors in [1 - s, 1 + s]; transparency stays."""
    top = np.iinfo(pixels.dtype).max
    made = pixels[..., :3].astype(np.float64)
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
    made = (made * factors[0]).clip(0, top)
    middle = _grey(made).mean()
    made = (middle + (made - middle) * factors[1]).clip(0, top)
    grey = _grey(made)
    made = (grey + (made - grey) * factors[2]).clip(0, top)
    return np.concatenate([np.rint(made).astype(pixels.dtype), pixels[..., 3:]], axis=2)


def _grey(colours: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3) -> (H, W, 1)."""
    return colours if colours.shape[2] == 1 else (colours @ _GREY)[..., None]


def _erased(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """One rectangle of noise; nothing where none fits."""
    height, width, channels = pixels.shape
    found = _rectangle(height, width, ERASED_AREA, ERASED_ASPECT, rng)
    if found is None:
        return pixels
    tall, wide, down, right = found
    top, left = _place(height, width, tall, wide, down, right)
    made = pixels.copy()
    noise = rng.integers(
        0, np.iinfo(pixels.dtype).max, (tall, wide, channels), dtype=pixels.dtype, endpoint=True
    )
    made[top : top + tall, left : left + wide] = noise
    return made
