"""Where two results differ. Arrays are known by what they offer, so that nothing here imports numpy."""

import math
from collections.abc import Mapping
from typing import Any

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Allowed where the same sum is taken in another order: a matrix product of one row is not, to the last bit, the row
of a product of many. float32 carries 6e-8 in each term."""


def difference(one: Any, two: Any, *, exact: bool = True, where: str = "") -> str:
    """Place and kind of the first difference, or nothing. Not a number equals itself here."""
    if hasattr(one, "toarray") and hasattr(two, "toarray"):  # a sparse matrix
        one, two = one.toarray(), two.toarray()
    if hasattr(one, "numpy") and hasattr(one, "detach"):  # a tensor
        one, two = one.detach().cpu().numpy(), two.detach().cpu().numpy()
    here = where or "the result"
    if type(one) is not type(two):
        return f"{here} is of type {type(one).__name__}, then {type(two).__name__}"
    if isinstance(one, Mapping):
        if set(one) != set(two):
            return f"{here} has the keys {sorted(map(str, one))}, then {sorted(map(str, two))}"
        parts = [(one[key], two[key], f"{where}[{key!r}]") for key in one]
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            return f"{here} has {len(one)} entries, then {len(two)}"
        parts = [(*pair, f"{where}[{number}]") for number, pair in enumerate(zip(one, two, strict=True))]
    elif hasattr(one, "dtype") and hasattr(one, "tobytes"):
        return _arrays(one, two, exact, here)
    elif isinstance(one, float):
        return "" if _close(one, two, exact) else f"{here} is {one!r}, then {two!r}"
    else:
        return "" if one == two else f"{here} is {_short(one)}, then {_short(two)}"
    return next((text for a, b, place in parts if (text := difference(a, b, exact=exact, where=place))), "")


def _arrays(one: Any, two: Any, exact: bool, here: str) -> str:
    if (one.dtype, one.shape) != (two.dtype, two.shape):
        return f"{here} is {one.dtype}{list(one.shape)}, then {two.dtype}{list(two.shape)}"
    if one.dtype == object:
        return difference(one.tolist(), two.tolist(), exact=exact, where=here)
    if one.tobytes() == two.tobytes():
        return ""
    if not exact and _nearly(one, two):
        return ""
    return f"{here} holds other values"


def _nearly(one: Any, two: Any) -> bool:
    """Floats within rounding; levels of pictures within one, for they are rounded floats themselves."""
    import numpy as np

    if one.dtype == np.uint8:
        return bool((np.abs(one.astype(int) - two.astype(int)) <= 1).all())
    return one.dtype.kind in "fc" and np.allclose(one, two, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)


def _close(one: float, two: float, exact: bool) -> bool:
    if one == two or (math.isnan(one) and math.isnan(two)):
        return True
    return not exact and math.isclose(one, two, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
