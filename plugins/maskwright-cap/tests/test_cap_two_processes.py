"""Pruning in two gloo processes: both keep the same, and it is what one process with the whole batch keeps."""

import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from cap_toys import run, series
from safetensors.torch import load_file, save_file

from maskwright import Step, api
from maskwright_cap.cap import Cap

FORK = multiprocessing.get_context("fork")
ALONE = {
    "objective__prc": False, "objective__snc": False, "objective__inner__encoder__dropout": 0.0, "precision": "fp64",
}  # fmt: skip
"""A contrast wants a batch whole, dropout draws from streams of the rank, and fp64 leaves no doubt in comparisons."""

pytestmark = pytest.mark.usefixtures("toys")


def chosen(part: Cap) -> dict[str, torch.Tensor]:
    """What is kept, by gate or mask."""
    each = part.gates.gates if part.gates is not None else part.masks.masks  # type: ignore[union-attr]
    return {
        str(number): (one.open if part.gates is not None else one.keep).clone()  # type: ignore[union-attr]
        for number, one in enumerate(each)
    }


def as_rank(rank: int, port: int, folder: Path, settings: dict[str, Any]) -> None:
    """One of two processes, as torchrun starts them; it writes down what it keeps after each step."""
    told = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    os.environ.update({name: str(value) for name, value in told.items()})
    after, scores = Cap.after_step, Cap._scores

    def after_step(self: Cap, step: Step) -> None:
        after(self, step)
        save_file(chosen(self), folder / f"kept-{rank}-{step.number:02d}")

    def other_scores(self: Cap, visit: Any, step: Step) -> list[torch.Tensor]:
        return [-score for score in scores(self, visit, step)]

    Cap.after_step = after_step  # type: ignore[method-assign]
    if rank == 1:  # what it would choose by itself does not count
        Cap._scores = other_scores  # type: ignore[method-assign]
    run(folder / "two", **settings)


def in_two(folder: Path, settings: dict[str, Any]) -> api.LoadedRun:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [FORK.Process(target=as_rank, args=(rank, port, folder, settings)) for rank in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        assert process.exitcode == 0
    return api.load(folder / "two")


@pytest.mark.parametrize(
    "settings",
    [
        {"criterion": "first-order", "importance_items": 24},
        {"criterion": "movement", "pruned": "weights"},
    ],
)
def test_two_processes_prune_what_one_prunes(settings: dict[str, Any], tmp_path: Path):
    given = {**ALONE, **{f"objective__{name}": value for name, value in settings.items()}}
    one, two = run(tmp_path / "one", **given), in_two(tmp_path, given)
    for number in range(12):
        first, other = (load_file(tmp_path / f"kept-{rank}-{number:02d}") for rank in (0, 1))
        assert all(torch.equal(kept, other[name]) for name, kept in first.items()), number
    assert series(two, "sparsity") == series(one, "sparsity") and series(one, "sparsity")[-1] == 0.75
    assert series(two, "loss") == pytest.approx(series(one, "loss"), rel=1e-9)
    alone, shared = (made.part("objective") for made in (one, two))
    assert all(torch.equal(kept, chosen(shared)[name]) for name, kept in chosen(alone).items())
    tensors = shared.state_dict()
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=1e-9)
