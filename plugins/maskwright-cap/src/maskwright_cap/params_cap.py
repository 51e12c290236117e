"""Settings of the pruning objective and of the masker that goes by scores. Imports nothing heavy."""

import itertools
from typing import Any, Literal

from maskwright.catalogue import catalogue
from maskwright.params import fields_of, is_params, params, setting, slot

_SHAPES = "pruned criterion per importance_items importance_batch floor update_every scope score_lr penalty"
_LOSSES = "task kd kd_temperature pool bank_share bank_batch snapshots snapshot_every"
_OUT, _IN, _SPARSE = "maskwright_cap.exporting", "maskwright_cap.importing", "maskwright_cap.sparse_files"


@params
class Lowest:
    """Hide the units of lowest score; the count is exact. What scores are is for the encoder or objective to say."""

    def build(self):
        from maskwright_cap.choosing import Lowest as Built

        return Built()

    @classmethod
    def example(cls):
        return cls()


@params
class Cap:
    """Prune an encoder while another objective trains it, holding on to what larger models knew (CAP)."""

    inner: Any = slot(
        "objective", needs={"torch"}, inherit=True, help="what trains the encoder: classify, mlm, mae …"
    )
    sparsity: Any = slot(
        "schedule",
        default={"use": "steps"},
        refuses={"per-row"},
        help="share that is pruned; for soft-movement the threshold on sigmoid(score)",
    )
    pruned: Literal["heads-and-neurons", "heads", "neurons", "weights"] = setting(
        "heads-and-neurons", help="what goes; only whole units make the encoder smaller and faster"
    )
    criterion: Literal["first-order", "magnitude", "movement", "soft-movement"] = setting(
        "first-order", help="what units are worth; movement and soft-movement learn scores of single weights"
    )
    chooser: Any = slot(
        "masker",
        default="lowest",
        needs={"torch"},
        refuses={"per-row", "inexact-count"},
        help="what goes, given the scores; random: whatever they are",
    )
    per: Literal["batch", "example"] = setting(
        "batch",
        help="first-order: absolute gradient of each batch (CAP), or of each example (Michel et al.), where the "
        "loss is a mean over rows: a contrast mixes them",
    )
    importance_items: int = setting(0, ge=0, help="training items that importance is measured on; 0: all")
    importance_batch: int = setting(32, ge=1, help="items of one gradient there")
    floor: int = setting(1, ge=0, help="heads that stay in each layer")
    update_every: int = setting(
        1, ge=1, help="steps between two looks at the schedule; the last step looks too"
    )
    scope: Literal["matrix", "all"] = setting(
        "matrix", help="of weights: the share of each matrix, or of all together"
    )
    score_lr: float = setting(300.0, gt=0, help="learning rate of scores, times that of the weights")
    penalty: float = setting(0.0, ge=0, help="soft-movement: weight of the mean sigmoid(score), at the end")

    teacher: Any = slot(
        ("objective", "encoder"),
        optional=True,
        needs={"torch"},
        help="fine-tuned, from a run; only used. Of a bare encoder that cannot be tested",
    )
    pretrained: Any = slot(
        "encoder", optional=True, needs={"torch", "pooled"},
        help="what prc holds on to; none: the encoder as training begins",
    )  # fmt: skip
    task: float = setting(1.0, ge=0, help="weight of the inner objective's own loss")
    kd: float = setting(0.0, ge=0, help="weight of the divergence from the teacher's scores")
    kd_temperature: float = setting(1.0, gt=0, help="that both scores are softened by")
    prc: bool = setting(True, help="contrast with the pre-trained encoder")
    snc: bool = setting(True, help="contrast with snapshots made before each pruning")
    fic: bool = setting(False, help="contrast with the teacher")
    unsupervised: float = setting(0.3, ge=0, help="weight of the pull towards the same item")
    supervised: float = setting(0.03, ge=0, help="weight of the pull towards the same label")
    temperature: float = setting(0.1, gt=0, help="of the contrasts")
    extra: int = setting(
        4096, ge=0, help="vectors of other items that a batch is told apart from, in each bank"
    )
    reduction: Literal["paper", "official"] = setting(
        "paper", help="official: smaller by the number of positives; weights do not transfer between the two"
    )
    pool: Literal["own", "class", "mean"] = setting(
        "own", help="the encoder's pooled vector, its class token, or the mean of its states"
    )
    bank_share: float = setting(1.0, gt=0, le=1, help="share of the training items that are in the banks")
    bank_batch: int = setting(64, ge=1, help="items that are encoded for a bank at a time")
    snapshots: int = setting(9, ge=1, help="newest snapshots that are contrasted with")
    snapshot_every: int = setting(
        0, ge=0, help="steps between snapshots; 0: one before each pruning, of weights one an epoch"
    )

    def tags(self):
        return {"stateful"} | ({"whole-batch"} if self._contrasts() else set())

    def check(self):
        learned = self.criterion in ("movement", "soft-movement")
        if learned and self.pruned != "weights":
            yield "criterion", f'{self.criterion} scores single weights: pruned = "weights"'
        if self.criterion == "first-order" and self.pruned == "weights":
            yield "criterion", 'first-order scores heads and neurons; of weights: "magnitude" or "movement"'
        if self.pretrained is not None and "pre" not in self._contrasts():
            yield "pretrained", "is what prc holds on to, and that is off: prc = true, or no pretrained"
        yield from self._check_idle()
        yield from self._check_encoder()
        if self.teacher is None:
            yield from (
                (name, 'needs a teacher:  teacher = { use = "from-run", run = RUN, part = "objective" }')
                for name in ("fic", "kd")
                if getattr(self, name)
            )
        yield from self._check_sparsity()
        yield from self._check_chooser()

    def _check_idle(self):
        """Settings that were given another value than their own and change nothing."""
        weights, learned = self.pruned == "weights", self.criterion in ("movement", "soft-movement")
        idle = {}
        if self.criterion != "first-order":
            why = f'is for criterion = "first-order"; {self.criterion} measures no gradients'
            idle |= dict.fromkeys(("per", "importance_items", "importance_batch"), why)
        if self.pruned in ("weights", "neurons") and self.floor:  # 0 asks for nothing
            idle["floor"] = f"is of heads; {self.pruned} alone are pruned"
        if not weights:
            idle["scope"] = (
                f'is for pruned = "weights"; units of all blocks are compared, found {self.pruned}'
            )
        if not learned:
            idle["score_lr"] = (
                f"is for scores that are learned (movement, soft-movement); {self.criterion} has none"
            )
        if self.criterion != "soft-movement":
            idle["penalty"] = f'is for criterion = "soft-movement"; {self.criterion} has none'
        fields = fields_of(type(self))
        yield from ((name, why) for name, why in idle.items() if getattr(self, name) != fields[name].default)

    def _check_encoder(self):
        """The planner sees what the inner objective provides, and not what its encoder does."""
        encoder = getattr(self.inner, "encoder", None)
        listed = catalogue().of_class(type(encoder)) if is_params(encoder) else None
        if listed is not None and "prunable" not in listed.component.provides:
            fitting = [x.name for x in catalogue().of_kind("encoder") if "prunable" in x.component.provides]
            yield (
                "inner",
                f"{listed.reference} does not say what can be pruned of it (tag prunable)  "
                f"Fits: {', '.join(fitting) or 'nothing that is installed'}",
            )

    def _check_sparsity(self):
        if not is_params(self.sparsity):
            return
        made = self.sparsity.build()
        low, high = made.range
        if low < 0 or high >= 1:
            yield "sparsity", f"is a share of at least 0 and below 1, found {low:g} to {high:g}; 90 % is 0.9"
            return
        values = [made(number / 200) for number in range(201)]
        if any(later < earlier - 1e-12 for earlier, later in itertools.pairwise(values)):
            yield (
                "sparsity",
                f"must never fall, found {max(values):g} before {values[-1]:g}: what is gone stays gone",
            )

    def _check_chooser(self):
        listed = catalogue().of_class(type(self.chooser))
        wanted = listed.component.expects - {"cap:scores"} if listed is not None else frozenset()
        if wanted:
            words = ", ".join(sorted(wanted))
            yield "chooser", f"masker:{listed.name} hides {words}; here units are heads, neurons or weights"

    def check_parts(self, tags):
        teacher, inner = tags.get("teacher", frozenset()), tags.get("inner", frozenset())
        if self.kd and self.teacher is not None:
            lacking = [
                n for n, found in (("teacher", teacher), ("inner", inner)) if "classifies" not in found
            ]
            if lacking:
                yield (
                    "kd",
                    f"compares class scores; {' and '.join(lacking)} gives none (tag classifies): kd = 0",
                )
        if (self._contrasts() or self.kd) and "whole-batch" in inner:
            yield (
                "inner",
                "mixes the rows of a batch, and a bank knows them one by one: switch that off (mixup, cutmix), "
                "or prc, snc, fic and kd",
            )

    def _contrasts(self):
        on = self.unsupervised > 0 or self.supervised > 0
        return [
            bank
            for bank, name in (("pre", "prc"), ("snap", "snc"), ("fine", "fic"))
            if on and getattr(self, name)
        ]

    def build(self):
        from maskwright_cap.cap import Cap as Built
        from maskwright_cap.contrast import BankContrast
        from maskwright_cap.plan import Plan

        words = {"pre": "prc", "snap": "snc", "fine": "fic"}
        contrasts = {
            bank: BankContrast(
                name=words[bank],
                unsupervised=self.unsupervised,
                supervised=self.supervised,
                temperature=self.temperature,
                extra=self.extra,
                reduction=self.reduction,
            )
            for bank in self._contrasts()
        }
        plan = Plan(**{name: getattr(self, name) for name in f"{_SHAPES} {_LOSSES}".split()})
        return Built(plan, self.inner, self.sparsity, self.chooser, self.teacher, self.pretrained, contrasts)

    @classmethod
    def exports(cls):
        return {
            "compact": f"{_OUT}:to_compact",
            "sparse": f"{_SPARSE}:to_sparse",
            "masks": f"{_OUT}:to_masks",
            "onnx": f"{_OUT}:to_onnx",
        }

    @classmethod
    def imports(cls):
        return {
            "compact": f"{_IN}:from_compact",
            "sparse": f"{_SPARSE}:from_sparse",
            "movement": "maskwright_cap.movement_folders:from_movement",
        }

    @classmethod
    def offers(cls):
        return {"compact": "inner.encoder", "compact-objective": "inner"}

    @classmethod
    def example(cls):
        from maskwright_cap.example_parts import example_encoder
        from maskwright_torch.params_classify import Classify

        return cls(
            inner=Classify(encoder=example_encoder(), classes=2, head_std=0.5),
            teacher=Classify(encoder=example_encoder(1), classes=2, head_std=0.5),
            kd=0.5,
            fic=True,
        )

    @classmethod
    def example_data(cls, make_data):
        from maskwright_torch.example_parts import example_items

        return make_data(example_items())
