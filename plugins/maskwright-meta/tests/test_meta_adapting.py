"""What inner steps change, at which rates, from which heads."""

import copy
from typing import Any

import pytest
import torch
from meta_cases import (
    SMALL,
    STEP,
    Counting,
    after_step,
    bag,
    batch_of,
    chunks,
    classifier,
    gradients,
    items,
    meta,
    two_tasks,
)
from torch import nn

from maskwright_meta.adapted import adapted_keys, keys_of
from maskwright_meta.prototypes import prototypes_of, with_prototypes
from maskwright_meta.rates import LearnedRates
from maskwright_testing import assert_mistakes, assert_one_error
from maskwright_torch.contracts import Loss
from maskwright_torch.functional import named
from maskwright_torch.gradients import seed_modules
from maskwright_torch.inference import prepared
from maskwright_torch.part import freeze


def short(names: Any) -> set[str]:
    return {name.replace("encoder.", "").removesuffix(".weight").removesuffix(".bias") for name in names}


def test_heads_and_last_layers_are_found():
    tasks = meta().tasks
    assert short(adapted_keys(tasks, "all", 1)) == {"a.table", "a.layers.0", "a.head", "b.head"}
    assert short(adapted_keys(tasks, "heads", 1)) == {"a.head", "b.head"}
    assert short(adapted_keys(tasks, "last-n", 1)) == {"a.layers.0", "a.head", "b.head"}
    assert adapted_keys(tasks, "last-n", 2) == adapted_keys(tasks, "all", 1)


def test_a_shared_parameter_has_one_name_for_all_tasks():
    keys = keys_of(meta().tasks)
    assert keys["b"]["encoder.table"] == keys["a"]["encoder.table"] == "a.encoder.table"
    assert keys["b"]["head.weight"] == "b.head.weight"


def test_frozen_and_tied_parameters_are_not_adapted_apart():
    encoder = bag()
    freeze(encoder)
    frozen = nn.ModuleDict({"a": classifier(encoder)})
    assert short(adapted_keys(frozen, "all", 1)) == {"a.head"}
    tied = classifier(bag(), classes=6)
    tied.head.weight = tied.encoder.layers[0].weight
    assert adapted_keys(nn.ModuleDict({"a": tied}), "heads", 1) == {"a.head.bias"}
    tied.head.bias.requires_grad_(False)
    assert_one_error(
        lambda: adapted_keys(nn.ModuleDict({"a": tied}), "heads", 1),
        "inner steps would change nothing",
        'adapted = "heads"',
    )


def test_layers_have_to_be_told():
    class Bare(nn.Module):
        pooled_width, prepare = 6, bag().prepare

    task = nn.Module()
    task.encoder = Bare()
    assert_one_error(
        lambda: adapted_keys(nn.ModuleDict({"a": task}), "last-n", 1),
        "does not say which layer",
        "the task a",
        '"heads"',
    )


def test_inner_steps_of_heads_leave_the_encoder():
    """With the head alone adapted, the gradient of the encoder is that of plain training at another head."""
    objective = meta(
        {"only": classifier(bag())}, 1.0, inner={"order": "first"}, adaptation={"adapted": "heads"}
    )
    batch = batch_of(objective, items(8))
    plain = copy.deepcopy(objective.tasks["only"])
    parts = [{name: tensor[part] for name, tensor in batch.items()} for part in (slice(4), slice(4, 8))]
    plain(parts[0], STEP).value.backward()
    with torch.no_grad():
        for parameter in plain.head.parameters():
            parameter -= 0.3 * parameter.grad
    plain.zero_grad()
    plain(parts[1], STEP).value.backward()
    found = gradients(objective, batch)
    assert all(
        torch.allclose(found[f"tasks.only.{n}"], p.grad, atol=1e-14) for n, p in plain.named_parameters()
    )


@pytest.mark.parametrize(
    ("per", "shapes"),
    [("one", [()]), ("layer", [()] * 4), ("parameter", [(16, 6), (8, 6), (8,), (2, 8), (2,), (2, 8), (2,)])],
)
def test_rates_begin_alike_and_get_gradients(per: str, shapes: list[tuple[int, ...]]):
    objective = meta(depth=1.0, adaptation={"learned": True, "per": per})
    assert [tuple(rate.shape) for rate in objective.rates.values] == shapes
    batch = batch_of(objective, chunks("a", "b"))
    plain = gradients(meta(depth=1.0), batch)
    found = gradients(objective, batch)
    assert torch.allclose(found["tasks.a.encoder.table"], plain["tasks.a.encoder.table"], atol=1e-14)
    moved = [found[f"rates.values.{n}"] for n in range(len(shapes))]
    assert sum(g is not None and bool(g.abs().sum() > 0) for g in moved) >= min(len(shapes), 2)
    assert objective.groups(0.5)[-1]["weight_decay"] == 0.0


def test_the_gradient_of_a_rate_is_what_finite_differences_say():
    objective = meta(depth=2.0, adaptation={"learned": True})
    batch = batch_of(objective, chunks("a", "b", "a"))
    found = float(gradients(objective, batch)["rates.values.0"])
    values = []
    for rate in (0.3 + 1e-6, 0.3 - 1e-6):
        with torch.no_grad():
            objective.rates.values[0].fill_(rate)
        values.append(float(objective(batch, STEP).value.detach()))
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(found, rel=1e-6)


def test_a_rate_of_a_layer_is_for_weight_and_bias():
    rates = LearnedRates(named(classifier(bag())), 0.1, "layer")
    assert rates("head.weight") is rates("head.bias") is not rates("encoder.table")


# -- prototypes ---------------------------------------------------------------------------------------------------


def test_prototypes_are_the_nearest_means():
    vectors = torch.tensor([[0.0, 1.0], [0.0, 3.0], [4.0, 0.0]])
    w, b = prototypes_of(vectors, torch.tensor([0, 0, 1]), 3)
    means = torch.tensor([[0.0, 2.0], [4.0, 0.0], vectors.mean(dim=0).tolist()])
    for point in vectors + 0.3:
        distances = (point - means).square().sum(dim=1)
        assert torch.allclose(w @ point + b, point.square().sum() - distances, atol=1e-5)


def test_prototypes_put_their_way_into_the_gradient():
    objective = meta({"only": classifier(bag())}, 1.0, kind="same", adaptation={"prototypes": True})
    batch = batch_of(objective, items(8))
    found = gradients(objective, batch)
    assert found["tasks.only.head.weight"] is None, "the trained head is not used"
    table = objective.tasks["only"].encoder.table
    place = int(found["tasks.only.encoder.table"].abs().argmax())
    values = []
    for shift in (1e-6, -1e-6):
        with torch.no_grad():
            table.view(-1)[place] += shift
            values.append(float(objective(batch, STEP).value.detach()))
            table.view(-1)[place] -= shift
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(
        float(found["tasks.only.encoder.table"].view(-1)[place]), rel=1e-6
    )


def test_an_inner_step_takes_prototypes_as_a_head_like_any_other():
    """The gradient of the step does not go through them; by hand on a copy that has them as weights."""
    objective = meta({"only": classifier(bag())}, 1.0, kind="same", adaptation={"prototypes": True})
    batch = batch_of(objective, items(8))
    parts = [{name: tensor[part] for name, tensor in batch.items()} for part in (slice(4), slice(4, 8))]
    plain = copy.deepcopy(objective.tasks["only"])
    with torch.no_grad():
        w, b = prototypes_of(plain.encoder(parts[0]).pooled, parts[0]["label"], 2)
        plain.head.weight.copy_(w)
        plain.head.bias.copy_(b)
    wanted = after_step(plain, parts[0], 0.3, STEP)(parts[1], STEP).value
    found = objective(batch, STEP).value
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), abs=1e-13)


class Level(nn.Module):
    """A task without classes: the mean of the encoder's vector is to be 1."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.prepare = encoder, encoder.prepare

    def forward(self, batch, step):
        away = self.encoder(batch).pooled.mean(dim=1) - 1
        return Loss.of(away.square().sum(), away.new_tensor(float(len(away))))


def test_tasks_without_classes_have_no_prototypes():
    encoder = bag()
    tasks = {"level": Level(encoder), "words": classifier(encoder)}
    losses = {}
    for prototypes in (False, True):
        objective = meta(copy.deepcopy(tasks), 1.0, kind="same", adaptation={"prototypes": prototypes})
        for name in tasks:
            batch = batch_of(objective, chunks(name, name))
            losses[name, prototypes] = float(objective(batch, STEP).value.detach())
    assert losses["level", False] == losses["level", True]
    assert losses["words", False] != losses["words", True]
    assert_one_error(
        lambda: meta({"level": Level(bag())}, 1.0, adaptation={"prototypes": True}),
        "no task has classes that prototypes could be of", "the tasks are level", 'heads = "own"',
    )  # fmt: skip


def test_prototypes_need_a_linear_head():
    objective = meta({"only": classifier(bag())}, 1.0, kind="same", adaptation={"prototypes": True})
    batch = batch_of(objective, items(8))
    objective.tasks["only"].head = nn.Sequential(nn.Linear(8, 2))
    assert_one_error(lambda: objective(batch, STEP), "Classify has no linear head", 'heads = "own"')


def with_prototypes_and(layer: nn.Module, encoder: Any, **adaptation: Any) -> Any:
    encoder.layers.append(layer)
    changes = {"prototypes": True, **adaptation}
    return meta({"only": classifier(encoder)}, 1.0, kind="same", inner={"order": "first"}, adaptation=changes)


def test_the_pass_for_prototypes_leaves_the_objective_as_it_was():
    objective = with_prototypes_and(counted := Counting(), bag())
    objective(batch_of(objective, items(8)), STEP)
    assert float(counted.passes) == 1, "the pass after the inner step, as in plain training"


def test_prototypes_are_made_without_dropout_where_inner_steps_are():
    drawn = {}
    for quiet in (False, True):
        objective = with_prototypes_and(nn.Dropout(0.5), bag(), evaluation_mode=quiet)
        batch = batch_of(objective, items(8))
        drawn[quiet] = []
        for seed in (1, 2):
            seed_modules(STEP.at(seed))
            drawn[quiet].append(float(objective(batch, STEP).parts["inner_loss"]))
        assert all(module.training for module in objective.modules())
    assert drawn[False][0] != drawn[False][1] and drawn[True][0] == drawn[True][1]


def test_prototypes_have_the_bits_of_the_head():
    task = classifier(bag())
    batch = prepared(task, task.prepare, items(8), STEP)
    theta, keys = named(task), {name: name for name in named(task)}
    with torch.autocast("cpu", torch.bfloat16):
        made = with_prototypes(task, theta, keys, batch, STEP)
    assert made["head.weight"].dtype == made["head.bias"].dtype == torch.float32


def test_prototypes_on_a_frozen_encoder_are_adapted():
    encoder = bag()
    freeze(encoder)
    losses = []
    for rate in (0.0, 0.3):
        changes = {"prototypes": True, "rate": rate}
        objective = meta({"only": classifier(encoder)}, 1.0, kind="same", adaptation=changes)
        losses.append(float(objective(batch_of(objective, items(8)), STEP).value.detach()))
    assert losses[0] != losses[1]


# -- settings and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"inner_rate": -0.1}, "objective.inner_rate", "must be >= 0"),
        ({"depth": -1}, "objective.depth", "a depth is 0 or more, found -1"),
        (
            {"depth": 3, "deepest": 2},
            "objective.deepest",
            "the depth reaches 3, which deepest = 2 has no rows for",
        ),
        ({"depth": 1.5}, "objective.depth", "a depth that stays is a whole number, found 1.5"),
        ({"inner_rate_per": "layer"}, "objective.inner_rate_per", "learn_rate = true"),
        ({"learn_rate": True, "order": "reptile"}, "objective.learn_rate", "order = first"),
        ({"heads": "prototypes", "episode": "mixed"}, "objective.heads", 'episode = "same"'),
        ({"heads": "prototypes", "order": "reptile"}, "objective.heads", "order = first"),
        ({"tasks": []}, "objective.tasks", "name at least one objective"),
        (
            {"weights": {"a": -1.0}, "sampling": "weighted"},
            "objective.weights",
            "the weight of a is below 0: -1",
        ),
        ({"weights": {"a": 1.0}}, "objective.weights", 'sampling = "size-power" does not look at weights'),
        ({"recompute": True, "order": "first"}, "objective.recompute", "none is computed again"),
        (
            {"recompute": True, "order": "truncated", "truncation": 0},
            "objective.recompute",
            "none is computed again",
        ),
        ({"heads": "prototypes", "depth": 0}, "objective.heads", "depth = 1, or more"),
        ({"truncation": -1}, "objective.truncation", ">= 0"),
    ],
)
def test_settings_that_do_not_fit_are_named_before_anything_runs(
    changes: dict[str, Any], path: str, said: str
):
    recipe = copy.deepcopy(SMALL)
    recipe["objective"] |= changes
    assert_mistakes(recipe, {path: said})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 0.0}, "must be > 0, found 0"),
        ({"rate": "learned", "head": "fresh"}, 'head = "own"'),
    ],
)
def test_rates_of_evaluation_that_do_not_fit_are_named(changes: dict[str, Any], said: str):
    recipe = copy.deepcopy(SMALL) | {"evaluators": [{"use": "adaptation-curve", **changes}]}
    assert_mistakes(recipe, {"evaluators.adaptation-curve.rate": said})


def test_two_tasks_of_one_name_are_refused():
    recipe = two_tasks()
    recipe["objective"]["tasks"][1]["as"] = "a"
    assert_mistakes(recipe, {"objective.tasks.a": "two entries have this name"})
