"""dataset:idx — the files of MNIST and its kin: train-images-idx3-ubyte.gz and its three companions, packed or not.

A file is 0, 0, the type of its numbers (8: bytes), the count of its axes, a 32-bit length (big end first) for each, and
then the numbers, last axis fastest.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.errors import UserError
from maskwright_vision.npz_data import checked_labels, picture_arrays, with_channels
from maskwright_vision.picture_data import PictureArrays, Pile

_BYTES = 8


def idx(settings: Any) -> PictureArrays:
    """The data set for `maskwright_vision.params_data.Idx`."""
    piles: dict[str, Pile] = {}
    for split, file in image_files(settings.path).items():
        pixels = with_channels(read_idx(file, (3, 4)), file.name, file.parent)
        labels = None
        if settings.labelled:
            beside = label_file(file)
            labels = checked_labels(read_idx(beside, (1,)), len(pixels), str(beside))
        piles[split] = Pile(pixels, labels, [f"{split}-{number:06d}" for number in range(len(pixels))])
    return picture_arrays("idx", piles, list(settings.classes), [], settings)


def image_files(path: Path) -> dict[str, Path]:
    """Split -> file with pictures, of a folder or of one such file."""
    if not path.exists():
        raise UserError(f"there is no folder or file {path}", where=str(path), cure="check the path")
    if path.is_file():
        return {split_of(path.name): path}
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if "idx3" not in file.name.lower() and "idx4" not in file.name.lower():
            continue
        split = split_of(file.name)
        other = found.get(split)
        # The same file, packed and unpacked: the one that needs no unpacking.
        if other is not None and other.name.removesuffix(".gz") != file.name.removesuffix(".gz"):
            raise UserError(
                f"two files hold pictures of the split {split}: {other.name} and {file.name}",
                where=str(path),
                cure="put each data set into a folder of its own, or give one of the files",
            )
        found.setdefault(split, file)
    if not found:
        raise UserError(
            f"{path} holds no IDX pictures",
            where=str(path),
            why="there is no file with idx3 in its name, such as train-images-idx3-ubyte.gz",
            cure="give the folder of the four files, or one file with pictures",
        )
    return found


def split_of(name: str) -> str:
    """`t10k` is what MNIST calls its ten thousand test pictures."""
    low = name.lower()
    if "t10k" in low or "test" in low:
        return "test"
    return "validation" if "val" in low else "train"


def label_file(images: Path) -> Path:
    """The file with the labels of these pictures: named alike, packed or not."""
    name = images.name
    for old, new in (("images", "labels"), ("idx3", "idx1"), ("idx4", "idx1")):
        name = name.replace(old, new)
    if name == images.name:
        raise UserError(
            f"the name of {name} does not tell where its labels are",
            where=str(images),
            cure="call the files X-images-idx3-ubyte and X-labels-idx1-ubyte; or labelled = false",
        )
    bare = images.with_name(name.removesuffix(".gz"))
    for file in (images.with_name(name), bare, bare.with_name(f"{bare.name}.gz")):
        if file.is_file():
            return file
    raise UserError(
        f"there is no file {name}",
        where=str(images.parent),
        why=f"it should hold the labels of {images.name}",
        cure="put it beside; or labelled = false uses the pictures without classes",
    )


def read_idx(file: Path, axes: tuple[int, ...]) -> np.ndarray:
    """The uint8 array of a file, whose number of axes must be among `axes`."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            start = opened.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _BYTES or start[3] not in axes:
                raise _damaged(file, _wrong_start(start, axes))
            shape = struct.unpack(f">{start[3]}I", opened.read(4 * start[3]))
            wanted = math.prod(shape)
            # One byte more than announced, to see whether there is more.
            content = opened.read(wanted + 1)
    except struct.error as error:
        raise _damaged(file, "it ends within its first lines") from error
    except (MemoryError, OverflowError) as error:
        raise _damaged(
            file, f"it announces {' x '.join(map(str, shape))} bytes, more than fit into memory"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(file, str(error)) from error
    if len(content) != wanted:
        found = f"{len(content)} follow" if len(content) < wanted else "more follow"
        raise _damaged(file, f"it announces {' x '.join(map(str, shape))} = {wanted} bytes, and {found}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _wrong_start(start: bytes, axes: tuple[int, ...]) -> str:
    wanted = " or ".join(f"0 0 {_BYTES} {count}" for count in axes)
    return f"it begins with the bytes {' '.join(map(str, start)) or 'of nothing'}, not with {wanted}"


def _damaged(file: Path, why: str) -> UserError:
    return UserError(f"{file} is no whole IDX file", where=str(file), why=why, cure="fetch it again")
