"""What the tests of data sets ask of one: its items, ids and texts in order."""

from pathlib import Path
from typing import Any

from maskwright.contracts import items_of
from maskwright.step import Step


def items(data: Any, split: str = "train") -> list[dict[str, Any]]:
    return [dict(item) for item in items_of(data, split, Step())]


def ids(data: Any, split: str = "train") -> list[str]:
    return [item["id"] for item in items(data, split)]


def texts(data: Any, split: str = "train") -> list[str]:
    return [item["text"] for item in items(data, split)]


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
