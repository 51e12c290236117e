"""Bank contrast: pull what a shrinking encoder makes of an item towards what other encoders made of it before.

`B` batch, `H` width, `m` snapshots in a bank, `A` candidates. Anchors q (B, H) are the unit vectors of the batch, with
gradient. Their candidates are copies of the anchors without gradient, the bank's vectors of the same items, and the
bank's vectors of extra items. log p(a | i) is the log-softmax of q_i · a / temperature over all candidates but the
anchor's own copy. One loss pulls towards the vectors of the same item, the other towards those of the same label.
"""

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.step import Step
from maskwright_cap.banks import Snapshots
from maskwright_torch.contracts import Term

Reduction = Literal["paper", "official"]
NO_LABEL = -1


@attrs.frozen(eq=False)
class Candidates:
    """Unit vectors (A, H) without gradient, with the item (A,) and the label (A,) each belongs to, int64."""

    vectors: Tensor
    rows: Tensor
    labels: Tensor


@attrs.frozen
class BankContrast:
    """The losses against one bank. Towards the pre-trained model, snapshots and the teacher: three of these."""

    name: str
    unsupervised: float
    supervised: float
    temperature: float = 0.1
    extra: int = 4096
    """Vectors of other items, over all snapshots of the bank."""
    reduction: Reduction = "paper"

    def candidates(self, bank: Snapshots, rows: Tensor, labels: Tensor, step: Step) -> Candidates:
        """What the bank adds for a batch of these items: their own vectors, and those of extra ones."""
        count = min(self.extra // len(bank), len(bank.places))
        draws = np.random.Generator(np.random.Philox(key=step.stream(f"extra {self.name}")))
        extra = torch.from_numpy(draws.choice(len(bank.places), count, replace=False)).long()
        known, own = bank.find(rows.cpu())
        vectors = torch.cat([bank.read(own), bank.read(extra)]).to(rows.device)  # (items, m, H)
        who = torch.cat([rows.cpu()[known], bank.places[extra]]).to(rows.device)
        kinds = torch.cat([labels.cpu()[known], bank.labels[extra]]).to(rows.device)
        times = len(bank)
        return Candidates(vectors.flatten(0, 1), who.repeat_interleave(times), kinds.repeat_interleave(times))

    def terms(self, scores: Tensor, rows: Tensor, labels: Tensor, of: Candidates) -> dict[str, Term]:
        """Terms by name. `scores` (B, A) are q · a; the first B candidates are the anchors' copies."""
        own = torch.zeros_like(scores, dtype=torch.bool)
        own.fill_diagonal_(True)
        log_p = (scores / self.temperature).masked_fill(own, -torch.inf).log_softmax(dim=1)
        found = {}
        if self.unsupervised:
            positives = (rows[:, None] == of.rows) & ~own
            found[f"{self.name}_same_item"] = pulled(log_p, positives, self.unsupervised, self.reduction)
        if self.supervised:
            positives = (labels[:, None] == of.labels) & (labels != NO_LABEL)[:, None] & ~own
            found[f"{self.name}_same_label"] = pulled(log_p, positives, self.supervised, self.reduction)
        return found


def pulled(log_p: Tensor, positives: Tensor, weight: float, reduction: Reduction) -> Term:
    """Minus the mean over each anchor's positives, then over the anchors that have any.

    The official code divides by the number of all positives in place of the number of anchors, so with as many
    positives |P| for each anchor its loss is smaller by |P|, and its weights are larger.
    """
    number = positives.sum(dim=1)
    total = -(log_p.masked_fill(~positives, 0.0).sum(dim=1) / number.clamp(min=1)).sum()
    count = (number > 0).sum() if reduction == "paper" else number.sum()
    return Term(total, count.to(total.dtype), weight)


def contrast_terms(
    pairs: Sequence[tuple[BankContrast, Snapshots]], vectors: Tensor, rows: Tensor, labels: Tensor, step: Step
) -> dict[str, Term]:
    """Losses of all banks. The scores of all candidates are one product of matrices.

    `vectors` (B, H) in any precision; `rows` and `labels` int64 (B,), NO_LABEL where there is none.
    """
    anchors = unit(vectors)
    banked = [contrast.candidates(bank, rows, labels, step) for contrast, bank in pairs]
    with torch.autocast(anchors.device.type, enabled=False):
        everything = torch.cat([anchors.detach(), *(c.vectors.to(anchors.dtype) for c in banked)])
        scores = anchors @ everything.T
    own, *others = scores.split([len(anchors), *(len(c.rows) for c in banked)], dim=1)
    found: dict[str, Term] = {}
    for (contrast, _), bank, score in zip(pairs, banked, others, strict=True):
        of = Candidates(bank.vectors, torch.cat([rows, bank.rows]), torch.cat([labels, bank.labels]))
        found |= contrast.terms(torch.cat([own, score], dim=1), rows, labels, of)
    return found


def unit(vectors: Tensor) -> Tensor:
    """(B, H) of length 1, in float32 at least."""
    return F.normalize(vectors if vectors.dtype == torch.float64 else vectors.float(), dim=1)


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """(B,): T² KL(softmax(teacher / T) || softmax(student / T)) of scores (B, classes)."""
    wanted = (teacher / temperature).log_softmax(dim=1)
    found = (student / temperature).log_softmax(dim=1)
    return temperature**2 * (wanted.exp() * (wanted - found)).sum(dim=1)
