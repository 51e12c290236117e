"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_DATA = "maskwright_meta.params_data"
_EVALUATORS = "maskwright_meta.params_evaluators"
_RECIPES = {
    "meta": "pre-train one encoder on three tasks for the ability to be fine-tuned",
    "meta-pretrain": "the same without labels: masked words, and which word was masked",
    "meta-experiment": "experiment: tasks that contradict each other, depth 0 to 3",
    "meta-experiment-fixed": "experiment: fixed tasks with a head each, where plain training is strong",
    "meta-experiment-control": "experiment: no gain where there is nothing to adapt to",
}
_PAPER = "arXiv:2004.05568"


@hookimpl
def maskwright_objectives():
    yield Component(
        "meta", "maskwright_meta.params_objectives:Meta", "a loss after k steps of simulated fine-tuning",
        provides={"torch", "partial-gradient"}, paper=_PAPER,
    )  # fmt: skip


@hookimpl
def maskwright_encoders():
    yield Component(
        "bag-of-words", "maskwright_meta.params_encoders:BagOfWords", "the mean of words' vectors, a small network",
        provides={"torch", "pooled", "hides:replace"}, consumes={"text"},
    )  # fmt: skip


@hookimpl
def maskwright_datasets():
    labelled = {"text", "label", "task"}
    yield Component("tasks", f"{_DATA}:Tasks", "data sets by name, each a task", provides={"task"})
    yield Component(
        "topic-maps", f"{_DATA}:TopicMaps", "generated: one kind of text, labelled by each task in its own way",
        provides=labelled,
    )  # fmt: skip
    yield Component(
        "smlmt", f"{_DATA}:Smlmt", "tasks from any texts: which of N words was masked", provides=labelled,
        paper="arXiv:2009.08445",
    )  # fmt: skip
    yield Component(
        "task-files",
        f"{_DATA}:TaskFiles",
        "a folder of labelled sets: JSON lines, GLUE, SNLI, CLOTH",
        provides=labelled,
    )


@hookimpl
def maskwright_evaluators():
    yield Component(
        "adaptation-curve", f"{_EVALUATORS}:AdaptationCurve", "accuracy on unseen tasks after a few steps",
        consumes={"label"}, expects={"torch"},
    )  # fmt: skip
    judged = {"torch"}
    yield Component(
        "gradient-check", f"{_EVALUATORS}:GradientCheck", "meta-gradient against finite differences, memory",
        expects=judged,
    )  # fmt: skip
    yield Component(
        "gradient-agreement", f"{_EVALUATORS}:GradientAgreement", "whether tasks pull the encoder the same way",
        expects=judged,
    )  # fmt: skip


@hookimpl
def maskwright_recipes():
    for name, summary in _RECIPES.items():
        yield Component(name, f"maskwright_meta:recipes/{name}.toml", summary, paper=_PAPER)
