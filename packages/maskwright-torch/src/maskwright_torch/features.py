"""Labelled items and the vectors by which encoders are judged.

Which labels a few-shot probe gets is a function of the seed and the items' ids alone: every evaluator, every arm of an
experiment and every moment of a run sees the same ones, whatever the order of the file.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from maskwright.contracts import Dataset, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Baseline, Encoded
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.noise import identities, uniform
from maskwright_torch.part import seeded

Pool = Literal["own", "class", "mean"]
Item = Mapping[str, Any]


@attrs.frozen
class Labelled:
    """Items with their labels, int64 (items,)."""

    items: Sequence[Item]
    labels: np.ndarray


@attrs.frozen
class Split:
    """What a probe learns from and what it is judged on."""

    train: Labelled
    test: Labelled
    names: Mapping[int, str]
    """Name of every class that occurs on either side."""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        return f"{len(self.train.items)} to learn from, {len(self.test.items)} to judge, {len(self.names)} classes"


def labelled_split(
    data: Dataset, step: Step, where: str, *, shots: int = 0, max_test: int = 0, judged: str = "test"
) -> Split:
    """The train split, or `shots` items of each class of it, and the judged split, or `max_test` items of it.

    UserError where there is nothing to tell apart; `where` names the evaluator.
    """
    train, test = (labelled(data, split, step, where) for split in ("train", judged))
    found = sorted(set(train.labels.tolist()))
    if len(found) < 2:
        raise UserError(
            f"the train split holds one class only, label {found[0]}",
            where=where,
            why="a probe needs two classes to tell apart",
            cure="data with more classes; of a folder, each folder in it is a class",
        )
    if shots:
        train = _picked(train, _few_of_each(train, shots, step, where))
    test = some_of(test, max_test, step)
    classes = data.about("train").get("classes", ())
    used = sorted({*train.labels.tolist(), *test.labels.tolist()})
    names = {label: str(classes[label]) if label < len(classes) else str(label) for label in used}
    unseen = sorted(set(test.labels.tolist()) - set(train.labels.tolist()))
    notes = (
        f"classes in the {judged} split that no training item has: {', '.join(names[n] for n in unseen)}",
    )
    return Split(train, test, names, notes if unseen else ())


def labelled(data: Dataset, split: str, step: Step, where: str) -> Labelled:
    """All items of a split with their labels; UserError where one has none."""
    if split not in data.splits():
        raise UserError(
            f'the data has no split "{split}"',
            where=where,
            cure=f"data with it; this one has {', '.join(data.splits())}",
        )
    items = list(items_of(data, split, step))
    if not items:
        raise UserError(f'the split "{split}" is empty', where=where, cure="data with items in it")
    bare = [item["id"] for item in items if "label" not in item]
    if bare:
        raise UserError(
            f'{len(bare)} of {len(items)} items of the split "{split}" have no label',
            where=where,
            why=f'the first is "{bare[0]}"',
            cure="data with labels, or an evaluator that needs none",
        )
    return Labelled(items, np.array([int(item["label"]) for item in items]))


def some_of(found: Labelled, most: int, step: Step) -> Labelled:
    """At most so many items, drawn by a hash of seed and id; 0: all."""
    return _picked(found, some_places(found.items, most, step))


def some_places(items: Sequence[Item], most: int, step: Step) -> np.ndarray:
    """int64: places of at most so many items, drawn by a hash of seed and id, in rising order; 0: all."""
    if not most or most >= len(items):
        return np.arange(len(items))
    return np.sort(_draw_order(items, step)[:most])


def _picked(found: Labelled, places: np.ndarray) -> Labelled:
    return Labelled([found.items[i] for i in places], found.labels[places])


def _draw_order(items: Sequence[Item], step: Step) -> np.ndarray:
    """int64 (items,): an order by a hash of seed and id."""
    key = Step(step.seed).fork("probe").stream("labels")
    draws = uniform(key, identities([str(item["id"]) for item in items]), 1)[:, 0]
    return draws.argsort(stable=True).numpy()


def _few_of_each(found: Labelled, shots: int, step: Step, where: str) -> np.ndarray:
    order = _draw_order(found.items, step)
    chosen = []
    for label in sorted(set(found.labels.tolist())):
        own = order[found.labels[order] == label]
        if len(own) < shots:
            raise UserError(
                f"label {label} has {len(own)} training items, fewer than {shots} shots",
                where=where,
                cure=f"shots={len(own)}, or leave the class out with dataset:classes",
            )
        chosen.append(own[:shots])
    return np.sort(np.concatenate(chosen))


# -- vectors ---------------------------------------------------------------------------------------------------


def features_of(encoder: Any, items: Sequence[Item], step: Step, pool: Pool = "own") -> np.ndarray:
    """float32 (items, P): one vector of each item, without gradients and in evaluation mode."""
    with in_use(encoder):
        found = [
            pooled(encoder(batch), pool).float().cpu()
            for _, batch in in_batches(encoder, encoder.prepare, items, step)
        ]
    vectors = torch.cat(found)
    if not bool(vectors.isfinite().all()):
        bad = int((~vectors.isfinite().all(dim=1)).nonzero()[0])
        raise UserError(
            "the encoder gives vectors with infinite or missing numbers",
            where=f'item "{items[bad]["id"]}"',
            why="its weights are not finite, or what it reads is not",
            cure="an earlier checkpoint of the run: at = STEP of from-run",
        )
    return vectors.numpy()


def pooled(encoded: Encoded, pool: Pool) -> Tensor:
    """(B, P): the encoder's own vector, its class token, or the mean of the states that are there."""
    if pool == "own":
        return encoded.pooled
    if pool == "mean":
        real = encoded.valid[..., None].to(encoded.states.dtype)
        return (encoded.states * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
    if encoded.prefix.shape[1] == 0:
        raise UserError("this encoder has no class token", where="pool", cure="pool=own, or pool=mean")
    return encoded.prefix[:, 0]


def baseline_of(encoder: Any, split: Split, step: Step) -> Baseline | None:
    """The items without the encoder, as it hands them to a linear model; None where it has no `baseline()`."""
    if not hasattr(encoder, "baseline"):
        return None
    return encoder.baseline(split.train.items, split.test.items, step)


def trainable_copy(encoder: Any) -> Any:
    """The same encoder with weights of its own, none of them frozen."""
    made = copy.deepcopy(encoder)
    for part in made.modules():
        part.is_frozen = False
    return made.requires_grad_(True)


def untrained_copy(encoder: Any, seed: int) -> Any:
    """The same network with new weights; None where the encoder has no `reset()` that makes them."""
    if not hasattr(encoder, "reset"):
        return None
    made = trainable_copy(encoder)

    def restart() -> nn.Module:
        made.reset()
        return made

    return seeded(seed, restart)
