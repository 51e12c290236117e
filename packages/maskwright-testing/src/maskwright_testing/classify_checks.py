"""Contracts of objectives that classify: the capability `classifies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from maskwright_testing.cases import Case, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import MIDDLE, forget_draws, known_items
from maskwright_torch.batches import collate
from maskwright_torch.inference import in_use


def _classifier(case: Case) -> tuple[Any, list[Mapping[str, Any]]]:
    """An objective and items for it."""
    objective, data = case.working()
    return objective, known_items(case, data)


def _scores(objective: Any, items: Sequence[Mapping[str, Any]], first: int = 0) -> Tensor:
    """Scores as a trained part is used: in evaluation mode. `first` is the row of the first item."""
    rows = range(first, first + len(items))
    with in_use(objective):
        return objective.logits(collate(items, rows, objective.prepare, MIDDLE))


def check_classify_scores(case: Case) -> None:
    """`logits` gives finite scores, one for each row and each of its `classes`; asked again, the same."""
    objective, items = _classifier(case)
    forget_draws(1)
    scores: Any = _scores(objective, items)
    wanted = (len(items), objective.classes)
    if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted or not scores.is_floating_point():
        found = (
            f"{scores.dtype} {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
        )
        fail(f"the scores of {len(items)} items are {found}, not numbers of shape {wanted}")
    if not bool(scores.isfinite().all()):
        fail("some scores are not finite")
    forget_draws(2)
    if found := difference(scores, _scores(objective, items)):
        fail(f"asked again: {found}")


def check_classify_rows_apart(case: Case) -> None:
    """An item alone has the scores that it has in a batch."""
    objective, items = _classifier(case)
    together = _scores(objective, items)
    for row, item in enumerate(items):
        if found := difference(together[row], _scores(objective, [item], row)[0], exact=False):
            fail(f"item {row} in a batch and alone: {found}")


def check_classify_without_labels(case: Case) -> None:
    """Items without `label` get the same scores."""
    objective, items = _classifier(case)
    bare = [{name: value for name, value in item.items() if name != "label"} for item in items]
    if found := difference(_scores(objective, items), _scores(objective, bare)):
        fail(f"with labels and without: {found}")
