"""The engine's components keep every contract: really run, killed and resumed among them.

The package has no encoder of its own, so pipelines and the recipe are declared here once more with an example made of
toys; and the toys keep the contracts too.
"""

import attrs
import pytest
import torch_toy_params

from maskwright_testing import check_component, check_distribution
from maskwright_testing.isolation import IsolatedCatalogue
from maskwright_torch import plugin

EXAMPLES = {
    "embed": "torch_toy_params:EmbedExample",
    "fill": "torch_toy_params:FillExample",
    "train": "torch_toy_params:TrainExample",
}
HOOKS = {
    name.removeprefix("maskwright_").removesuffix("s"): hook
    for name, hook in vars(plugin).items()
    if name.startswith("maskwright_")
}


@pytest.fixture(autouse=True)
def components(isolated_catalogue: IsolatedCatalogue) -> None:
    isolated_catalogue.add(torch_toy_params, "toys", "toys")
    for kind, hook in HOOKS.items():
        for component in hook():
            shown = attrs.evolve(component, params=EXAMPLES.get(component.name, component.params))
            isolated_catalogue.add_component(kind, shown, "maskwright-torch")


COMPONENTS = [
    "masker:random", "objective:classify", "evaluator:linear-probe", "evaluator:knn", "evaluator:finetune",
    "evaluator:feature-rank", "evaluator:accuracy", "pipeline:embed", "pipeline:fill", "pipeline:label", "recipe:train",
]  # fmt: skip
SKIPS = {
    "masker:random": ["check_masker_load_gives_the_same"],
    "objective:classify": ["check_objective_counts", "check_objective_after_step"],
    "evaluator:finetune": ["check_evaluator_optimum"],
    "evaluator:feature-rank": ["check_evaluator_optimum"],
    "evaluator:accuracy": ["check_evaluator_optimum"],
}


def test_no_component_is_left_out():
    assert [f"{kind}:{component.name}" for kind, hook in HOOKS.items() for component in hook()] == COMPONENTS


@pytest.mark.parametrize("reference", COMPONENTS)
def test_contracts(reference: str):
    report = check_component(reference)
    assert report.failed == []
    assert [result.check for result in report.skipped] == SKIPS.get(reference, [])
    assert report.ran >= 10


def test_toys_keep_their_contracts():
    report = check_distribution("toys")
    assert report.failed == []
    assert {(result.component, result.reason) for result in report.skipped} == {
        ("encoder:cells", "it has no baseline()"),
        ("encoder:cells-kept", "it has no baseline()"),
        ("objective:classify-cells", "it has no counts()"),
        ("objective:classify-cells", "no part has after_step"),
        ("objective:guess", "it has no counts()"),
    }
    assert report.ran >= 100
