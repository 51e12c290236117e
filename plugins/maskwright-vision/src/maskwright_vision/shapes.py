"""dataset:shapes — generated: one filled shape in each picture, anywhere, turned at will, on a darker ground."""

import numpy as np

from maskwright.step import Step
from maskwright_vision.picture_data import PictureArrays, Pile

CLASSES = ("disc", "half disc", "triangle", "square", "bar", "cross")

_FINE = 4
"""Points along the side of a pixel, whose mean is its grey: edges are smooth."""


def shapes(size: int, train: int, test: int, noise: float, seed: int) -> PictureArrays:
    """Pictures uint8 (size, size, 1); the classes follow one another, so that all are equally frequent."""
    root = Step(seed)
    facts = {"classes": list(CLASSES), "notices": ["these pictures are generated"], "generated": True}
    splits = {
        "train": _pile("train", train, size, noise, root.fork("train")),
        "test": _pile("test", test, size, noise, root.fork("test")),
    }
    return PictureArrays("shapes", splits, facts)


def _pile(split: str, count: int, size: int, noise: float, step: Step) -> Pile:
    pictures = np.stack(
        [draw(number % len(CLASSES), size, noise, step.at(number)) for number in range(count)]
    )
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    return Pile(pictures, labels, [f"{split}-{number:06d}" for number in range(count)])


def draw(label: int, size: int, noise: float, step: Step) -> np.ndarray:
    """One picture, uint8 (size, size, 1), as a function of its step."""
    rng = np.random.Generator(np.random.Philox(key=step.stream("shape")))
    radius = size * rng.uniform(0.18, 0.3)
    middle = rng.uniform(radius, size - radius, 2)  # row, column, in pixels
    angle = rng.uniform(0, 2 * np.pi)
    ground, fill = rng.uniform(0.0, 0.4), rng.uniform(0.6, 1.0)
    grid = (np.arange(size * _FINE) + 0.5) / _FINE
    down, right = grid[:, None] - middle[0], grid[None, :] - middle[1]
    # The point seen from the shape, in its own directions and in radii.
    x = (np.cos(angle) * right + np.sin(angle) * down) / radius
    y = (np.cos(angle) * down - np.sin(angle) * right) / radius
    cover = _inside(label, x, y).reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))
    grey = ground + (fill - ground) * cover + noise * rng.standard_normal((size, size))
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None]


def _inside(label: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points belong to the shape, which lies in the circle of radius 1."""
    name = CLASSES[label]
    if name == "disc":
        return x**2 + y**2 <= 1
    if name == "half disc":
        return (x**2 + y**2 <= 1) & (y >= 0)
    if name == "triangle":
        # Three sides at the distance 1/2 from the middle.
        return (y >= -0.5) & (np.sqrt(3) * x + y <= 1) & (-np.sqrt(3) * x + y <= 1)
    if name == "square":
        return np.maximum(abs(x), abs(y)) <= np.sqrt(0.5)
    if name == "bar":
        return (abs(x) <= 0.95) & (abs(y) <= 0.25)
    return (np.maximum(abs(x), abs(y)) <= 0.95) & (np.minimum(abs(x), abs(y)) <= 0.25)
