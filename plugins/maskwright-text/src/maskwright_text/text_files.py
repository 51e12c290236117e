"""Files of text: which ones a path means, where their lines lie, and pieces of them on demand.

A corpus of millions of lines is kept as two numbers a line; its text stays on the disk until it is asked for.
"""

import functools
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright_text.text_splits import split_of_name

_BLOCK = 1 << 20  # bytes read at a time
_BOM = b"\xef\xbb\xbf"
_MOST_OPEN = 64  # a corpus may have more files than a process may have open
_LISTED = 5

_SPACES = "".join(letter for letter in map(chr, range(0x3001)) if letter.isspace())
_LETTER = np.arange(256) > 32  # 32: space and control characters
_LETTER[list(_SPACES.encode())] = False
"""bool (256,): bytes that stand in no white space, also of several bytes, such as those of Chinese texts."""


class TextFile:
    """A file, or a member of a .zip, which is unpacked into memory when it is first read."""

    def __init__(self, place: Path, name: str, member: str = "") -> None:
        self.place, self.name, self.member = place, name, member
        self.shown = f"{place}/{member}" if member else str(place)
        """How messages name it."""
        self._stamp: tuple[int, int] | None = None
        self._content: bytes | None = None

    def open(self) -> BinaryIO:
        """From the beginning, for one pass."""
        if self.member:
            return io.BytesIO(self._unpacked())
        try:
            handle = self.place.open("rb")
        except OSError as error:
            raise _unreadable(self.place, error) from error
        self._stamp = self._stamp or _stamp(os.fstat(handle.fileno()))
        return handle

    def piece(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end` of a file that has been opened before."""
        if self.member:
            return self._unpacked()[start:end]
        # pread, because processes that were forked share the place that read would move.
        data = os.pread(_opened(self.place, self._stamp).number, end - start, start)
        if len(data) != end - start:
            raise _changed(self.place)
        return data

    def _unpacked(self) -> bytes:
        if self._content is None:
            try:
                with zipfile.ZipFile(self.place) as archive:
                    self._content = archive.read(self.member)
            except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
                raise UserError(
                    f"cannot unpack {self.member}",
                    where=str(self.place),
                    why=str(error),
                    cure="fetch the archive again, or unpack it yourself and give the folder",
                ) from error
        return self._content


class _Descriptor:
    """An open file, closed when nobody reads from it any more."""

    def __init__(self, place: Path) -> None:
        self.number = os.open(place, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@functools.lru_cache(maxsize=_MOST_OPEN)
def _opened(place: Path, stamp: tuple[int, int] | None) -> _Descriptor:
    try:
        found = _Descriptor(place)
    except OSError as error:
        raise _unreadable(place, error) from error
    if _stamp(os.fstat(found.number)) != stamp:
        raise _changed(place)
    return found


def _stamp(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns


def _unreadable(place: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot read {place}",
        where=str(place),
        why=error.strerror or str(error),
        cure="check the path and who may read it",
    )


def _changed(place: Path) -> UserError:
    return UserError(
        f"{place} has changed while it was in use",
        where=str(place),
        why="its size or time of change is another one than when it was first read",
        cure="start again, and leave the file alone",
    )


def find_files(
    path: Path, suffixes: Sequence[str], patterns: Mapping[str, str]
) -> list[tuple[TextFile, str | None]]:
    """Files with the split of each; None where none has one, and they are one heap.

    A file stands for itself. In a folder or .zip these are the files with one of `suffixes`, sorted, and their names
    tell the splits; or, with `patterns` (split -> glob), those that match.
    """
    files = _files_at(path)
    alone = path.is_file() and len(files) == 1 and not files[0].member
    if patterns:
        return _by_pattern(path, files, patterns)
    if alone:
        return [(files[0], None)]
    chosen = [file for file in files if file.name.lower().endswith(tuple(suffixes))]
    if not chosen:
        raise UserError(
            f"{path} holds no file that ends in {' or '.join(suffixes)}",
            where=str(path),
            why=f"it holds {_listed([file.name for file in files]) or 'nothing'}",
            cure='give the file itself, or name the files: splits = { train = "*.ending" }',
        )
    splits = {file.name: split_of_name(file.name) for file in chosen}
    if not any(splits.values()):
        return [(file, None) for file in chosen]
    return [(file, splits[file.name]) for file in chosen if splits[file.name]]


def notice_left_out(
    path: Path, suffixes: Sequence[str], patterns: Mapping[str, str], used: Sequence[TextFile]
) -> list[str]:
    """A sentence on the files that were found and belong to no split, while others do."""
    names = {file.name for file in used}
    found = [file.name for file in _files_at(path) if file.name.lower().endswith(tuple(suffixes))]
    left = [name for name in found if name not in names]
    if patterns or not left:
        return []
    return [
        f"{len(left)} files are left out, for their names tell no split: {_listed(left)}; splits = {{ … }} names them"
    ]


def _files_at(path: Path) -> list[TextFile]:
    if not path.exists():
        raise UserError(
            f"there is no file or folder {path}", where=str(path), cure="check the path, it is read from here"
        )
    if path.is_dir():
        found = [place for place in sorted(path.rglob("*")) if place.is_file()]
        names = [place.relative_to(path).as_posix() for place in found]
        return [
            TextFile(place, name) for place, name in zip(found, names, strict=True) if not _is_hidden(name)
        ]
    if path.suffix.lower() != ".zip":
        return [TextFile(path, path.name)]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(entry.filename for entry in archive.infolist() if not entry.is_dir())
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is no .zip that can be read", where=str(path), why=str(error), cure="fetch it again"
        ) from error
    return [TextFile(path, name, name) for name in names if not _is_hidden(name)]


def _is_hidden(name: str) -> bool:
    """What systems leave behind: .DS_Store, .git, and the folder that macOS puts into archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _by_pattern(
    path: Path, files: Sequence[TextFile], patterns: Mapping[str, str]
) -> list[tuple[TextFile, str | None]]:
    found: dict[str, tuple[TextFile, str | None]] = {}
    for split, pattern in patterns.items():
        matching = [
            file
            for file in files
            if fnmatchcase(file.name, pattern) or fnmatchcase(file.name.split("/")[-1], pattern)
        ]
        if not matching:
            raise UserError(
                f'no file matches splits.{split} = "{pattern}"',
                where=str(path),
                why=f"there are {_listed([file.name for file in files]) or 'no files'}",
                cure="the name of a file as it stands there; * stands for anything",
            )
        for file in matching:
            if file.name in found:
                raise UserError(
                    f"{file.name} is in two splits, {found[file.name][1]} and {split}",
                    where=str(path),
                    why="both patterns match its name",
                    cure="a text that is trained on must not be judged on: make the patterns differ",
                )
            found[file.name] = (file, split)
    return list(found.values())


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


@attrs.frozen(eq=False)
class Lines:
    """Where the lines of a file lie; line n of an editor is entry n - 1."""

    starts: np.ndarray
    """int64 (lines,): byte offsets."""
    ends: np.ndarray
    """int64 (lines,): offsets of the line breaks; a carriage return lies before them."""
    filled: np.ndarray
    """bool (lines,): whether there is more than white space."""
    digest: str
    """sha256 of the whole file."""

    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """First line, and line after the last, of each run of filled lines: int64 (blocks,) each."""
        edges = np.diff(np.concatenate([[False], self.filled, [False]]).astype(np.int8))
        return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def scan_lines(file: TextFile) -> Lines:
    """One pass: line breaks, blank lines, whether all of it is UTF-8 text, and the checksum."""
    digest, starts, ends, filled = hashlib.sha256(), [], [], []
    count, place, rest = 0, 0, b""
    with file.open() as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
            whole, line_break, begun = block.rpartition(b"\n")
            if not line_break:
                rest += block
                continue
            part = _scan_block(file, rest + whole + line_break, place, count)
            for kept, new in zip((starts, ends, filled), part, strict=True):
                kept.append(new)
            count, place, rest = count + len(part[0]), place + len(rest) + len(whole) + 1, begun
    if rest:
        part = _scan_block(file, rest + b"\n", place, count)
        for kept, new in zip((starts, ends, filled), part, strict=True):
            kept.append(new)
    if not any(part.any() for part in filled):
        raise UserError(
            f"{file.shown} is empty",
            where=file.shown,
            why="there is no text in it"
            if not place + len(rest)
            else "there is nothing but white space in it",
            cure="give a file with text, or remove it from the folder",
        )
    return Lines(np.concatenate(starts), np.concatenate(ends), np.concatenate(filled), digest.hexdigest())


def _scan_block(file: TextFile, block: bytes, place: int, count: int) -> tuple[np.ndarray, ...]:
    """(starts, ends, filled) of whole lines that begin at byte `place`, after `count` others."""
    _refuse_what_is_no_text(file, block, count)
    first = len(_BOM) if place == 0 and block.startswith(_BOM) else 0
    values = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(values == 10)
    starts = np.concatenate([[first], ends[:-1] + 1])
    letters = np.concatenate([[0], np.cumsum(_LETTER[values], dtype=np.int64)])
    filled = letters[ends] > letters[starts]
    for line in np.flatnonzero(~filled & (ends > starts)):  # few are left to be read
        filled[line] = bool(block[starts[line] : ends[line]].decode("utf-8").strip())
    return starts + place, ends + place, filled


def _refuse_what_is_no_text(file: TextFile, block: bytes, count: int) -> None:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = count + block.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{file.shown} is no text in UTF-8",
            where=f"{file.shown}, line {line}",
            why=f"byte 0x{block[error.start]:02x} cannot stand there ({error.reason})",
            cure="save the file as UTF-8, e.g.  iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
        ) from None
    if (zero := block.find(b"\0")) >= 0:
        raise UserError(
            f"{file.shown} is no plain text",
            where=f"{file.shown}, line {count + block.count(bytes([10]), 0, zero) + 1}",
            why="there is a zero byte, as in binary files and in UTF-16",
            cure="give a text file in UTF-8",
        )
