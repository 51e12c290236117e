"""Contracts of pipelines: `maskwright.contracts.Pipeline`."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from maskwright.tags import CAPABILITIES, CAVEATS
from maskwright_testing.cases import STEP, Case, Skipped, fail
from maskwright_testing.differences import difference


def _work(case: Case) -> tuple[Any, list[Mapping[str, Any]]]:
    """The pipeline, fitted where it has to be, and items to feed it."""
    part, data = case.working()
    items = case.items(data)
    if len(items) < 2:
        raise Skipped("there are no items to feed it, see check_pipeline_example_data")
    return part, items


def _results(part: Any, items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(part(copy.deepcopy(list(items)), STEP))


def check_pipeline_example_data(case: Case) -> None:
    """There is data with at least two items that have the fields it reads."""
    try:
        data = case.data()
    except Skipped as reason:
        fail(str(reason))
    else:
        if len(case.items(data)) < 2:
            wanted = ", ".join(sorted(case.listed.component.consumes)) or "no field"
            fail(f"no split of example_data() has two items with what it reads ({wanted})")


def check_pipeline_fields(case: Case) -> None:
    """Each item comes back with its fields unchanged and exactly the declared ones added."""
    part, items = _work(case)
    results = _results(part, items)
    if len(results) != len(items):
        fail(f"{len(items)} items went in, {len(results)} came out")
    known = CAPABILITIES.keys() | CAVEATS.keys()
    declared = {tag for tag in case.tags() if tag not in known and ":" not in tag}
    for before, after in zip(items, results, strict=True):
        kept = {key: after[key] for key in before if key in after and key not in declared}
        wanted = {key: value for key, value in before.items() if key not in declared}
        if found := difference(wanted, kept):
            fail(f"the fields of an item changed: {found}")
        if missing := declared - after.keys():
            fail(f"declared but not added: {', '.join(sorted(missing))}")
        if extra := after.keys() - before.keys() - declared:
            fail(f"added but not declared: {', '.join(sorted(extra))}")


def check_pipeline_one_by_one(case: Case) -> None:
    """A list gives what its items give one at a time."""
    part, items = _work(case)
    together = _results(part, items)
    for number, item in enumerate(items):
        alone = _results(part, [item])
        if len(alone) != 1:
            fail(f"item {number} went in alone, {len(alone)} items came out")
        if found := difference(together[number], alone[0], exact=False):
            fail(f"item {number} in a list and alone: {found}")


def check_pipeline_order(case: Case) -> None:
    """The result of an item does not depend on where in a list it stands."""
    part, items = _work(case)
    forward, backward = _results(part, items), _results(part, list(reversed(items)))
    for number, (one, two) in enumerate(zip(forward, reversed(backward), strict=True)):
        if found := difference(one, two, exact=False):
            fail(f"item {number} of {len(items)}, and with the list turned round: {found}")


def check_pipeline_same_step(case: Case) -> None:
    """The same items and step give the same result, again and from another instance."""
    part, items = _work(case)
    first = _results(part, items)
    if found := difference(first, _results(part, items)):
        fail(f"asked again: {found}")
    other, _ = _work(case)
    if found := difference(first, _results(other, items)):
        fail(f"another instance: {found}")


def check_pipeline_leaves_items_alone(case: Case) -> None:
    """The items that go in stay as they were: others still read them."""
    part, items = _work(case)
    mine = copy.deepcopy(list(items))
    list(part(mine, STEP))
    if found := difference(list(items), mine):
        fail(f"an item was changed in place: {found}")


def check_pipeline_nothing(case: Case) -> None:
    """No items in, none out."""
    part, _ = _work(case)
    results = _results(part, [])
    if results:
        fail(f"nothing went in, {len(results)} items came out")
