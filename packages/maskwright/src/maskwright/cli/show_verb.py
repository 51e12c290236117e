"""show: the whole truth about one component, from its Params class; samples of a data set."""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from maskwright.catalogue import Listed, catalogue
from maskwright.cli.text import wrap
from maskwright.component import KINDS
from maskwright.errors import UserError
from maskwright.findings import plain_value
from maskwright.params import Field, SlotSpec, fields_of
from maskwright.sources import shipped_text
from maskwright.values import show as show_value

LONG = 300
"""Characters of a field that a printed sample shows."""


def show(arguments: argparse.Namespace) -> int:
    listed = find(arguments.name)
    if arguments.sample is not None:
        return _sample(listed, arguments)
    component = listed.component
    print(f"{listed.reference}  ({listed.package} {listed.version})")
    print(wrap(component.summary))
    if component.paper:
        print(f"  paper: {component.paper}")
    if component.deprecated:
        print(f"  deprecated: {component.deprecated}")
    for word, tags in (
        ("provides", component.provides),
        ("reads", component.consumes),
        ("expects", component.expects),
    ):
        if tags:
            print(f"  {word}: {', '.join(sorted(tags))}")
    if not listed.is_file and hasattr(listed.params_class(), "reads"):
        print(f"  reads by its settings: {_read_by_settings(listed.params_class())}")
    if listed.is_file:
        print(f"\na recipe file; its content:\n\n{shipped_text(component.params)}")
        return 0
    cls = listed.params_class()
    if cls.__doc__:
        print("\n" + wrap(cls.__doc__))
    fields = fields_of(cls)
    print("\nsettings" if fields else "\nno settings")
    for field in fields.values():
        print(_field(field))
    for word in ("exports", "imports"):
        if hasattr(cls, word):
            print(f"\n{word}: {', '.join(sorted(getattr(cls, word)()))}")
    return 0


def _read_by_settings(cls: Any) -> str:
    """Fields that `reads()` adds to what the component always reads."""
    if any(field.required for field in fields_of(cls).values()):
        return "known once they are given"
    return f"{', '.join(sorted(cls().reads())) or 'nothing'}, as they are by default"


def find(name: str) -> Listed:
    """`kind:name`, or a bare name that only one component has."""
    kind, sign, rest = name.partition(":")
    if sign and kind in KINDS:
        return catalogue().find(kind, rest)
    if sign:
        raise UserError(f'there is no kind "{kind}"', cure=f"kinds: {', '.join(KINDS)}")
    return catalogue().find(KINDS, name)


def _field(field: Field) -> str:
    default = "required" if field.required else f"default {_default(field.default)}"
    lines = [f"  {field.name}: {field.describe()}, {default}", wrap(field.spec.help, indent="      ")]
    if isinstance(field.spec, SlotSpec):
        offered = [x for kind in field.spec.kinds for x in catalogue().of_kind(kind)]
        fitting = [x.name for x in offered if field.spec.needs <= x.component.provides]
        words = ", ".join(fitting) or "nothing that is installed"
        if any(x.name not in fitting and _is_what_it_is_set_to(x) for x in offered):
            words += "; others may, by their settings or by what they wrap"
        lines.append(wrap(f"fits: {words}", indent="      "))
    return "\n".join(lines)


def _is_what_it_is_set_to(listed: Listed) -> bool:
    """Whether it can provide more than the catalogue knows."""
    with contextlib.suppress(UserError):  # its plugin is broken, which `show` of it tells
        cls = listed.params_class()
        inherits = (isinstance(x.spec, SlotSpec) and x.spec.inherit for x in fields_of(cls).values())
        return hasattr(cls, "tags") or any(inherits)
    return False


def _default(value: Any) -> str:
    return show_value(value)


def _sample(listed: Listed, arguments: argparse.Namespace) -> int:
    from maskwright.build import build_raw
    from maskwright.step import Step

    if listed.kind != "dataset":
        raise UserError(f"{listed.reference} has no items to sample", cure="--sample is for data sets")
    if arguments.sample < 1:
        raise UserError(f"--sample must be at least 1, found {arguments.sample}")
    raw = {"use": listed.qualified}
    data, _ = build_raw(raw, ("dataset",), listed.reference, overrides=arguments.settings)
    split = arguments.split or data.splits()[0]
    if split not in data.splits():
        raise UserError(
            f'{listed.reference} has no split "{split}"', cure=f"it has: {', '.join(data.splits())}"
        )
    length = data.length(split)
    count = min(arguments.sample, length)
    items = [data.item(split, index, Step()) for index in spread_over(length, count)]
    print(f"{listed.reference}, split {split}: {count} of {length} items")
    if arguments.out:
        if not hasattr(data, "picture"):
            raise UserError(f"{listed.reference} cannot be drawn", cure="leave out --out to print the items")
        from maskwright.folder import write_atomic

        write_atomic(Path(arguments.out), data.picture(items))
        print(f"drawn into {arguments.out}")
        return 0
    for item in items:
        print()
        for key, value in item.items():
            print(f"  {key}: {_short(value)}")
    return 0


def spread_over(length: int, count: int) -> list[int]:
    """`count` different indices below `length`, spread by the golden ratio: a stride would fall into step with
    data that lie in blocks of equal size."""
    chosen: dict[int, None] = {}
    number = 0
    while len(chosen) < count:
        chosen[int(number * 0.6180339887498949 % 1 * length)] = None
        number += 1
    return sorted(chosen)


def _short(value: Any) -> str:
    if hasattr(value, "shape") and getattr(value, "size", 0) > 12:
        return f"{type(value).__name__} {tuple(value.shape)} of {value.dtype}"
    text = str(plain_value(value))
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
