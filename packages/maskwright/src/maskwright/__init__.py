"""Maskwright: pre-train, adapt, compress and evaluate models by masking and contrast.

    import maskwright as mw
    run = mw.run("joint-dag", {"data.tasks": 4}, seed=3)
    model = mw.load(run.folder).part("model")

Names are resolved on first use, so that importing the package stays cheap.
"""

import importlib
from typing import TYPE_CHECKING, Any

from maskwright.component import Component
from maskwright.hookspecs import hookimpl

if TYPE_CHECKING:
    from maskwright.api import load, plan, run
    from maskwright.contracts import Figure, Findings
    from maskwright.errors import UserError
    from maskwright.step import Step

_HOMES = {
    "Figure": "contracts",
    "Findings": "contracts",
    "Step": "step",
    "UserError": "errors",
    "load": "api",
    "plan": "api",
    "run": "api",
}

__all__ = [
    "Component",
    "Figure",
    "Findings",
    "Step",
    "UserError",
    "hookimpl",
    "load",
    "plan",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskwright' has no attribute {name!r}")
    return getattr(importlib.import_module(f"maskwright.{_HOMES[name]}"), name)
