"""Contracts of objectives that write: the capability `generates`."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from maskwright_testing.cases import Case, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import MIDDLE, forget_draws, known_items
from maskwright_torch.contracts import Generated

Item = Mapping[str, Any]


def _writer(case: Case) -> tuple[Any, Sequence[Item]]:
    """An objective and items for it."""
    objective, data = case.working()
    return objective, known_items(case, data)


def _written(objective: Any, items: Sequence[Item]) -> list[list[dict[str, Any]]]:
    """What is written for each item, ready to be compared."""
    return [
        [
            {"text": each.text, "complete": each.complete, "score": each.score, "cut": each.cut}
            for each in texts
        ]
        for texts in objective.generate(items, MIDDLE)
    ]


def check_generate_result(case: Case) -> None:
    """`generate` gives a list of Generated for each item, the best first, with a finite score each."""
    objective, items = _writer(case)
    found: Any = objective.generate(items, MIDDLE)
    if not isinstance(found, list) or len(found) != len(items):
        fail(f"generate() must give a list for each of the {len(items)} items, found {found!r}")
    for texts in found:
        if not isinstance(texts, list) or not texts or not all(isinstance(each, Generated) for each in texts):
            fail(f"an item must get a list of Generated, found {texts!r}")
        scores = [float(each.score) for each in texts]
        if not all(abs(score) < float("inf") for score in scores) or scores != sorted(scores, reverse=True):
            fail(f"scores must be finite and fall from text to text, found {scores}")
        kinds = {(type(each.text), type(each.complete)) for each in texts}
        if kinds != {(str, bool)}:
            fail(f"text must be a str and complete a bool, found {texts!r}")


def check_generate_same_step(case: Case) -> None:
    """Asked again with the same step, it writes the same."""
    objective, items = _writer(case)
    forget_draws(1)
    first = _written(objective, items)
    forget_draws(2)
    if found := difference(first, _written(objective, items)):
        fail(f"asked again with the same step: {found}")


def check_generate_rows_apart(case: Case) -> None:
    """An item alone gets the text that it gets among others, wherever it stands."""
    objective, items = _writer(case)
    together = _written(objective, list(reversed(items)))
    for number, (item, texts) in enumerate(zip(items, reversed(together), strict=True)):
        if found := difference(texts, _written(objective, [item])[0], exact=False):
            fail(f"item {number} among others and alone: {found}")


def check_generate_without_answer(case: Case) -> None:
    """It reads `id` and `text` alone: without the other fields, it writes the same."""
    objective, items = _writer(case)
    bare = [{name: item[name] for name in ("id", "text") if name in item} for item in items]
    if found := difference(_written(objective, items), _written(objective, bare)):
        fail(f"with all fields and with id and text: {found}")


def check_generate_losses(case: Case) -> None:
    """`target_losses` gives for each item finite numbers, none below 0; alone it has the same."""
    objective, items = _writer(case)
    together: Any = objective.target_losses(items, MIDDLE)
    if not isinstance(together, list) or len(together) != len(items):
        fail(f"target_losses() must give a tensor for each of the {len(items)} items, found {together!r}")
    for number, (item, losses) in enumerate(zip(items, together, strict=True)):
        if not isinstance(losses, Tensor) or losses.ndim != 1 or not len(losses):
            fail(f"the losses of item {number} must be a tensor (tokens,), found {losses!r}")
        if not bool(losses.isfinite().all()) or bool((losses < 0).any()):
            fail(f"the losses of item {number} must be finite and not below 0, found {losses.tolist()}")
        if found := difference(losses, objective.target_losses([item], MIDDLE)[0], exact=False):
            fail(f"losses of item {number} among others and alone: {found}")
