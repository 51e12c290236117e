"""evaluator:glue-scores — the numbers that the GLUE tasks are judged by, and their file of predictions."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.features import Labelled, labelled
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.judging import item_rows

WHERE = "evaluator:glue-scores"


class GlueScores:
    """Judges a split; nothing is learned here."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = dict.fromkeys(
        ("accuracy", "f1", "matthews", "spearman"), "max"
    )

    def __init__(self, split: str) -> None:
        self.split = split

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        asked = labelled(data, self.split, step, WHERE)
        require_whole(asked.items)
        # Public test splits of GLUE have -1: predictions are wanted, scores cannot be had.
        judged = asked.labels >= 0
        with in_use(subject):
            chances = torch.cat(
                [
                    subject.logits(batch).double().softmax(dim=1).cpu()
                    for _, batch in in_batches(subject, subject.prepare, asked.items, step)
                ]
            )
        predicted = chances.argmax(dim=1).numpy()
        expected = (chances @ torch.arange(chances.shape[1], dtype=torch.float64)).numpy()
        names = data.about(self.split).get("classes", ())
        said = [str(names[label]) if label < len(names) else str(label) for label in predicted.tolist()]
        lines = [f"{number}\t{name}" for number, name in enumerate(said)]
        classes = max(len(names), int(asked.labels.max()) + 1)
        notes = ["f1 is that of class 1 where the data have two, else the mean over classes"]
        if hidden := int((~judged).sum()):
            notes.append(f"{hidden} of {len(judged)} items have no label: they are predicted and not judged")
        known = Labelled([asked.items[place] for place in np.flatnonzero(judged)], asked.labels[judged])
        return Findings(
            scores(known.labels, predicted[judged], expected[judged], classes) if len(known.items) else {},
            rows=item_rows(known, predicted[judged]),
            files={"predictions.tsv": ("index\tprediction\n" + "\n".join(lines) + "\n").encode()},
            notes=notes,
        )


def require_whole(items: Sequence[Any]) -> None:
    """UserError where a label is a number between two classes, such as the similarities of STS-B."""
    for item in items:
        if item["label"] != int(item["label"]):
            raise UserError(
                f"the label {item['label']:g} is no class",
                where=f'{WHERE}, item "{item["id"]}"',
                why="accuracy, F1 and predictions are of classes, numbered from 0",
                cure="labels that are whole numbers: round them, or sort them into classes",
            )


def scores(right: np.ndarray, predicted: np.ndarray, expected: np.ndarray, classes: int) -> dict[str, float]:
    """`expected`: the mean class by its probabilities, which ranks items where classes have an order.

    `classes`: how many the data have. Where a model names one that they lack, F1 is still that of class 1.
    """
    if classes <= 2:
        f1 = f1_score(right == 1, predicted == 1, zero_division=0)
    else:
        f1 = f1_score(right, predicted, average="macro", zero_division=0)
    alike = len(set(right.tolist())) < 2 or float(np.ptp(expected)) == 0.0
    return {
        "accuracy": float(accuracy_score(right, predicted)),
        "f1": float(f1),
        "matthews": float(matthews_corrcoef(right, predicted)),
        "spearman": 0.0 if alike else float(spearmanr(right, expected).statistic),
    }
