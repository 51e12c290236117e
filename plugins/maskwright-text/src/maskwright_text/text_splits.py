"""Which texts are for training and which for judging. Evaluators read the split `test`."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import numpy as np

from maskwright.errors import UserError

SPLIT_WORDS = {
    "train": "train", "training": "train", "trainset": "train",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
    "devset": "validation", "test": "test", "testset": "test",
}  # fmt: skip
"""Words in names of files and folders -> split."""


def split_of_name(name: str) -> str | None:
    """The split that a file's name speaks of, or else the nearest folder above it: en-ud-dev.conllu, test/pos/1.txt."""
    for part in reversed(PurePosixPath(name).parts):
        found = {SPLIT_WORDS[word] for word in re.findall(r"[a-z]+", part.lower()) if word in SPLIT_WORDS}
        if len(found) > 1:
            raise UserError(
                f"{name} may be {' or '.join(sorted(found))}",
                where=name,
                why="its name holds the words of several splits",
                cure='say which it is: splits = { train = "*part-of-its-name*", test = "…" }',
            )
        if found:
            return found.pop()
    return None


def arrange(
    given: Mapping[str, np.ndarray], draws: Callable[[], np.ndarray], test_share: float, valid_share: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Row numbers by split, int64 each, with a split `test` wherever there can be one; and sentences on how.

    Where there is no test, the validation split is it. What is missing then is cut from train by `draws`, a number in
    [0, 1) for each of its rows, which is a hash of the row's id: a text stays where it is when others come or go.
    """
    splits, notices = dict(given), []
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        notices.append("there is no test split: the texts for validation are the split test")
    wanted = {"test": test_share, "validation": valid_share}
    shares = {split: share for split, share in wanted.items() if split not in splits and share}
    if "train" in splits and shares:
        rows, drawn, low = splits["train"], draws(), 0.0
        for split, share in shares.items():
            part = rows[(drawn >= low) & (drawn < low + share)]
            low += share
            if len(part):
                splits[split] = part
        splits["train"] = rows[drawn >= low]
        if not len(splits["train"]):
            raise UserError(
                f"test_share = {test_share:g} and valid_share = {valid_share:g} leave no text to train on",
                where="test_share",
                why=f"there are {len(rows)} texts",
                cure="smaller shares, or more texts",
            )
    if "test" not in splits:
        notices.append("there is no test split, so nothing can be judged: evaluators read the split test")
    if "train" not in splits:
        notices.append("there is no train split, so nothing can be trained")
    order = [split for split in ("train", "validation", "test") if split in splits]
    return {split: splits[split] for split in [*order, *sorted(splits.keys() - set(order))]}, notices


def hash_share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64
