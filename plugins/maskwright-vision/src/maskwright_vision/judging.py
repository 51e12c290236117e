"""What every probe reports: the encoder beside its raw input, beside an untrained copy of itself, beside the majority.

An accuracy alone says little: tiny aligned pictures are told apart by their raw pixels better than by any encoder, and
an encoder that has learned nothing is far better than chance. All four rows are always printed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from maskwright.contracts import Findings
from maskwright.step import Step
from maskwright_vision.confusions import confusion_figure
from maskwright_vision.features import Labelled, Pool, Split, features_of, raw_pixels, untrained_copy

Classify = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(vectors to learn from, their labels, vectors to judge) -> predicted labels."""

METRICS: Mapping[str, Literal["max", "min"]] = {"accuracy": "max", "macro_f1": "max", "*_accuracy": "max"}
"""`raw_pixels_accuracy`, `random_accuracy` (the untrained copy) and `majority_accuracy`, where they can be had."""


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
    right = split.test.labels
    notes = list(split.notes)
    guesses: dict[str, np.ndarray] = {}
    table: list[dict[str, Any]] = []
    for name, (known, asked) in _systems(encoder, split, step, pool, notes):
        guesses[name] = classify(known, split.train.labels, asked)
        table.append({"vectors": _WORDS[name], "numbers": known.shape[1], **scores(right, guesses[name])})
    predicted = guesses.pop("encoder")
    values = scores(right, predicted)
    values |= {f"{name}_accuracy": scores(right, guessed)["accuracy"] for name, guessed in guesses.items()}
    common = majority(split)
    always = scores(right, np.full(len(right), common))
    table.append({"vectors": f"none: always {split.names[common]}", "numbers": 0, **always})
    values["majority_accuracy"] = always["accuracy"]
    return Findings(
        values=values,
        rows=item_rows(split.test, predicted),
        tables={f"{how}: {split.size}": table},
        figures=lambda: [confusion_figure(right, predicted, split.names)],
        notes=[*notes, *_honest(values)],
    )


_WORDS = {"encoder": "this encoder", "raw_pixels": "raw pixels", "random": "the same encoder, untrained"}


def _systems(
    encoder: Any, split: Split, step: Step, pool: Pool, notes: list[str]
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Name -> vectors of both sides. What cannot be had is left out, with a note."""
    sides = split.train.items, split.test.items

    def of(network: Any) -> tuple[np.ndarray, np.ndarray]:
        first, second = (features_of(network, items, step, pool) for items in sides)
        return first, second

    yield "encoder", of(encoder)
    known, asked = (raw_pixels(encoder, items, step) for items in sides)
    if known is None or asked is None:
        notes.append("no row for raw pixels: the encoder reads none")
    else:
        yield "raw_pixels", (known, asked)
    untrained = untrained_copy(encoder, Step(step.seed).fork("probe").stream("init"))
    if untrained is None:
        notes.append("no row for an untrained encoder: this one has no reset(), which makes new weights")
    else:
        yield "random", of(untrained)


def item_rows(test: Labelled, predicted: np.ndarray) -> list[dict[str, Any]]:
    """An entry for each test item, for experiments that pair by item."""
    return [
        {"id": str(item["id"]), "label": int(label), "predicted": int(guess), "correct": int(label == guess)}
        for item, label, guess in zip(test.items, test.labels, predicted, strict=True)
    ]


def _honest(values: dict[str, float]) -> Iterator[str]:
    own = values["accuracy"]
    raw = values.get("raw_pixels_accuracy")
    if raw is not None and raw >= own:
        yield (
            f"raw pixels reach {raw:.3f} and the encoder {own:.3f}: on this data nothing is gained by encoding; "
            "compare with the untrained encoder only"
        )
    untrained = values.get("random_accuracy")
    if untrained is not None and untrained >= own:
        yield f"the same encoder untrained reaches {untrained:.3f}, this one {own:.3f}: training did not help here"
