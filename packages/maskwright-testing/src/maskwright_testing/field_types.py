"""What a value of each known field must look like: the words of `maskwright.tags.FIELDS`, made testable."""

from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[Any, Mapping[str, Any]], str]
"""(value, item) -> what is wrong with it, or nothing."""


def _text(value: Any, item: Mapping[str, Any]) -> str:
    return "" if isinstance(value, str) else f"is a {type(value).__name__}, not a text"


def _texts(value: Any, item: Mapping[str, Any]) -> str:
    good = isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    return "" if good else "is no list of texts"


def _index(value: Any, item: Mapping[str, Any]) -> str:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return f"is a {type(value).__name__}, not a whole number"
    return "" if value >= 0 else f"is {value}, an index begins at 0"


def _spans(value: Any, item: Mapping[str, Any]) -> str:
    length = len(item["text"]) if isinstance(item.get("text"), str) else None
    last = 0
    for span in value if isinstance(value, list) else [None]:
        match span:
            case (int(start), int(end), str()) if last <= start < end and (length is None or end <= length):
                last = end
            case _:
                return f"is no list of rising spans (start, end, tag) within the text: {span!r}"
    return ""


def _gains(value: Any, item: Mapping[str, Any]) -> str:
    good = isinstance(value, Mapping) and all(
        isinstance(key, str) and hasattr(gain, "__index__") for key, gain in value.items()
    )
    return "" if good else "is no table of document id -> gain"


def _array(dtype: str | tuple[str, ...], dimensions: int) -> Rule:
    allowed = (dtype,) if isinstance(dtype, str) else dtype

    def rule(value: Any, item: Mapping[str, Any]) -> str:
        if not hasattr(value, "dtype") or not hasattr(value, "shape"):
            return f"is a {type(value).__name__}, not an array"
        if str(value.dtype) not in allowed or len(value.shape) != dimensions:
            wanted = " or ".join(allowed)
            return (
                f"is {value.dtype} of shape {tuple(value.shape)}, not {wanted} with {dimensions} dimensions"
            )
        return ""

    return rule


def _waveform(value: Any, item: Mapping[str, Any]) -> str:
    wrong = _array("float32", 2)(value, item)
    if wrong or not value.size:
        return wrong
    return "" if abs(value).max() <= 1 else "leaves [-1, 1]"


def _samples(value: Any, item: Mapping[str, Any]) -> str:
    wrong = _array("float64", 2)(value, item)
    names = item.get("variables")
    if wrong or names is None:
        return wrong
    return "" if value.shape[1] == len(names) else f"has {value.shape[1]} columns for {len(names)} variables"


def _square(value: Any, item: Mapping[str, Any]) -> str:
    wrong = _array("float64", 2)(value, item)
    if wrong:
        return wrong
    return "" if value.shape[0] == value.shape[1] else f"has the shape {value.shape}, not (p, p)"


RULES: dict[str, Rule] = {
    "id": _text,
    "text": _text,
    "other": _text,
    "options": _texts,
    "label": _index,
    "query": _text,
    "document": _text,
    "relevant": _gains,
    "question": _text,
    "answer": _text,
    "summary": _text,
    "tags": _spans,
    "name": _text,
    "caption": _text,
    "aliases": _texts,
    "face": _text,
    "pixels": _array(("uint8", "uint16"), 3),
    "waveform": _waveform,
    "samples": _samples,
    "variables": _texts,
    "task": _text,
    "truth": _square,
    "intervened": _array("bool", 1),
}
"""Field -> rule. `vector` may have any form, and fields that the core does not know have no rule."""


def wrong_fields(item: Mapping[str, Any]) -> list[str]:
    """A sentence for each field of the item that is not of its type."""
    found = [(name, RULES[name](item[name], item)) for name in item if name in RULES]
    return [f'"{name}" {wrong}' for name, wrong in found if wrong]
