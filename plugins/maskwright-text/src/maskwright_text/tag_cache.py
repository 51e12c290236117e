"""Tags are slow to make, so they are kept in the user's cache folder, some thousand texts a file.

A tagging that is stopped goes on after the last whole file. Everything there may be deleted at any time; nothing in
it is ever run: npz without objects.
"""

import io
import json
import os
import sys
import warnings
import zipfile
from pathlib import Path

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright.folder import write_atomic


def cache_folder() -> Path:
    """This plugin's corner of MASKWRIGHT_CACHE, else of the platform's cache folder for this user."""
    named = os.environ.get("MASKWRIGHT_CACHE")
    if named:
        return Path(named).expanduser() / "text"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "maskwright" / "text"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskwright" / "text"


@attrs.frozen(eq=False)
class Shard:
    """The tags of some texts, one after the other."""

    tags: np.ndarray
    """uint8 (words,): places in UPOS."""
    counts: np.ndarray
    """int64 (texts,): how many words each has."""
    strange: dict[str, int]
    """Tags that the tag set does not have -> how often."""
    misfits: list[str]
    """Texts that got another number of tags than they have words."""


def load_shard(path: Path, texts: int) -> Shard | None:
    """What was kept; None where that is missing, damaged, or not of so many texts."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            told = json.loads(arrays["told"].tobytes())
            shard = Shard(arrays["tags"], arrays["counts"], dict(told["strange"]), list(told["misfits"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    whole = len(shard.counts) == texts and shard.counts.sum() == len(shard.tags)
    return shard if whole else None


def save_shard(path: Path, shard: Shard) -> bool:
    """Whether it could be kept; the first that cannot be is warned about."""
    told = json.dumps({"strange": shard.strange, "misfits": shard.misfits}).encode()
    content = io.BytesIO()
    np.savez_compressed(
        content, tags=shard.tags, counts=shard.counts, told=np.frombuffer(told, dtype=np.uint8)
    )
    try:
        write_atomic(path, content.getvalue())
    except UserError as error:
        warnings.warn(
            f"cannot keep the tags in {path.parent} ({error.why}): every start will tag all texts again. Set "
            "MASKWRIGHT_CACHE to a folder you may write to.",
            stacklevel=2,
        )
        return False
    return True
