"""Data sets whose items hold numpy arrays: pictures and tables."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from maskwright.step import Step
from maskwright_samples.items import Items
from maskwright_samples.sampling_pictures import contact_sheet


class ArrayItems(Items):
    """Items with arrays among their fields; each caller gets arrays of its own."""

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return _own(super().item(split, index, step))

    def find(self, split: str, id: str) -> Mapping[str, Any]:
        return _own(super().find(split, id))

    def fingerprint(self) -> str:
        """sha256 over the splits in order: ids, fields, types, shapes and values."""
        digest = hashlib.sha256()
        for split in self.splits():
            for item in self._items(split):
                arrays = {name: value for name, value in item.items() if isinstance(value, np.ndarray)}
                plain = {name: value for name, value in item.items() if name not in arrays}
                shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
                digest.update(json.dumps([split, plain, shapes], sort_keys=True).encode())
                for name in sorted(arrays):
                    digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        return digest.hexdigest()


class Pictures(ArrayItems):
    """Items with `pixels`: uint8 (H, W, C), C being 1 or 3."""

    def picture(self, items: Iterable[Mapping[str, Any]]) -> bytes:
        """A PNG that shows the items side by side with their names."""
        return contact_sheet(list(items), classes=self._facts.get("classes"))


def _own(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in item.items()}
