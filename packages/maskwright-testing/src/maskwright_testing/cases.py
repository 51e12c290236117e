"""A component and the small examples by which it is shown at work.

The kit knows no component by name. What it needs it asks of the Params class, through these classmethods:

`example()` -> Params
    A tiny, fast instance. Wanted of every component except recipes, and pipelines with a slot that must be filled,
    which may be made of components of other packages; without it nothing can be run, and the checks that would are
    skipped with that reason. Their own package's tests put a subclass that has an example in their place.
`example_data()` -> data set
    Of a pipeline, an encoder, an objective or a fitted part: data with the fields it reads. It is fitted on this, and
    fed with it. May be left out where `maskwright_testing.sample_data` has all fields that the component consumes.
`example_grid()` -> tuple of int
    Of a masker that is made for one grid of units only: that grid.
`example_features(count)` -> {name: list}
    Of a masker whose `features` are not any numbers: values of each for `count` units. The only one that must take
    its argument.
`example_case()` -> (evaluator, subject, data)
    Of an evaluator: its own Params instance, something it can judge, and data to judge it on.
`perfect()` -> (subject, data, {metric: value})
    Of an evaluator, optional: a subject that the evaluator of `example_case` must give these values, the best ones.

Subjects and data sets are given as built parts, or as Params, which are then built, and fitted on the data where
they can be. Each of these classmethods may ask for arguments by name: `folder`, an empty folder for files
that are to be read; `data`, a small data set with `text` and `label`; `make_data`, which makes a data set of items:
`make_data({"train": [{"id": "a", "text": "one"}], "test": []})`.
"""

import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from maskwright.build import Builder
from maskwright.catalogue import Listed, catalogue
from maskwright.checking import check_composition
from maskwright.contracts import Dataset, items_of
from maskwright.errors import Mistake, UserError
from maskwright.params import fields_of, is_params
from maskwright.planner import Planner
from maskwright.step import Step
from maskwright.tree import Node, index_of, tags_of, walk_built
from maskwright_testing.listed_data import ListedData, sample_data

STEP = Step(seed=1).fork("contracts")
"""Every check draws from these streams; `STEP.at(1)` is another moment."""

MOST_ITEMS = 6
"""Items of a split that a pipeline is fed with."""


NO_EXAMPLE = "no example(): it runs components of other packages"
"""The reason that the report gives for those that may go without."""


def tensors_there() -> bool:
    """Whether the checks of tensors can be made: they import torch and maskwright-torch, the extra [torch]."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "maskwright_torch"))


class Skipped(Exception):
    """A check that cannot be made here; the text says why."""


def fail(text: str) -> None:
    """End a check: the contract is broken."""
    raise AssertionError(text)


@attrs.define
class Case:
    """One component under check. `folder` is empty and belongs to this check alone."""

    listed: Listed
    folder: Path

    @property
    def params_class(self) -> Any:
        return self.listed.params_class()

    def offered(self, name: str) -> Any:
        """What the classmethod `name` of the Params class gives, with the arguments it asks for."""
        method = getattr(self.params_class, name)
        offers = {"folder": self.folder, "data": sample_data(), "make_data": ListedData}
        asked = inspect.signature(method).parameters
        return method(**{word: offers[word] for word in asked if word in offers})

    def has(self, name: str) -> bool:
        return hasattr(self.params_class, name)

    def example(self) -> Any:
        """The example's Params; Skipped where there is none or it does not work, which one check reports."""
        if not self.has("example"):
            raise Skipped(NO_EXAMPLE if self.may_lack_example() else "no example(), see check_params_example")
        try:
            made = self.offered("example")
        except Exception as error:
            raise Skipped(
                f"the example does not work ({type(error).__name__}, see check_params_example)"
            ) from error
        if not isinstance(made, self.params_class):
            raise Skipped("example() gives no instance of the class, see check_params_example")
        if self.plan(self.raw(made))[1]:
            raise Skipped("the example has mistakes, see check_params_example")
        return made

    def may_lack_example(self) -> bool:
        """Whether it may be made of components of other packages, so that its own has nothing to show it with."""
        open_slots = any(field.is_slot and field.required for field in fields_of(self.params_class).values())
        return self.listed.kind == "recipe" or (self.listed.kind == "pipeline" and open_slots)

    def raw(self, params: Any) -> dict[str, Any]:
        """A Params tree as raw tables."""
        return {**Planner(catalogue()).to_raw(params), "use": self.listed.qualified}

    def plan(self, raw: Any) -> tuple[Node | None, list[Mistake]]:
        """The planned node of raw tables, and every mistake in them."""
        planner = Planner(catalogue())
        node = planner.node(raw, (self.listed.kind,), "")
        if node is not None:
            planner.mistakes += check_composition(node, planner.catalogue)
        return node, list(dict.fromkeys(planner.mistakes))

    def tags(self) -> frozenset[str]:
        """What the example provides, with the tags that its settings and inner parts bring."""
        node, _ = self.plan(self.raw(self.example()))
        assert node is not None  # an example without mistakes has a tree
        return tags_of(node, index_of(node))

    def build(self, seed: int = 0) -> Any:
        """A new built part of the example."""
        return self._built(seed).parts[""]

    def need_torch(self) -> None:
        """Skipped where the component needs torch and there is none."""
        if "torch" in self.listed.component.provides and not tensors_there():
            raise Skipped("torch is not installed: pip install maskwright-testing[torch]")

    def data(self) -> Dataset:
        """Data for a pipeline or a fitted part."""
        if self.has("example_data"):
            return as_part(self.offered("example_data"))
        try:
            return sample_data(self.listed.component.consumes)
        except UserError as error:
            raise Skipped(f"{error.what}; add example_data() to the Params class") from None

    def parts(self, seed: int = 0) -> dict[str, Any]:
        """The parts of a new built example by path, the example itself at the empty path."""
        builder = self._built(seed)
        return {node.path: builder.build(node) for node in walk_built(builder.root)}

    def _built(self, seed: int, settings: Mapping[str, Any] | None = None) -> Builder:
        self.need_torch()
        node, _ = self.plan({**self.raw(self.example()), **(settings or {})})
        assert node is not None  # an example without mistakes has a tree
        builder = Builder(node, Step(seed))
        builder.build(node)
        return builder

    def working(self, seed: int = 0, **settings: Any) -> tuple[Any, Dataset]:
        """A new built part of the example, or of it with other settings, fitted where it has to be, and its data."""
        builder, data = self._built(seed, settings), self.data()
        for node in builder.fitted_nodes():
            builder.parts[node.path].fit(data, STEP.fork("fit", node.path))
        return builder.parts[""], data

    def items(self, data: Dataset) -> list[Mapping[str, Any]]:
        """Items of the first split that has what the component reads."""
        wanted = self.listed.component.consumes
        for split in data.splits():
            entries = list(items_of(data, split, STEP))[:MOST_ITEMS]
            if entries and all(wanted <= entry.keys() for entry in entries):
                return entries
        return []

    def judged(self) -> tuple[Any, Any, Dataset]:
        """(evaluator, subject, data) of `example_case`, built."""
        if not self.has("example_case"):
            raise Skipped("no example_case(), see check_evaluator_example_case")
        self.need_torch()
        evaluator, subject, data = self.offered("example_case")
        return as_part(evaluator), *subject_and_data(subject, data)


def as_part(value: Any) -> Any:
    """A Params instance built, anything else as it is."""
    return value.build() if is_params(value) else value


def subject_and_data(subject: Any, data: Any) -> tuple[Any, Any]:
    """Both built, the subject fitted where it can be."""
    part, data = as_part(subject), as_part(data)
    if part is not subject and hasattr(part, "fit"):  # one that was given built may be fitted already
        part.fit(data, STEP.fork("fit"))
    return part, data
