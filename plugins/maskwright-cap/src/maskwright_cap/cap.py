"""objective:cap — prune an encoder while another objective trains it, and hold on to what larger models knew.

As in "From Dense to Sparse: Contrastive Pruning for Better Pre-trained Language Model Compression" (arXiv:2112.07198):
before a step whose sparsity is higher than the last one, units are scored, a snapshot of the encoder goes into a bank,
and the lowest are closed. The loss is the inner objective's, a divergence from the teacher's scores, and contrasts with
the banks of the pre-trained model, of the snapshots and of the teacher. With those weights at 0 it is the inner
objective's alone, bit for bit.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maskwright.step import Step
from maskwright_cap.banks import FINE, PRE, SNAP, Banks
from maskwright_cap.choosing import agree, share_of_true
from maskwright_cap.contrast import NO_LABEL, BankContrast, contrast_terms, softened_divergence, unit
from maskwright_cap.gates import Gates, importance, magnitudes
from maskwright_cap.layers import groups_of
from maskwright_cap.masks import Masks
from maskwright_cap.plan import KINDS, Plan
from maskwright_cap.teachers import check_reads, check_teacher, check_width, encoder_inside, require_classes
from maskwright_torch.contracts import ROWS, Batch, Loss, Reshaped, Term
from maskwright_torch.features import pooled
from maskwright_torch.inference import in_use
from maskwright_torch.noise import permutation
from maskwright_torch.optim import split_by_decay
from maskwright_torch.part import Part, digest, freeze
from maskwright_torch.visit import Visit

PASSED_ON = frozenset(
    {"classes", "logits", "fill", "fields", "asked", "read", "generate", "target_losses", "order", "masker", "ratio"}
)  # fmt: skip
"""What the inner objective offers besides its loss."""


class Cap(Part):
    """Owns the inner objective, the teachers, the gates or masks, and the banks."""

    def __init__(
        self, plan: Plan, inner: Any, sparsity: Any, chooser: Any, teacher: Any, pretrained: Any,
        contrasts: Mapping[str, BankContrast],
    ) -> None:  # fmt: skip
        super().__init__()
        self.plan, self.inner, self.sparsity, self.chooser = plan, inner, sparsity, chooser
        self.teacher, self.pretrained, self.contrasts = teacher, pretrained, dict(contrasts)
        self.prepare = inner.prepare
        for used in (teacher, pretrained):
            if used is not None:
                freeze(used)
        encoder = encoder_inside(inner)
        groups_of(encoder)
        weights = plan.pruned == "weights"
        scored = weights and plan.criterion in ("movement", "soft-movement")
        self.gates = None if weights else Gates(encoder, KINDS[plan.pruned])
        self.masks = Masks(encoder, scored) if weights else None
        self.banks = Banks(plan.snapshots if SNAP in contrasts else 0)
        # The sparsity that was last pruned to, the share that is gone, and how many units the floors held back;
        # 256 bits of the weights that pruning began from, zeros before.
        self.register_buffer("reached", torch.zeros((), dtype=torch.float64))
        self.register_buffer("gone", torch.zeros((), dtype=torch.float64))
        self.register_buffer("held_back", torch.zeros((), dtype=torch.int64))
        self.register_buffer("source", torch.zeros(32, dtype=torch.uint8))
        self._begun = False
        if teacher is not None:
            check_teacher(teacher, inner)
        for bank, setting, held in ((FINE, "teacher", teacher), (PRE, "pretrained", pretrained)):
            if bank in contrasts and held is not None:
                check_width(encoder_inside(held), encoder, plan.pool, setting)

    @property
    def encoder(self) -> Any:
        return encoder_inside(self.inner)

    @property
    def notices(self) -> list[str]:
        said = list(getattr(self.inner, "notices", ()))
        if self.teacher is not None and not hasattr(self.teacher, "logits"):
            said.append("the teacher gives no class scores: whether it was fine-tuned cannot be tested")
        return said

    def __getattr__(self, name: str) -> Any:
        if name in PASSED_ON:
            return getattr(self.inner, name)
        return super().__getattr__(name)

    # -- the loss ----------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, step: Step) -> Loss:
        loss: Loss = self.inner(batch, step)
        terms = {
            name: Term(term.sum, term.count, term.weight * self.plan.task)
            for name, term in loss.terms.items()
        }
        if self.plan.kd:
            terms["kd"] = self._divergence(batch, loss)
        pairs = [
            (c, bank) for name, c in self.contrasts.items() if (bank := self.banks.get(name)) is not None
        ]
        if pairs:
            encoded = loss.encoded if loss.encoded is not None else self.encoder(batch)
            vectors = pooled(encoded, self.plan.pool)
            terms |= contrast_terms(pairs, vectors, batch[ROWS], labels_of(batch), step)
        if self.plan.criterion == "soft-movement":
            assert self.masks is not None
            value = self.masks.penalty()
            terms["penalty"] = Term(value, torch.ones_like(value), self._penalty(step))
        parts = {**loss.parts, "sparsity": self.gone}
        return Loss(terms, parts, loss.encoded, loss.totals, loss.logits)

    def counts(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Of the terms that add up over the pieces of a batch: all but the contrasts, which want it whole."""
        if hasattr(self.inner, "counts"):
            found = dict(self.inner.counts(batch, step))
        else:
            with torch.no_grad():
                found = {name: term.count for name, term in self.inner(batch, step).terms.items()}
        one = torch.ones((), device=batch[ROWS].device)
        if self.plan.kd:
            found["kd"] = one * len(batch[ROWS])
        if self.plan.criterion == "soft-movement":
            found["penalty"] = one
        return found

    def _divergence(self, batch: Batch, loss: Loss) -> Term:
        with torch.no_grad():
            wanted = self.teacher.logits(batch)
        found = loss.logits if loss.logits is not None else self.inner.logits(batch)
        rows = softened_divergence(found, wanted, self.plan.kd_temperature)
        return Term(rows.sum(), rows.new_tensor(float(len(rows))), self.plan.kd)

    def _penalty(self, step: Step) -> float:
        """Grows with the threshold, to its setting at the end."""
        last = self.sparsity(1.0)
        return self.plan.penalty * (self.sparsity(step.progress) / last if last else 1.0)

    # -- before and after a step ---------------------------------------------------------------------------------

    def before_step(self, visit: Visit, step: Step) -> None:
        """Fill banks, measure importance, change what is pruned."""
        if not self._begun:
            self._begin(visit)
        self._fill_banks(visit, step, self._lacking())
        # Progress never reaches 1: the last step asks for the end of the schedule.
        last = step.done >= 1
        look = last or step.number % self.plan.update_every == 0
        share = float(self.sparsity(1.0 if last else step.progress))
        # A smooth schedule moves at each step, a number of units now and then.
        changed = look and self.gates is not None and self.gates.changes(float(self.reached), share)
        scores = self._scores(visit, step.fork("prune")) if changed else []
        if SNAP in self.contrasts and step.number > 0 and self._is_moment(visit, step, changed):
            self._fill_banks(visit, step, {SNAP: self.encoder})
        # Units that are gone stay gone; which weights are kept follows their scores, also while the share stays.
        if changed or (look and self.masks is not None):
            self._prune(visit, step, share, scores)
            self.reached.fill_(share)

    def _is_moment(self, visit: Visit, step: Step, changed: bool) -> bool:
        """For a snapshot. Weights change at almost every look: of them one is taken as each epoch begins."""
        every = self.plan.snapshot_every
        if every:
            return step.number % every == 0
        return changed if self.masks is None else visit.begins_epoch(step.number)

    def after_step(self, step: Step) -> None:
        """What is pruned stays zero, whatever the optimiser remembers; masks are multiplied in at the end."""
        if self.gates is not None:
            self.gates.settle(self.encoder)
        elif self.masks is not None and step.done >= 1:
            self.masks.multiply(self.encoder)

    def _begin(self, visit: Visit) -> None:
        if self.teacher is not None:
            check_teacher(self.teacher, self.inner, visit)
        if self.pretrained is not None:
            check_reads(self.pretrained, self.inner, visit, "pretrained")
        if self.contrasts:
            self.banks.open(visit, self.plan.bank_share)
        if not bool(self.source.any()):
            self.source.copy_(torch.frombuffer(bytearray.fromhex(digest(self.encoder)), dtype=torch.uint8))
        self._begun = True

    def source_digest(self) -> str:
        """sha256 of the encoder that pruning began from, or would begin from."""
        return bytes(self.source.tolist()).hex() if bool(self.source.any()) else digest(self.encoder)

    def _lacking(self) -> dict[str, Any]:
        """The banks that are filled once and are still empty, with what encodes for them."""
        wanted = {}
        if FINE in self.contrasts and self.banks.get(FINE) is None:
            wanted[FINE] = encoder_inside(self.teacher)
        if PRE in self.contrasts and self.banks.get(PRE) is None:
            wanted[PRE] = self.encoder if self.pretrained is None else self.pretrained
        return wanted

    def _fill_banks(self, visit: Visit, step: Step, wanted: Mapping[str, Any]) -> None:
        for name, encoder in wanted.items():

            def encode(batch: Batch, encoder: Any = encoder) -> Tensor:
                with in_use(encoder), visit.compute.autocast():
                    return unit(pooled(encoder(batch), self.plan.pool))

            self.banks.add(name, step.number, visit, encode, self.plan.bank_batch)
        if wanted and any(contrast.supervised for contrast in self.contrasts.values()):
            bank = self.banks.get(next(iter(wanted)))
            assert bank is not None
            require_classes(bank.labels)

    @torch.no_grad()
    def _prune(self, visit: Visit, step: Step, share: float, scores: list[Tensor]) -> None:
        """`scores`: for each gate (count,); masks on weights know their own."""
        plan, step = self.plan, step.fork("prune")
        if self.gates is not None:
            lacking = self.gates.prune(share, scores, self.chooser, plan.floor, step)
            self.held_back.fill_(lacking)
            held = self.gates.opened
        else:
            assert self.masks is not None
            if plan.criterion == "soft-movement":
                self.masks.keep_above(share)
            else:
                # The same draws at every look: a masker that goes by chance would else choose others in a hold.
                self.masks.keep_best(self.encoder, 1.0 - share, plan.scope, self.chooser, step.at(0))
            held = self.masks.kept
        agree(visit.ranks, held)
        if self.gates is not None:
            self.gates.settle(self.encoder)
        self.gone.fill_(1.0 - share_of_true(held))

    def _scores(self, visit: Visit, step: Step) -> list[Tensor]:
        assert self.gates is not None
        if self.plan.criterion == "magnitude":
            return magnitudes(self.gates, self.encoder)
        places = permutation(step.stream("importance"), visit.length)
        places = places[: self.plan.importance_items or None].sort().values.tolist()

        def loss_of(batch: Batch, number: int) -> Tensor:
            with visit.compute.autocast():
                return self(batch, step.fork("importance", number)).value

        batches = visit.batches(places, self.plan.importance_batch)
        return importance(self.gates, self, loss_of, batches, self.plan.per)

    # -- for the optimiser and for later runs --------------------------------------------------------------------

    def groups(self, decay: float) -> list[dict[str, Any]]:
        """The inner objective's groups; scores learn at a rate of their own and do not decay."""
        found = (
            self.inner.groups(decay)
            if hasattr(self.inner, "groups")
            else split_by_decay(self.inner.named_parameters(), decay)
        )
        scores = [] if self.masks is None else self.masks.scores
        own = {"params": scores, "weight_decay": 0.0, "lr_scale": self.plan.score_lr}
        return [*found, *([own] if scores else [])]

    def compacted(self) -> Any:
        """The encoder without what is pruned; of masked weights None, they have no smaller shape."""
        return None if self.gates is None else self.gates.compacted(self.encoder)

    def compacted_objective(self) -> Any:
        """The inner objective around the compact encoder; None where there is none."""
        small = self.compacted()
        # Wherever the copy would hold the encoder, it holds the small one.
        return None if small is None else copy.deepcopy(self.inner, {id(self.encoder): small})

    def parts(self) -> Mapping[str, Reshaped]:
        """`compact`, the small encoder, and `compact-objective`, the same with its head."""
        whole = self.compacted_objective()
        if whole is None:
            return {}
        shape = {"shape": whole.encoder.shape}
        return {
            "compact": Reshaped("inner.encoder", shape, whole.encoder),
            "compact-objective": Reshaped("inner", {"encoder": shape}, whole),
        }


def labels_of(batch: Batch) -> Tensor:
    """int64 (B,): labels that are classes, else NO_LABEL."""
    label = batch.get("label")
    if label is None or label.is_floating_point():
        return torch.full_like(batch[ROWS], NO_LABEL)
    return label
