"""Joint l1/l2 learning of several causal graphs that share one order."""

from typing import Any

_WHERE = {"OrderConsistentDAG": "estimator", "NotearsLinear": "single_task"}

__all__ = ["NotearsLinear", "OrderConsistentDAG"]


def __getattr__(name: str) -> Any:
    # On demand, because listing components imports this package and must not import numpy.
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
