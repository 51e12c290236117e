"""evaluator:accuracy — how often a fine-tuned objective names the right class."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.confusions import confusion_figure
from maskwright_torch.features import labelled, some_of
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.judging import item_rows, scores

WHERE = "evaluator:accuracy"


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
        test = some_of(labelled(data, "test", step, WHERE), self.max_test, step)
        right, classes = test.labels, subject.classes
        if int(right.max()) >= classes:
            raise UserError(
                f"an item has the label {int(right.max())}, and the model knows {classes} classes",
                where=WHERE,
                why=f"labels run from 0 to {classes - 1}",
                cure="the data that the model was fine-tuned for, or dataset:classes around this one",
            )
        with in_use(subject):
            logits = torch.cat(
                [
                    subject.logits(batch).double().cpu()
                    for _, batch in in_batches(subject, subject.prepare, test.items, step)
                ]
            )
        predicted = logits.argmax(dim=1).numpy()
        given = data.about("test").get("classes", ())
        used = sorted({*right.tolist(), *predicted.tolist()})
        names = {label: str(given[label]) if label < len(given) else str(label) for label in used}
        common = Counter(sorted(right.tolist())).most_common(1)[0][0]
        always = scores(right, np.full(len(right), common))
        found = scores(right, predicted)
        table = [{"answer": "this model", **found}, {"answer": f"always {names[common]}", **always}]
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(right))
        return Findings(
            values={**found, "loss": float(loss), "majority_accuracy": always["accuracy"]},
            rows=item_rows(test, predicted),
            tables={f"{len(right)} to judge, {classes} classes": table},
            figures=lambda: [confusion_figure(right, predicted, names)],
        )
