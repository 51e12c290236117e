"""dataset:npz — arrays `images`, `labels`, or `train_images`, `train_labels`, `test_images` …, as MedMNIST has them."""

import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile

from maskwright.errors import UserError
from maskwright_vision.image_files import LEVELS_16
from maskwright_vision.picture_data import PictureArrays, Pile
from maskwright_vision.splitting import SPLIT_WORDS, arrange

_IMAGES = re.compile(r"(?:(train|val|valid|validation|test)_)?images")


def npz(settings: Any) -> PictureArrays:
    """The data set for `maskwright_vision.params_data.Npz`."""
    path = settings.path
    arrays = read_arrays(path)
    prefixes = [match[1] for name in arrays if (match := _IMAGES.fullmatch(name))]
    if not prefixes:
        raise UserError(
            f'{path} has no array "images"',
            where=str(path),
            why=f"it holds {', '.join(arrays) or 'nothing'}",
            cure="call the arrays images and labels, or train_images, train_labels, test_images, test_labels",
        )
    if len(prefixes) > 1 and None in prefixes:
        raise UserError(
            f'{path} has an array "images" beside {", ".join(f"{word}_images" for word in prefixes if word)}',
            where=str(path),
            cure="keep one of the two forms",
        )
    names = {word: f"{word}_images" if word else "images" for word in prefixes}
    pictures, notices = as_levels({names[word]: arrays[names[word]] for word in prefixes}, path)
    piles = {}
    for word in prefixes:
        pixels = with_channels(pictures[names[word]], names[word], path)
        split = SPLIT_WORDS[word or "train"]
        ids = [f"{word or 'image'}-{number:06d}" for number in range(len(pixels))]
        labels = arrays.get(names[word].replace("images", "labels")) if settings.labelled else None
        if settings.labelled:
            labels = checked_labels(labels, len(pixels), f"{path}, {names[word].replace('images', 'labels')}")
        piles[split] = Pile(pixels, labels, ids)
    classes = [str(word) for word in arrays["classes"].tolist()] if "classes" in arrays else []
    return picture_arrays("npz", piles, classes, notices, settings)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the file. Objects in it are refused: to read them is to run what they say."""
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, NpzFile):
            raise ValueError("it is a single array")
        with stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise UserError(f"there is no file {path}", where=str(path), cure="check the path") from None
    # numpy and zipfile raise many things over a damaged member.
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(
            f"cannot read the arrays of {path}",
            where=str(path),
            why=str(error),
            cure="write it with numpy.savez(path, images=…, labels=…), arrays of numbers only",
        ) from error


def as_levels(arrays: Mapping[str, np.ndarray], path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Pictures as uint8 or uint16, by one rule for all arrays of a file.

    uint8 and uint16 stay. False and true are black and white. Other whole numbers up to 255 are 8 bits, up to 65535 16.
    Fractions are [0, 1] when none is above 1, else [0, 255]; they become 256 levels.
    """
    for name, values in arrays.items():
        _refuse_bad_numbers(values, f"{path}, {name}")
    top = max((float(values.max()) for values in arrays.values() if values.size), default=0.0)
    notices = []
    fractions = any(values.dtype.kind == "f" for values in arrays.values())
    if top > (255 if fractions else LEVELS_16):
        raise UserError(
            f"the images of {path} hold numbers up to {top:g}",
            where=str(path),
            why="fractions are read as [0, 1] or [0, 255], whole numbers as 8 or 16 bits",
            cure="scale them to one of these before they are saved",
        )
    if fractions:
        notices.append(f"images with fractions in [0, {'1' if top <= 1 else '255'}] are read as 256 levels")
    factor = 255 if fractions and top <= 1 else 1

    def levels(values: np.ndarray) -> np.ndarray:
        if values.dtype in (np.uint8, np.uint16):
            return values
        if values.dtype == bool:
            return values.astype(np.uint8) * np.uint8(255)
        if values.dtype.kind == "f":
            return np.rint(values.astype(np.float32) * np.float32(factor)).astype(np.uint8)
        return values.astype(np.uint8 if top <= 255 else np.uint16)

    return {name: levels(values) for name, values in arrays.items()}, notices


def _refuse_bad_numbers(values: np.ndarray, where: str) -> None:
    if values.dtype.kind not in "buif":
        raise UserError(
            f"these images are no numbers but {values.dtype}",
            where=where,
            cure="save uint8 pictures (N, H, W, C)",
        )
    bad, what = ~np.isfinite(values), "NaN or infinity"
    if not bad.any():
        bad, what = values < 0, "a number below 0"
    if bad.any():
        index = int(np.argwhere(bad)[0][0])
        raise UserError(
            f"picture {index} holds {what}",
            where=where,
            why=f"{int(bad.any(axis=tuple(range(1, values.ndim))).sum())} of {len(values)} pictures do",
            cure="repair or remove these pictures before they are saved",
        )


def with_channels(pixels: np.ndarray, name: str, path: Path) -> np.ndarray:
    """(N, H, W) or (N, H, W, C) -> (N, H, W, C)."""
    made = pixels[..., None] if pixels.ndim == 3 else pixels
    if made.ndim != 4 or made.shape[3] not in (1, 3, 4) or not made.size:
        raise UserError(
            f"{name} has the shape {pixels.shape}",
            where=str(path),
            why="pictures are (N, H, W) or (N, H, W, channels) with 1, 3 or 4 channels, and there is at least one",
            cure="numpy.moveaxis(images, 1, 3) puts channels last",
        )
    return made


def checked_labels(labels: np.ndarray | None, count: int, where: str) -> np.ndarray:
    """int64 (N,) from 0 on; UserError for all else."""
    no_labels = "labelled = false uses the pictures without classes"
    if labels is None:
        raise UserError("there are no labels", where=where, cure=f"add them; or {no_labels}")
    flat = labels.reshape(-1) if labels.shape in ((count,), (count, 1)) else labels
    if flat.ndim != 1 or len(flat) != count:
        raise UserError(
            f"the labels have the shape {labels.shape} for {count} pictures",
            where=where,
            cure=f"one whole number for each picture; or {no_labels}",
        )
    if flat.dtype.kind not in "ui" or (flat < 0).any():
        what = "a number below 0" if flat.dtype.kind in "ui" else f"{flat.dtype}, no whole numbers"
        raise UserError(
            f"the labels hold {what}", where=where, cure=f"number the classes from 0 on; or {no_labels}"
        )
    return flat.astype(np.int64)


def picture_arrays(
    kind: str, piles: Mapping[str, Pile], classes: list[str], notices: list[str], settings: Any
) -> PictureArrays:
    """Arrange splits, name classes, check what can be checked before anything is trained."""
    where = str(settings.path)
    if len({pile.pixels.shape[3] for pile in piles.values()}) > 1:
        raise UserError(
            "the splits have other numbers of channels",
            where=where,
            why=", ".join(f"{split} {pile.pixels.shape[3]}" for split, pile in piles.items()),
            cure="save all of them alike",
        )
    place = {name: (split, row) for split, pile in piles.items() for row, name in enumerate(pile.ids)}
    names, how = arrange({split: pile.ids for split, pile in piles.items()}, settings.test_share)
    splits = {}
    for split, ids in names.items():
        pile, rows = piles[place[ids[0]][0]], [place[name][1] for name in ids]
        whole = len(rows) == len(pile.ids)
        labels = pile.labels if pile.labels is None or whole else pile.labels[rows]
        splits[split] = Pile(pile.pixels if whole else pile.pixels[rows], labels, ids)
    facts: dict[str, Any] = {"notices": [*notices, *how]}
    if settings.labelled:
        facts["classes"] = _class_names(splits, classes, where)
    return PictureArrays(kind, splits, facts, settings.channels)


def _class_names(splits: Mapping[str, Pile], classes: list[str], where: str) -> list[str]:
    used = np.unique(np.concatenate([pile.labels for pile in splits.values() if pile.labels is not None]))
    if len(used) == 1:
        raise UserError(
            f"all pictures have the label {used[0]}",
            where=where,
            why="with one class there is nothing to tell apart",
            cure="labelled = false uses the pictures without classes",
        )
    if classes and len(classes) <= used[-1]:
        raise UserError(
            f"there are {len(classes)} names of classes, and a label {used[-1]}",
            where=where,
            why="labels count from 0",
            cure="one name for each class, in the order of the labels",
        )
    return classes or [str(number) for number in range(used[-1] + 1)]
