"""Findings on their way into the run folder, and back."""

import fnmatch
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.folder import read_bytes, read_table
from maskwright.step import Step
from maskwright.values import show

if TYPE_CHECKING:
    from maskwright.runs import Run

FOLDER = "artefacts/findings"


def check_findings(name: str, evaluator: Any, findings: Findings) -> None:
    """What was declared is what is reported: TypeError otherwise, because it is the evaluator's fault."""
    declared = dict(evaluator.metrics)
    unknown = [m for m in findings.values if not any(fnmatch.fnmatchcase(m, pattern) for pattern in declared)]
    missing = [m for m in declared if "*" not in m and m not in findings.values]
    if unknown or missing:
        raise TypeError(
            f"evaluator {name}: undeclared metrics {unknown}, declared but not reported {missing}"
        )


class _RenamedSplit:
    """A data set whose split `test` is another split of the one inside."""

    def __init__(self, data: Dataset, split: str) -> None:
        if split not in data.splits():
            raise UserError(f'the data has no split "{split}"', cure=f"it has: {', '.join(data.splits())}")
        self.data, self.split = data, split

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def _name(self, split: str) -> str:
        return self.split if split == "test" else split

    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.data.splits(), "test")))

    def length(self, split: str) -> int:
        return self.data.length(self._name(split))

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return self.data.item(self._name(split), index, step)

    def about(self, split: str) -> Mapping[str, Any]:
        return self.data.about(self._name(split))


def renamed_split(data: Dataset, split: str) -> Any:
    """`data` with `split` in the place of `test`."""
    return _RenamedSplit(data, split)


def plain_value(value: Any) -> Any:
    """A cell of a table as JSON data."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if hasattr(value, "tocoo"):  # a sparse row: where it is not zero, and the values there
        coo = value.tocoo()
        return {"size": int(value.shape[-1]), "index": coo.coords[-1].tolist(), "value": coo.data.tolist()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # half a character cannot be written
    if isinstance(value, Mapping):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def save_findings(run: "Run", name: str, findings: Findings, step: int) -> None:
    """Keep findings under artefacts/findings/<step>-<name>/, the JSON file last."""
    base = f"findings/{step:08d}-{name}"
    notes = list(findings.notes)
    figures: list[dict[str, str]] = []
    if run.pictures and findings.figures is not None:
        for figure in findings.figures():
            file, again = f"{_safe(figure.name)}{figure.suffix}", 1
            while any(file == drawn["file"] for drawn in figures):
                again += 1
                file = f"{_safe(figure.name)}-{again}{figure.suffix}"
            run.artefact(f"{base}/{file}", figure.data)
            figures.append(
                {"name": figure.name, "caption": figure.caption, "file": file, "media": figure.media}
            )
    elif not run.pictures and findings.figures is not None:
        notes.append("pictures were not asked for")
    for file, content in findings.files.items():
        run.artefact(f"{base}/files/{file}", content)
    if findings.rows:
        lines = [json.dumps(plain_value(dict(row)), ensure_ascii=False) for row in findings.rows]
        run.artefact(f"{base}/rows.jsonl", ("\n".join(lines) + "\n").encode())
    record = {
        "name": name,
        "step": step,
        "values": plain_value(dict(findings.values)),
        "tables": {
            title: [plain_value(dict(row)) for row in rows] for title, rows in findings.tables.items()
        },
        "figures": figures,
        "files": sorted(findings.files),
        "notes": notes,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    run.artefact(f"{base}/findings.json", text.encode())


def _safe(name: str) -> str:
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)[:80].lstrip(".")
        or "figure"
    )


FINDINGS_CURE = "put it back from a copy, or remove its folder; the run's metrics are unharmed"


def load_findings(folder: Path) -> list[dict[str, Any]]:
    """All findings of a run in the order of their steps, each with its `folder`."""
    found = []
    for path in sorted((folder / FOLDER).glob("*/findings.json")):
        record = read_table(path, FINDINGS_CURE)
        for key, fits in _SHAPE.items():
            if not fits(record.get(key)):
                raise UserError(
                    f"{path} is damaged",
                    where=f"{path}, {key}",
                    why=f"found {show(record.get(key))}",
                    cure=FINDINGS_CURE,
                )
        record["folder"] = path.parent
        record["rows"] = _rows(path.parent / "rows.jsonl")
        found.append(record)
    return found


def _tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _figures(value: Any) -> bool:
    return _tables(value) and all(
        isinstance(entry.get(key), str) for entry in value for key in ("file", "caption", "media")
    )


_SHAPE: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "step": lambda value: isinstance(value, int),
    "values": lambda value: isinstance(value, dict),
    "tables": lambda value: isinstance(value, dict) and all(map(_tables, value.values())),
    "figures": _figures,
    "files": lambda value: isinstance(value, list),
    "notes": lambda value: isinstance(value, list),
}
"""What findings.json holds, as `save_findings` wrote it."""


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(read_bytes(path, FINDINGS_CURE).splitlines(), start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("expected a table")
        except ValueError as error:
            where = f"{path}, line {number}: {show(line.decode(errors='replace'))}"
            raise UserError(f"{path} is damaged", where=where, why=str(error), cure=FINDINGS_CURE) from None
        rows.append(row)
    return rows
