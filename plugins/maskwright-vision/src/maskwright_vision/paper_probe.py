"""evaluator:paper-probe — the linear probe as the MAE paper trains it: batch norm without weights, then LARS.

On vectors computed once, so without the paper's crops and flips.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from maskwright.contracts import Dataset, Findings
from maskwright.step import Step
from maskwright_torch.features import Pool, labelled_split
from maskwright_torch.judging import METRICS, judge
from maskwright_torch.noise import permutation
from maskwright_torch.optim import Lars
from maskwright_torch.part import seeded

BASE_LR, LR_ROWS = 0.1, 256
"""The learning rate is BASE_LR for each LR_ROWS rows of a batch."""
MOMENTUM, WARM_UP, HEAD_STD, NORM_EPS = 0.9, 0.1, 0.01, 1e-6
FITTED = 0.9
"""Share of its own training items that a probe must get right to count as trained, for the note below it."""


class PaperProbe:
    """The paper's probe on frozen vectors."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = METRICS

    def __init__(self, epochs: int, batch: int, shots: int, pool: Pool, max_test: int, split: str) -> None:
        self.epochs, self.batch = epochs, batch
        self.shots, self.pool, self.max_test, self.split = shots, pool, max_test, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        split = labelled_split(
            data, step, "evaluator:paper-probe", shots=self.shots, max_test=self.max_test, judged=self.split
        )
        learned: list[float] = []

        def classify(known: Any, labels: np.ndarray, asked: Any) -> np.ndarray:
            known, asked = dense(known), dense(asked)
            probe, classes = trained_probe(
                known, labels, self.epochs, self.batch, Step(step.seed).fork("probe")
            )
            with torch.no_grad():
                own, other = (probe(torch.from_numpy(x)).argmax(dim=1).numpy() for x in (known, asked))
            learned.append(float((classes[own] == labels).mean()))
            return classes[other]

        found = judge(subject, split, step, self.pool, classify, f"batch norm and LARS, {self.epochs} epochs")
        notes = ["vectors are computed once: no crops and flips, unlike in the paper"]
        if learned[0] < FITTED:
            notes.append(
                f"the probe gets {learned[0]:.2f} of its own training items right after {self.epochs} epochs: small "
                "data makes few steps of LARS, so give more epochs before reading anything into the accuracy"
            )
        return attrs.evolve(found, notes=[*found.notes, *notes])


def dense(vectors: Any) -> np.ndarray:
    """float32 (items, numbers) of an array or a scipy.sparse matrix, which a baseline may be."""
    return np.asarray(vectors.toarray() if hasattr(vectors, "toarray") else vectors, dtype=np.float32)


def trained_probe(
    vectors: np.ndarray, labels: np.ndarray, epochs: int, batch: int, step: Step
) -> tuple[nn.Module, np.ndarray]:
    """The probe in evaluation mode, and the label that each of its outputs stands for."""
    classes, target = np.unique(labels, return_inverse=True)
    x, y = torch.from_numpy(vectors), torch.from_numpy(target)
    # Pieces of equal size, none smaller than the batch: batch norm cannot train on a single row.
    pieces = max(len(x) // batch, 1)
    highest = BASE_LR * len(x) / pieces / LR_ROWS
    probe = seeded(step.stream("probe"), lambda: make_probe(x.shape[1], len(classes)))
    optimiser = Lars(probe.parameters(), lr=highest, momentum=MOMENTUM, weight_decay=0.0)
    total = epochs * pieces
    with torch.enable_grad():
        for epoch in range(epochs):
            order = permutation(step.at(epoch).stream("order"), len(x))
            for number, rows in enumerate(order.tensor_split(pieces), start=epoch * pieces):
                optimiser.param_groups[0]["lr"] = highest * lr_factor(number / total)
                optimiser.zero_grad()
                F.cross_entropy(probe(x[rows]), y[rows]).backward()
                optimiser.step()
    return probe.eval(), classes


def make_probe(width: int, classes: int) -> nn.Module:
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=HEAD_STD)
    nn.init.zeros_(head.bias)
    return nn.Sequential(nn.BatchNorm1d(width, affine=False, eps=NORM_EPS), head)


def lr_factor(progress: float) -> float:
    """Linear from 0 over the warm-up, then half a cosine down to 0."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
