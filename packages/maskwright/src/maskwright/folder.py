"""Files of a run folder: whole or absent, never half. Every write of the core goes through here."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from maskwright.errors import UserError

TMP = ".tmp-"
"""Prefix of what is being written; anything that still has it at the next start is rubbish and is removed."""


class DiskFull(UserError):
    """No space left; what was complete before stays complete."""


_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}


@contextlib.contextmanager
def _space(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            raise UserError(
                f"cannot write {path}",
                where=str(path),
                why=error.strerror or str(error),
                cure="choose another place",
            ) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            "no space left on the disk",
            where=str(path),
            why="the file could not be written whole, so nothing of it was kept; what was saved before is intact",
            cure="free some space, then  maskwright resume RUN",
        ) from error


def write_all(descriptor: int, data: bytes) -> None:
    """os.write until everything is out."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one move: readers see the old file or the new one."""
    with _space(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TMP}{os.getpid()}-{path.name}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_folder(path: Path, fill: Callable[[Path], Any]) -> None:
    """Let `fill` write into a temporary folder, then move it to `path` in one go."""
    with _space(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TMP}{os.getpid()}-{path.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            fill(temporary)
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    with open(file, "rb") as handle:
                        os.fsync(handle.fileno())
            sync_folder(temporary)
            if path.exists():
                old = path.parent / f"{TMP}{os.getpid()}-old-{path.name}"
                os.replace(path, old)
                os.replace(temporary, path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


def refuse_folders(folder: Path, files: Iterable[str]) -> None:
    """UserError where a folder lies in the place of one of these files, before anything is written."""
    for name in files:
        if (folder / name).is_dir():
            raise UserError(
                f"{folder / name} is a folder",
                where=str(folder / name),
                why="a file of the run belongs there",
                cure="put it elsewhere",
            )


def read_bytes(path: Path, cure: str) -> bytes:
    """A file of a run folder; UserError with this cure when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read", where=str(path), why=error.strerror or str(error), cure=cure
        ) from None


def read_table(path: Path, cure: str) -> dict[str, Any]:
    """The table in a JSON file of a run folder; UserError with this cure when somebody damaged it."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict):
            raise ValueError("it holds no table")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged", where=str(path), why=str(error), cure=cure) from None
    return table


class Journal:
    """A file that only grows, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _space(path):
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, line: str) -> None:
        with _space(self.path):
            write_all(self.descriptor, line.encode() + b"\n")

    def sync(self) -> None:
        with _space(self.path):
            os.fsync(self.descriptor)

    def close(self) -> None:
        os.close(self.descriptor)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written; child runs have locks of their own and are left alone."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for name in [name for name in folders if name.startswith(TMP)]:
            shutil.rmtree(here / name, ignore_errors=True)
        for name in files:
            if name.startswith(TMP):
                (here / name).unlink(missing_ok=True)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(TMP) and not (here / name / "resolved.json").is_file()
        ]


LOCK = "lock"


class RunBusy(UserError):
    """Another process writes to the run folder."""


_held: set[str] = set()


class RunLock:
    """One process writes to a run folder. A POSIX record lock: it goes with the process, however that ends, and
    is not inherited by worker processes, so that orphaned workers cannot keep it (a `flock` they would)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self.key = str(folder.resolve())
        if self.key in _held:
            raise self._refusal("this process")
        with _space(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Closing any descriptor of the file drops locks of this process only; it holds none.
            holder = os.read(descriptor, 100).decode(errors="replace").strip()
            os.close(descriptor)
            raise self._refusal(holder or "another process") from None
        try:
            with _space(self.path):
                os.ftruncate(descriptor, 0)
                write_all(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor = descriptor
        _held.add(self.key)

    def _refusal(self, holder: str) -> RunBusy:
        return RunBusy(
            f"{self.path.parent} is in use",
            where=str(self.path),
            why=f"{holder} is writing to this run folder",
            cure="wait for it to end, or choose another folder with --out",
        )

    def release(self) -> None:
        _held.discard(self.key)
        os.close(self.descriptor)
