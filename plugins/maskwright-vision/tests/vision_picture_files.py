"""Picture files of every kind, written on the spot."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_vision.params_data import ImageFolder

STEP = Step(seed=1)


def noise(*shape: int, top: int = 255) -> np.ndarray:
    """Whole numbers in [0, top], always the same."""
    rng = np.random.Generator(np.random.Philox(key=Step().stream("pictures")))
    return rng.integers(0, top + 1, shape, dtype=np.uint8 if top == 255 else np.uint16)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    """The bytes of a picture file."""
    opened = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    opened.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    """A PNG of any kind, also of those that Pillow does not write; `rows` with a filter byte each."""
    start = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def picture(number: int, size: int = 6) -> np.ndarray:
    """uint8 (size, size, 3), another one for each number."""
    made = np.full((size, size, 3), number % 200, dtype=np.uint8)
    made[0, 0] = (255, number % 256, number // 256)
    return made


def write(root: Path, *names: str) -> Path:
    """A PNG at each of these names below root, no two alike."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(picture(number)))
    return root


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def items(data, split: str) -> list[dict]:
    return [data.item(split, index, STEP) for index in range(data.length(split))]


def ids(data, split: str) -> list[str]:
    return [item["id"] for item in items(data, split)]


def built(path, **settings):
    return ImageFolder(path=path, **settings).build()


def refused(path, **settings) -> UserError:
    with pytest.raises(UserError) as caught:
        built(path, **settings)
    return caught.value


def plain(folder, count: int = 30):
    """Two classes and nothing that says train or test."""
    return write(folder, *(f"{'cat' if n % 2 else 'dog'}/{n:02d}.png" for n in range(count)))
