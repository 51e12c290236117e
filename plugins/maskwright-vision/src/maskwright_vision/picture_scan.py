"""One look at every picture file: can it be read, what is in it. What was seen is kept: the next start is quick.

A file is decoded once in its life: as long as its size and time of change (in an archive: size and checksum) stay the
same, what was seen then is believed.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import PIL

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright_vision.image_files import decode
from maskwright_vision.picture_cache import cache_folder
from maskwright_vision.picture_sources import Source

FEWEST_KEPT = 64
"""Smaller folders are read again faster than anybody would notice; their scans would only fill the cache folder."""

PIECE = 1000
"""Files that are looked at before their results are taken in: a scan that is stopped loses these at most."""

VERSION = 1
"""Goes up when the fields of `Seen` or their meaning change."""

LISTED = 5
"""Files that a sentence names before it says how many more there are."""

_SIDE = 32  # pixels: the scan wants to know whether a JPEG decodes, not what is in it


@attrs.frozen
class Seen:
    """What one look at a file found."""

    stamp: tuple[int, int]
    digest: str = ""
    """sha256 of the content."""
    channels: int = 0
    bits: int = 8
    notice: str = ""
    problem: str = ""
    """Why it cannot be read; empty for good pictures."""


def scan(source: Source) -> dict[str, Seen]:
    """Name -> what was seen, for all names of the source in their order."""
    # What could not even be read is tried again: permissions change without a change of the file.
    kept = {name: one for name, one in _load(source).items() if one.digest}
    seen = {
        name: kept[name] for name in source.names if name in kept and kept[name].stamp == source.stamp(name)
    }
    new = [name for name in source.names if name not in seen]
    try:
        # Pillow decodes outside of Python's lock.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(new), PIECE):
                piece = new[start : start + PIECE]
                seen.update(zip(piece, pool.map(lambda name: look(source, name), piece), strict=True))
    finally:
        if new and len(seen) >= FEWEST_KEPT:
            # Another list of pictures in the same folder may know files that this one does not.
            _keep(source, kept | seen)
    return {name: seen[name] for name in source.names}


def look(source: Source, name: str) -> Seen:
    """Read and decode one file."""
    stamp, digest = source.stamp(name), ""
    try:
        content = source.read(name)
        digest = hashlib.sha256(content).hexdigest()
        picture = decode(content, name, at_least=_SIDE)
    except UserError as error:
        return Seen(stamp, digest, problem=error.why)
    bits = 8 * picture.pixels.dtype.itemsize
    return Seen(stamp, digest, picture.pixels.shape[2], bits, picture.notice)


def _place(source: Source) -> Path:
    # Another Pillow may read what this one cannot.
    key = hashlib.sha256(
        f"{VERSION}\0{PIL.__version__}\0{os.path.realpath(source.root)}".encode()
    ).hexdigest()[:16]
    return cache_folder() / f"scan-{key}.json"


def _load(source: Source) -> dict[str, Seen]:
    """What was kept; nothing where that is missing, damaged, or of another kind."""
    try:
        rows = json.loads(_place(source).read_text(encoding="utf-8"))
        return {name: Seen(tuple(row[0]), *row[1:]) for name, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, IndexError):
        return {}


def _keep(source: Source, seen: dict[str, Seen]) -> None:
    rows: dict[str, Any] = {name: list(attrs.astuple(one, recurse=False)) for name, one in seen.items()}
    try:
        write_atomic(_place(source), json.dumps(rows, separators=(",", ":")).encode())
    except UserError as error:
        warnings.warn(
            f"cannot keep the scan of {source.root} ({error.why}): every start will read all files again. Set "
            "MASKWRIGHT_CACHE to a folder you may write to.",
            stacklevel=2,
        )


def readable(
    source: Source, seen: dict[str, Seen], most_broken: float
) -> tuple[list[str], dict[str, str], list[str]]:
    """(good names, bad name -> why, notices); UserError when more than `most_broken` of all files are bad."""
    bad = source.refused | {name: one.problem for name, one in seen.items() if one.problem}
    good = [name for name in source.names if name not in bad]
    total = len(good) + len(bad)
    shown = listed([f"{name} ({why})" for name, why in bad.items()])
    if not good:
        raise UserError(
            f"no picture of {source.root} can be read",
            where=str(source.root),
            why=f"{total} tried: {shown}",
            cure="fetch the files again, or save them with another program",
        )
    if len(bad) > most_broken * total:
        raise UserError(
            f"{len(bad)} of {total} pictures cannot be read, {len(bad) / total:.1%}",
            where=str(source.root),
            why=shown,
            cure=f"repair or remove them, or allow more than most_broken = {most_broken:g}",
        )
    notices = [f"{len(bad)} of {total} pictures cannot be read and are left out: {shown}"] if bad else []
    for text in sorted({seen[name].notice for name in good} - {""}):
        names = [name for name in good if seen[name].notice == text]
        notices.append(f"{text}: {listed(names)}")
    if len({seen[name].bits for name in good}) > 1:
        deep = [name for name in good if seen[name].bits == 16]
        notices.append(f"{len(deep)} of {len(good)} pictures have 16 bits, the others 8: {listed(deep)}")
    return good, bad, notices


def refuse_mixed_channels(source: Source, seen: dict[str, Seen], names: Sequence[str]) -> None:
    """A batch needs one number of channels, and the first bad one might come hours later."""
    examples: dict[int, str] = {}
    for name in names:
        examples.setdefault(seen[name].channels, name)
    if len(examples) > 1:
        raise UserError(
            f"the pictures have {' and '.join(map(str, sorted(examples)))} channels",
            where=str(source.root),
            why=", ".join(f"{count} in {name}" for count, name in sorted(examples.items())),
            cure="channels = 3 makes all of them colour, 1 grey, 4 colour with transparency",
        )


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
