"""metrics.jsonl: one line for each value, no clock in it, so that equal runs give equal bytes."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskwright.folder import Journal, write_atomic

METRICS, TIMING = "metrics.jsonl", "timing.jsonl"


def metric_line(step: int, name: str, value: float) -> str:
    """A number that JSON cannot hold (a loss that became infinite) is written as null."""
    number = float(value)
    return json.dumps({"step": step, "name": name, "value": number if math.isfinite(number) else None})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's metrics."""
    return [entry for entry, _ in _lines(folder / METRICS) if entry is not None]


def _lines(path: Path) -> Iterator[tuple[dict[str, Any] | None, bytes]]:
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        entry = None
        if line.endswith(b"\n"):
            try:
                loaded = json.loads(line)
                if isinstance(loaded, dict) and {"step", "name", "value"} <= loaded.keys():
                    entry = loaded
            except ValueError:
                pass
        yield entry, line


def cut_metrics(folder: Path, size: int) -> None:
    """Keep the first `size` bytes, those of the checkpoint; put the rest into metrics.tail-1.jsonl, -2 …

    By bytes and not by step: what is logged after a checkpoint may carry the step of the checkpoint.
    """
    path = folder / METRICS
    logged = path.read_bytes() if path.is_file() else b""
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
