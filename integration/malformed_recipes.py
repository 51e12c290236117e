"""Recipe files that were good until one thing in them was changed, and what the refusal must say about it.

A case is a function of its kind and number alone. Where a kind of damage does not apply to the recipe that was drawn,
or leaves it valid, the next number is tried, so that every case counts.
"""

import contextlib
import copy
import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from malformed import EXPERIMENTS, Base, Case, Draw, as_toml, base, fields_in, table_at

from maskwright.catalogue import catalogue
from maskwright.params import Field, SettingSpec, SlotSpec, fields_of
from maskwright.tree import Node, child_path
from maskwright.values import coerce, show

Damage = Callable[[Draw, Base, dict[str, Any]], tuple[str, tuple[str, ...]] | None]
"""Changes the table; (path, words of the refusal), or None where it does not apply."""

VALUES: tuple[Any, ...] = ("many words", 2.5, -3.75, True, [], [[1], "a"], {"a": 1}, "17", "", 10**30)


def _refused(field: Field, value: Any) -> bool:
    try:
        coerce(value, field.type)
    except ValueError:
        return True
    return False


def _put(raw: dict[str, Any], node: Node, name: str, value: Any) -> str:
    table = table_at(raw, node.path)
    assert table is not None
    table[name] = value
    return child_path(node.path, name)


def wrong_type(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field = draw.one(base.settings())
    value = draw.one([v for v in VALUES if not isinstance(v, dict)])
    if not _refused(field, value):
        return None
    # Of a list, the entry that does not fit is shown.
    seen = () if isinstance(value, list) and value else (show(value),)
    return _put(raw, node, field.name, value), ("expected ", "found ", *seen)


def table_for_a_value(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field = draw.one(base.settings())
    value = draw.one([{"use": "cosine"}, {"a": 1, "b": {"c": [2]}}, {}])
    if not _refused(field, value):
        return None
    return _put(raw, node, field.name, value), ("expected ", f"found {show(value)} (table)")


def value_for_a_part(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field, _ = draw.one(base.slots())
    assert isinstance(field.spec, SlotSpec)
    value = draw.one([5, -0.5, True, False, datetime.date(2026, 1, 2)])
    if "schedule" in field.spec.kinds and type(value) in (int, float):
        return None
    return _put(raw, node, field.name, value), (
        f"expected {' or '.join(field.spec.kinds)}, found {show(value)}",
    )


def list_for_a_part(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field, _ = draw.one(base.slots())
    assert isinstance(field.spec, SlotSpec)
    table = table_at(raw, node.path)
    assert table is not None
    value = draw.one([[table[field.name]], ["a", "b"], []])
    return _put(raw, node, field.name, value), (
        f"expected {' or '.join(field.spec.kinds)}, found {show(value)}",
    )


def unknown_key(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node = draw.one(base.nodes())
    name = draw.one(["zzz", "q q", "ünknown", "x" * 70, "0", "."])
    path = _put(raw, node, name, draw.one(VALUES))
    known = ", ".join(fields_of(node.cls)) or "none"
    return path, (f'unknown setting "{name}" of {node.reference}; known: {known}',)


def misspelt_setting(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node = draw.one(base.nodes())
    names = [field.name for field in fields_in(node) if len(field.name) > 3]
    if not names:
        return None
    name = draw.one(names)
    slip = draw.slip(name)
    if slip in fields_of(node.cls) or slip in ("use", "as", "seed"):
        return None
    table = table_at(raw, node.path)
    assert table is not None
    table[slip] = table.pop(name)
    return child_path(node.path, slip), (f'unknown setting "{slip}" — did you mean "',)


def misspelt_component(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    nodes = [node for node in base.nodes() if node.listed is not None and len(node.listed.name) > 3]
    node = draw.one(nodes)
    slip = draw.slip(node.listed.name)
    if any(x.name == slip for x in catalogue().listed):
        return None
    table = table_at(raw, node.path)
    assert table is not None
    table["use"] = slip
    return node.path or "(recipe)", (f' called "{slip}" — did you mean "', "maskwright list ")


def part_of_another_kind(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field, _ = draw.one(base.slots())
    assert isinstance(field.spec, SlotSpec)
    kinds = field.spec.kinds
    taken = {x.name for kind in kinds for x in catalogue().of_kind(kind)}
    other = draw.one([x for x in catalogue().listed if x.kind not in kinds and x.name not in taken])
    words = " or ".join(kinds)
    use = draw.one([other.name, other.reference])
    told = (
        f'there is no {words} called "{use}" — there is a '
        if use == other.name
        else f'"{use}" is not a {words}'
    )
    return _put(raw, node, field.name, draw.one([use, {"use": use}])), (told, f"maskwright list {kinds[0]}")


def out_of_range(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    bounded = [(n, f) for n, f in base.settings() if isinstance(f.spec, SettingSpec) and f.spec.bounds()]
    node, field = draw.one(bounded)
    spec = field.spec
    assert isinstance(spec, SettingSpec)
    low, high = (spec.gt if spec.ge is None else spec.ge), (spec.lt if spec.le is None else spec.le)
    value: Any = draw.one([bound for bound in (low and low - 1, high and high + 1, -1e6, 1e9) if bound])
    value = value if _refused(field, int(value)) and not _refused(field, value) else int(value)
    value = [value] if _refused(field, value) else value
    if _refused(field, value):
        return None
    value = coerce(value, field.type)
    try:
        spec.check(value)
    except ValueError:
        found = value[0] if isinstance(value, list) else value
        return _put(raw, node, field.name, value), (f"must be {spec.bounds()}, found {show(found)}",)
    return None


def not_finite(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field = draw.one(base.settings())
    value = draw.one([float("nan"), float("inf"), float("-inf"), 10**400])
    if _refused(field, 0.5) or not _refused(field, value):
        return None
    return _put(raw, node, field.name, value), ("expected ", "number", "found ")


def missing(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    needed = [(node, field) for node in base.nodes() for field in fields_in(node) if field.required]
    needed = [(n, f) for n, f in needed if not isinstance(f.spec, SlotSpec) or not f.spec.optional]
    if not needed:
        return None
    node, field = draw.one(needed)
    table = table_at(raw, node.path)
    assert table is not None
    del table[field.name]
    return child_path(node.path, field.name), (f"is required: {field.describe()} — {field.spec.help[:20]}",)


def no_use(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    parts = [
        (part.path, field.spec.kinds) for _, field, part in base.slots() if field.required
    ] + [("", ("recipe",))]  # fmt: skip
    path, kinds = draw.one(parts)
    table = table_at(raw, path)
    if table is None:
        return None
    del table["use"]
    return path or "(recipe)", (f'needs use = "name" of a {" or ".join(kinds)}',)


def root_of_another_kind(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    names = {x.name for x in catalogue().of_kind("recipe")}
    other = draw.one([x for x in catalogue().listed if x.kind != "recipe" and x.name not in names])
    raw["use"] = other.name
    return "(recipe)", (f'there is no recipe called "{other.name}" — there is a ', "maskwright list recipe")


def use_is_no_name(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node = draw.one([node for node in base.nodes() if node.listed is not None])
    value = draw.one([5, True, [], ["mlm"], {"use": "mlm"}, 0.5])
    path = _put(raw, node, "use", value)
    return path, ("expected the name of a ", f"found {show(value)}")


def bad_seed(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    value = draw.one([-1, -(10**20), 1.5, "3", True, [0], {}, "", float("nan")])
    raw["seed"] = value
    fits = "must be >= 0" if type(value) is int else "expected whole number"
    return "seed", (fits, f"found {show(value)}")


TREE: dict[str, tuple[Damage, int]] = {
    "wrong type": (wrong_type, 110),
    "table for a value": (table_for_a_value, 50),
    "value for a part": (value_for_a_part, 50),
    "list for a part": (list_for_a_part, 40),
    "unknown key": (unknown_key, 50),
    "misspelt setting": (misspelt_setting, 60),
    "misspelt component": (misspelt_component, 60),
    "part of another kind": (part_of_another_kind, 60),
    "out of range": (out_of_range, 80),
    "not finite": (not_finite, 40),
    "missing": (missing, 40),
    "no use": (no_use, 30),
    "root of another kind": (root_of_another_kind, 20),
    "use is no name": (use_is_no_name, 30),
    "bad seed": (bad_seed, 20),
}
"""Kind -> (what is done, how many)."""


def cases(kind: str, damage: Damage, count: int, names: Sequence[str]) -> Iterator[Case]:
    """`count` cases of one kind, drawn over the recipes called `names`."""
    number = made = 0
    while made < count:
        draw = Draw(kind, number)
        number += 1
        name = draw.one(names)
        # Planning an experiment means planning each of its arms: most of the time goes into one case in four.
        if "experiment" in name and len(names) > len(EXPERIMENTS) and draw.number(4):
            continue
        chosen = base(name)
        raw = copy.deepcopy(chosen.raw)
        found = None
        with contextlib.suppress(LookupError):
            found = damage(draw, chosen, raw)
        if found is None:
            continue
        made += 1
        is_toml = draw.number(2) == 1 or any(isinstance(v, datetime.date) for v in _leaves(raw))
        content = as_toml(raw) if is_toml else json.dumps(raw, indent=1).encode()
        told = f"{kind}, seed {number - 1}: {found[0]} of {name}"
        yield Case(content, ".toml" if is_toml else ".json", found[0], found[1], told)


def _leaves(raw: Any) -> Iterator[Any]:
    if isinstance(raw, dict | list):
        for value in raw.values() if isinstance(raw, dict) else raw:
            yield from _leaves(value)
    else:
        yield raw
