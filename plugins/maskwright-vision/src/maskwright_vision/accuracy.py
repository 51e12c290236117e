"""evaluator:accuracy — how often a fine-tuned objective names the right class."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from maskwright.contracts import Dataset, Findings
from maskwright.step import Step
from maskwright_torch.inference import in_batches, in_use
from maskwright_vision.confusions import confusion_figure
from maskwright_vision.features import labelled_split
from maskwright_vision.judging import item_rows, majority, scores


class Accuracy:
    """Judges the test split; nothing is learned here."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "accuracy": "max",
        "macro_f1": "max",
        "loss": "min",
        "majority_accuracy": "max",
    }

    def __init__(self, max_test: int) -> None:
        self.max_test = max_test

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        split = labelled_split(data, step, "evaluator:accuracy", max_test=self.max_test)
        with in_use(subject):
            logits = torch.cat(
                [
                    subject.logits(batch)[0].double().cpu()
                    for _, batch in in_batches(subject, subject.prepare, split.test.items, step)
                ]
            )
        right, predicted = split.test.labels, logits.argmax(dim=1).numpy()
        common = majority(split)
        always = scores(right, np.full(len(right), common))
        found = scores(right, predicted)
        table = [{"answer": "this model", **found}, {"answer": f"always {split.names[common]}", **always}]
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(right))
        return Findings(
            values={**found, "loss": float(loss), "majority_accuracy": always["accuracy"]},
            rows=item_rows(split, predicted),
            tables={f"{len(right)} to judge, {len(split.names)} classes": table},
            figures=lambda: [confusion_figure(right, predicted, split.names)],
            notes=split.notes,
        )
