"""What is slow to make again is kept in the user's cache folder: scans of folders, and decoded pictures.

Everything in it may be deleted at any time. Nothing in it is ever run: JSON, npz without objects, plain numbers.
"""

import os
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.folder import write_folder

_PIXELS, _TABLE = "pixels.bin", "table.npz"


def cache_folder() -> Path:
    """This plugin's corner of MASKWRIGHT_CACHE, else of the platform's cache folder for this user."""
    named = os.environ.get("MASKWRIGHT_CACHE")
    if named:
        return Path(named).expanduser() / "vision"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "maskwright" / "vision"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskwright" / "vision"


class PixelStore:
    """Decoded pictures of any shapes, one after the other in one file that is mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with np.load(folder / _TABLE, allow_pickle=False) as table:
            self._shapes, self._deep = table["shapes"], table["deep"]  # int64 (n, 3), bool (n,): 16 bits
        sizes = self._shapes.prod(axis=1) * (1 + self._deep)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        if (folder / _PIXELS).stat().st_size != self._starts[-1]:
            raise ValueError(f"{folder / _PIXELS} has another size than its table says")
        self._map: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """The caller's own copy of picture `index`, uint8 or uint16 (H, W, C)."""
        if self._map is None:
            self._map = np.memmap(self.folder / _PIXELS, dtype=np.uint8, mode="r")
        raw = np.array(self._map[self._starts[index] : self._starts[index + 1]])
        return raw.view("<u2" if self._deep[index] else np.uint8).reshape(self._shapes[index])

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_map": None}  # loader processes map the file themselves


def kept_pixels(key: str, count: int, pictures: Iterable[np.ndarray]) -> PixelStore:
    """The store called `key`; made from `pictures` where there is none of `count` pictures, or a damaged one."""
    folder = cache_folder() / f"pixels-{key[:16]}"
    try:
        store = PixelStore(folder)
        if len(store) == count:
            return store
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    write_folder(folder, lambda place: _fill(place, pictures))
    return PixelStore(folder)


def _fill(folder: Path, pictures: Iterable[np.ndarray]) -> None:
    shapes, deep = [], []
    with (folder / _PIXELS).open("wb") as file:
        for pixels in pictures:
            shapes.append(pixels.shape)
            deep.append(pixels.dtype != np.uint8)
            file.write(np.ascontiguousarray(pixels, dtype="<u2" if deep[-1] else np.uint8).tobytes())
    np.savez(folder / _TABLE, shapes=np.array(shapes, dtype=np.int64), deep=np.array(deep, dtype=bool))
