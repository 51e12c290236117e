"""What the benchmark scripts share: variants that take turns, printing, and results that are kept."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

THREADS = 2


def alternate(
    variants: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: int = 2,
) -> dict[str, float]:
    """Median milliseconds of each; they take turns, so that a busy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(repeats + warm):
        for name, call in variants.items():
            start = clock()
            call()
            if number >= warm:
                times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def ratios(times: dict[str, float], to: str = "ours") -> dict[str, float]:
    """Each variant's time over that of one of them."""
    return {name: round(value / times[to], 3) for name, value in times.items() if name != to}


def show(title: str, found: dict[str, Any]) -> None:
    print(f"\n{title}")
    for key, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items()
            )
        print(f"  {key}: {value}", flush=True)


def keep(name: str, results: dict[str, Any]) -> None:
    """Write results to benchmarks/results/; sections that were not run now stay as they were."""
    machine = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
    out = Path(__file__).parent / "results" / f"{name}.json"
    before = json.loads(out.read_text())["results"] if out.is_file() else {}
    report = {"machine": machine, "threads": torch.get_num_threads(), "results": before | results}
    out.write_text(json.dumps(report, indent=2) + "\n")
