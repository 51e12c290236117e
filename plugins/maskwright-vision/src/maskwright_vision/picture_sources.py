"""Where picture files come from: a folder or a zip archive. Names are relative, with `/`, and sorted.

Archives are read member by member and never unpacked, so that no name in them can reach a file outside.
"""

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from maskwright.errors import UserError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm",
)  # fmt: skip
"""What counts as a picture file; all else beside them is passed over."""

MOST_BYTES = 2**29
"""Of one file. A small archive can claim to hold a member of any size."""


class Source(Protocol):
    """Picture files under relative names."""

    root: Path
    names: list[str]
    refused: dict[str, str]
    """Name -> why it is not even tried."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Two numbers that change when the file does, without reading it."""

    def read(self, name: str) -> bytes:
        """The content, or `unreadable`."""


def unreadable(name: str, why: str) -> UserError:
    """The error of one picture. Readers of many pictures count these and go on."""
    return UserError(
        f"cannot read the picture {name}",
        where=name,
        why=why,
        cure="save it again with another program, or remove it",
    )


def open_source(path: Path) -> Source:
    """The pictures of a folder or a zip archive; UserError where there are none."""
    if not path.exists():
        raise UserError(f"there is no folder or file {path}", where=str(path), cure="check the path")
    source: Source
    if path.is_dir():
        source = Folder(path)
    elif path.suffix.lower() == ".zip":
        source = Archive(path)
    else:
        raise UserError(
            f"{path} is neither a folder nor a zip archive",
            where=str(path),
            cure="give the folder of the pictures",
        )
    if not source.names and not source.refused:
        raise UserError(
            f"{path} holds no pictures",
            where=str(path),
            why=f"there is no file that ends in {', '.join(SUFFIXES)}, here or in a folder below",
            cure="check the path; turn pictures of another kind into PNG",
        )
    return source


class Folder:
    """Files below a folder: all pictures, or given names."""

    def __init__(self, root: Path, names: Sequence[str] | None = None) -> None:
        self.root, self.refused = root, {}
        found = _names_below(root) if names is None else names
        self.names = [name for name in found if not self._is_refused(name)]

    def _is_refused(self, name: str) -> bool:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="backslashreplace").decode()
            self.refused[shown] = "its name is no UTF-8"
            return True
        return False

    def stamp(self, name: str) -> tuple[int, int]:
        try:
            found = os.stat(self.root / name)
        except OSError:
            return (-1, -1)
        return (found.st_size, found.st_mtime_ns)

    def read(self, name: str) -> bytes:
        path = self.root / name
        try:
            if path.stat().st_size > MOST_BYTES:
                raise unreadable(name, _too_many_bytes())
            return path.read_bytes()
        except OSError as error:
            raise unreadable(name, error.strerror or str(error)) from error


def _names_below(root: Path) -> list[str]:
    def fail(error: OSError) -> None:
        raise UserError(
            f"cannot list the folder {error.filename}",
            where=str(root),
            why=error.strerror or "",
            cure="change its permissions, or give another folder",
        ) from error

    found = []
    for place, folders, files in os.walk(root, followlinks=True, onerror=fail):
        here = os.path.realpath(place)
        # A link to a folder above would be walked for ever.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not f"{here}{os.sep}".startswith(os.path.realpath(os.path.join(place, name)) + os.sep)
        ]
        below = os.path.relpath(place, root)
        found += [PurePosixPath(below, name).as_posix() for name in files if is_picture(name)]
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether a file of this name counts as a picture; hidden files never do."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and base.lower().endswith(SUFFIXES)


class Archive:
    """Members of a zip file. One folder around everything is left out of the names, unless it is called train."""

    def __init__(self, path: Path) -> None:
        self.root, self.refused = path, {}
        self._open()
        members = [info for info in self._zip.infolist() if not info.is_dir() and is_picture(info.filename)]
        members = [info for info in members if not _is_hidden(info.filename)]
        around = _one_folder([info.filename for info in members])
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in members:
            name = info.filename[len(around) :]
            if ".." in name.split("/") or name.startswith("/"):
                self.refused[name] = "its name leads out of the archive"
            else:
                self._members[name] = info
        self.names = sorted(self._members)

    def _open(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.root)
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise UserError(
                f"cannot read the archive {self.root}",
                where=str(self.root),
                why=str(error),
                cure="fetch or pack it again",
            ) from error
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_zip"} | {"_process": 0}

    def stamp(self, name: str) -> tuple[int, int]:
        info = self._members[name]
        return (info.file_size, info.CRC)

    def read(self, name: str) -> bytes:
        # Loader processes would share the position in the file with the process they come from.
        if self._process != os.getpid():
            self._open()
        info = self._members[name]
        if info.file_size > MOST_BYTES:
            raise unreadable(name, _too_many_bytes())
        try:
            return self._zip.read(info)
        # RuntimeError: a password is wanted; NotImplementedError: an unknown compression.
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise unreadable(name, str(error)) from error


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in name.split("/"))


def _one_folder(names: Sequence[str]) -> str:
    """`folder/` when all names lie in it."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    if len(tops) != 1 or not all("/" in name for name in names):
        return ""
    (top,) = tops
    return "" if top.lower() == "train" or top == ".." else f"{top}/"


def _too_many_bytes() -> str:
    return f"it has more than {MOST_BYTES // 2**20} MiB"
