"""What an objective sees of the training data beside its batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from maskwright.contracts import Dataset, plain
from maskwright.step import Step
from maskwright_torch.batches import collate
from maskwright_torch.contracts import Batch, Prepare
from maskwright_torch.device import Compute
from maskwright_torch.ranks import Ranks


@attrs.frozen
class Visit:
    """Handed to `objective.before_step(visit, step)`: the split that is trained on, and a place for large files.

    Items come without augmentation, as evaluators and fitted parts see them.
    """

    data: Dataset
    split: str
    prepare: Prepare
    step: Step
    """Seed and total of the run."""
    compute: Compute
    ranks: Ranks
    folder: Path
    """The run folder. Files there outlive checkpoints: the state of the objective says which count."""
    batch: int
    """Rows of a step, over all ranks and pieces."""

    @property
    def length(self) -> int:
        return self.data.length(self.split)

    def begins_epoch(self, number: int) -> bool:
        """Whether step `number` is the first whose rows begin in a new walk through the items."""
        return number * self.batch // self.length != (number - 1) * self.batch // self.length

    def items(self, places: Sequence[int]) -> list[Any]:
        step, data = self.step.fork("visit"), plain(self.data)
        return [data.item(self.split, place, step.fork(place)) for place in places]

    def batches(self, places: Sequence[int], size: int) -> Iterator[Batch]:
        """Prepared batches of `size` of these items, in their order, on the device; `rows` are the places."""
        for start in range(0, len(places), size):
            piece = places[start : start + size]
            made = collate(self.items(piece), piece, self.prepare, self.step.fork("visit"))
            yield self.compute.put(made)
