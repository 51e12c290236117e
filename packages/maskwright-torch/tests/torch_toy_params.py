"""Toy components, and the engine's own with an example made of them, to show its pipelines and recipe at work.

A module of its own that imports nothing heavy, because other processes import it.
"""

from typing import Any, Literal

from maskwright import Component, hookimpl
from maskwright.params import params, setting, slot
from maskwright_torch.params_classify import Classify
from maskwright_torch.params_parts import Embed, Fill
from maskwright_torch.params_train import Train

MASKWRIGHT_API = 1


@params
class Waves:
    """Items of four cells with two numbers each, `cells` (4, 2)."""

    count: int = setting(11, ge=1, help="items")

    def build(self):
        from torch_toy_parts import WaveData

        return WaveData(self.count)

    @classmethod
    def example(cls):
        return cls()


@params
class CellEncoder:
    """A linear map of each cell that is not hidden."""

    width: int = setting(6, ge=1, help="numbers in a state")
    hides: Literal["drop", "replace"] = setting("drop", help="whether hidden cells enter as a learned one")

    def tags(self):
        return {f"hides:{self.hides}"}

    def build(self, seed: int):
        from torch_toy_parts import Cells

        from maskwright_torch.part import seeded

        return seeded(seed, lambda: Cells(self.width, self.hides))

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_data(cls):
        return Waves.example()


@params
class ReplacingEncoder(CellEncoder):
    """The same, shown with hidden cells as a learned one."""

    @classmethod
    def example(cls):
        return cls(hides="replace")


@params
class Guess:
    """Predict hidden cells from the mean of the visible ones, and follow that with a slow copy."""

    encoder: Any = slot("encoder", default="cells", needs={"torch"}, help="what encodes")
    masker: Any = slot("masker", default="random", over="encoder", help="what is hidden")
    ratio: Any = slot("schedule", default=0.5, help="share that is hidden")

    def build(self, seed: int):
        from torch_toy_parts import Guesser

        from maskwright_torch.part import seeded

        return seeded(seed, lambda: Guesser(self.encoder, self.masker, self.ratio))

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_data(cls):
        return Waves.example()


@params
class EmbedExample(Embed):
    """pipeline:embed with something to embed."""

    @classmethod
    def example(cls):
        return cls(encoder=CellEncoder.example(), batch=4)

    @classmethod
    def example_data(cls):
        return Waves.example()


@params
class FillExample(Fill):
    """pipeline:fill with something to fill, in two passes."""

    @classmethod
    def example(cls):
        return cls(objective=Guess.example(), ratio=0.75, passes=2, batch=4)

    @classmethod
    def example_data(cls):
        return Waves.example()


@params
class ClassifyCells(Classify):
    """objective:classify around an encoder that is a component, so that it is written down and built by seed."""

    @classmethod
    def example(cls):
        return cls(encoder=CellEncoder.example(), classes=2, label_smoothing=0.1)

    @classmethod
    def example_data(cls, make_data):
        cells = [[[0.1 * n, 0.2], [0.3, -0.1 * n], [0.5, 0.4], [-0.2, 0.1 * n]] for n in range(6)]
        items = [{"id": f"item {n}", "cells": entry, "label": n % 2} for n, entry in enumerate(cells)]
        return make_data({"train": items})


@params
class TrainExample(Train):
    """recipe:train with something to train: ten steps, and checkpoints between them."""

    @classmethod
    def example(cls):
        return cls(
            data=Waves.example(), objective=Guess.example(), steps=10, batch=4, accumulate=2,
            checkpoint_every=3, log_every=2,
        )  # fmt: skip


@hookimpl
def maskwright_datasets():
    yield Component("waves", "torch_toy_params:Waves", "cells with two numbers each", provides={"cells"})


@hookimpl
def maskwright_encoders():
    about: Any = {"provides": {"torch", "pooled"}, "consumes": {"cells"}}
    yield Component("cells", "torch_toy_params:CellEncoder", "a linear map of each cell", **about)
    yield Component("cells-kept", "torch_toy_params:ReplacingEncoder", "the same, with a mask token", **about)


@hookimpl
def maskwright_objectives():
    yield Component(
        "guess",
        "torch_toy_params:Guess",
        "predict hidden cells",
        provides={"torch", "fills"},
        consumes={"cells"},
    )
    yield Component(
        "classify-cells",
        "torch_toy_params:ClassifyCells",
        "sort cells into classes",
        provides={"torch", "classifies"},
        consumes={"label"},
    )
