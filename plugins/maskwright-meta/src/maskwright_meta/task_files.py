"""dataset:task-files — a folder of labelled sets, each a task with classes of its own."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright_meta.task_formats import Row, files_of, rows_in
from maskwright_meta.task_rows import TaskRows, digest

NUMBER = re.compile(r"-?[0-9]{1,18}")


def task_files(path: Path, test_share: float) -> TaskRows:
    """Classes are the labels of the train split, in order; numbers as numbers."""
    tasks: dict[str, dict[str, list[dict[str, Any]]]] = {}
    classes_of: dict[str, list[str]] = {}
    for name, splits in files_of(path).items():
        rows = _split(
            {
                split: [row for file in files for row in rows_in(file, split)]
                for split, files in splits.items()
            },
            test_share,
        )
        if not rows.get("train"):
            raise UserError(
                f'the task "{name}" has no training rows',
                where=str(path / name),
                why=f"its splits: {', '.join(f'{split} ({len(own)})' for split, own in rows.items())}",
                cure="add a train file, or a smaller test_share",
            )
        classes = classes_of[name] = _classes(rows["train"])
        for split, own in rows.items():
            tasks.setdefault(split, {})[name] = [
                _item(name, split, n, row, classes) for n, row in enumerate(own)
            ]
    longest = max(map(len, classes_of.values()))
    alike = len({tuple(own) for own in classes_of.values()}) == 1
    facts = {
        "classes": next(iter(classes_of.values())) if alike else [str(n) for n in range(longest)],
        "classes_of": classes_of,
        "notices": [
            f'all training rows of the task "{name}" have the label "{own[0]}": there is nothing to tell apart'
            for name, own in classes_of.items()
            if len(own) == 1
        ],
    }
    content = [[split, name, own] for split, each in tasks.items() for name, own in each.items()]
    return TaskRows("task-files", tasks, facts, digest([content, classes_of]))


def _split(rows: Mapping[str, Sequence[Row]], test_share: float) -> dict[str, list[Row]]:
    """Rows of files that name no split are trained on; without a test file a share of those is held back."""
    found = {split: list(own) for split, own in rows.items() if split and own}
    found["train"] = [*found.get("train", []), *rows.get("", [])]
    if "test" not in found and test_share:
        shares = [_share(row.source or row.text) for row in found["train"]]
        held = [row for row, share in zip(found["train"], shares, strict=True) if share < test_share]
        kept = [row for row, share in zip(found["train"], shares, strict=True) if share >= test_share]
        found["train"] = kept
        if held:
            found["test"] = held
    return found


def _share(text: str) -> float:
    """A number in [0, 1) by the text alone: a row stays where it is whatever is added to the file."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def _classes(rows: Sequence[Row]) -> list[str]:
    found = {row.label for row in rows}
    if all(NUMBER.fullmatch(label) for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _item(name: str, split: str, number: int, row: Row, classes: Sequence[str]) -> dict[str, Any]:
    if row.label not in classes:
        raise UserError(
            f'the label "{row.label}" does not occur in the train split of "{name}"',
            where=row.where,
            why=f"its classes are {', '.join(classes)}",
            cure="mend the label, or add training rows with it",
        )
    item: dict[str, Any] = {
        "id": f"{split}-{number:06d}",
        "text": row.text,
        "label": classes.index(row.label),
    }
    return item if row.other is None else {**item, "other": row.other}
