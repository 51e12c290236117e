"""metrics.jsonl: one line for each value, no clock in it, so that equal runs give equal bytes."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright.folder import Journal, read_bytes, write_atomic
from maskwright.values import show

METRICS, TIMING = "metrics.jsonl", "timing.jsonl"
CURE = "put the file back from a copy, or run the recipe again"


def metric_line(step: int, name: str, value: float) -> str:
    """A number that JSON cannot hold (a loss that became infinite) is written as null."""
    number = float(value)
    return json.dumps({"step": step, "name": name, "value": number if math.isfinite(number) else None})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's metrics."""
    path = folder / METRICS
    if not path.exists():
        return []
    # What follows the last line break is a line that a killed process began.
    whole, _, _ = read_bytes(path, CURE).rpartition(b"\n")
    return [_entry(path, number, line) for number, line in enumerate(whole.splitlines(), start=1)]


def _entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        sound = (
            isinstance(entry, dict) and isinstance(entry.get("name"), str) and _is_number(entry.get("step"))
        )
        if not sound or not ((value := entry.get("value", "")) is None or _is_number(value)):
            raise ValueError("expected a step, a name and a value")
    except ValueError as error:
        found = show(line.decode(errors="replace"))
        raise UserError(
            f"{path} is damaged", where=f"{path}, line {number}: {found}", why=str(error), cure=CURE
        ) from None
    return entry


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def cut_metrics(folder: Path, size: int, may_lack: bool = False) -> None:
    """Keep the first `size` bytes, those of the checkpoint; put the rest into metrics.tail-1.jsonl, -2 …

    By bytes and not by step: what is logged after a checkpoint may carry the step of the checkpoint.
    """
    path = folder / METRICS
    logged = read_bytes(path, CURE) if path.exists() else b""
    if len(logged) < size and not may_lack:
        raise UserError(
            f"{path} is damaged",
            where=str(path),
            why=f"it holds {len(logged)} bytes; when the last checkpoint was made it had {size}",
            cure=f"{CURE}; --accept-drift goes on without what is lost",
        )
    if len(logged) <= size:
        return
    count = 1 + sum(1 for _ in folder.glob("metrics.tail-*.jsonl"))
    write_atomic(folder / f"metrics.tail-{count}.jsonl", logged[size:])
    write_atomic(path, logged[:size])


class MetricsLog:
    """Appends metrics, and beside them when they came."""

    def __init__(self, folder: Path) -> None:
        self.metrics = Journal(folder / METRICS)
        self.timing = Journal(folder / TIMING)

    def add(self, step: int, values: Mapping[str, float], seconds: float) -> None:
        self.metrics.add("\n".join(metric_line(step, name, value) for name, value in values.items()))
        self.timing.add(json.dumps({"step": step, "seconds": round(seconds, 4)}))

    def size(self) -> int:
        """Bytes of metrics written so far."""
        return self.metrics.path.stat().st_size

    def sync(self) -> None:
        self.metrics.sync()
        self.timing.sync()

    def close(self) -> None:
        self.metrics.close()
        self.timing.close()
