"""dataset:sklearn-photos — square crops of the two photographs that come with scikit-learn."""

from typing import Any

import numpy as np
from sklearn.datasets import load_sample_image

from maskwright_samples.array_items import Pictures

NAMES = ("china", "flower")
GAP = 32  # pixels between the halves: neighbouring pixels are nearly equal, crops of one place must not be split


class PhotoData(Pictures):
    """Crops side by side, without overlap: train from the left half, test from the right, a gap between them."""

    def __init__(self, size: int = 32) -> None:
        splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        for label, name in enumerate(NAMES):
            photo = load_sample_image(f"{name}.jpg")  # (427, 640, 3) uint8
            middle = photo.shape[1] // 2
            splits["train"] += _crops(photo[:, : middle - GAP // 2], size, f"{name}/left", label)
            splits["test"] += _crops(photo[:, middle + GAP // 2 :], size, f"{name}/right", label)
        facts = {
            "classes": list(NAMES),
            "notice": "china.jpg by danielbuechele, flower.jpg by vultilion, Creative Commons Attribution 2.0, as "
            "shipped by scikit-learn (sklearn/datasets/images/README.txt).",
        }
        super().__init__("sklearn-photos", splits, facts)


def _crops(half: np.ndarray, size: int, name: str, label: int) -> list[dict[str, Any]]:
    """`half`: (H, W, 3). Items whose ids tell the place of the crop, in pixels."""
    height, width, _ = half.shape
    return [
        {
            "id": f"{name}/{size}/{top:03d}-{left:03d}",
            "pixels": half[top : top + size, left : left + size],
            "label": label,
        }
        for top in range(0, height - size + 1, size)
        for left in range(0, width - size + 1, size)
    ]
