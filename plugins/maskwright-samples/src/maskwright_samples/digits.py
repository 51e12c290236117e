"""dataset:digits — scikit-learn's 1,797 scanned digits."""

import numpy as np
from sklearn.datasets import load_digits

from maskwright_samples.array_items import Pictures

TRAIN = 1297  # the first of the file; the last 500 are harder than a random 500
LEVELS = 16  # grey levels above zero in the file


class DigitData(Pictures):
    """8x8 grey pictures in file order, 0..16 scaled to 0..255."""

    def __init__(self) -> None:
        digits = load_digits()
        pixels = np.round(digits.images * (255 / LEVELS)).astype(np.uint8)[..., None]
        items = [
            {"id": f"digit-{row:04d}", "pixels": picture, "label": int(label)}
            for row, (picture, label) in enumerate(zip(pixels, digits.target, strict=True))
        ]
        facts = {
            "classes": [str(digit) for digit in range(10)],
            "notice": "UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), as shipped by "
            "scikit-learn.",
        }
        super().__init__("digits", {"train": items[:TRAIN], "test": items[TRAIN:]}, facts)
