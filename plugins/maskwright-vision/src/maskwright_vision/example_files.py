"""Tiny picture files for the contract checks, which try every data set on files written on the spot."""

import csv
import gzip
from pathlib import Path

import numpy as np
from PIL import Image

_CLASSES = ("dark", "light")


def _picture(number: int) -> np.ndarray:
    """uint8 (6, 6, 1): dark and light in turn, no two alike."""
    made = np.full((6, 6, 1), 40 + 120 * (number % 2), dtype=np.uint8)
    made[number % 6, number // 6 % 6] = 255 - number
    return made


def picture_folder(folder: Path) -> Path:
    """dark/ and light/ with four PNG each in train, two in test."""
    for number in range(12):
        split = "train" if number < 8 else "test"
        place = folder / split / _CLASSES[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_picture(number)[..., 0]).save(place / f"{number:02d}.png")
    return folder


def picture_list(folder: Path) -> Path:
    """A CSV file on the pictures of `picture_folder`."""
    rows = [
        [name.relative_to(folder).as_posix(), name.parent.name, name.parent.parent.name]
        for name in sorted(picture_folder(folder).rglob("*.png"))
    ]
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split"], *rows])
    return folder / "list.csv"


def arrays() -> dict[str, np.ndarray]:
    """Eight pictures to train on and four to test, with labels."""
    pixels = np.stack([_picture(number) for number in range(12)])
    labels = np.arange(12) % 2
    return {
        "train_images": pixels[:8], "train_labels": labels[:8], "test_images": pixels[8:], "test_labels": labels[8:],
    }  # fmt: skip


def array_file(folder: Path) -> Path:
    """An npz file of `arrays`."""
    np.savez(folder / "pictures.npz", **arrays())
    return folder / "pictures.npz"


def idx_folder(folder: Path) -> Path:
    """The four files of MNIST, in small."""
    for name, values in arrays().items():
        split, kind = name.split("_")
        flat = values.reshape(values.shape[:3]).astype(np.uint8)
        start = bytes([0, 0, 8, flat.ndim]) + np.array(flat.shape, dtype=">u4").tobytes()
        word = "t10k" if split == "test" else split
        # No time in the file: the same bytes whenever it is written.
        content = gzip.compress(start + flat.tobytes(), mtime=0)
        (folder / f"{word}-{kind}-idx{flat.ndim}-ubyte.gz").write_bytes(content)
    return folder
