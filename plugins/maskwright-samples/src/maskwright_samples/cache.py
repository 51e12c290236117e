"""Keep what is slow to build (corpora, drawn glyphs) in the user's cache folder.

A cached file is the sha256 of its content followed by the content, so that a damaged file is noticed and built
again. Content is bytes (gzip JSON lines, npz without pickle): reading it back never runs code.
"""

import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_DIGEST = hashlib.sha256().digest_size  # bytes


def cache_folder() -> Path:
    """The folder of MASKWRIGHT_CACHE, else the platform's cache folder for this user."""
    named = os.environ.get("MASKWRIGHT_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "maskwright"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskwright"


def cache_path(name: str, key: Mapping[str, Any]) -> Path:
    """Where `remember` keeps the content called `name` for `key` (JSON values: versions, recipe number, settings)."""
    fingerprint = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return cache_folder() / "samples" / f"{name}-{fingerprint}.bin"


def remember(name: str, key: Mapping[str, Any], make: Callable[[], bytes]) -> bytes:
    """The bytes of `make()`, from the cache when they were made before under the same name and key.

    `key` must hold everything the content depends on. A folder that cannot be written costs time, not the result:
    it is warned about once per process.
    """
    path = cache_path(name, key)
    try:
        stored = path.read_bytes()
    except OSError:
        stored = b""
    content = stored[_DIGEST:]
    if stored and hashlib.sha256(content).digest() == stored[:_DIGEST]:
        return content
    content = make()
    try:
        write_whole(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        warnings.warn(
            f"cannot keep {name} in the cache folder {path.parent} ({error.strerror}): it is built again in every "
            "process. Set MASKWRIGHT_CACHE to a folder you may write to.",
            stacklevel=2,
        )
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` so that a reader, or a kill, sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
