"""Teachers and pre-trained encoders, and what makes one unfit: another task, tokenizer or width, no training."""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_cap.layers import WHERE
from maskwright_torch.batches import collate
from maskwright_torch.features import Pool
from maskwright_torch.inference import in_use
from maskwright_torch.noise import permutation
from maskwright_torch.visit import Visit

ASKED = 512
"""Training items on which a teacher is tried, at most."""


def encoder_inside(part: Any) -> Any:
    """The encoder of an objective, or the encoder itself."""
    if hasattr(part, "encoder"):
        return part.encoder
    if hasattr(part, "pooled_width"):
        return part
    raise UserError(
        f"{type(part).__name__} has no encoder to prune",
        where=f"{WHERE}, setting inner",
        cure="an objective around one encoder, such as classify or mlm",
    )


def check_teacher(teacher: Any, student: Any, visit: Visit | None = None) -> None:
    """UserError where a teacher cannot teach; with a visit to the data, by asking it."""
    mine, others = getattr(student, "classes", None), getattr(teacher, "classes", None)
    if mine is not None and others is not None and mine != others:
        raise UserError(
            f"the teacher knows {others} classes, the student {mine}",
            where=f"{WHERE}, setting teacher",
            cure="a teacher that was fine-tuned on the same labels",
        )
    if visit is None:
        return
    check_reads(teacher, student, visit, "teacher")
    if others is not None:
        _has_learned(teacher, visit)


def check_width(held: Any, student: Any, pool: Pool, setting: str) -> None:
    """UserError where the vectors of two encoders cannot be compared."""
    name = "pooled_width" if pool == "own" else "width"
    theirs, own = getattr(held, name), getattr(student, name)
    if theirs != own:
        raise UserError(
            f"the {setting} gives vectors of {theirs} numbers, the student of {own}",
            where=f"{WHERE}, setting {setting}",
            why="a contrast compares the two",
            cure="one of the same width; or without that contrast: prc=false for pretrained, fic=false for teacher",
        )


def check_reads(held: Any, student: Any, visit: Visit, setting: str) -> None:
    """Both read what the student's encoder prepares, so both must mean the same by it."""
    if not hasattr(held, "encoder"):
        student = encoder_inside(student)
    places = list(range(min(visit.length, 4)))
    items = visit.items(places)
    known, own = (collate(items, places, part.prepare, visit.step) for part in (held, student))
    differing = [
        name
        for name in sorted(known.keys() | own.keys())
        if name not in known or name not in own or not torch.equal(known[name], own[name])
    ]
    if differing:
        raise UserError(
            f"the {setting} reads the training items in another way than the student",
            where=f"{WHERE}, setting {setting}",
            why=f"their batches differ in {', '.join(differing)}: another tokenizer, length or picture size",
            cure="take both from runs with the same codec and settings; a tokenizer is fitted once and then reused",
        )


def _has_learned(teacher: Any, visit: Visit) -> None:
    """A teacher that was never fine-tuned does not know the labels of the items it is to be learned from."""
    # Drawn, because items that are sorted by their labels begin with one class.
    places = permutation(visit.step.stream("teacher"), visit.length)[:ASKED].tolist()
    said, labels = [], []
    with in_use(teacher):
        for batch in visit.batches(places, 64):
            label = batch.get("label")
            if label is None or label.is_floating_point():
                return
            said.append(teacher.logits(batch).argmax(dim=1).cpu())
            labels.append(label.cpu())
    right, needed, most = hits_needed(torch.cat(said), torch.cat(labels))
    if most < len(places) and right < needed:
        raise UserError(
            "the teacher was not fine-tuned for this task",
            where=f"{WHERE}, setting teacher",
            why=f"it names {right} of {len(places)} training labels, always the most frequent one would be {most}, "
            f"and chance explains fewer than {needed}",
            cure='fine-tune it first, objective = { use = "classify", … } on the same data, and take that run',
        )


def hits_needed(said: Tensor, labels: Tensor) -> tuple[int, int, int]:
    """(labels that were named, how many are no chance, items of the most frequent label); both int64 (N,).

    More than always naming the most frequent label, and three deviations more than the same answers dealt out to the
    items at random. Whatever that is of few items, to name all of them is enough.
    """
    count, most = len(labels), int(labels.unique(return_counts=True)[1].max())
    same = (said[:, None] == labels).double()
    # Mean and variance of the sum of same[i, order(i)] over all orders.
    apart = same - same.mean(dim=0) - same.mean(dim=1, keepdim=True) + same.mean()
    chance = float(same.mean()) * count
    deviation = math.sqrt(float(apart.square().sum()) / max(count - 1, 1))
    needed = max(most + 1, math.ceil(chance + 3 * deviation))
    return int((said == labels).sum()), min(needed, count), most


def require_classes(labels: Tensor) -> None:
    """UserError where all items have one label: then all would be pulled together. A warning where none has any."""
    known = labels[labels >= 0].unique()
    if len(known) == 0:
        warnings.warn("the items have no classes as labels: the supervised contrasts are off", stacklevel=2)
    if len(known) == 1:
        raise UserError(
            f"all items in the banks have the label {int(known[0])}",
            where=f"{WHERE}, setting supervised",
            why="the supervised contrast would pull all of them together",
            cure="bank_share=1 if other items have other labels; else supervised=0, or data with more classes",
        )
