"""What every probe reports: the encoder beside its baseline, beside an untrained copy of itself, beside the majority.

An accuracy alone says little: tiny aligned pictures are told apart by their raw pixels better than by any encoder, many
texts by their words, and an encoder that has learned nothing is far better than chance. So every row that can be had is
always printed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from maskwright.contracts import Findings
from maskwright.step import Step
from maskwright_torch.confusions import confusion_figure
from maskwright_torch.contracts import Baseline
from maskwright_torch.features import Labelled, Pool, Split, baseline_of, features_of, untrained_copy

Classify = Callable[[Any, np.ndarray, Any], np.ndarray]
"""(vectors to learn from, their labels, vectors to judge) -> predicted labels.

Vectors are an array, or a scipy.sparse matrix where the encoder's baseline is one.
"""

METRICS: Mapping[str, Literal["max", "min"]] = {"accuracy": "max", "macro_f1": "max", "*_accuracy": "max"}
"""NAME_accuracy of the baseline and `random_accuracy`, of the untrained copy, where these can be had."""


def scores(right: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float(accuracy_score(right, predicted)),
        "macro_f1": float(f1_score(right, predicted, average="macro", zero_division=0)),
    }


def majority(split: Split) -> int:
    """The label that most training items have; the lowest of several."""
    return Counter(sorted(split.train.labels.tolist())).most_common(1)[0][0]


def judge(encoder: Any, split: Split, step: Step, pool: Pool, classify: Classify, how: str) -> Findings:
    """The findings of a probe that learns as `classify` does; `how` names it in the table."""
    right, notes = split.test.labels, list(split.notes)
    predicted, values = right, {}
    table: list[dict[str, Any]] = []
    for system in _systems(encoder, split, step, pool, notes):
        guessed = classify(system.known, split.train.labels, system.asked)
        found = scores(right, guessed)
        table.append({"vectors": system.words, "numbers": system.known.shape[1], **found})
        if system.name == "encoder":
            predicted, values = guessed, dict(found)
        else:
            values[f"{system.name}_accuracy"] = found["accuracy"]
    common = majority(split)
    always = scores(right, np.full(len(right), common))
    notes += _honest(table)
    table.append({"vectors": f"none: always {split.names[common]}", "numbers": 0, **always})
    values["majority_accuracy"] = always["accuracy"]
    return Findings(
        values=values,
        rows=item_rows(split.test, predicted),
        tables={f"{how}: {split.size}": table},
        figures=lambda: [confusion_figure(right, predicted, split.names)],
        notes=notes,
    )


UNTRAINED = "the same encoder, untrained"


def _systems(encoder: Any, split: Split, step: Step, pool: Pool, notes: list[str]) -> Iterator[Baseline]:
    """The encoder, then what stands beside it. What cannot be had is left out, with a note."""

    def of(network: Any, name: str, words: str) -> Baseline:
        known, asked = (features_of(network, side.items, step, pool) for side in (split.train, split.test))
        return Baseline(name, words, known, asked)

    yield of(encoder, "encoder", "this encoder")
    baseline = baseline_of(encoder, split, step)
    if baseline is None:
        notes.append("no row without an encoder: this one has no baseline(), which a linear model would get")
    else:
        yield baseline
    untrained = untrained_copy(encoder, Step(step.seed).fork("probe").stream("init"))
    if untrained is None:
        notes.append("no row for an untrained encoder: this one has no reset(), which makes new weights")
    else:
        yield of(untrained, "random", UNTRAINED)


def item_rows(test: Labelled, predicted: np.ndarray) -> list[dict[str, Any]]:
    """An entry for each test item, for experiments that pair by item."""
    return [
        {"id": str(item["id"]), "label": int(label), "predicted": int(guess), "correct": int(label == guess)}
        for item, label, guess in zip(test.items, test.labels, predicted, strict=True)
    ]


def _honest(table: list[dict[str, Any]]) -> Iterator[str]:
    """What the encoder, in the first row, does not beat."""
    own = table[0]["accuracy"]
    for row in table[1:]:
        if row["accuracy"] < own:
            continue
        if row["vectors"] == UNTRAINED:
            yield (
                f"the same encoder untrained reaches {row['accuracy']:.3f}, this one {own:.3f}: "
                "training did not help here"
            )
        else:
            yield (
                f"{row['vectors']}: {row['accuracy']:.3f}, the encoder: {own:.3f}; on this data nothing is gained by "
                "encoding; compare with the untrained encoder only"
            )
