"""Checkpoints: folders that are complete by definition, because they are moved into place last."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from maskwright.folder import TMP, write_folder

MANIFEST = "MANIFEST.json"
METRICS_SIZE = "metrics-size.txt"
"""Bytes of metrics.jsonl when the checkpoint was made: resuming cuts what was logged after it."""

KEEP = "keep.json"
"""How many checkpoints the recipe keeps, and which it spares."""

Content = bytes | Callable[[Path], None]
"""The bytes of a file, or a function that writes it to the path it is given."""


@attrs.frozen
class Checkpoint:
    """A complete checkpoint after `number` finished steps."""

    number: int
    path: Path

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


def folder_name(number: int) -> str:
    return f"{number:08d}"


def save_checkpoint(folder: Path, number: int, files: Mapping[str, Content]) -> Checkpoint:
    """Write `files` and a manifest of their sizes and hashes; all or nothing."""

    def fill(target: Path) -> None:
        for name, content in files.items():
            if isinstance(content, bytes):
                (target / name).write_bytes(content)
            else:
                content(target / name)
        manifest = {
            file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)}
            for file in sorted(target.iterdir())
        }
        (target / MANIFEST).write_text(
            json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )

    path = folder / folder_name(number)
    write_folder(path, fill)
    return Checkpoint(number, path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_sound(path: Path) -> bool:
    """Whether every file is there with the size and hash that the manifest states, and no other."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if set(manifest) != {file.name for file in path.iterdir()} - {MANIFEST}:
            return False
        return all(
            (path / name).stat().st_size == entry["bytes"] and _sha256(path / name) == entry["sha256"]
            for name, entry in manifest.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def all_checkpoints(folder: Path) -> list[Checkpoint]:
    """Complete checkpoints, oldest first, whether sound or not."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(r"\d{8,}", path.name)]
    return [Checkpoint(int(path.name), path) for path in sorted(found, key=lambda path: int(path.name))]


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose files agree with its manifest."""
    for found in reversed(all_checkpoints(folder)):
        if is_sound(found.path):
            return found
    return None


def prune_checkpoints(folder: Path, keep: int, spare: frozenset[int] = frozenset()) -> None:
    """Remove all but the newest `keep` and those in `spare`. A passing one goes as soon as a newer one is there."""
    found = all_checkpoints(folder)
    regular = [c.number for c in found if not _is_passing(c)]
    kept = {*(regular[-keep:] if keep > 0 else regular), *spare, *(c.number for c in found[-1:])}
    for checkpoint in found:
        if checkpoint.number not in kept:
            _remove(checkpoint.path)


def _is_passing(found: Checkpoint) -> bool:
    try:
        return bool(json.loads(found.read(KEEP)).get("passing", False))
    except (OSError, ValueError, AttributeError):
        return False


def _remove(path: Path) -> None:
    """Move it away first: a numbered folder is complete by definition, also while one is being removed."""
    gone = path.parent / f"{TMP}{os.getpid()}-gone-{path.name}"
    os.replace(path, gone)
    shutil.rmtree(gone, ignore_errors=True)


def keep_file(keep: int, spare: frozenset[int], passing: bool = False) -> bytes:
    """What a checkpoint says about its elders, so that pruning can be finished after a kill, and about itself."""
    asked = {"keep": keep, "spare": sorted(spare)} | ({"passing": True} if passing else {})
    return json.dumps(asked).encode()


def finish_pruning(folder: Path, latest: Checkpoint) -> None:
    """Prune as the newest checkpoint asked for; does nothing unless a process was killed before it had done so."""
    asked = json.loads(latest.read(KEEP))
    prune_checkpoints(folder, asked["keep"], frozenset(asked["spare"]))


def drop_after(folder: Path, number: int) -> None:
    """Remove checkpoints beyond `number`: they are damaged, or they would not be reached again in this shape."""
    for found in all_checkpoints(folder):
        if found.number > number:
            _remove(found.path)
