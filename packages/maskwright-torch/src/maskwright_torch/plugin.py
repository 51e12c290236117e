"""The torch engine's components. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PARTS = "maskwright_torch.params_parts"


@hookimpl
def maskwright_maskers():
    yield Component(
        "random", f"{_PARTS}:Random", "any unit alike, exact count", provides={"torch", "follows-ratio"}
    )


@hookimpl
def maskwright_pipelines():
    yield Component("embed", f"{_PARTS}:Embed", "one vector for each item", provides={"torch", "vector"})
    yield Component(
        "fill", f"{_PARTS}:Fill", "predict what is hidden", provides={"torch", "filled", "hidden"}
    )


@hookimpl
def maskwright_recipes():
    yield Component(
        "train",
        "maskwright_torch.params_train:Train",
        "train an objective, with evaluators on the way",
        provides={"torch"},
    )
