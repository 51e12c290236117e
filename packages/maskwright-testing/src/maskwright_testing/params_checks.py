"""Contracts of every Params class: an example that builds, helpful settings, one clear mistake for each wrong value."""

import json
import typing
from typing import Any

from maskwright.catalogue import catalogue
from maskwright.contracts import Dataset, Evaluator, Fitted, Pipeline, Recipe, Schedule
from maskwright.errors import Mistake
from maskwright.params import REQUIRED, Field, SettingSpec, SlotSpec, fields_of, first_line
from maskwright.planner import Planner
from maskwright.tree import to_json
from maskwright.values import coerce, optional_of
from maskwright_testing.cases import NO_EXAMPLE, Case, Skipped, fail
from maskwright_testing.import_probe import heavy_imports

PROTOCOLS = {
    "schedule": Schedule,
    "dataset": Dataset,
    "pipeline": Pipeline,
    "evaluator": Evaluator,
    "recipe": Recipe,
}
"""Kind -> the protocol of its built parts, for the kinds whose contract needs no tensors."""

NO_SUCH_SETTING = "no-such-setting"
"""A hyphen cannot stand in a Python name, so no class has this setting."""


def settings_of(case: Case) -> list[Field]:
    """The plain settings, slots left out."""
    return [field for field in fields_of(case.params_class).values() if not field.is_slot]


def check_params_example(case: Case) -> None:
    """`example()` gives an instance of its class that plans without a mistake; its `tags()` are a set of words."""
    if not case.has("example"):
        if case.may_lack_example():
            raise Skipped(NO_EXAMPLE)
        fail(f"{case.params_class.__name__} has no classmethod example() that gives a tiny instance")
    made = case.offered("example")
    if not isinstance(made, case.params_class):
        fail(f"example() gives {made!r}, not an instance of {case.params_class.__name__}")
    _, mistakes = case.plan(case.raw(made))
    if mistakes:
        fail(f"the example has mistakes: {'; '.join(map(str, mistakes))}")
    tags = made.tags() if hasattr(made, "tags") else set()
    if isinstance(tags, str) or not all(isinstance(tag, str) and tag for tag in tags):
        fail(f"tags() gives {tags!r}, not a set of words")


def check_params_build(case: Case) -> None:
    """The example builds, twice, and the built part has the methods of its kind."""
    part = case.build()
    if part is None:
        fail("build() gives nothing")
    wanted = [PROTOCOLS[case.listed.kind]] if case.listed.kind in PROTOCOLS else []
    wanted += [Fitted] if "fitted" in case.tags() else []
    for protocol in wanted:
        if not isinstance(part, protocol):
            fail(f"the built part is no {protocol.__name__}: it lacks {', '.join(_missing(part, protocol))}")
    case.build(seed=1)


def _missing(part: Any, protocol: type) -> list[str]:
    names = [*typing.get_type_hints(protocol), *vars(protocol)]
    public = [name for name in names if not name.startswith("_") or name == "__call__"]
    return [name for name in dict.fromkeys(public) if not hasattr(part, name)]


def check_params_help(case: Case) -> None:
    """The class, the component, and every setting and slot say in words what they are for."""
    if not first_line(case.params_class):
        fail(
            f"{case.params_class.__name__} has no docstring; its first line is what `maskwright show` prints"
        )
    if not case.listed.component.summary.strip() or "\n" in case.listed.component.summary:
        fail("the component's summary must be one line of text")
    silent = [name for name, field in fields_of(case.params_class).items() if not field.spec.help.strip()]
    if silent:
        fail(f"without help: {', '.join(silent)}")


def check_params_types(case: Case) -> None:
    """Every plain setting has a type that a recipe file can hold, and refuses some value."""
    loose = [field.name for field in settings_of(case) if _refused(field) is None]
    if loose:
        fail(f"these settings accept anything, give them a type: {', '.join(loose)}")


def check_params_defaults(case: Case) -> None:
    """Every default is a value that the setting itself would accept."""
    for field in settings_of(case):
        if field.default is not REQUIRED:
            try:
                value = coerce(field.default, field.type)
                typing.cast(SettingSpec, field.spec).check(value)
            except ValueError as error:
                fail(f"the default of {field.name} would be refused: {error}")


def check_params_round_trip(case: Case) -> None:
    """Params -> tables -> Params keeps every setting, through JSON too where all parts are named components."""
    example = case.example()
    raw = case.raw(example)
    node, _ = case.plan(raw)
    assert node is not None  # an example with mistakes was skipped
    for field in settings_of(case):
        before, after = getattr(example, field.name), node.settings[field.name]
        if before != after or type(before) is not type(after):
            fail(f"{field.name} was {before!r} and came back as {after!r}")
    if any(part.ready is not None for part in node.walk()):
        return  # a part handed over ready-made has no spelling
    written = json.loads(json.dumps(to_json(node)))
    again, mistakes = case.plan(written)
    if mistakes:
        fail(f"what resolved.json would hold cannot be read again: {'; '.join(map(str, mistakes))}")
    assert again is not None  # no mistakes: there is a tree
    if to_json(again) != written:
        fail(f"what resolved.json holds changes when it is read again: {written} became {to_json(again)}")


def check_params_import_nothing_heavy(case: Case) -> None:
    """The Params module, and what it imports, needs no numpy, no torch and none of the other slow libraries."""
    modules = sorted(
        {
            listed.component.params.partition(":")[0]
            for listed in catalogue().listed
            if listed.package == case.listed.package and not listed.is_file
        }
    )
    own = case.listed.component.params.partition(":")[0]
    heavy = heavy_imports(tuple(modules))[own]
    if heavy:
        fail(f"importing {own} imports {', '.join(heavy)}; move that into build()")


def check_params_mistakes(case: Case) -> None:
    """A wrong type, a value beyond a bound, an unknown key, a required setting left out: one mistake, at its path."""
    raw = case.raw(case.example())
    _expect_one(case, NO_SUCH_SETTING, {**raw, NO_SUCH_SETTING: 1}, "given")
    for field in settings_of(case):
        for value in [_refused(field), *beyond_bounds(field)]:
            _expect_one(case, field.name, {**raw, field.name: value}, f"set to {value!r}")
    for name, field in fields_of(case.params_class).items():
        may_lack = isinstance(field.spec, SlotSpec) and (field.spec.optional or field.spec.many)
        if field.required and not may_lack:
            _expect_one(case, name, {key: value for key, value in raw.items() if key != name}, "left out")


def _expect_one(case: Case, name: str, raw: Any, what: str) -> None:
    mistakes = _mistakes(raw, case)
    if [mistake.path for mistake in mistakes] != [name] or not mistakes[0].message.strip():
        found = "; ".join(map(str, mistakes)) or "none"
        fail(f"{name} {what}: expected one mistake at {name}, found {found}")


def _mistakes(raw: Any, case: Case) -> list[Mistake]:
    planner = Planner(catalogue())
    planner.node(raw, (case.listed.kind,), "")
    return planner.mistakes


WRONG: tuple[Any, ...] = ([[[]]], {"a": {"b": [[]]}}, "?", 0.5, True)
"""One of these is refused by every type that a setting may have."""


def _refused(field: Field) -> Any:
    """A value of a type that the setting does not take; None when it takes everything."""
    for value in WRONG:
        try:
            coerce(value, field.type)
        except ValueError:
            return value
    return None


def beyond_bounds(field: Field) -> list[Any]:
    """Values of the right type that lie outside the setting's bounds, one for each bound."""
    spec = typing.cast(SettingSpec, field.spec)
    kind = optional_of(field.type)[0]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    entry = optional_of(arguments[0])[0] if origin in (list, tuple) and arguments else kind
    found = []
    for bound, strict, sign in (
        (spec.ge, False, -1),
        (spec.gt, True, -1),
        (spec.le, False, 1),
        (spec.lt, True, 1),
    ):
        if bound is not None:
            value = bound if strict else bound + sign
            if entry is int and value != int(value):
                value = int(value) + (sign if sign > 0 else 0)
            found.append(_as_entries(entry(value) if entry in (int, float) else value, origin, arguments))
    return found


def _as_entries(value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if origin is list:
        return [value]
    if origin is tuple:
        return (value,) * (1 if len(arguments) == 2 and arguments[1] is Ellipsis else len(arguments))
    return value
