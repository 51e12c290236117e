"""The objective: which loss, whose gradient, and what it leaves alone."""

import copy
from typing import Any

import pytest
import torch
from meta_cases import (
    STEP,
    Attentive,
    Counting,
    after_step,
    bag,
    batch_of,
    chunks,
    classifier,
    gradients,
    items,
    meta,
)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maskwright_torch.contracts import Loss
from maskwright_torch.gradients import seed_modules
from maskwright_torch.part import seeded


def test_depth_zero_of_one_task_is_its_very_loss():
    plain = classifier(bag(dropout=0.5)).double().train()
    wrapped = meta({"only": copy.deepcopy(plain)}, 0.0)
    batch = batch_of(wrapped, items(6))
    losses = []
    for objective in (plain, wrapped):
        seed_modules(STEP)
        losses.append(objective(batch, STEP))
    assert torch.equal(losses[0].value, losses[1].value)
    assert losses[0].terms.keys() == losses[1].terms.keys() and losses[0].parts == losses[1].parts


def test_depth_zero_is_a_plain_loop_bit_for_bit():
    """Twenty updates, against a loop that knows nothing of this package."""
    wrapped = meta({"only": classifier(bag())}, 0.0)
    plain = copy.deepcopy(wrapped.tasks["only"])
    batch = batch_of(wrapped, items(6))
    ours = torch.optim.AdamW(wrapped.parameters(), lr=0.01)
    theirs = torch.optim.AdamW(plain.parameters(), lr=0.01)
    for _ in range(20):
        ours.zero_grad()
        wrapped(batch, STEP).value.backward()
        ours.step()
        theirs.zero_grad()
        x = plain.encoder(batch).pooled
        nn.functional.cross_entropy(plain.head(x), batch["label"], reduction="none").sum().div(6).backward()
        theirs.step()
    assert all(torch.equal(a, b) for a, b in zip(wrapped.parameters(), plain.parameters(), strict=True))


def test_depth_zero_of_several_heads_is_a_plain_loop_bit_for_bit():
    """Two heads on one encoder, one of them absent from some updates; against torch alone."""
    wrapped = meta(depth=0.0)
    plain = copy.deepcopy(wrapped.tasks)
    assert plain["a"].encoder is plain["b"].encoder
    ours = torch.optim.AdamW(wrapped.parameters(), lr=0.01, weight_decay=0.1)
    theirs = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.1)
    for number in range(20):
        counts = {"a": 6, "b": 4 if number % 3 else 0}
        rows = {name: items(count, name) for name, count in counts.items()}
        ours.zero_grad()
        wrapped(batch_of(wrapped, [*rows["a"], *rows["b"]]), STEP).value.backward()
        ours.step()
        theirs.zero_grad()
        sums = []
        for name, own in rows.items():
            if own:
                batch = plain[name].prepare(own, STEP)
                scores = plain[name].head(plain[name].encoder(batch).pooled)
                losses = nn.functional.cross_entropy(scores, batch["label"], reduction="none")
                sums.append(losses.sum() / len(own) * len(own))
        (torch.stack(sums).sum() / sum(counts.values())).backward()
        theirs.step()
    assert all(torch.equal(a, b) for a, b in zip(wrapped.tasks.parameters(), plain.parameters(), strict=True))


def test_depth_zero_of_several_tasks_is_the_mean_over_rows():
    objective = meta(depth=0.0)
    batch = batch_of(objective, [*items(6, "a"), *items(3, "b")])
    loss = objective(batch, STEP)
    values = [objective.tasks[n](batch_of(meta({n: objective.tasks[n]}, 0.0), items(c, n)), STEP).value
              for n, c in (("a", 6), ("b", 3))]  # fmt: skip
    assert float(loss.value.detach()) == pytest.approx(
        float((6 * values[0] + 3 * values[1]).detach() / 9), abs=1e-15
    )
    assert float(loss.terms["loss"].count) == 9


def test_one_inner_step_is_a_step_on_a_deep_copy():
    """FOMAML by hand: the gradient at the weights after one step on the first chunk."""
    objective = meta({"only": classifier(bag())}, inner={"order": "first"})
    rows = items(8)
    batch = batch_of(objective, rows)
    halves = [{name: tensor[part] for name, tensor in batch.items()} for part in (slice(4), slice(4, 8))]
    moved = after_step(objective.tasks["only"], halves[0], 0.3, STEP)
    moved(halves[1], STEP).value.backward()
    found = gradients(objective, batch)
    for name, parameter in moved.named_parameters():
        assert torch.allclose(found[f"tasks.only.{name}"], parameter.grad, atol=1e-14), name


@pytest.mark.parametrize("order", ["second", "first", "truncated", "reptile"])
def test_the_order_changes_the_gradient_and_not_the_loss(order: str):
    objective = meta(depth=3.0, inner={"order": order, "truncation": 1})
    exact = meta(depth=3.0)
    batch = batch_of(objective, chunks("a", "b", "a", "b"))
    assert float(objective(batch, STEP).value.detach()) == float(exact(batch, STEP).value.detach())
    ours, theirs = (
        gradients(objective, batch)["tasks.a.encoder.table"],
        gradients(exact, batch)["tasks.a.encoder.table"],
    )
    assert torch.equal(ours, theirs) == (order == "second")


def test_second_order_is_what_finite_differences_say():
    objective = meta(depth=2.0)
    batch = batch_of(objective, chunks("a", "b", "a"))
    found = gradients(objective, batch)["tasks.a.encoder.table"]
    table = objective.tasks["a"].encoder.table
    place = tuple(int(n) for n in (found.abs() == found.abs().max()).nonzero()[0])
    values = []
    for shift in (1e-5, -1e-5):
        with torch.no_grad():
            table[place] += shift
            values.append(float(objective(batch, STEP).value.detach()))
            table[place] -= shift
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(found[place]), rel=1e-6)


def test_episodes_are_a_mean_in_any_order():
    objective = meta(depth=1.0, layout=(3, 1))
    groups = [chunks("a", "b"), chunks("b", "b"), chunks("a", "a")]

    def found(order: list[int]) -> dict:
        return gradients(objective, batch_of(objective, [row for n in order for row in groups[n]]))

    whole, turned = found([0, 1, 2]), found([2, 0, 1])
    single = meta(dict(objective.tasks.items()), 1.0)
    each = [gradients(single, batch_of(single, group)) for group in groups]
    for name, gradient in whole.items():
        if gradient is None:
            continue
        assert torch.allclose(gradient, turned[name], atol=1e-12)
        mean = sum(one[name] for one in each if one[name] is not None) / 3
        assert torch.allclose(gradient, mean, atol=1e-12), name


def test_a_head_outside_of_the_update_is_left_alone():
    """Weight decay and momentum do not touch it, and the optimiser remembers nothing of it."""
    objective = meta(depth=1.0)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=0.1, weight_decay=0.5)
    before = copy.deepcopy(objective.state_dict())
    objective(batch_of(objective, chunks("a", "a")), STEP).value.backward()
    optimiser.step()
    after = objective.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in after if name.startswith("tasks.b.head"))
    assert not torch.equal(before["tasks.a.head.weight"], after["tasks.a.head.weight"])
    heads = set(map(id, objective.tasks["b"].head.parameters()))
    assert not any(id(parameter) in heads for parameter in optimiser.state)


def test_a_head_of_an_inner_step_gets_a_second_order_gradient_only():
    batch = batch_of(meta(), chunks("a", "b"))
    assert gradients(meta(), batch)["tasks.a.head.weight"] is not None
    assert gradients(meta(inner={"order": "first"}), batch)["tasks.a.head.weight"] is None


@pytest.mark.parametrize("order", ["second", "first", "reptile"])
def test_inner_steps_leave_the_objective_as_it_was(order: str):
    encoder = bag()
    encoder.layers.append(Counting())
    objective = meta({"only": classifier(encoder)}, depth=2.0, inner={"order": order})
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    held = dict(objective.named_parameters())
    draws = torch.get_rng_state()
    loss = objective(batch_of(objective, items(12)), STEP)
    assert torch.equal(torch.get_rng_state(), draws)
    after = objective.state_dict()
    passes = "tasks.only.encoder.layers.1.passes"
    assert all(torch.equal(before[name], after[name]) for name in after if name != passes)
    assert float(after[passes]) == 1, "the pass after the inner steps, as in plain training"
    assert all(p.grad is None and p is held[name] for name, p in objective.named_parameters())
    assert loss.value.requires_grad


def test_a_shared_encoder_moves_with_every_task():
    """A step on `a` moves the encoder that `b` is judged with."""
    objective = meta(depth=1.0, inner={"order": "first"})
    rows = chunks("a", "b")
    batch = batch_of(objective, rows)
    moved = copy.deepcopy(objective.tasks)
    alone = batch_of(meta({"a": moved["a"]}, 0.0), rows[:4])
    moved["a"](alone, STEP).value.backward()
    with torch.no_grad():
        for parameter in moved["a"].parameters():
            parameter -= 0.3 * parameter.grad
    wanted = moved["b"](batch_of(meta({"b": moved["b"]}, 0.0), rows[4:]), STEP).value
    assert float(objective(batch, STEP).value.detach()) == pytest.approx(float(wanted.detach()), abs=1e-14)


@pytest.mark.parametrize(
    "adaptation",
    [{}, {"prototypes": True}, {"learned": True, "per": "layer"}, {"learned": True, "per": "parameter"}],
)
def test_recomputing_gives_the_same_gradient_with_dropout(adaptation: dict[str, Any]):
    tasks = {"only": classifier(bag(dropout=0.4))}
    alike = []
    for recompute in (False, True):
        objective = meta(
            copy.deepcopy(tasks), 2.0, kind="same", inner={"recompute": recompute}, adaptation=adaptation
        )
        alike.append(gradients(objective, batch_of(objective, items(12))))
    assert any("rates" in name for name in alike[0]) == bool(adaptation.get("learned"))
    for name, gradient in alike[0].items():
        if gradient is None:
            assert alike[1][name] is None and name.startswith("tasks.only.head"), (
                "prototypes are in its place"
            )
        else:
            assert torch.allclose(gradient, alike[1][name], atol=1e-14), name


@pytest.mark.parametrize("recompute", [False, True])
def test_the_loss_is_there_where_no_gradient_is_wanted(recompute: bool):
    """As evaluators ask for it: inner steps take gradients all the same."""
    objective = meta({"only": classifier(bag())}, 2.0, inner={"recompute": recompute})
    batch = batch_of(objective, items(12))
    wanted = float(objective(batch, STEP).value.detach())
    with torch.no_grad():
        assert float(objective(batch, STEP).value) == wanted


def test_recomputing_gives_the_same_gradient_in_bf16():
    tasks = {"only": classifier(bag(dropout=0.4))}
    alike = []
    for recompute in (False, True):
        objective = meta(copy.deepcopy(tasks), 2.0, inner={"recompute": recompute}).float()
        batch = batch_of(objective, items(12))
        seed_modules(STEP)
        with torch.autocast("cpu", torch.bfloat16):
            value = objective(batch, STEP).value
        value.backward()
        alike.append({name: p.grad for name, p in objective.named_parameters()})
    for name, gradient in alike[0].items():
        assert torch.allclose(gradient, alike[1][name], rtol=1e-3, atol=1e-7), name


def test_inner_steps_draw_dropout_anew_unless_told_not_to():
    tasks = {"only": classifier(bag(dropout=0.5))}
    losses = {}
    for quiet in (False, True):
        objective = meta(copy.deepcopy(tasks), 1.0, adaptation={"evaluation_mode": quiet})
        batch = batch_of(objective, items(8))
        said = []
        for seed in (1, 2):
            seed_modules(STEP.at(seed))
            said.append(float(objective(batch, STEP).parts["inner_loss"]))
        losses[quiet] = said
        assert all(module.training for module in objective.modules())
    assert losses[False][0] != losses[False][1]
    assert losses[True][0] == losses[True][1]


def test_chunks_draw_masks_of_their_own():
    """An inner step and the loss after it never share a stream, though they may hold the same row."""
    seen = []

    class Recording(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.prepare = classifier(bag()).prepare

        def forward(self, batch, step):
            seen.append((step.stream("mask"), batch["rows"].tolist(), step.number))
            return Loss.of(self.weight.square().sum() * len(batch["rows"]), self.weight.new_tensor(1.0))

    objective = meta({"only": Recording()}, 2.0, inner={"order": "first"})  # tries nothing beforehand
    objective(batch_of(objective, items(9)), STEP)
    assert [rows for _, rows, _ in seen] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert len({stream for stream, _, _ in seen}) == 3 and {number for *_, number in seen} == {2}
    assert seen[-1][0] == STEP.stream("mask"), "the loss is that of plain training"
    seen.clear()
    plain = meta({"only": Recording()}, 0.0)
    plain(batch_of(plain, items(6)), STEP)
    assert [stream for stream, *_ in seen] == [STEP.stream("mask")], "at depth 0 all of it is"


def test_rows_that_a_shallower_depth_does_not_step_on_count_for_the_loss():
    objective = meta({"only": classifier(bag())}, 1.0, layout=(1, 3), inner={"order": "first"})
    batch = batch_of(objective, items(16))
    parts = [{name: tensor[part] for name, tensor in batch.items()} for part in (slice(4), slice(4, 16))]
    moved = after_step(objective.tasks["only"], parts[0], 0.3, STEP)
    assert float(objective(batch, STEP).value.detach()) == pytest.approx(
        float(moved(parts[1], STEP).value.detach()), abs=1e-14
    )


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention as it is written down."""
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def test_all_episodes_at_once_have_the_gradient_of_one_after_the_other():
    """Three episodes as a further axis of tensors, by torch's vmap and grad, on an encoder with attention."""
    objective = meta({"only": classifier(seeded(5, Attentive))}, 1.0, layout=(3, 1))
    batch = batch_of(objective, items(24))
    found = gradients(objective, batch)

    def loss(theta: dict[str, Tensor], words: Tensor, label: Tensor) -> Tensor:
        x = nn.functional.embedding(words, theta["encoder.table"])
        q, k, v = (
            x @ theta[f"encoder.maps.{n}.weight"].T + theta[f"encoder.maps.{n}.bias"] for n in range(3)
        )
        pooled = nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0].mean(
            dim=1
        )
        return nn.functional.cross_entropy(pooled @ theta["head.weight"].T + theta["head.bias"], label)

    def after_a_step(theta: dict[str, Tensor], words: Tensor, label: Tensor) -> Tensor:
        step = torch.func.grad(loss)(theta, words[:4], label[:4])
        return loss({name: theta[name] - 0.3 * step[name] for name in theta}, words[4:], label[4:])

    theta = {name: p.detach() for name, p in objective.tasks["only"].named_parameters()}
    words, label = batch["words"].reshape(3, 8, -1), batch["label"].reshape(3, 8)
    with sdpa_kernel(SDPBackend.MATH):
        each = torch.func.vmap(torch.func.grad(after_a_step), in_dims=(None, 0, 0))(theta, words, label)
    for name, gradient in each.items():
        assert float((gradient.mean(dim=0) - found[f"tasks.only.{name}"]).abs().max()) < 1e-10, name


def test_second_order_goes_through_attention():
    """The fused kernel has no second derivative; inner steps take the plain one, whatever surrounds them."""
    objective = meta({"only": classifier(seeded(5, Attentive))}, 2.0)
    objective.float()
    batch = batch_of(objective, items(12))
    found = gradients(objective, batch)
    with sdpa_kernel(SDPBackend.MATH):
        wanted = gradients(objective, batch)
    for name, gradient in found.items():
        assert torch.allclose(gradient, wanted[name], atol=1e-6), name
    eager = copy.deepcopy(objective)
    eager.tasks["only"].encoder.attend = by_hand
    wanted = gradients(eager, batch)
    assert max(float((found[name] - wanted[name]).abs().max()) for name in found) < 1e-6
    assert any("SDPBackend.MATH" in notice for notice in objective.notices)
    assert meta({"only": classifier(bag())}, 1.0, inner={"order": "first"}).notices == []
