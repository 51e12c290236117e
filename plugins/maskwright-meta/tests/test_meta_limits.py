"""What the objective cannot do and says: no second derivative, numbers that are none, batches that are cut."""

import warnings

import pytest
import torch
from meta_cases import STEP, Attentive, Counting, bag, batch_of, chunks, classifier, gradients, items, meta
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maskwright_meta.memory import bytes_of_machine, held_bytes, least_bytes
from maskwright_meta.trial import bytes_of_one_step
from maskwright_testing import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.batches import collate
from maskwright_torch.contracts import Loss
from maskwright_torch.part import seeded


class Uneven(nn.Module):
    """Counts something else than rows, as hidden tokens are: those with label 1."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.prepare = classifier(bag()).prepare

    def forward(self, batch, step):
        marked = (batch["label"] == 1).double()
        return Loss.of((self.weight * batch["rows"].double().square() * marked).sum(), marked.sum())


def test_depth_zero_does_not_depend_on_how_a_batch_is_cut():
    objective = meta({"a": Uneven(1.0), "b": Uneven(2.0)}, 0.0, layout=(4, 0))
    data = ListedData({"train": items(12)}, {"tasks": {"a": [0, 6], "b": [6, 6]}})
    objective.order(STEP, data, "train", 12)
    rows = [*items(3, "a", 3), *items(2, "b"), *items(1, "a"), *items(3, "a"), *items(3, "b", 1)]
    rows[1] = {**rows[1], "label": 1}
    whole = batch_of(objective, rows)
    halves = [collate(rows[cut], range(12)[cut], objective.prepare, STEP) for cut in (slice(6), slice(6, 12))]
    found = [objective(batch, STEP).terms["loss"] for batch in (whole, *halves)]
    assert float(found[0].count) == float(found[1].count + found[2].count) == 12
    assert float(found[0].sum.detach()) == pytest.approx(
        float((found[1].sum + found[2].sum).detach()), rel=1e-12
    )


def test_a_part_without_second_derivative_is_named(monkeypatch: pytest.MonkeyPatch):
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, upstream):
            return upstream

    class Fused(nn.Module):
        def forward(self, x):
            return Once.apply(x * x)

    encoder = bag()
    encoder.layers.append(Fused())
    objective = meta({"only": classifier(encoder)}, 1.0)
    batch = batch_of(objective, items(8))
    assert_one_error(
        lambda: objective(batch, STEP),
        'order = "second" needs second derivatives, and only.encoder.layers.1 (Fused) has none',
        "objective:meta, tasks", "once_differentiable", "objective.order=first",
    )  # fmt: skip
    monkeypatch.setattr("maskwright_meta.trial._part_at_fault", lambda *_: None)
    hidden = meta({"only": classifier(encoder)}, 1.0)
    assert_one_error(lambda: hidden(batch, STEP), "and a part of BagOfWords has none")
    straight = meta({"only": classifier(encoder)}, 1.0, inner={"order": "first"})
    assert gradients(straight, batch)["tasks.only.head.weight"] is not None
    growing = meta({"only": classifier(encoder)}, 0.0, layout=(1, 1))
    assert_one_error(lambda: growing(batch, STEP), 'order = "second" needs second derivatives')


class Twice(torch.autograd.Function):
    """Its second derivative fails, with words that an encoder's own mistake could have."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return Failing.apply(2 * x * upstream)


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, upstream):
        raise RuntimeError("sizes 3 and 4 do not fit")


def test_another_mistake_on_the_way_back_is_not_taken_for_a_lacking_derivative():
    class Odd(nn.Module):
        def forward(self, x):
            return Twice.apply(x)

    encoder = bag()
    encoder.layers.append(Odd())
    objective = meta({"only": classifier(encoder)}, 1.0)
    with pytest.raises(RuntimeError, match="sizes 3 and 4 do not fit"):
        objective(batch_of(objective, items(8)), STEP)


def test_an_encoder_whose_attention_has_no_second_derivative_is_named():
    """It asks for the fused kernel itself, whatever surrounds it; there is nothing smaller to name."""

    class Stubborn(Attentive):
        def forward(self, batch, hidden=None):
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                return super().forward(batch, hidden)

    objective = meta({"only": classifier(seeded(5, Stubborn))}, 1.0).float()
    assert_one_error(
        lambda: objective(batch_of(objective, items(8)), STEP),
        'order = "second" needs second derivatives, and only.encoder (Stubborn) has none', "is not implemented",
    )  # fmt: skip
    assert all(p.grad is None for p in objective.parameters())


def test_a_trial_of_a_depth_to_come_leaves_no_trace():
    """Its rate is 0, so that it never explodes; dropout draws as if it had not been, and nothing counts it."""

    encoder = bag(dropout=0.5)
    encoder.layers.append(counted := Counting())
    objective = meta({"only": classifier(encoder)}, 0.0, layout=(1, 2), adaptation={"rate": 1e200})
    batch = batch_of(objective, items(12))
    with torch.no_grad():
        objective(batch, STEP)
    assert not objective.has_tried, "without gradient there is nothing to try"
    first, second = gradients(objective, batch), gradients(objective, batch)
    assert objective.has_tried and int(counted.passes) == 3
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_lack_of_memory_is_not_taken_for_a_kernel_without_second_derivative():
    class Greedy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, upstream):
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    class Large(nn.Module):
        def forward(self, x):
            return Greedy.apply(x) if torch.is_grad_enabled() and self.passes() else x

        def passes(self) -> bool:
            self.count = getattr(self, "count", 0) + 1
            return self.count > 1  # the inner step goes well

    encoder = bag()
    encoder.layers.append(Large())
    objective = meta({"only": classifier(encoder)}, 1.0)
    with pytest.raises(torch.OutOfMemoryError):
        objective(batch_of(objective, items(8)), STEP)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_bound_for_memory_lies_below_what_is_held(recompute: bool):
    """Two episodes of three steps hold no less than one of one step lets expect, and not much more."""
    options = {"layout": (2, 3), "inner": {"recompute": recompute}}
    objective = meta({"only": classifier(bag())}, 3.0, **options)
    batch = batch_of(objective, items(8 * 8))
    gradients(objective, batch)  # what is tried before the first step is behind it
    held = held_bytes(lambda: objective(batch, STEP))
    bound = least_bytes(bytes_of_one_step(objective, batch, STEP), 3, 2)
    assert 0.5 * held < bound <= held


def test_an_update_that_the_machine_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch):
    rows = items(48)
    objective = meta({"only": classifier(bag())}, 0.0, layout=(2, 2))
    batch = batch_of(objective, rows)
    one_step = bytes_of_one_step(objective, batch, STEP)
    monkeypatch.setattr("maskwright_meta.memory.GIB", 1000)
    monkeypatch.setattr("maskwright_meta.memory.bytes_of_machine", lambda device: 3 * one_step - 1)
    assert_one_error(
        lambda: objective(batch, STEP),
        f"an update would hold {3 * one_step / 1000:.1f} GiB at least, and the machine has "
        f"{(3 * one_step - 1) / 1000:.1f} GiB",
        "2 episodes at once with 2 inner steps", f"one step holds {one_step / 1000:.3f} GiB",
        "objective.recompute=true",
    )  # fmt: skip
    monkeypatch.setattr("maskwright_meta.memory.bytes_of_machine", lambda device: 3 * one_step)
    objective(batch, STEP).value.backward()
    straight = meta({"only": classifier(bag())}, 2.0, layout=(2, 2), inner={"order": "first"})
    monkeypatch.setattr("maskwright_meta.memory.bytes_of_machine", lambda device: 0)
    straight(batch, STEP)
    objective(batch, STEP)  # found out once


def test_the_memory_of_the_machine_is_more_than_this_test_takes():
    assert bytes_of_machine(torch.device("cpu")) > 2**28


def test_exploding_inner_steps_stop_or_are_left_out():
    rate = {"rate": 1e200}
    rows = chunks("a", "a", "a", "a")
    objective = meta(depth=3.0, adaptation=rate)
    assert_one_error(
        lambda: objective(batch_of(objective, rows), STEP),
        "on the task a ended in numbers that are none", "step 3", "inner_rate = 1e+200", "on_explosion",
    )  # fmt: skip
    objective = meta(depth=3.0, adaptation={**rate, "on_explosion": "skip"})
    loss = objective(batch_of(objective, rows), STEP)
    assert float(loss.terms["loss"].count) == 0 and float(loss.parts["skipped"]) == 1
    several = meta(depth=3.0, layout=(2, 3), adaptation={**rate, "on_explosion": "skip"})
    skipped = several(batch_of(several, rows + rows), STEP).parts["skipped"]
    assert float(skipped) == 1, "a share, however many episodes there are"
    loss.value.backward()
    assert all(p.grad is None for p in objective.parameters())


def test_an_episode_whose_loss_is_none_is_left_out():
    """Its weights are numbers still, and the loss of the rows after the steps is not."""
    tasks = {"a": Uneven(1.0), "b": Uneven(1e308)}
    objective = meta(tasks, 1.0, layout=(2, 1), adaptation={"on_explosion": "skip", "rate": 0.0})
    batch = batch_of(objective, chunks("a", "a", "a", "b"))
    loss = objective(batch, STEP)
    assert float(loss.terms["loss"].count) == 1 and float(loss.parts["skipped"]) == 0.5
    assert bool(loss.value.isfinite())


def test_without_inner_rate_the_log_says_so():
    objective = meta(depth=1.0, adaptation={"rate": 0.0})
    assert any("inner_rate is 0" in notice for notice in objective.notices)
    learned = meta(depth=1.0, adaptation={"rate": 0.0, "learned": True})
    assert not any("inner_rate" in notice for notice in learned.notices), "it is 0 at the start only"


def test_a_depth_beyond_the_rows_is_refused():
    objective = meta({"only": classifier(bag())}, 2.0, layout=(1, 1))
    assert_one_error(
        lambda: objective(batch_of(objective, items(8)), STEP),
        "the depth is 2, and batches are laid out for 1 inner steps", "deepest=2",
    )  # fmt: skip


def test_a_name_that_a_batch_has_already_is_refused():
    assert_one_error(lambda: meta({"rows": classifier(bag())}, 0.0), '"rows" is no name for a task', "as =")


def test_a_pass_and_its_gradient_warn_of_nothing():
    objective = meta(depth=2.0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gradients(objective, batch_of(objective, chunks("a", "b", "a")))
    assert [str(warning.message) for warning in said] == []
