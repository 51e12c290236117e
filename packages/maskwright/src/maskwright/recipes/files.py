"""Recipe files that arms and stages name: their content goes into the recipe."""

from collections.abc import Callable, Mapping
from typing import Any

from maskwright.errors import UserError
from maskwright.sources import looks_like_path

Read = Callable[[str], dict[str, Any]]


def _held(entry: Any, read: Read) -> Any:
    """`{ file = "other.toml", … }` as `{ recipe = { … }, … }`; names of recipes and unreadable files stay."""
    if (
        not isinstance(entry, Mapping)
        or not isinstance(entry.get("file"), str)
        or not looks_like_path(entry["file"])
    ):
        return entry
    try:
        table = read(entry["file"])
    except UserError:
        return entry  # said when the arm or stage is planned
    return {"recipe": table, **{key: value for key, value in entry.items() if key != "file"}}


def hold_arms(raw: dict[str, Any], read: Read) -> dict[str, Any]:
    """An experiment whose arms bring their recipes along."""
    arms = raw.get("arms")
    if not isinstance(arms, Mapping):
        return raw
    return {**raw, "arms": {name: _held(arm, read) for name, arm in arms.items()}}


def hold_stages(raw: dict[str, Any], read: Read) -> dict[str, Any]:
    """A chain whose stages bring their recipes along."""
    stages = raw.get("stages")
    if not isinstance(stages, Mapping):
        return raw
    tables = {name: {"file": stage} if isinstance(stage, str) else stage for name, stage in stages.items()}
    return {**raw, "stages": {name: _held(stage, read) for name, stage in tables.items()}}
