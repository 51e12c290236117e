"""What may be put together: caveats of any task count, wherever it stands in the list; shipped recipes plan."""

import copy
from typing import Any

import pytest
from meta_cases import SMALL, two_tasks

import maskwright_meta.plugin
import maskwright_torch.plugin
from maskwright import Component, api
from maskwright_testing import assert_mistakes
from maskwright_testing.isolation import IsolatedCatalogue


@pytest.fixture
def odd_objectives(isolated_catalogue: IsolatedCatalogue) -> None:
    """objective:fused without second derivatives, objective:moving with a memory."""
    isolated_catalogue.add(maskwright_torch.plugin, "torch", "maskwright-torch")
    isolated_catalogue.add(maskwright_meta.plugin, "meta", "maskwright-meta")
    for name, caveat in (("fused", "no-double-backward"), ("moving", "stateful")):
        component = Component(
            name, "maskwright_torch.params_classify:Classify", "an odd one", provides={"torch", caveat}
        )
        isolated_catalogue.add_component("objective", component)


def with_first(use: str, **changes: Any) -> dict[str, Any]:
    """Two tasks, the first of which is the odd one."""
    recipe = two_tasks()
    recipe["objective"]["tasks"][0]["use"] = use
    recipe["objective"] |= changes
    return recipe


def test_second_order_refuses_a_task_without_second_derivatives(odd_objectives: None):
    said = "second needs second derivatives, which a task does not have: order = first"
    assert_mistakes(with_first("fused"), {"objective.order": said})
    assert_mistakes(
        with_first("fused", order="truncated"), {"objective.order": "truncated needs second derivatives"}
    )
    assert_mistakes(with_first("fused", order="first"), {})


def test_a_task_with_a_memory_is_refused(odd_objectives: None):
    assert_mistakes(with_first("moving"), {"objective.tasks.a": "objective:meta refuses stateful"})


def test_a_meta_objective_is_no_task_of_another():
    recipe = two_tasks()
    inner = {**recipe["objective"], "as": "inner"}
    recipe["objective"] = {"use": "meta", "depth": 0, "tasks": [inner]}
    for task in inner["tasks"]:
        if "ref" in task["encoder"]:
            task["encoder"] = {"ref": "objective.tasks.inner.tasks.a.encoder"}
    assert_mistakes(recipe, {"objective.tasks": "an objective:meta cannot be a task of another"})


def test_a_loss_over_whole_batches_is_not_cut_into_pieces():
    recipe = copy.deepcopy(SMALL) | {"accumulate": 2}
    recipe["objective"]["tasks"][0] |= {"mixup": 0.8}
    assert_mistakes(recipe, {"accumulate": "accumulate = 1"})


def test_torchs_wrapper_is_refused_where_a_rank_may_not_use_a_head():
    said = 'ddp waits for gradients that this objective may not have: parallel = "reduce"'
    assert_mistakes(two_tasks() | {"parallel": "ddp"}, {"parallel": said})
    assert_mistakes(two_tasks() | {"parallel": "reduce"}, {})


@pytest.mark.parametrize(
    "name", ["meta", "meta-pretrain", "meta-experiment", "meta-experiment-fixed", "meta-experiment-control"]
)
def test_recipes_plan_by_name(name: str):
    assert api.plan(name).mistakes == []
    assert name in {listed.name for listed in _recipes()}


def _recipes() -> Any:
    from maskwright.catalogue import catalogue

    return catalogue().of_kind("recipe")
