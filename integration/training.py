"""A small masked autoencoder on generated shapes, as a recipe that tests run in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EQUAL = ("metrics.jsonl", "parts", "checkpoints", "artefacts")

SMALL = {
    "use": "train",
    "steps": 12,
    "batch": 16,
    "checkpoint_every": 5,
    "keep": 2,
    "log_every": 3,
    "device": "cpu",
    "data": {
        "use": "augmented",
        "inner": {"use": "shapes", "size": 16, "count": 60, "test_count": 12},
        "crop": "random",
    },
    "objective": {
        "use": "mae",
        "decoder_width": 16,
        "decoder_depth": 1,
        "decoder_heads": 2,
        "encoder": {
            "use": "vit",
            "image": 16,
            "patch": 4,
            "width": 16,
            "depth": 2,
            "heads": 2,
            "drop_path": 0.1,
        },
    },
}
"""Drop path and random crops, so that every stream of the engine is in use."""


def recipe(folder: Path, **settings: Any) -> Path:
    """The recipe with other settings, as a file."""
    path = folder / "small.json"
    path.write_text(json.dumps({**SMALL, **settings}))
    return path


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "maskwright", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    """Two processes on two cores are faster with one thread each."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def maskwright(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def torchrun(processes: int, *words: str | Path) -> list[str]:
    """The command that starts a data-parallel run on this machine."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    return [*launcher, "-m", "maskwright", *map(str, words)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that has to be equal after resuming."""
    found = [path for name in EQUAL for path in [folder / name, *sorted((folder / name).rglob("*"))]]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def status(folder: Path) -> str:
    return json.loads((folder / "status.json").read_text())["status"]
