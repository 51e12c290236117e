"""Each check of the tag `generates` passes on a good objective and fails on one with the fault it is for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from tensor_toys import Lengths, Words, built
from torch import Tensor, nn

from maskwright import Step
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import Batch, Generated, Loss
from maskwright_torch.part import Part

ABOUT: dict[str, Any] = {"provides": {"torch", "generates"}, "consumes": {"text"}}
Items = Sequence[Mapping[str, Any]]


class Echo(Part):
    """Writes the first word of a text; takes each letter of the summary to be as likely as its number of words says."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.prepare = Words(), Lengths()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch, step: Step) -> Loss:
        losses = self.encoder(batch).pooled.square().sum(dim=1) * self.weight
        return Loss.of(losses.sum(), losses.new_tensor(float(len(losses))))

    def generate(self, items: Items, step: Step) -> Any:
        return [self.written(item) for item in items]

    def written(self, item: Mapping[str, Any]) -> Any:
        words = item["text"].split()
        return [Generated(words[0], True, -1.0), Generated(words[-1], True, -2.0)]

    def target_losses(self, items: Items, step: Step) -> Any:
        return [self.losses(item) for item in items]

    def losses(self, item: Mapping[str, Any]) -> Any:
        return torch.full((3,), float(len(item["text"].split())))


class FirstOnly(Echo):
    def generate(self, items: Items, step: Step) -> Any:
        return super().generate(items[:1], step)


class Nothing(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return []


class WorstFirst(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return super().written(item)[::-1]


class Surest(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return [Generated("a", True, float("inf"))]


class Tokens(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return [Generated(item["text"].split(), True, -1.0)]  # type: ignore[arg-type]


class Draws(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return [Generated("a", True, float(-torch.zeros(()).exponential_()))]


class Longest(Echo):
    """Scores go by the longest text of a batch."""

    def generate(self, items: Items, step: Step) -> Any:
        longest = max(len(item["text"]) for item in items)
        return [[Generated("a", True, float(-longest))] for _ in items]


class KnowsTheAnswer(Echo):
    def written(self, item: Mapping[str, Any]) -> Any:
        return [Generated(item.get("summary", "a"), True, -1.0)]


class OneLoss(Echo):
    def losses(self, item: Mapping[str, Any]) -> Any:
        return super().losses(item).mean()


class Gains(Echo):
    def losses(self, item: Mapping[str, Any]) -> Any:
        return -super().losses(item)


class Centred(Echo):
    def target_losses(self, items: Items, step: Step) -> list[Tensor]:
        found = super().target_losses(items, step)
        return [losses + len(items) for losses in found]


class LosesItems(Echo):
    def target_losses(self, items: Items, step: Step) -> Any:
        return super().target_losses(items, step)[1:]


def summed_up(part: Callable[[], Part]) -> type:
    texts = ("a few short words", "one and two", "there are five words here")
    items = {"train": [{"id": f"item {n}", "text": text, "summary": f"s{n}"} for n, text in enumerate(texts)]}
    made = built(part)
    made.example_data = classmethod(lambda cls, make_data: make_data(items))  # type: ignore[attr-defined]
    return made


FAULTS = [
    ("check_generate_result", FirstOnly, "must give a list for each of the 3 items"),
    ("check_generate_result", Nothing, "an item must get a list of Generated, found []"),
    (
        "check_generate_result",
        WorstFirst,
        "scores must be finite and fall from text to text, found [-2.0, -1.0]",
    ),
    ("check_generate_result", Surest, "scores must be finite and fall from text to text, found [inf]"),
    ("check_generate_result", Tokens, "text must be a str and complete a bool"),
    ("check_generate_same_step", Draws, "asked again with the same step: "),
    ("check_generate_rows_apart", Longest, "item 0 among others and alone: "),
    ("check_generate_without_answer", KnowsTheAnswer, "with all fields and with id and text: "),
    ("check_generate_losses", LosesItems, "must give a tensor for each of the 3 items"),
    ("check_generate_losses", OneLoss, "the losses of item 0 must be a tensor (tokens,)"),
    ("check_generate_losses", Gains, "must be finite and not below 0, found [-4.0, -4.0, -4.0]"),
    ("check_generate_losses", Centred, "losses of item 0 among others and alone: "),
]
CHECKS = [
    "check_generate_result",
    "check_generate_same_step",
    "check_generate_rows_apart",
    "check_generate_without_answer",
    "check_generate_losses",
]


def test_every_check_has_a_fault():
    assert (
        {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("generate_checks")} == set(CHECKS)
    )


@pytest.mark.parametrize(("check", "fault", "reason"), FAULTS)
def test_fault_is_found(says: Callable[..., str], check: str, fault: type, reason: str):
    assert reason in says(check, "objective", summed_up(fault), **ABOUT)


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_objective_keeps_it(says: Callable[..., str], check: str):
    assert says(check, "objective", summed_up(Echo), **ABOUT) == ""


def test_only_objectives_with_the_tag_are_asked(says: Callable[..., str]):
    with pytest.raises(AssertionError, match="does not apply"):
        says("check_generate_result", "objective", summed_up(Echo), provides={"torch"}, consumes={"text"})
