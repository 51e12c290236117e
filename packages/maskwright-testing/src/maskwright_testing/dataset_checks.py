"""Contracts of data sets: `maskwright.contracts.Dataset`."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from maskwright.contracts import plain
from maskwright.errors import UserError
from maskwright.findings import plain_value
from maskwright.tags import CAPABILITIES, CAVEATS
from maskwright_testing.cases import STEP, Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_testing.field_types import wrong_fields

FEW, MANY = 5, 2000
"""Items of a split that are looked at closely, and of which only the ids are read."""

NO_SUCH_SPLIT = "no-such-split"


def _indices(data: Any, split: str, most: int) -> list[int]:
    """At most `most` indices, evenly spread over the split, the first and the last among them."""
    length = data.length(split)
    if length <= most:
        return list(range(length))
    return sorted({round(number * (length - 1) / (most - 1)) for number in range(most)})


def _some_items(data: Any) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for split in data.splits():
        for index in _indices(data, split, FEW):
            yield split, index, data.item(split, index, STEP)


def check_dataset_splits(case: Case) -> None:
    """It names its splits, each once, and says how many items each has; there is at least one item."""
    data = case.build()
    splits = data.splits()
    if not isinstance(splits, tuple) or not all(isinstance(split, str) and split for split in splits):
        fail(f"splits() gives {splits!r}, not a tuple of names")
    if len(set(splits)) != len(splits):
        fail(f"splits() names one twice: {splits}")
    lengths = {split: data.length(split) for split in splits}
    if not all(isinstance(length, int) and length >= 0 for length in lengths.values()) or not sum(
        lengths.values()
    ):
        fail(f"the lengths of the splits are {lengths}")


def check_dataset_fields(case: Case) -> None:
    """The items of all splits together have exactly the fields that the component declares, and `id`."""
    node, _ = case.plan(case.raw(case.example()))
    assert node is not None  # an example with mistakes was skipped
    if any(part.ready is not None for part in node.walk()):
        raise Skipped("its fields are those of the data in it, which the example hands over ready-made")
    known = CAPABILITIES.keys() | CAVEATS.keys()
    declared = {tag for tag in case.tags() if tag not in known and ":" not in tag} | {"id"}
    found = {field for _, _, item in _some_items(case.build()) for field in item}
    if found != declared:
        missing, extra = sorted(declared - found), sorted(found - declared)
        fail(f"declared but in no item: {missing}; in items but not declared: {extra}")


def check_dataset_field_types(case: Case) -> None:
    """Fields with a meaning in the core have the type and shape it states; labels have a class or an option."""
    data = case.build()
    for split, index, item in _some_items(data):
        if wrong := wrong_fields(item):
            fail(f"item {index} of {split}: {'; '.join(wrong)}")
        if "label" in item:
            names = item["options"] if "options" in item else data.about(split).get("classes")
            if names is None:
                fail(f"items of {split} have labels, but about({split!r}) has no classes")
            elif item["label"] >= len(names):
                fail(f"item {index} of {split} has the label {item['label']} of {len(names)}")


def check_dataset_same_item_twice(case: Case) -> None:
    """The same index and step give the same item: from another instance, and whatever was read before."""
    one, two = case.build(), case.build()
    first = list(_some_items(one))
    for split, index, item in reversed(first):
        if found := difference(item, two.item(split, index, STEP)):
            fail(f"item {index} of {split} is not the same in another instance: {found}")
        if found := difference(item, one.item(split, index, STEP)):
            fail(f"item {index} of {split} is not the same when read again: {found}")


def check_dataset_ids(case: Case) -> None:
    """Every item has an `id`, a text that no other item of its split has; with the tag `by-id` it is found by it."""
    data = case.build()
    for split in data.splits():
        seen: dict[str, int] = {}
        for index in _indices(data, split, MANY):
            name = data.item(split, index, STEP).get("id")
            if not isinstance(name, str) or not name:
                fail(f"item {index} of {split} has the id {name!r}")
            elif name in seen:
                fail(f"items {seen[name]} and {index} of {split} have the same id {name!r}")
            seen[name] = index
    if "by-id" in case.tags():
        for split, index, item in _some_items(data):
            if found := difference(item, data.find(split, item["id"])):
                fail(f"find({split!r}, {item['id']!r}) is not item {index}: {found}")


def check_dataset_about(case: Case) -> None:
    """`about` gives plain data for every split, the same each time."""
    one, two = case.build(), case.build()
    for split in one.splits():
        about = one.about(split)
        if not isinstance(about, Mapping) or not all(isinstance(key, str) for key in about):
            fail(f"about({split!r}) gives {about!r}, not a table")
        json.dumps(plain_value(dict(about)))
        if found := difference(dict(about), dict(two.about(split))):
            fail(f"about({split!r}) is not the same in another instance: {found}")


def check_dataset_fingerprint(case: Case) -> None:
    """`fingerprint` is a sha256 in hexadecimal, the same for the same content."""
    one, two = case.build(), case.build()
    if not isinstance(one.fingerprint(), str) or not re.fullmatch(r"[0-9a-f]{64}", one.fingerprint()):
        fail(f"the fingerprint is {one.fingerprint()!r}, not 64 hexadecimal digits")
    next(_some_items(two))
    if one.fingerprint() != two.fingerprint():
        fail("two instances with the same settings have other fingerprints")


def check_dataset_unknown_split(case: Case) -> None:
    """Asked for a split that is not there, it raises a UserError that names it."""
    data = case.build()
    calls = {
        "length": lambda: data.length(NO_SUCH_SPLIT),
        "item": lambda: data.item(NO_SUCH_SPLIT, 0, STEP),
        "about": lambda: data.about(NO_SUCH_SPLIT),
    }
    for name, call in calls.items():
        try:
            call()
        except UserError as error:
            if NO_SUCH_SPLIT not in str(error):
                fail(f"{name}: the error does not name the split: {error}")
        except Exception as error:
            fail(f"{name} of an unknown split raises {type(error).__name__}: {error}, not a UserError")
        else:
            fail(f"{name} of an unknown split raises nothing")


def check_dataset_index_out_of_range(case: Case) -> None:
    """An index beyond the end raises an IndexError, so that a loop over the items ends."""
    data = case.build()
    for split in data.splits():
        try:
            data.item(split, data.length(split), STEP)
        except IndexError:
            continue
        except Exception as error:
            fail(
                f"item {data.length(split)} of {split} raises {type(error).__name__}: {error}, not an IndexError"
            )
        fail(f"split {split} has {data.length(split)} items, yet item {data.length(split)} is there")


def check_dataset_plain(case: Case) -> None:
    """What evaluators see, `plain()` or else the data itself, has the same ids and does not change with the step."""
    data = case.build()
    bare = plain(data)
    for split, index, item in _some_items(data):
        first, second = (bare.item(split, index, step) for step in (STEP, STEP.at(1)))
        if first["id"] != item["id"]:
            fail(f"item {index} of {split} is {item['id']!r}, without augmentation {first['id']!r}")
        if found := difference(first, second):
            fail(
                f"item {index} of {split} is another one at another step, also without augmentation: {found}"
            )
