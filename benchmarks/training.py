"""What recipe:train costs around the steps of a model, and how many pictures a second go through it.

    python benchmarks/training.py                  # about four minutes; needs vision
    python benchmarks/training.py --only loop      # or throughput

The cost of the loop is measured inside one run: its time from step to step, against the time that the same steps spend
in what a loop written by hand needs as well (batch, zero_grad, objective, backward, optimiser). Two loops that run
after one another differ by more than that on a busy machine. Results go to benchmarks/results/training.json, the chart
to docs/pictures/.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from mae import SIZES
from timing import THREADS, keep, show

from maskwright import api
from maskwright_torch import loop
from maskwright_torch.batches import Batches
from maskwright_torch.noise import uniform
from maskwright_vision.mae import Mae

MODEL = SIZES["64 px / 8, 192 x 6, decoder 96 x 2, batch 32"]
FIRST, EVERY = 10, 50
"""Steps to warm up; steps between two checkpoints."""


def arrays_file(folder: Path, count: int, image: int) -> Path:
    """An npz file of noise pictures; what they show does not matter for time."""
    path = folder / "pictures.npz"
    noise = uniform(6, torch.arange(count * image * 3), image).view(count, image, image, 3)
    np.savez(path, images=(noise * 255).to(torch.uint8).numpy(), labels=np.arange(count) % 2)
    return path


def recipe(path: Path, steps: int, batch: int, workers: int) -> dict[str, Any]:
    image, patch_size, width, depth, heads, decoder, layers, decoder_heads, _ = MODEL
    vit = {"image": image, "patch": patch_size, "channels": 3, "width": width, "depth": depth, "heads": heads}
    return {
        "use": "train",
        "steps": steps,
        "batch": batch,
        "workers": workers,
        "checkpoint_every": EVERY,
        "log_every": 10,
        "device": "cpu",
        "data": {"use": "npz", "path": str(path), "test_share": 0.0},
        "objective": {
            "use": "mae",
            "decoder_width": decoder,
            "decoder_depth": layers,
            "decoder_heads": decoder_heads,
            "encoder": {"use": "vit", **vit},
        },
    }


# -- the loop around the step --------------------------------------------------------------------------------


class Watch:
    """Seconds spent inside some functions, by name, and the moment at which each step begins."""

    def __init__(self) -> None:
        self.inside: dict[str, float] = {}
        self.steps: list[tuple[float, dict[str, float]]] = []

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.inside[name] = self.inside.get(name, 0.0) + time.perf_counter() - start

        return run

    def mark(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.steps.append((time.perf_counter(), dict(self.inside)))
            return call(*args, **kwargs)

        return run

    def between(self, first: int, last: int) -> tuple[float, dict[str, float]]:
        """Seconds from the beginning of one step to that of another, and what the functions took of them."""
        (start, before), (end, after) = self.steps[first], self.steps[last]
        return end - start, {name: after[name] - before.get(name, 0.0) for name in after}


@contextmanager
def watched() -> Iterator[Watch]:
    watch = Watch()
    with ExitStack() as stack:
        for owner, name, label in (
            (Batches, "__getitem__", "batch"),
            (Mae, "forward", "objective"),
            (torch.Tensor, "backward", "backward"),
            (torch.optim.AdamW, "step", "optimiser"),
            (torch.optim.Optimizer, "zero_grad", "zero_grad"),
        ):
            stack.enter_context(patch.object(owner, name, watch.timed(label, getattr(owner, name))))
        stack.enter_context(patch.object(loop, "set_lr", watch.mark(loop.set_lr)))
        yield watch


def loop_cost(checkpoints: int, rounds: int) -> dict[str, Any]:
    """Metrics, hooks and a checkpoint every 50 steps, over the steps themselves."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        path = arrays_file(Path(name), 512, MODEL[0])
        for number in range(rounds):
            last = FIRST + EVERY * checkpoints
            with watched() as watch:
                api.run(
                    recipe(path, last + 2, MODEL[-1], 0), out=Path(name) / f"run-{number}", pictures=False
                )
            seconds, inside = watch.between(FIRST, last)
            steps = last - FIRST
            own = seconds - sum(inside.values())
            found.append(
                {
                    **{label: 1e3 * value / steps for label, value in inside.items()},
                    "loop": 1e3 * own / steps,
                    "cost": own / sum(inside.values()),
                }
            )
    middle = {label: statistics.median(entry[label] for entry in found) for label in found[0]}
    cost = middle.pop("cost")
    return {
        "milliseconds a step": middle,
        "cost": round(cost, 4),
        "runs": [round(e["cost"], 4) for e in found],
    }


# -- throughput ----------------------------------------------------------------------------------------------


def seconds_of_run(folder: Path, made: dict[str, Any]) -> float:
    """Of a step, from the first logged one to the last checkpoint: start-up is not the loop's."""
    api.run(made, out=folder, pictures=False)
    lines = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    return (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])


def throughput(steps: int) -> dict[str, Any]:
    """Pictures in a second by batch size and loader processes, drawn for the docs."""
    found: dict[int, list[tuple[int, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        path = arrays_file(Path(name), 512, MODEL[0])
        for workers in (0, 1, 2):
            for batch in (8, 16, 32, 64, 128):
                folder = Path(name) / f"run-{workers}-{batch}"
                seconds = seconds_of_run(folder, recipe(path, steps, batch, workers))
                found.setdefault(workers, []).append((batch, batch / seconds))
                print(f"  workers {workers}, batch {batch:3}: {batch / seconds:.0f} pictures/s", flush=True)
    draw_throughput(found)
    return {str(workers): dict(rows) for workers, rows in found.items()}


def draw_throughput(found: dict[int, list[tuple[int, float]]]) -> None:
    from maskwright.charts import Series, line_chart

    lines = [
        Series(f"{workers} workers", [(math.log2(batch), rate, 0.0) for batch, rate in rows])
        for workers, rows in found.items()
    ]
    folder = Path(__file__).parent.parent / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    chart = line_chart(lines, "log2 of the batch", "pictures in a second, 64 px model, 2 cores")
    (folder / "throughput.svg").write_text(chart + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ["loop", "throughput"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    results: dict[str, Any] = {}
    if "loop" in options.only:
        results["the loop, 64 px model"] = loop_cost(1 if options.quick else 3, 1 if options.quick else 5)
        show("the loop, 64 px model", results["the loop, 64 px model"])
    if "throughput" in options.only:
        results["throughput of the 64 px model"] = throughput(20 if options.quick else 24)
    if not options.quick:
        keep("training", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
