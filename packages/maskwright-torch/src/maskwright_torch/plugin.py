"""The torch engine's components. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PARTS = "maskwright_torch.params_parts"
_CLASSIFY = "maskwright_torch.params_classify"
_EVALUATORS = "maskwright_torch.params_evaluators"


@hookimpl
def maskwright_maskers():
    yield Component(
        "random", f"{_PARTS}:Random", "any unit alike, exact count", provides={"torch", "follows-ratio"}
    )


@hookimpl
def maskwright_objectives():
    yield Component(
        "classify", f"{_CLASSIFY}:Classify", "fine-tune an encoder on labels",
        provides={"torch", "classifies"}, consumes={"label"},
    )  # fmt: skip


@hookimpl
def maskwright_evaluators():
    labels, encoder = {"label"}, {"torch", "pooled"}
    yield Component(
        "linear-probe", f"{_EVALUATORS}:LinearProbe", "logistic regression on frozen vectors, beside raw input",
        consumes=labels, expects=encoder,
    )  # fmt: skip
    yield Component(
        "knn", f"{_EVALUATORS}:Neighbours", "labels of the nearest vectors by cosine, beside raw input",
        consumes=labels, expects=encoder,
    )  # fmt: skip
    yield Component(
        "finetune", f"{_EVALUATORS}:FineTune", "fine-tune a copy on few labels, beside the same from scratch",
        consumes=labels, expects=encoder,
    )  # fmt: skip
    yield Component(
        "feature-rank", f"{_EVALUATORS}:FeatureRank", "effective rank of the vectors: the alarm for collapse",
        expects=encoder,
    )  # fmt: skip
    yield Component(
        "accuracy", f"{_CLASSIFY}:Accuracy", "how often a fine-tuned model names the right class",
        consumes=labels, expects={"torch", "classifies"},
    )  # fmt: skip


@hookimpl
def maskwright_pipelines():
    yield Component("embed", f"{_PARTS}:Embed", "one vector for each item", provides={"torch", "vector"})
    yield Component(
        "fill", f"{_PARTS}:Fill", "predict what is hidden", provides={"torch", "filled", "hidden"}
    )
    yield Component(
        "label", f"{_CLASSIFY}:Label", "the most likely class and its probability",
        provides={"torch", "predicted", "probability"},
    )  # fmt: skip


@hookimpl
def maskwright_recipes():
    yield Component(
        "train",
        "maskwright_torch.params_train:Train",
        "train an objective, with evaluators on the way",
        provides={"torch"},
    )
