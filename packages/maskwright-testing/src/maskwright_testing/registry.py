"""Which checks a component gets. A new family of checks is a module and a line here.

Modules are imported only for components that they apply to: one that needs torch does not make others need it.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator

from maskwright.catalogue import Listed
from maskwright.errors import UserError
from maskwright_testing.cases import Case, tensors_there
from maskwright_testing.path_checks import path_settings

Check = Callable[[Case], None]


def _of_kind(kind: str) -> Callable[[Listed], bool]:
    return lambda listed: listed.kind == kind and not listed.is_file


def _of_tensors(kind: str) -> Callable[[Listed], bool]:
    """Without torch these checks cannot even be listed; the checks of settings then say so."""
    return lambda listed: (
        listed.kind == kind
        and not listed.is_file
        and "torch" in listed.component.provides
        and tensors_there()
    )


def _has_path(listed: Listed) -> bool:
    if listed.is_file or listed.kind == "recipe":
        return False
    try:
        return bool(path_settings(listed.params_class()))
    except UserError:  # settings that cannot be loaded: every other check says so
        return False


def _reads_items(listed: Listed) -> bool:
    """Maskers read what an encoder has made of items; data sets make them."""
    if listed.kind in ("encoder", "objective"):
        return _of_tensors(listed.kind)(listed)
    return listed.kind in ("pipeline", "evaluator") and not listed.is_file


FAMILIES: dict[str, Callable[[Listed], bool]] = {
    "params_checks": lambda listed: not listed.is_file,
    "path_checks": _has_path,
    "schedule_checks": _of_kind("schedule"),
    "dataset_checks": _of_kind("dataset"),
    "pipeline_checks": _of_kind("pipeline"),
    "evaluator_checks": _of_kind("evaluator"),
    "reads_checks": _reads_items,
    "masker_checks": _of_tensors("masker"),
    "encoder_checks": _of_tensors("encoder"),
    "vocabulary_checks": lambda listed: (
        "tokens" in listed.component.provides and _of_tensors("encoder")(listed)
    ),
    "prunable_checks": lambda listed: (
        "prunable" in listed.component.provides and _of_tensors("encoder")(listed)
    ),
    "objective_checks": _of_tensors("objective"),
    "fill_checks": lambda listed: "fills" in listed.component.provides and _of_tensors("objective")(listed),
    "classify_checks": lambda listed: (
        "classifies" in listed.component.provides and _of_tensors("objective")(listed)
    ),
    "generate_checks": lambda listed: (
        "generates" in listed.component.provides and _of_tensors("objective")(listed)
    ),
    "fitted_checks": lambda listed: "fitted" in listed.component.provides,
    "recipe_checks": _of_kind("recipe"),
    "recipe_file_checks": lambda listed: listed.is_file,
}
"""Module -> the components it applies to, by kind and tags."""


def checks_in(family: str) -> Iterator[tuple[str, Check]]:
    """(name, function) of every check of a module, in the order they were written."""
    module = importlib.import_module(f"maskwright_testing.{family}")
    for name, function in vars(module).items():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and name.startswith("check_"):
            yield name, function


def checks_for(listed: Listed) -> list[tuple[str, Check]]:
    """(name, function) of every check that the component's kind and tags call for."""
    return [found for family, applies in FAMILIES.items() if applies(listed) for found in checks_in(family)]
