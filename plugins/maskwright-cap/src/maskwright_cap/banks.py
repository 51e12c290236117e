"""Banks: what an encoder made of the training items at one moment, kept on disk and read a few rows at a time.

A snapshot is a folder `banks/NAME-STEP` of the run with `vectors.npy`, float16 (P, H) of unit length, and `labels.npy`,
int64 (P,). P items of the training split are in a bank, the same ones in all. Which snapshots count, and what is in
them, is part of the objective's state: files that a killed process left are written again. Those that no checkpoint
names any more are removed.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from maskwright.checkpoints import all_checkpoints
from maskwright.errors import UserError
from maskwright.folder import write_folder
from maskwright.step import Step
from maskwright_torch.noise import permutation
from maskwright_torch.part import WEIGHTS
from maskwright_torch.visit import Visit

FOLDER = "banks"
FINE, PRE, SNAP = "fine", "pre", "snap"
PIECE = 1 << 24
"""Bytes that are read at a time to make a hash."""


def places_of(step: Step, count: int, share: float) -> Tensor:
    """int64 (P,) rising: the items of a split that are in the banks, drawn once for a run."""
    if share >= 1:
        return torch.arange(count)
    kept = max(int(count * share + 0.5), 1)
    return permutation(step.fork("bank").at(0).stream("places"), count)[:kept].sort().values


@attrs.frozen(eq=False)
class Snapshots:
    """Vectors of the same items at m moments."""

    places: Tensor
    """int64 (P,), rising."""
    labels: Tensor
    """int64 (P,), -1 where items have none."""
    vectors: tuple[np.ndarray, ...]
    """m times float16 (P, H), memory-mapped."""

    def __len__(self) -> int:
        return len(self.vectors)

    def find(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """bool (B,): which items are here; int64: where these are."""
        at = torch.searchsorted(self.places, rows).clamp(max=len(self.places) - 1)
        known = self.places[at] == rows
        return known, at[known]

    def read(self, at: Tensor) -> Tensor:
        """float32 (K, m, H): the vectors of these positions; nothing else is read from disk."""
        where = at.numpy()
        return torch.stack([torch.from_numpy(v[where].astype(np.float32)) for v in self.vectors], dim=1)


class Banks(nn.Module):
    """The snapshots of a run: `fine` of the teacher, `pre` of the start, the last few `snap` of the model itself."""

    def __init__(self, snapshots: int) -> None:
        super().__init__()
        # A line for fine, one for pre, then the snapshots, newest last: the step and 256 bits of what is in the file.
        self.register_buffer("marks", torch.full((2 + snapshots, 5), -1, dtype=torch.int64))
        self._open: dict[str, Snapshots] = {}
        self._places: Tensor | None = None

    def get(self, name: str) -> Snapshots | None:
        """The snapshots of one name; None as long as there are none."""
        return self._open.get(name)

    def open(self, visit: Visit, share: float) -> None:
        """Open what the state says there is; UserError where a file is missing or another one."""
        self._places = places_of(visit.step, visit.length, share)
        for name in (FINE, PRE, SNAP):
            self._reopen(visit.folder, name)

    def add(self, name: str, number: int, visit: Visit, encode: Callable[[Any], Tensor], size: int) -> None:
        """Write down what `encode(batch)` -> (B, H) makes of the items in the banks before step `number`."""
        assert self._places is not None
        places = self._places.tolist()
        folder = _folder(visit.folder, name, number)
        if visit.ranks.is_first:
            write_folder(
                folder, lambda place: _write(place, len(places), visit.batches(places, size), encode, name)
            )
        visit.ranks.wait()
        mark = torch.cat([torch.tensor([number]), _digest(folder)]).to(self.marks.device)
        if name == SNAP:
            snapshots = self.marks[2:]
            snapshots.copy_(torch.cat([snapshots[1:].clone(), mark[None]]))
        else:
            self.marks[0 if name == FINE else 1] = mark
        self._reopen(visit.folder, name, checked=True)
        if name == SNAP and visit.ranks.is_first:
            self._clear(visit.folder)

    def _clear(self, run: Path) -> None:
        """Remove the snapshots that neither this state nor a checkpoint names."""
        needed = {int(number) for number in self.marks[2:, 0]}
        for found in all_checkpoints(run / "checkpoints"):
            needed |= _named_in(found.path / WEIGHTS)
        kept = {_folder(run, SNAP, number) for number in needed}
        for folder in (run / FOLDER).glob(f"{SNAP}-*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _reopen(self, run: Path, name: str, checked: bool = False) -> None:
        assert self._places is not None
        lines = self.marks[2:] if name == SNAP else self.marks[:1] if name == FINE else self.marks[1:2]
        marks = [line.cpu() for line in lines if int(line[0]) >= 0]
        if not marks:
            self._open.pop(name, None)
            return
        folders = [_folder(run, name, int(mark[0])) for mark in marks]
        if not checked:
            for folder, mark in zip(folders, marks, strict=True):
                if not (folder / "vectors.npy").is_file() or not torch.equal(_digest(folder), mark[1:]):
                    raise UserError(
                        f"the bank {folder.name} is not the one this run was begun with",
                        where=str(folder),
                        why="it is missing, damaged, or was made by another model",
                        cure="put it back, or begin the run anew",
                    )
        labels = torch.from_numpy(np.load(folders[-1] / "labels.npy", allow_pickle=False))
        vectors = [np.load(f / "vectors.npy", mmap_mode="r", allow_pickle=False) for f in folders]
        self._open[name] = Snapshots(self._places, labels, tuple(vectors))


def _named_in(weights: Path) -> set[int]:
    """The steps of the snapshots that the state in a checkpoint names; other tensors of it are not read."""
    with safe_open(weights, "pt") as file:
        names = [name for name in file.keys() if name.endswith("banks.marks")]  # noqa: SIM118
        return {int(number) for name in names for number in file.get_tensor(name)[2:, 0]}


def _folder(run: Path, name: str, number: int) -> Path:
    return run / FOLDER / f"{name}-{number:08d}"


def _write(
    folder: Path, count: int, batches: Iterable[Any], encode: Callable[[Any], Tensor], name: str
) -> None:
    vectors: np.ndarray | None = None
    labels = np.full(count, -1, np.int64)
    start = 0
    for batch in batches:
        found = encode(batch)
        if not bool(found.isfinite().all()):
            raise UserError(
                f"the vectors for the bank {name} are no numbers",
                where=f"training item {int(batch['rows'][0])} and the {len(found) - 1} after it",
                why="the weights that encode are not finite, or what they read is not",
                cure="a lower lr, or a sound checkpoint to begin from",
            )
        if vectors is None:
            vectors = np.lib.format.open_memmap(
                folder / "vectors.npy", "w+", np.float16, (count, found.shape[1])
            )
        vectors[start : start + len(found)] = found.cpu().numpy()
        if "label" in batch and not batch["label"].is_floating_point():
            labels[start : start + len(found)] = batch["label"].cpu().numpy()
        start += len(found)
    assert vectors is not None
    vectors.flush()
    np.save(folder / "labels.npy", labels)


def _digest(folder: Path) -> Tensor:
    """int64 (4,): the sha256 of a snapshot's files."""
    made = hashlib.sha256()
    for name in ("vectors.npy", "labels.npy"):
        with open(folder / name, "rb") as file:
            while piece := file.read(PIECE):
                made.update(piece)
    return torch.from_numpy(np.frombuffer(made.digest(), "<i8").astype(np.int64))
