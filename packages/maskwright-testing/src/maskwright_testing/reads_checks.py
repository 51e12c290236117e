"""What a component says that it reads of its items, in `consumes` and `reads()`, is what it reads.

A recipe is checked against these words before anything runs: a field too many refuses data that would do, a field too
few lets a run begin that fails. Fields that a part reads where they are there need no word, so one that is not declared
may change the result; it must not be missed.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maskwright.contracts import Dataset
from maskwright.params import SlotSpec, fields_of
from maskwright.step import Step
from maskwright.tree import Node, walk_built
from maskwright_testing.cases import STEP, Case, Skipped, fail
from maskwright_testing.differences import difference

Items = Sequence[Mapping[str, Any]]
ALWAYS = frozenset({"id"})


class _Without:
    """The items of a data set without one field."""

    def __init__(self, inner: Dataset, field: str) -> None:
        self._inner, self._field = inner, field

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        return _without([self._inner.item(split, index, step)], {self._field})[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def check_reads_what_it_declares(case: Case) -> None:
    """Without a field that it declares it fails, or gives something else."""
    declared = sorted(_fields(_planned(case)) - ALWAYS)
    if not declared:
        return
    answer, whole = _answers(case)
    for field in declared:
        try:
            found = answer(field)
        except Exception:  # missing it may end in any error
            continue
        if not difference(_rest(whole, field), _rest(found, field)):
            fail(f'it declares that it reads "{field}", and without it gives the same')


def check_declares_what_it_reads(case: Case) -> None:
    """Without all fields that neither it nor a part in it declares it still works."""
    if case.listed.kind == "evaluator":
        return  # what its subject reads is not its own to declare
    root = _planned(case)
    if any(node.listed is None for node in walk_built(root)):
        return  # a part from no catalogue declares nothing at all
    answer, items = _work(case)
    answer(items)
    declared = ALWAYS.union(*(_fields(node) for node in walk_built(root)), _handed_on(root))
    others = {field for item in items for field in item} - declared
    try:
        answer(_without(items, others))
    except Exception as error:
        fail(
            f"it declares that it reads {', '.join(sorted(_fields(root))) or 'nothing'}, and fails without "
            f"{', '.join(sorted(others))}: {type(error).__name__}: {error}"
        )


def _answers(case: Case) -> tuple[Callable[[str], Any], Any]:
    """What it gives without a field, and what it gives from whole items."""
    if case.listed.kind != "evaluator":
        answer, items = _work(case)
        return lambda field: answer(_without(items, {field})), answer(items)

    def judge(change: Callable[[Dataset], Any]) -> Any:
        evaluator, subject, data = case.judged()
        found = evaluator.evaluate(subject, change(data), STEP)
        return {"values": dict(found.values), "rows": [dict(row) for row in found.rows]}

    return lambda field: judge(lambda data: _Without(data, field)), judge(lambda data: data)


def _work(case: Case) -> tuple[Callable[[Items], Any], Items]:
    """What it makes of items, and items for it."""
    part, data = case.working()
    items = case.items(data)
    if not items:
        raise Skipped(f"there are no items for it, see check_{case.listed.kind}_example_data")
    if case.listed.kind == "pipeline":
        return lambda given: list(part(copy.deepcopy(list(given)), STEP)), items
    return lambda given: part.prepare(given, STEP), items


def _planned(case: Case) -> Node:
    node, _ = case.plan(case.raw(case.example()))
    assert node is not None  # an example without mistakes has a tree
    return node


def _fields(node: Node) -> frozenset[str]:
    """Fields that a part itself declares."""
    by_settings = node.params.reads() if hasattr(node.params, "reads") else {}
    always = node.listed.component.consumes if node.listed is not None else frozenset()
    return always | by_settings.keys()


def _handed_on(root: Node) -> set[str]:
    """Names under which parts inside are handed other fields."""
    specs = [x.spec for node in walk_built(root) if node.cls for x in fields_of(node.cls).values()]
    feeds = [spec.feeds for spec in specs if isinstance(spec, SlotSpec)]
    return {name for fed in feeds for names in fed.values() for name in names}


def _without(items: Items, fields: set[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name not in fields} for item in items]


def _rest(found: Any, field: str) -> Any:
    """A result without the field, which pipelines hand through."""
    return _without(found, {field}) if isinstance(found, list) else found
