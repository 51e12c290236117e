"""Data sets of pictures: items {id, pixels, label?} by split. `pixels` is a uint8 or uint16 array (H, W, C)."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import PIL

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_vision.image_files import Channels, decode, to_channels
from maskwright_vision.picture_cache import PixelStore, kept_pixels
from maskwright_vision.picture_scan import Seen
from maskwright_vision.picture_sources import Source


class PictureData:
    """What all of them have in common. `facts` is what `about` says of every split; the count is added."""

    def __init__(self, name: str, lengths: Mapping[str, int], facts: Mapping[str, Any]) -> None:
        self._name, self._lengths, self._facts = name, dict(lengths), dict(facts)

    def splits(self) -> tuple[str, ...]:
        return tuple(self._lengths)

    def length(self, split: str) -> int:
        if split not in self._lengths:
            raise UserError(
                f'dataset:{self._name} has no split "{split}"',
                where=f"dataset:{self._name}",
                why=f"it has {', '.join(self._lengths)}",
                cure="name one of these, or give data with such a split",
            )
        return self._lengths[split]

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        if not 0 <= index < self.length(split):
            raise IndexError(
                f'dataset:{self._name} has {self.length(split)} items in "{split}", none at {index}'
            )
        return self._item(split, index)

    def about(self, split: str) -> Mapping[str, Any]:
        return {**self._facts, "count": self.length(split)}

    def _item(self, split: str, index: int) -> dict[str, Any]:
        raise NotImplementedError


@attrs.frozen
class Entry:
    """A picture file; `label` is None where the data has none."""

    name: str
    label: int | None = None


class PictureFiles(PictureData):
    """Pictures that are decoded when they are asked for, or once for all with `cache`."""

    def __init__(
        self,
        name: str,
        source: Source,
        splits: Mapping[str, Sequence[Entry]],
        seen: Mapping[str, Seen],
        facts: Mapping[str, Any],
        *,
        channels: Channels,
        at_least: int,
        cache: bool,
    ) -> None:
        super().__init__(name, {split: len(entries) for split, entries in splits.items()}, facts)
        self._source, self._channels, self._at_least = source, channels, at_least
        self._splits = {split: list(entries) for split, entries in splits.items()}
        rows = [[split, e.name, e.label] for split, entries in self._splits.items() for e in entries]
        # By name, so that another split of the same pictures finds them in the cache.
        names = sorted(name for _, name, _ in rows)
        content = [[seen[name].digest for name in names], channels, at_least]
        self._fingerprint = _digest([names, content, rows, facts.get("classes")])
        self._store: PixelStore | None = None
        if cache:
            key = _digest([content, PIL.__version__])
            self._store = kept_pixels(key, len(names), (self._decoded(name) for name in names))
            self._places = {name: place for place, name in enumerate(names)}

    def _item(self, split: str, index: int) -> dict[str, Any]:
        entry = self._splits[split][index]
        pixels = self._decoded(entry.name) if self._store is None else self._store[self._places[entry.name]]
        return {"id": entry.name, "pixels": pixels} | _label(entry.label)

    def _decoded(self, name: str) -> np.ndarray:
        picture = decode(self._source.read(name), name, self._at_least)
        return to_channels(picture.pixels, self._channels)

    def fingerprint(self) -> str:
        """sha256 over the content of the files, their names, splits and labels, and how they are decoded."""
        return self._fingerprint


@attrs.frozen(eq=False)
class Pile:
    """Pictures of one size: `pixels` uint8 or uint16 (N, H, W, C), `labels` whole numbers (N,) or None."""

    pixels: np.ndarray
    labels: np.ndarray | None
    ids: Sequence[str]


class PictureArrays(PictureData):
    """Pictures that are all in memory, as MNIST's and other small sets are."""

    def __init__(
        self, name: str, splits: Mapping[str, Pile], facts: Mapping[str, Any], channels: Channels = "as-is"
    ) -> None:
        super().__init__(name, {split: len(pile.ids) for split, pile in splits.items()}, facts)
        self._splits, self._channels = dict(splits), channels

    def _item(self, split: str, index: int) -> dict[str, Any]:
        pile = self._splits[split]
        # A copy: callers may write into their item.
        pixels = np.array(to_channels(pile.pixels[index], self._channels))
        label = None if pile.labels is None else int(pile.labels[index])
        return {"id": pile.ids[index], "pixels": pixels} | _label(label)

    def fingerprint(self) -> str:
        """sha256 over all pictures, labels and ids, and the channels they are given out with."""
        return self._content

    @functools.cached_property
    def _content(self) -> str:
        digest = hashlib.sha256(json.dumps([self._channels, self._facts.get("classes")]).encode())
        for split, pile in self._splits.items():
            labels = None if pile.labels is None else pile.labels.tolist()
            shape = [pile.pixels.dtype.str, pile.pixels.shape]
            digest.update(json.dumps([split, list(pile.ids), labels, shape]).encode())
            digest.update(np.ascontiguousarray(pile.pixels).data)
        return digest.hexdigest()


def _label(label: int | None) -> dict[str, int]:
    return {} if label is None else {"label": label}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
