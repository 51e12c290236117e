"""evaluator:finetune — a copy of the encoder trained on few labels, beside the same network from scratch.

Both arms see the same labels, batches and number of steps. Scratch is given its best chance: the full learning rate in
every layer, where layer-wise decay would hold back weights that have learned nothing yet.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import torch

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.batches import Order
from maskwright_torch.classify import Classify
from maskwright_torch.confusions import confusion_figure
from maskwright_torch.contracts import ROWS
from maskwright_torch.features import Split, baseline_of, labelled_split, trainable_copy, untrained_copy
from maskwright_torch.gradients import seed_modules
from maskwright_torch.inference import in_batches, in_use, prepared
from maskwright_torch.judging import item_rows, majority, scores
from maskwright_torch.linear_probe import regress
from maskwright_torch.optim import make_optimiser, set_lr
from maskwright_torch.part import seeded, set_training

WHERE = "evaluator:finetune"
BETAS = (0.9, 0.999)


@attrs.frozen
class Training:
    """How both arms are trained: AdamW, a linear warm-up, half a cosine down to 0."""

    steps: int
    batch: int
    lr: float
    decay: float
    warmup: float
    layer_decay: float
    norm: bool
    head_std: float
    trained_blocks: int

    def factor(self, progress: float) -> float:
        """Share of the highest rate, at a share of the run."""
        if progress < self.warmup:
            return progress / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


class FineTune:
    """What an encoder is worth as a starting point."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "accuracy": "max",
        "macro_f1": "max",
        "*_accuracy": "max",
        "gain*": "max",
    }
    """`scratch_accuracy` and `gain` over it where the encoder can be made anew; NAME_accuracy of its baseline."""

    def __init__(self, training: Training, shots: int, max_test: int, split: str) -> None:
        self.training, self.shots, self.max_test, self.split = training, shots, max_test, split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        split = labelled_split(data, step, WHERE, shots=self.shots, max_test=self.max_test, judged=self.split)
        base = Step(step.seed).fork("finetune")
        right, notes = split.test.labels, list(split.notes)
        predicted = self._arm(trainable_copy(subject), split, base, self.training)
        values = scores(right, predicted)
        table = [{"arm": "fine-tuned", **values}]
        fresh = untrained_copy(subject, base.stream("scratch"))
        if fresh is None:
            notes.append("no arm from scratch: this encoder has no reset(), which makes new weights")
        else:
            whole = attrs.evolve(self.training, layer_decay=1.0, trained_blocks=-1)
            scratch = scores(right, self._arm(fresh, split, base, whole))
            table.append({"arm": "from scratch, same steps", **scratch})
            values |= {
                "scratch_accuracy": scratch["accuracy"],
                "gain": values["accuracy"] - scratch["accuracy"],
            }
        baseline = baseline_of(subject, split, step)
        if baseline is not None:
            plain = scores(right, regress(1.0, baseline.known, split.train.labels, baseline.asked)[0])
            table.append({"arm": f"logistic regression on {baseline.words}", **plain})
            values[f"{baseline.name}_accuracy"] = plain["accuracy"]
        common = majority(split)
        always = scores(right, np.full(len(right), common))
        table.append({"arm": f"always {split.names[common]}", **always})
        values["majority_accuracy"] = always["accuracy"]
        return Findings(
            values=values,
            rows=item_rows(split.test, predicted),
            tables={f"{self.training.steps} steps: {split.size}": table},
            figures=lambda: [confusion_figure(right, predicted, split.names)],
            notes=notes,
        )

    def _arm(self, encoder: Any, split: Split, step: Step, training: Training) -> np.ndarray:
        """Labels predicted for the test items after training on the others. The encoder is used up."""
        objective = seeded(step.stream("init"), lambda: trained(encoder, split, step, training))
        with in_use(objective):
            found = [
                objective.logits(batch).argmax(dim=1).cpu()
                for _, batch in in_batches(objective, objective.prepare, split.test.items, step)
            ]
        return torch.cat(found).numpy()


def trained(encoder: Any, split: Split, step: Step, training: Training) -> Classify:
    """The objective after all steps. It draws from torch's default generators: call it inside `seeded`."""
    objective = Classify(
        encoder,
        max(split.names) + 1,
        norm=training.norm,
        head_std=training.head_std,
        layer_decay=training.layer_decay,
        trained_blocks=training.trained_blocks,
    )
    like = next(encoder.parameters(), torch.zeros(()))
    objective.to(like.device, like.dtype)
    whole = prepared(objective, objective.prepare, split.train.items, step)
    whole.setdefault("label", torch.from_numpy(split.train.labels).to(like.device))
    optimiser = make_optimiser(
        "adamw", objective, lr=training.lr, betas=BETAS, momentum=0.9, decay=training.decay
    )
    count = len(whole[ROWS])
    order = Order(step, count, min(training.batch, count))
    set_training(objective)
    with torch.enable_grad():
        for number in range(training.steps):
            now = Step(step.seed, number, training.steps, step.names)
            rows = torch.tensor([row for _, row in order.places(number)], device=like.device)
            seed_modules(now)
            lr = training.lr * training.factor(now.progress)
            set_lr(optimiser, lr)
            optimiser.zero_grad()
            loss = objective({name: tensor[rows] for name, tensor in whole.items()}, now).value
            worth = float(loss.detach())
            if not math.isfinite(worth):
                raise UserError(
                    f"the loss became {worth} at step {number + 1} of fine-tuning",
                    where=WHERE,
                    why=f"the learning rate was {lr:.3g}",
                    cure="a lower lr",
                )
            loss.backward()
            optimiser.step()
    return objective
