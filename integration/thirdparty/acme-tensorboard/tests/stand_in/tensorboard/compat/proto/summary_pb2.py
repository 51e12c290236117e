"""Stands in for the messages of TensorBoard; as strict about types as those are."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class _Value:
    tag: str = ""
    simple_value: float = 0.0

    def __post_init__(self):
        if not isinstance(self.tag, str) or not isinstance(self.simple_value, float):
            raise TypeError(f"bad argument: {self}")


@dataclass(kw_only=True)
class Summary:
    value: list[_Value] = field(default_factory=list)


Summary.Value = _Value
