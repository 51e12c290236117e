"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PAPER = "arXiv:2111.06377"
_MODELS = "maskwright_vision.params_models"
_VIT = frozenset({"torch", "patches", "pooled"})


@hookimpl
def maskwright_encoders():
    yield Component(
        "vit", f"{_MODELS}:Vit", "vision transformer; hidden patches never enter it",
        provides=_VIT | {"hides:drop"}, consumes={"pixels"}, paper=_PAPER,
    )  # fmt: skip
    yield Component(
        "vit-full", f"{_MODELS}:VitFull", "the control: hidden patches enter as mask tokens",
        provides=_VIT | {"hides:replace"}, consumes={"pixels"}, paper=_PAPER,
    )  # fmt: skip


@hookimpl
def maskwright_maskers():
    grid = {"patches"}
    hides = {"torch", "follows-ratio"}
    yield Component(
        "patch-blocks", f"{_MODELS}:PatchBlocks", "rectangles of patches, exact count", provides=hides, expects=grid
    )
    yield Component(
        "patch-grid", f"{_MODELS}:PatchGrid", "a regular grid of patches, exact count", provides=hides, expects=grid
    )
    yield Component(
        "fixed", f"{_MODELS}:Fixed", "a given order of patches", provides=hides, expects=grid
    )


@hookimpl
def maskwright_objectives():
    yield Component(
        "mae", f"{_MODELS}:Mae", "predict the pixels of hidden patches",
        provides={"torch", "fills"}, consumes={"pixels"}, paper=_PAPER,
    )  # fmt: skip
