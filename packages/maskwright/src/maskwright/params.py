"""Params: the settings of a component. One class gives the schema, the help, the checks and the Python API.

A params module imports nothing heavy; what is heavy is imported inside `build`.
"""

import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, dataclass_transform

import attrs

from maskwright.component import KINDS
from maskwright.values import coerce, describe, show

META = "maskwright"
REQUIRED: Any = attrs.NOTHING

C = TypeVar("C", bound=type)


@attrs.frozen
class SettingSpec:
    """What a plain setting accepts."""

    help: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def bounds(self) -> str:
        signs = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in signs if bound is not None)

    def check(self, value: Any) -> None:
        """ValueError if the value, or an entry of a list, lies outside."""
        if isinstance(value, list | tuple):
            for entry in value:
                self.check(entry)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            inside = (
                (self.ge is None or value >= self.ge)
                and (self.gt is None or value > self.gt)
                and (self.le is None or value <= self.le)
                and (self.lt is None or value < self.lt)
            )
            if not inside:
                raise ValueError(f"must be {self.bounds()}, found {show(value)}")


@attrs.frozen
class SlotSpec:
    """A setting that is filled by another component."""

    kinds: tuple[str, ...]
    help: str
    needs: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    many: bool = False
    optional: bool = False
    build: bool = True
    inherit: bool = False
    over: str = ""
    feeds: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    reads: bool = True


def setting(
    default: Any = REQUIRED,
    *,
    help: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A plain setting. Without a default it must be given. Bounds hold for each entry of a list too."""
    spec = SettingSpec(help, ge, gt, le, lt)
    if isinstance(default, list | dict | set):
        return attrs.field(factory=lambda: type(default)(default), metadata={META: spec})
    return attrs.field(default=default, metadata={META: spec})


def slot(
    kinds: str | tuple[str, ...],
    *,
    default: Any = REQUIRED,
    help: str,
    needs: set[str] | frozenset[str] = frozenset(),
    refuses: set[str] | frozenset[str] = frozenset(),
    many: bool = False,
    optional: bool = False,
    build: bool = True,
    inherit: bool = False,
    over: str = "",
    feeds: Mapping[str, tuple[str, ...]] | None = None,
    reads: bool = True,
) -> Any:
    """A setting filled by a component of one of `kinds`.

    `needs`/`refuses`: tags the part must have, or must not have. `many`: a list. `optional`: may be absent.
    `build=False`: the recipe gets the planned tree instead of the part. `inherit`: the owner passes on this
    part's tags. `over`: name of the sibling slot whose part must have the tags a masker expects.
    `feeds`: the owner hands its data to the part under other names, `{"text": ("query", "document")}`.
    `reads=False`: the owner hands it no data at all; whoever does (an evaluator) is checked instead.
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    spec = SlotSpec(
        kinds,
        help,
        frozenset(needs),
        frozenset(refuses),
        many=many,
        optional=optional,
        build=build,
        inherit=inherit,
        over=over,
        feeds=dict(feeds or {}),
        reads=reads,
    )
    if default is REQUIRED and many:
        return attrs.field(factory=list, metadata={META: spec})
    if default is REQUIRED and optional:
        default = None
    if isinstance(default, list | dict):
        return attrs.field(factory=lambda: type(default)(default), metadata={META: spec})
    return attrs.field(default=default, metadata={META: spec})


def _coerced(value: Any, owner: Any, field: attrs.Attribute) -> Any:
    """Converter of every field: types and bounds, with the setting's name in the message."""
    spec = field.metadata[META]
    if isinstance(spec, SlotSpec):
        return value
    try:
        value = coerce(value, settings_types(type(owner))[field.name])
        spec.check(value)
    except ValueError as error:
        raise ValueError(f"{type(owner).__name__}.{field.name}: {error}") from None
    return value


def _with_converter(cls: type, fields: list[attrs.Attribute]) -> list[attrs.Attribute]:
    for field in fields:
        if META not in field.metadata:
            raise TypeError(f"{cls.__name__}.{field.name}: declare it with setting(...) or slot(...)")
        if field.type is None:
            raise TypeError(f"{cls.__name__}.{field.name}: write its type, {field.name}: TYPE = …")
    converter = attrs.Converter(_coerced, takes_self=True, takes_field=True)
    return [field.evolve(converter=converter) for field in fields]


def _build(self: Any, seed: int = 0) -> Any:
    """Build the real part: slots first, each with randomness of its own derived from `seed` and its path."""
    from maskwright.build import build_params

    return build_params(self, seed)


@dataclass_transform(kw_only_default=True, field_specifiers=(setting, slot))
def params(cls: C) -> C:
    """Make a Params class: an attrs class with keyword-only, strictly typed settings and a public `build`."""
    own = cls.__dict__.get("build")
    if own is not None:
        cls._build_part = own  # type: ignore[attr-defined]
        cls.build = _build  # type: ignore[attr-defined]
    cls._is_params = True  # type: ignore[attr-defined]
    made = attrs.define(kw_only=True, eq=True, field_transformer=_with_converter)(cls)
    return made


def is_params(value: Any) -> bool:
    """Whether `value` is an instance of a Params class."""
    return not isinstance(value, type) and getattr(value, "_is_params", False) is True


_types: dict[type, dict[str, Any]] = {}


def settings_types(cls: type) -> dict[str, Any]:
    """Field name -> resolved type (annotations may be written as text)."""
    if cls not in _types:
        _types[cls] = typing.get_type_hints(cls)
    return _types[cls]


@attrs.frozen
class Field:
    """One line of a Params class, as the planner and the help see it."""

    name: str
    spec: SettingSpec | SlotSpec
    type: Any
    default: Any
    """REQUIRED when it must be given."""

    @property
    def is_slot(self) -> bool:
        return isinstance(self.spec, SlotSpec)

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def describe(self) -> str:
        """What it accepts, in words."""
        if isinstance(self.spec, SlotSpec):
            words = " or ".join(self.spec.kinds)
            words = f"list of {words}" if self.spec.many else words
            needs = f" with {', '.join(sorted(self.spec.needs))}" if self.spec.needs else ""
            return words + needs + (" or none" if self.spec.optional else "")
        bounds = self.spec.bounds()
        return describe(self.type) + (f" {bounds}" if bounds else "")


_fields: dict[type, dict[str, Field]] = {}


def fields_of(cls: type) -> dict[str, Field]:
    """The fields of a Params class in the order they were written."""
    if cls not in _fields:
        hints = settings_types(cls)
        found = {}
        for field in attrs.fields(cls):
            default = field.default
            if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
                default = typing.cast(Callable[[], Any], default.factory)()
            found[field.name] = Field(field.name, field.metadata[META], hints[field.name], default)
        _fields[cls] = found
    return _fields[cls]


_checked: set[type] = set()


def check_params_class(cls: Any) -> None:
    """TypeError or ValueError where a plugin's class cannot be planned with: it is told before any of it is used."""
    if not isinstance(cls, type) or not getattr(cls, "_is_params", False):
        raise TypeError(f"{cls!r} is no Params class; write @params above the class")
    if cls in _checked:
        return
    for name, field in fields_of(cls).items():
        if isinstance(field.spec, SlotSpec):
            for kind in set(field.spec.kinds) - set(KINDS):
                raise ValueError(f'the slot "{name}" is for a "{kind}", which is no kind of component')
        elif not field.required:
            try:
                field.spec.check(coerce(field.default, field.type))
            except ValueError as error:
                raise ValueError(f"the default of {name} would be refused: {error}") from None
    _checked.add(cls)


def first_line(cls: type) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().splitlines()[0] if (cls.__doc__ or "").strip() else ""
