"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PAPER = "arXiv:2111.06377"
_MODELS = "maskwright_vision.params_models"
_DATA = "maskwright_vision.params_data"
_FOREIGN = "maskwright_vision.params_foreign"
_EVALUATORS = "maskwright_vision.params_evaluators"
_FILES = "maskwright_vision:recipes"
_RECIPES = {
    "mae": "pre-train on drawings of characters, look at it, probe it",
    "mae-probe": "judge the encoder of a run by probes and neighbours",
    "mae-finetune": "fine-tune an encoder on labels",
    "mae-experiment": "experiment: few labels, scanned digits",
    "mae-experiment-asymmetry": "experiment: visible patches only against mask tokens",
    "mae-experiment-redundancy": "experiment: how much can be predicted from what is left",
    "mae-experiment-fashion": "experiment: few labels, Fashion-MNIST (by path)",
    "mae-experiment-omniglot": "experiment: few labels, Omniglot (by path)",
    "mae-experiment-length": "experiment: how long to pre-train, on which target; on validation characters",
}
_VIT = frozenset({"torch", "patches", "pooled", "prunable"})


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
    yield Component(
        "hf-vit", f"{_FOREIGN}:HfVit", "a ViT from a transformers folder",
        provides=_VIT | {"hides:drop"}, consumes={"pixels"}, paper="arXiv:2010.11929",
    )  # fmt: skip
    yield Component(
        "hf-vitmae", f"{_FOREIGN}:HfVitMae", "the encoder of a ViTMAE from a transformers folder",
        provides=_VIT | {"hides:drop"}, consumes={"pixels"}, paper=_PAPER,
    )  # fmt: skip


@hookimpl
def maskwright_maskers():
    grid = {"patches"}
    hides = {"torch", "follows-ratio"}
    yield Component(
        "patch-blocks",
        f"{_MODELS}:PatchBlocks",
        "rectangles of patches, exact count",
        provides=hides,
        expects=grid,
    )
    yield Component(
        "patch-grid",
        f"{_MODELS}:PatchGrid",
        "a regular grid of patches, exact count",
        provides=hides,
        expects=grid,
    )
    yield Component("fixed", f"{_MODELS}:Fixed", "a given order of patches", provides=hides, expects=grid)


@hookimpl
def maskwright_objectives():
    yield Component(
        "mae", f"{_MODELS}:Mae", "predict the pixels of hidden patches",
        provides={"torch", "fills"}, consumes={"pixels"}, paper=_PAPER,
    )  # fmt: skip


@hookimpl
def maskwright_evaluators():
    yield Component(
        "paper-probe", f"{_EVALUATORS}:PaperProbe", "the MAE paper's linear probe: batch norm and LARS",
        consumes={"label"}, expects={"torch", "pooled"}, paper=_PAPER,
    )  # fmt: skip
    yield Component(
        "reconstruction", f"{_EVALUATORS}:Reconstruction", "PSNR of hidden patches, with pictures that do not lie",
        consumes={"pixels"}, expects={"torch", "fills"},
    )  # fmt: skip


@hookimpl
def maskwright_datasets():
    pixels = {"pixels"}
    yield Component(
        "image-folder",
        f"{_DATA}:ImageFolder",
        "pictures in a folder or zip, classes by folder",
        provides=pixels,
    )
    yield Component(
        "image-list", f"{_DATA}:ImageList", "pictures named in a CSV or JSON lines file", provides=pixels
    )
    yield Component("npz", f"{_DATA}:Npz", "pictures and labels as arrays in one npz file", provides=pixels)
    yield Component(
        "idx", f"{_DATA}:Idx", "pictures and labels in IDX files, as MNIST is published", provides=pixels
    )
    yield Component(
        "shapes",
        f"{_DATA}:Shapes",
        "generated: one filled shape of six kinds a picture",
        provides={"pixels", "label"},
    )
    yield Component(
        "augmented", f"{_DATA}:Augmented", "training pictures cropped, flipped and recoloured anew"
    )


@hookimpl
def maskwright_recipes():
    for name, summary in _RECIPES.items():
        yield Component(name, f"{_FILES}/{name}.toml", summary, paper=_PAPER)
