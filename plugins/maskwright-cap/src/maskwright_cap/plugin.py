"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PAPER = "arXiv:2112.07198"
_CAP = "maskwright_cap.params_cap"
_EVALUATORS = "maskwright_cap.params_evaluators"
_FILES = "maskwright_cap:recipes"
_RECIPES = {
    "cap": "pre-train, fine-tune a teacher, prune nine tenths by contrast, measure",
    "cap-f": "prune heads and neurons by first-order importance",
    "cap-m": "prune single weights by movement",
    "cap-soft": "prune single weights by learned scores above a threshold",
    "cap-magnitude": "prune single weights by their size",
    "cap-topics": "the same on generated sentences, where what is forgotten can be asked for",
    "cap-experiment": "experiment: what contrast keeps that loss-only pruning forgets",
    "cap-experiment-curve": "experiment: the same, by how much is pruned",
    "cap-experiment-questions": "experiment: the same on bank customers' questions, given by path",
}


@hookimpl
def maskwright_maskers():
    yield Component(
        "lowest",
        f"{_CAP}:Lowest",
        "the units of lowest score, exact count",
        provides={"torch", "follows-ratio"},
        # No encoder has scores of its units: this masker is for who brings them, as `chooser` of objective:cap does.
        expects={"cap:scores"},
    )


@hookimpl
def maskwright_objectives():
    yield Component(
        "cap", f"{_CAP}:Cap", "prune an encoder while another objective trains it, by contrast with larger models",
        provides={"torch"}, paper=_PAPER,
    )  # fmt: skip


@hookimpl
def maskwright_datasets():
    yield Component(
        "topic-attributes",
        "maskwright_cap.params_data:TopicAttributes",
        "generated: sentences of a topic and an attribute",
        provides={"text", "label"},
    )


@hookimpl
def maskwright_evaluators():
    for name, cls, summary in (
        ("sparsity", "Sparsity", "share of parameters that is pruned, of the blocks and of the whole model"),
        ("latency", "Latency", "time of a batch, dense beside compact or sparse"),
        ("size-on-disk", "SizeOnDisk", "bytes of the weights, dense beside pruned"),
    ):
        yield Component(name, f"{_EVALUATORS}:{cls}", summary, expects={"torch"})
    yield Component(
        "glue-scores", f"{_EVALUATORS}:GlueScores", "accuracy, F1, Matthews, Spearman; GLUE's file of predictions",
        consumes={"label"}, expects={"torch", "classifies"},
    )  # fmt: skip


@hookimpl
def maskwright_recipes():
    for name, summary in _RECIPES.items():
        yield Component(name, f"{_FILES}/{name}.toml", summary, paper=_PAPER)
