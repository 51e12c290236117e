"""pipeline:embed and pipeline:fill: trained parts put to work, whatever the modality.

What is particular to a modality (reading a picture file, drawing a result) the part itself knows: an encoder or
objective may have `read(argument)`, `write(item, path)` and, for `fill`, must have `fields(item, batch, row, filled,
hidden)` and may have `asked(batch)`, bool (B, N): the units that an item leaves open, such as [MASK] in a text.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright.step import Step
from maskwright_torch.contracts import Batch, Filled
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.masking import choose, hide_lowest

Item = Mapping[str, Any]


class Embed:
    """Items -> the same items with `vector`."""

    def __init__(self, encoder: Any, batch: int) -> None:
        self.encoder, self.batch = encoder, batch
        if hasattr(encoder, "read"):
            self.read = encoder.read

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        with in_use(self.encoder):
            for piece, batch in in_batches(self.encoder, self.encoder.prepare, items, step, self.batch):
                for item, vector in zip(piece, self.encoder(batch).pooled.float().cpu().numpy(), strict=True):
                    yield {**item, "vector": vector}

    def write_all(self, items: Sequence[Item], path: Path) -> bool:
        """`.npz` with `vector` (items, width) and `id`, and `label` where all items have one."""
        if path.suffix != ".npz":
            return False
        arrays = {
            "vector": np.stack([item["vector"] for item in items]) if items else np.zeros((0, 0), np.float32),
            "id": np.array([str(item["id"]) for item in items], dtype=np.str_),
        }
        if items and all("label" in item for item in items):
            arrays["label"] = np.array([int(item["label"]) for item in items])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomic(path, buffer.getvalue())
        return True


class Fill:
    """Items -> the same items with `hidden` and `filled`."""

    def __init__(
        self, objective: Any, ratio: Any, masker: Any, passes: int, left: Callable[[float], float], batch: int
    ) -> None:
        self.objective, self.passes, self.left, self.batch = objective, passes, left, batch
        self.ratio = ratio if ratio is not None else objective.ratio
        self.masker = masker if masker is not None else objective.masker
        self.encoder = objective.encoder
        for name in ("read", "write"):
            if hasattr(objective, name):
                setattr(self, name, getattr(objective, name))

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        # As at the end of training, where a schedule of the ratio has reached its last value.
        step = attrs.evolve(step.fork("fill", step.number), number=1, total=1)
        with in_use(self.objective):
            for piece, batch in in_batches(self.objective, self.encoder.prepare, items, step, self.batch):
                hidden = choose(self.encoder, self.masker, self.ratio, batch, step)
                if hasattr(
                    self.objective, "asked"
                ):  # what the item itself leaves open is all that is filled in
                    asked = self.objective.asked(batch)
                    hidden = torch.where(asked.any(dim=1, keepdim=True), asked, hidden)
                filled = self.fill(batch, hidden, step)
                for row, item in enumerate(piece):
                    yield {**item, **self.objective.fields(item, batch, row, filled, hidden)}

    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        """Hidden units filled in `passes` rounds; in each the surest ones are kept and become visible."""
        filled: Filled = self.objective.fill(batch, hidden, step)
        if self.passes == 1:
            return filled
        if filled.score is None:
            raise UserError(
                f"{type(self.objective).__name__} does not say how sure it is of a prediction",
                where="passes",
                why="several passes keep the surest predictions first",
                cure="passes=1",
            )
        values, open_units, first = filled.values, hidden, hidden.sum(dim=1)
        for number in range(1, self.passes):
            remain = torch.ceil(first * self.left(number / self.passes)).long()
            open_units = hide_lowest(filled.score.masked_fill(~open_units, torch.inf), open_units, remain)
            filled = self.objective.fill(self.encoder.with_values(batch, values), open_units, step.at(number))
            values = torch.where(_like(open_units, values), filled.values, values)
        return Filled(values, filled.score)


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask if values.ndim == mask.ndim else mask[..., None]
