"""What inner steps change, at which rates, from which heads; and the evaluators that adapt."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from meta_cases import (
    SMALL,
    STEP,
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

from maskwright import Step
from maskwright.build import build_raw
from maskwright_meta.adaptation_curve import AdaptationCurve, area, standard_error
from maskwright_meta.adapted import adapted_keys, keys_of
from maskwright_meta.adapting import Budget, fine_tuned
from maskwright_meta.gradient_agreement import GradientAgreement
from maskwright_meta.gradient_check import GradientCheck
from maskwright_meta.prototypes import prototypes_of
from maskwright_meta.rates import LearnedRates
from maskwright_testing import assert_mistakes, assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.functional import named
from maskwright_torch.inference import in_use, prepared
from maskwright_torch.part import freeze

MAPS = {"use": "topic-maps", "topics": 4, "words": 20, "length": 6, "classes": 2, "tasks": 3, "items": 40, "pool": 80,
        "test_tasks": 3, "test_items": 40}  # fmt: skip


def data_of(**changes: Any) -> Any:
    return build_raw({**MAPS, **changes}, ("dataset",), "data")[0]


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


def test_prototypes_need_a_linear_head():
    objective = meta({"only": classifier(bag())}, 1.0, kind="same", adaptation={"prototypes": True})
    batch = batch_of(objective, items(8))
    objective.tasks["only"].head = nn.Sequential(nn.Linear(8, 2))
    assert_one_error(lambda: objective(batch, STEP), "Classify has no linear head", 'heads = "own"')


# -- evaluators ---------------------------------------------------------------------------------------------------


def test_adapting_is_gradient_descent_on_a_copy():
    task = classifier(bag()).double()
    batch = prepared(task, task.prepare, items(12), STEP)
    before = copy.deepcopy(task.state_dict())
    with in_use(task):
        found = fine_tuned(task, batch, batch, Budget([0, 3], 0.5), "own", STEP)
    assert all(torch.equal(before[name], tensor) for name, tensor in task.state_dict().items())
    assert torch.equal(found[0], task.logits(batch).argmax(dim=1))
    descent = torch.optim.SGD(task.parameters(), lr=0.5)
    for _ in range(3):
        descent.zero_grad()
        task(batch, STEP).value.backward()
        descent.step()
    assert torch.equal(found[1], task.logits(batch).argmax(dim=1))


def curve(**changes: Any) -> AdaptationCurve:
    settings = {
        "shots": [4],
        "budget": Budget([0, 5], 0.5),
        "seeds": 2,
        "head": "own",
        "most": 20,
        "tasks": 0,
        "split": "test",
    }
    return AdaptationCurve(**{**settings, **changes})


def test_the_curve_has_a_line_for_every_task_seed_and_step():
    objective = meta({"only": classifier(bag())}, 1.0, layout=(2, 1))
    found = curve().evaluate(objective, data_of(), Step(1, 7, 10))
    lines = [json.loads(line) for line in found.files["curve.jsonl"].decode().splitlines()]
    assert len(lines) == 3 * 2 * 2 and {line["shots"] for line in lines} == {4}
    last = [line["value"] for line in lines if line["steps"] == 5]
    assert found.values["accuracy/4-shots/5-steps"] == pytest.approx(np.mean(last))
    (title,) = found.tables
    assert "7 updates, 42 gradient evaluations" in title  # 2 episodes, 2 chunks, one way back through a step
    assert len({row["id"] for row in found.rows}) == 6


def test_the_error_is_that_of_a_mean_over_tasks():
    """Draws of labels of one task say little more than one of them: their mean is one number."""
    accuracy = np.array([[0.1, 0.5], [0.3, 0.5], [0.6, 0.5], [0.8, 0.5]])  # two tasks, two draws each
    assert standard_error(accuracy, 2) == pytest.approx([0.25, 0.0])
    assert standard_error(accuracy[:2], 1) == pytest.approx([0.1, 0.0])
    assert standard_error(accuracy[:1], 1).tolist() == [0.0, 0.0]
    found = curve(head="own").evaluate(meta({"only": classifier(bag())}, 0.0).float(), data_of(), STEP)
    lines = [json.loads(line) for line in found.files["curve.jsonl"].decode().splitlines()]
    last: dict[str, list[float]] = {}
    for line in lines:
        last.setdefault(line["task"], []).extend([line["value"]] if line["steps"] == 5 else [])
    ((*_, row),) = found.tables.values()
    means = [np.mean(values) for values in last.values()]
    assert row["s.e."] == pytest.approx(np.std(means, ddof=1) / 3**0.5)


@pytest.mark.parametrize("head", ["own", "fresh", "prototypes"])
def test_learning_from_labels_beats_chance(head: str):
    objective = meta({"only": classifier(bag())}, 0.0)
    objective.float()
    found = curve(shots=[12, 0], budget=Budget([1, 60], 0.5), head=head).evaluate(
        objective, data_of(sharpness=4.0), STEP
    )
    assert found.values["accuracy/12-shots/60-steps"] > 0.7
    assert found.values["accuracy/all-shots/60-steps"] > 0.7


def test_an_encoder_alone_is_judged_under_a_new_head():
    found = curve(head="prototypes").evaluate(bag(), data_of(), STEP)
    assert set(found.values) == {"accuracy/4-shots/0-steps", "accuracy/4-shots/5-steps", "area/4-shots"}
    assert_one_error(
        lambda: curve().evaluate(bag(), data_of(), STEP),
        "no objective that could be fine-tuned",
        "head=fresh",
    )


def test_what_cannot_be_adapted_is_named():
    objective = meta(depth=0.0).float()
    assert_one_error(
        lambda: curve().evaluate(objective, data_of(), STEP),
        "the task map-0000",
        "there are a, b",
        "head=fresh",
    )
    single = meta({"only": classifier(bag())}, 0.0).float()
    assert_one_error(
        lambda: curve().evaluate(single, data_of(classes=3), STEP),
        "has 3 classes, and the head of its objective 2",
    )
    assert_one_error(
        lambda: curve(shots=[30]).evaluate(single, data_of(), STEP), "items, too few for 30 shots", "shots="
    )
    assert_one_error(
        lambda: curve(split="val").evaluate(single, data_of(), STEP), 'no split "val"', "train, test"
    )


def test_what_was_learned_from_is_not_judged():
    rows = [{"id": str(n), "label": n % 3} for n in range(30)]
    labels = np.array([row["label"] for row in rows])
    for shots, count in ((2, 6), (0, 15)):
        known, asked = curve(most=0)._drawn("a", rows, labels, shots, STEP)
        assert len(known) == count and sorted(known + asked) == list(range(30))
        if shots:
            assert [labels[known].tolist().count(n) for n in range(3)] == [2, 2, 2]
    assert (
        curve(most=0)._drawn("a", rows, labels, 2, STEP.at(7))[0]
        != curve(most=0)._drawn("a", rows, labels, 2, STEP)[0]
    )


def test_the_area_counts_first_steps_most():
    assert area([0, 1, 100], [0.5, 1.0, 1.0]) > area([0, 1, 100], [0.5, 0.5, 1.0]) + 0.2
    assert area([0, 9], [0.25, 0.25]) == pytest.approx(0.25) and area([5], [0.4]) == 0.4


@pytest.mark.parametrize(
    ("order", "depth", "each"),
    [("second", 0, 1), ("second", 2, 5), ("first", 2, 3), ("reptile", 2, 2), ("truncated", 2, 4)],
)
def test_gradient_evaluations_are_counted(order: str, depth: int, each: int):
    objective = meta({"only": classifier(bag())}, float(depth), layout=(3, depth), inner={"order": order})
    assert objective.spent(Step(0, 4, 10)) == 4 * 3 * each


def test_gradient_check_tells_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch):
    objective = meta({"only": classifier(bag())}, 2.0, kind="same")
    check = GradientCheck(4, 3, 1e-6, "train")
    found = check.evaluate(objective, data_of(), STEP)
    assert found.values["finite_difference_error"] < 1e-6
    assert 0.001 < found.values["first_to_second"] < 1
    (table,) = found.tables.values()
    assert [row["depth"] for row in table] == [0, 1, 2]
    assert table[0]["MiB in float32"] < table[1]["MiB in float32"] < table[2]["MiB in float32"]
    monkeypatch.setattr("maskwright_meta.unroll.Inner.is_differentiable", lambda self, number, depth: False)
    assert check.evaluate(objective, data_of(), STEP).values["finite_difference_error"] > 1e-3
    assert_one_error(
        lambda: check.evaluate(bag(), data_of(), STEP), "BagOfWords is no objective:meta", 'on = "objective"'
    )


def test_tasks_that_contradict_each_other_disagree():
    flipped = [{"id": f"{task}{n}", "text": item["text"], "label": item["label"] ^ (task == "b"), "task": task}
               for task in "ab" for n, item in enumerate(items(8))]  # fmt: skip
    alike = [{**item, "label": item["label"] ^ (item["task"] == "b")} for item in flipped]
    about = {"tasks": {"a": [0, 8], "b": [8, 8]}}
    objective = meta({"only": classifier(bag())}, 0.0)
    judge = GradientAgreement(8, 0, "train")
    values = [
        judge.evaluate(objective, ListedData({"train": rows}, about), STEP).values
        for rows in (flipped, alike)
    ]
    assert values[0]["cosine"] < 0.5 and values[1]["cosine"] == pytest.approx(1.0)
    assert values[1]["opposed"] == 0
    single = ListedData({"train": alike[:8]}, {"tasks": {"a": [0, 8]}})
    assert_one_error(lambda: judge.evaluate(objective, single, STEP), "has 1 tasks that the objective knows")


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
        ({"weights": {"a": -1.0}}, "objective.weights", "the weight of a is below 0: -1"),
        ({"truncation": -1}, "objective.truncation", ">= 0"),
    ],
)
def test_settings_that_do_not_fit_are_named_before_anything_runs(
    changes: dict[str, Any], path: str, said: str
):
    recipe = copy.deepcopy(SMALL)
    recipe["objective"] |= changes
    assert_mistakes(recipe, {path: said})


def test_two_tasks_of_one_name_are_refused():
    recipe = two_tasks()
    recipe["objective"]["tasks"][1]["as"] = "a"
    assert_mistakes(recipe, {"objective.tasks.a": "two entries have this name"})
