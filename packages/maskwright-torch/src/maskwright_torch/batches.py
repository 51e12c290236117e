"""Batches as a function of the step number: order, pieces for ranks and accumulation, loader processes.

Which items a step sees, their augmentation and their row identities depend on (seed, step number) alone: not on the
number of workers, ranks or pieces, nor on where a run was interrupted.
"""

import functools
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Prepare
from maskwright_torch.noise import permutation


@attrs.frozen
class Order:
    """An endless walk through the items, each epoch in an order of its own; a batch may reach into the next epoch.

    An objective whose batches are no such walk has `order(...)`, which gives an object with `places` and `unit`. It
    goes to loader processes, so it is small and holds no weights.
    """

    step: Step
    count: int
    batch: int
    unit: int = 1
    """Rows that stay together when a batch is cut into pieces."""
    whole: bool = False
    """No unit reaches into the next epoch, so it holds no item twice; what an epoch has left over then is not seen."""

    def places(self, number: int) -> list[tuple[int, int]]:
        """(epoch, index) of each row of batch `number`."""
        found = []
        length = self.count - self.count % self.unit if self.whole else self.count
        place, end = number * self.batch, (number + 1) * self.batch
        while place < end:
            epoch, first = divmod(place, length)
            last = min(first + end - place, length)
            order = _order(self.step.at(epoch).stream("order"), self.count)
            found += [(epoch, index) for index in order[first:last]]
            place += last - first
        return found


@functools.lru_cache(maxsize=4)
def _order(key: int, count: int) -> list[int]:
    return permutation(key, count).tolist()


def cut(items: Sequence[Any], pieces: int, unit: int = 1) -> list[Sequence[Any]]:
    """Consecutive pieces whose sizes differ by one unit at most."""
    size, more = divmod(len(items) // unit, pieces)
    edges = [unit * (i * size + min(i, more)) for i in range(pieces + 1)]
    return [items[edges[i] : edges[i + 1]] for i in range(pieces)]


@attrs.frozen
class Failure:
    """An error on its way out of a loader process, which would keep only its text."""

    error: Exception


@attrs.frozen
class Batches:
    """Batch `number`, as the pieces that this rank works on one after the other."""

    data: Dataset
    split: str
    prepare: Prepare
    order: Any
    """An `Order`, or what the objective gives instead."""
    step: Step
    """Seed and total of the run."""
    pieces: int = 1
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        return self.step.total

    def __getitem__(self, number: int) -> list[dict[str, Tensor]] | Failure:
        try:
            places = cut(self.order.places(number), self.ranks * self.pieces, self.order.unit)
            own = places[self.rank * self.pieces : (self.rank + 1) * self.pieces]
            return [self._piece(number, piece) for piece in own]
        except Exception as error:
            return Failure(error)

    def _piece(self, number: int, places: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        step = self.step.fork("data")
        steps = {epoch: step.at(epoch) for epoch, _ in places}
        items = [self.data.item(self.split, i, steps[epoch].fork(i)) for epoch, i in places]
        return collate(items, [i for _, i in places], self.prepare, step.at(number))


def collate(
    items: Sequence[Mapping[str, Any]], rows: Sequence[int], prepare: Prepare, step: Step
) -> dict[str, Tensor]:
    """Prepared items with their identities."""
    batch = prepare(items, step)
    batch[ROWS] = torch.tensor(list(rows), dtype=torch.int64)
    return batch


def _quiet_worker(_: int) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent ends the step first


def _as_is(value: Any) -> Any:
    return value


def walk(batches: Batches, start: int, workers: int, pin: bool = False) -> Iterator[list[dict[str, Tensor]]]:
    """Batches `start`, `start + 1`, … up to the run's total, made here or in `workers` processes."""
    numbers = range(start, batches.step.total)
    if workers == 0 or not numbers:
        made: Any = (batches[number] for number in numbers)
    else:
        made = iter(
            DataLoader(
                batches,  # type: ignore[arg-type]
                batch_size=None,
                sampler=numbers,
                num_workers=workers,
                collate_fn=_as_is,
                worker_init_fn=_quiet_worker,
                # Its own generator, so that the default one is not moved on.
                generator=torch.Generator(),
                pin_memory=pin,
            )
        )
    while True:
        try:
            pieces = next(made)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(
                "a loader process is gone",
                where=f"workers={workers}",
                why=str(error).splitlines()[0],
                cure="maskwright resume RUN; with workers=0 items are made in the main process",
            ) from error
        if isinstance(pieces, Failure):
            raise pieces.error
        yield pieces
