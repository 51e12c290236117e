"""A plugin of toys for tests of whole runs, so that nothing of another plugin is needed."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import maskwright_cap.plugin
import maskwright_torch.plugin
from maskwright import Component, api, hookimpl
from maskwright.params import params, setting
from maskwright_testing.isolation import isolated

MASKWRIGHT_API = 1


@hookimpl
def maskwright_encoders():
    yield Component(
        "toy-blocks", "cap_toys:ToyBlocks", "tiny blocks",
        provides={"torch", "pooled", "prunable"}, consumes={"vector"},
    )  # fmt: skip
    yield Component("toy-plain", "cap_toys:ToyPlain", "nothing to prune", provides={"torch", "pooled"})


@hookimpl
def maskwright_maskers():
    yield Component("toy-squares", "cap_toys:ToySquares", "squares", provides={"torch"}, expects={"patches"})


@hookimpl
def maskwright_datasets():
    yield Component("toy-ramps", "cap_toys:ToyRamps", "ramps", provides={"vector", "label"})


@params
class ToyBlocks:
    """The example encoder."""

    dropout: float = setting(0.0, ge=0, lt=1, help="dropout")
    shape: list[list[int]] = setting([], ge=0, help="heads and neurons of each block")

    def build(self, seed: int):
        from maskwright_cap.example_parts import example_encoder

        made = example_encoder(seed, self.dropout)
        return made.with_shape(self.shape) if self.shape else made


@params
class ToyPlain:
    """An encoder of which nothing can be pruned."""

    def build(self):
        raise NotImplementedError


@params
class ToySquares:
    """Would hide patches."""

    def build(self):
        raise NotImplementedError


@params
class ToyRamps:
    """Ramps that rise or fall."""

    train: int = setting(40, ge=1, help="training items")
    one_label: bool = setting(False, help="all items have the label 0")
    by_label: bool = setting(False, help="items of label 0 first")

    def build(self):
        from maskwright_testing.listed_data import ListedData
        from maskwright_torch.example_parts import example_items

        items = example_items(self.train, 20)
        if self.one_label:
            items = {split: [{**item, "label": 0} for item in found] for split, found in items.items()}
        if self.by_label:
            items = {split: sorted(found, key=lambda item: item["label"]) for split, found in items.items()}
        return ListedData(items)


CLASSIFY: dict[str, Any] = {
    "use": "classify",
    "classes": 2,
    "head_std": 0.1,
    "encoder": {"use": "toy-blocks"},
}
TEACHER: dict[str, Any] = {
    "use": "train", "steps": 60, "batch": 16, "lr": 1e-2, "device": "cpu", "data": "toy-ramps", "objective": CLASSIFY,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "use": "train",
    "steps": 12,
    "batch": 8,
    "log_every": 1,
    "checkpoint_every": 5,
    "device": "cpu",
    "data": {"use": "toy-ramps"},
    "objective": {
        "use": "cap",
        "sparsity": {"use": "steps", "start": 0.0, "end": 0.75, "count": 4},
        "extra": 16,
        "inner": {**CLASSIFY, "encoder": {"use": "toy-blocks", "dropout": 0.1}},
    },
}
"""Nothing is pruned in the first three steps, then three quarters of all units, a quarter at a time."""


def run(out: Path, raw: dict[str, Any] = SMALL, seed: int = 1, **settings: Any) -> api.LoadedRun:
    """Run a recipe with settings by path: `objective__kd=0.5`."""
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return api.run(copy.deepcopy(raw), changes, seed=seed, out=out, pictures=False)


def series(made: api.LoadedRun, name: str) -> list[float]:
    """What was logged as train/NAME, step by step."""
    return [entry["value"] for entry in made.metrics() if entry["name"] == f"train/{name}"]


@contextmanager
def toys_alone() -> Iterator[None]:
    """The core, torch, cap and the toys, whatever else is installed; one thread, so that nothing waits for another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with isolated() as catalogue:
            catalogue.add(sys.modules[__name__], "toys", "toys")
            catalogue.add(maskwright_torch.plugin, "torch", "maskwright-torch")
            catalogue.add(maskwright_cap.plugin, "cap", "maskwright-cap")
            yield
    finally:
        torch.set_num_threads(threads)
