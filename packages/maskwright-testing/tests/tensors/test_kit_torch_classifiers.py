"""Each check of the tag `classifies` passes on a good objective and fails on one with the fault it is for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tensor_toys import Lengths, Words, built
from torch import Tensor, nn

from maskwright import Step
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import Batch, Loss
from maskwright_torch.part import Part

ABOUT: dict[str, Any] = {"provides": {"torch", "classifies"}, "consumes": {"text"}}


class Labelled(Lengths):
    """The same batch with `label` (B,), where items have one."""

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        batch = super().__call__(items, step)
        if all("label" in item for item in items):
            batch["label"] = torch.tensor([item["label"] for item in items])
        return batch


class Sorter(Part):
    """One of three classes by a linear map of the pooled vector."""

    classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.prepare = Words(), Labelled()
        self.head = nn.Linear(4, 3)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(self.encoder(batch).pooled)

    def forward(self, batch: Batch, step: Step) -> Loss:
        losses = F.cross_entropy(self.logits(batch), batch["label"], reduction="none")
        return Loss.of(losses.sum(), losses.new_tensor(float(len(losses))))


class Pair(Sorter):
    def logits(self, batch: Batch) -> Any:
        return super().logits(batch), self.encoder(batch)


class MoreClasses(Sorter):
    classes = 4


class Ranks(Sorter):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch).argsort(dim=1)


class Overflows(Sorter):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) / 0


class DropsAlways(Sorter):
    def logits(self, batch: Batch) -> Tensor:
        return F.dropout(super().logits(batch), 0.5)


class Centred(Sorter):
    def logits(self, batch: Batch) -> Tensor:
        found = super().logits(batch)
        return found - found.mean(dim=0)


class KnowsTheAnswer(Sorter):
    def logits(self, batch: Batch) -> Tensor:
        found = super().logits(batch)
        return found + F.one_hot(batch["label"], 3) if "label" in batch else found


def labelled(part: Callable[[], Part]) -> type:
    texts = ("a few short words", "one and two", "there are five words here")
    items = {"train": [{"id": f"item {n}", "text": text, "label": n} for n, text in enumerate(texts)]}
    made = built(part)
    made.example_data = classmethod(lambda cls, make_data: make_data(items))  # type: ignore[attr-defined]
    return made


FAULTS = [
    ("check_classify_scores", Pair, "the scores of 3 items are tuple, not numbers of shape (3, 3)"),
    ("check_classify_scores", MoreClasses, "are torch.float32 (3, 3), not numbers of shape (3, 4)"),
    ("check_classify_scores", Ranks, "are torch.int64 (3, 3), not numbers"),
    ("check_classify_scores", Overflows, "some scores are not finite"),
    ("check_classify_scores", DropsAlways, "asked again: the result holds other values"),
    ("check_classify_rows_apart", Centred, "item 0 in a batch and alone: the result holds other values"),
    (
        "check_classify_without_labels",
        KnowsTheAnswer,
        "with labels and without: the result holds other values",
    ),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("classify_checks")}


@pytest.mark.parametrize(("check", "fault", "reason"), FAULTS)
def test_fault_is_found(says: Callable[..., str], check: str, fault: type, reason: str):
    assert reason in says(check, "objective", labelled(fault), **ABOUT)


@pytest.mark.parametrize(
    "check", ["check_classify_scores", "check_classify_rows_apart", "check_classify_without_labels"]
)
def test_a_good_objective_keeps_it(says: Callable[..., str], check: str):
    assert says(check, "objective", labelled(Sorter), **ABOUT) == ""


def test_only_objectives_with_the_tag_are_asked(says: Callable[..., str]):
    with pytest.raises(AssertionError, match="does not apply"):
        says("check_classify_scores", "objective", labelled(Sorter), provides={"torch"}, consumes={"text"})
