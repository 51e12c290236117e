"""The evaluators: what is adapted to unseen tasks and at which rates, what gradients are checked and compared."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from meta_cases import (
    STEP,
    bag,
    batch_of,
    classifier,
    gradients,
    items,
    meta,
)
from torch import nn

from maskwright import Step
from maskwright.build import build_raw
from maskwright.schedules import Curve
from maskwright_meta.adaptation_curve import AdaptationCurve, area, standard_error
from maskwright_meta.adapting import Budget, fine_tuned, rates_for
from maskwright_meta.gradient_agreement import GradientAgreement
from maskwright_meta.gradient_check import GradientCheck
from maskwright_meta.meta import Meta
from maskwright_testing import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.functional import named
from maskwright_torch.inference import in_use, prepared
from maskwright_torch.part import freeze

MAPS = {"use": "topic-maps", "topics": 4, "words": 20, "length": 6, "classes": 2, "tasks": 3, "items": 40, "pool": 80,
        "test_tasks": 3, "test_items": 40}  # fmt: skip


def data_of(**changes: Any) -> Any:
    return build_raw({**MAPS, **changes}, ("dataset",), "data")[0]


def descend(task, batch, optimiser) -> None:
    """Three steps as anybody would write them."""
    for _ in range(3):
        optimiser.zero_grad()
        task(batch, STEP).value.backward()
        optimiser.step()


def test_adapting_is_gradient_descent_on_a_copy():
    task = classifier(bag()).double()
    batch = prepared(task, task.prepare, items(12), STEP)
    before = copy.deepcopy(task.state_dict())
    with in_use(task):
        rates = rates_for(task, task, 0.5)
        found = fine_tuned(task, batch, batch, Budget([0, 3], 0.5), rates, "own", STEP)
    assert all(torch.equal(before[name], tensor) for name, tensor in task.state_dict().items())
    assert torch.equal(found[0], task.logits(batch).argmax(dim=1))
    descend(task, batch, torch.optim.SGD(task.parameters(), lr=0.5))
    assert torch.equal(found[1], task.logits(batch).argmax(dim=1))


def test_what_is_frozen_stays_so_while_adapting():
    task = classifier(bag()).double()
    freeze(task.encoder)
    batch = prepared(task, task.prepare, items(12), STEP)
    rates = rates_for(task, task, 0.5)
    assert set(rates) == {"head.weight", "head.bias"}
    with in_use(task):
        found = fine_tuned(task, batch, batch, Budget([200], 0.5), rates, "own", STEP)
    descent = torch.optim.SGD(task.head.parameters(), lr=0.5)
    for _ in range(200):
        descent.zero_grad()
        task(batch, STEP).value.backward()
        descent.step()
    assert torch.equal(found[0], task.logits(batch).argmax(dim=1))
    freeze(task)
    assert_one_error(lambda: rates_for(task, task, 0.5), "there is no weight to fine-tune", "head=fresh")


def test_learned_rates_are_used_by_what_they_were_learned_for():
    """A rate for each number; those of the encoder are 0, so that the head alone moves, and by its own."""
    objective = meta({"only": classifier(bag())}, adaptation={"learned": True, "per": "parameter"})
    task = objective.tasks["only"]
    with torch.no_grad():
        for name in named(objective.tasks):
            objective.rates(name).copy_(0.0 if "encoder" in name else 2.0)
    rates = rates_for(objective, task, "learned")
    assert set(rates) == set(named(task)) and rates["head.weight"].shape == task.head.weight.shape
    batch = prepared(task, task.prepare, items(12), STEP)
    with in_use(task):
        found = fine_tuned(task, batch, batch, Budget([3], "learned"), rates, "own", STEP)
    descend(task, batch, torch.optim.SGD(task.head.parameters(), lr=2.0))
    assert torch.equal(found[0], task.logits(batch).argmax(dim=1))


def test_learned_rates_leave_alone_what_inner_steps_do():
    objective = meta({"only": classifier(bag())}, adaptation={"learned": True, "adapted": "heads"})
    rates = rates_for(objective, objective.tasks["only"], "learned")
    assert set(rates) == {"head.weight", "head.bias"}
    found = curve(budget=Budget([1], "learned")).evaluate(objective.float(), data_of(), STEP)
    assert found.values["accuracy/4-shots/1-steps"] > 0
    plain = meta({"only": classifier(bag())})
    assert_one_error(
        lambda: rates_for(plain, plain.tasks["only"], "learned"),
        "Meta has no learned rates",
        "learn_rate = true",
    )


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


def test_tasks_with_too_few_items_to_judge_are_named():
    single = meta({"only": classifier(bag())}, 0.0).float()
    rows = items(3, "a")
    empty = ListedData({"test": rows}, {"tasks": {"a": [0, 3], "b": [3, 0]}})
    assert_one_error(
        lambda: curve(shots=[0]).evaluate(single, empty, STEP), "the task b has no items in test"
    )
    lone = ListedData({"test": rows}, {"tasks": {"a": [0, 2], "b": [2, 1]}})
    assert_one_error(lambda: curve(shots=[0]).evaluate(single, lone, STEP), "the task b has one item only")


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
    ("order", "depth", "recompute", "each"),
    [
        ("second", 0, False, 1),
        ("second", 2, False, 5),
        ("second", 2, True, 7),
        ("first", 2, False, 3),
        ("reptile", 2, False, 2),
        ("reptile", 0, False, 1),
        ("truncated", 2, False, 4),
        ("truncated", 2, True, 5),
    ],
)
def test_gradient_evaluations_are_counted(order: str, depth: int, recompute: bool, each: int):
    """By hand; and the check of gradients says the same for one update."""
    inner = {"order": order, "recompute": recompute}
    objective = meta({"only": classifier(bag())}, float(depth), layout=(3, depth), inner=inner)
    assert objective.spent(Step(0, 4, 10)) == 4 * 3 * each
    (table,) = GradientCheck(2, 1, 1e-6, "train").evaluate(objective, data_of(), STEP).tables.values()
    assert table[depth]["backward passes"] == 3 * each


def test_gradient_evaluations_of_a_schedule_are_counted_once(monkeypatch: pytest.MonkeyPatch):
    """From where the last count ended; a depth that stays is not walked at all."""
    asked = []
    usual = Meta.depth_at
    monkeypatch.setattr(Meta, "depth_at", lambda self, step: asked.append(step.number) or usual(self, step))
    objective = meta({"only": classifier(bag())}, 1.0, layout=(1, 1), inner={"order": "first"})
    objective.depth = Curve(lambda progress: float(progress >= 0.5), (0.0, 1.0))
    assert objective.spent(Step(0, 6, 10)) == 5 * 1 + 1 * 2
    assert objective.spent(Step(0, 8, 10)) == 5 * 1 + 3 * 2
    assert asked == list(range(8))
    assert objective.spent(Step(0, 2, 10)) == 2 and objective.spent(Step(0, 2, 2)) == 1 + 2
    asked.clear()
    objective.depth = Curve(lambda progress: 1.0, (1.0, 1.0))
    assert objective.spent(Step(0, 20_000, 20_000)) == 40_000 and asked == [0]


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


def test_agreement_is_by_what_every_task_holds():
    """A layer that only one task has says nothing of the others; an encoder of its own is not shared."""
    rows = [*items(8, "a"), *items(8, "b")]
    data = ListedData({"train": rows}, {"tasks": {"a": [0, 8], "b": [8, 8]}})
    judge = GradientAgreement(8, 0, "train")
    apart = meta({"a": classifier(bag()), "b": classifier(bag(1))}, 0.0)
    assert_one_error(lambda: judge.evaluate(apart, data, STEP), "share no weight that is trained", "ref =")
    encoder = bag()
    freeze(encoder)
    frozen = meta({"a": classifier(encoder), "b": classifier(encoder, seed=2)}, 0.0)
    assert_one_error(lambda: judge.evaluate(frozen, data, STEP), "share no weight that is trained", "frozen")
    whole = meta(depth=0.0)
    found = judge.evaluate(whole, data, STEP).values["cosine"]
    gradients_of = []
    for name in "ab":
        part = meta({name: whole.tasks[name]}, 0.0)
        own = gradients(part, batch_of(part, [row for row in rows if row["task"] == name]))
        gradients_of.append(
            torch.cat([own[f"tasks.{name}.encoder.{n}"].flatten() for n in named(whole.tasks["a"].encoder)])
        )
    assert found == pytest.approx(float(nn.functional.cosine_similarity(*gradients_of, dim=0)), abs=1e-12)
