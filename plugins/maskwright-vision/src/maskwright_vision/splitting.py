"""Which pictures are for training and which for judging. Evaluators read the split `test`, so there always is one."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from maskwright.errors import UserError

SPLIT_WORDS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Names of folders, arrays and marks in lists -> split."""


def arrange(
    given: Mapping[str, Sequence[str]], test_share: float, test_match: str = ""
) -> tuple[dict[str, list[str]], list[str]]:
    """Names by split, with a split `test` wherever there can be one, and sentences on how that came about.

    With `test_match`, the training names in which this regular expression is found are the test. Otherwise, where there
    is no test, the validation split is it; and where there is none either, the names whose hash falls into
    `test_share`: a name stays where it is when others come or go.
    """
    splits = {split: list(names) for split, names in given.items()}
    notices: list[str] = []
    if test_match:
        chosen = {name for name in splits.get("train", ()) if re.search(test_match, name)}
        _refuse_all_or_none(splits.get("train", []), chosen, test_match)
        _move(splits, chosen)
    elif "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        notices.append("there is no test split: the pictures for validation are the split test")
    elif "test" not in splits:
        chosen = {name for name in splits.get("train", ()) if hash_share(name) < test_share}
        if len(chosen) == len(splits.get("train", ())):
            raise UserError(
                f"test_share = {test_share:g} leaves no picture to train on",
                where="test_share",
                why=f"there are {len(chosen)} pictures, and all fall into the test",
                cure="a smaller share, or more pictures",
            )
        _move(splits, chosen)
    if "test" not in splits:
        notices.append("there is no test split, so nothing can be judged: evaluators read the split test")
    if "train" not in splits:
        notices.append("there is no train split, so nothing can be trained")
    order = [split for split in ("train", "validation", "test") if split in splits]
    return {split: splits[split] for split in [*order, *sorted(splits.keys() - set(order))]}, notices


def _move(splits: dict[str, list[str]], chosen: set[str]) -> None:
    if chosen:
        moved = [name for name in splits["train"] if name in chosen]
        splits["train"] = [name for name in splits["train"] if name not in chosen]
        splits["test"] = [*splits.get("test", ()), *moved]


def _refuse_all_or_none(names: Sequence[str], chosen: set[str], test_match: str) -> None:
    if 0 < len(chosen) < len(names):
        return
    raise UserError(
        f'test_match = "{test_match}" is found in {"every" if chosen else "no"} name',
        where="test_match",
        why=f"the names are like {', '.join(names[:3])}",
        cure="a regular expression that is found in the paths of test pictures, and in no others",
    )


def hash_share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64
