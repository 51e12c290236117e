"""The meta-gradient against closed forms, finite differences, and steps written out by hand."""

import copy
import itertools
import math

import pytest
import torch
from meta_nets import batches, distance, dot, loss, net, numbers
from torch import Tensor

from maskwright_meta.unroll import Exploded, Inner, Task, meta_gradient, unroll


def gradient(k: int, alpha: float = 0.1, order: str = "second", **options: object) -> dict[str, Tensor]:
    found, _ = meta_gradient(loss, net(), batches(k + 1), alpha, order, **options)
    return found


def plain(parameters: dict[str, Tensor], batch: object) -> dict[str, Tensor]:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
    found = torch.autograd.grad(loss(leaves, batch), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def moved(parameters: dict[str, Tensor], gradients: dict[str, Tensor], rate: float) -> dict[str, Tensor]:
    return {name: tensor - rate * gradients[name] for name, tensor in parameters.items()}


def value(parameters: dict[str, Tensor], k: int, alpha: float) -> float:
    """J, by steps of its own."""
    *inner, query = batches(k + 1)
    for batch in inner:
        parameters = moved(parameters, plain(parameters, batch), alpha)
    return float(loss(parameters, query))


def test_depth_zero_is_the_gradient():
    found, info = meta_gradient(loss, net(), batches(1), 0.1)
    assert distance(found, plain(net(), batches(1)[0])) == 0
    assert info["depth"] == 0 and info["inner_losses"] == []


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("order", ["second", "first"])
def test_without_rate_every_depth_is_depth_zero(k: int, order: str):
    assert distance(gradient(k, 0.0, order), plain(net(), batches(k + 1)[-1])) < 1e-12


@pytest.mark.parametrize("k", [1, 2, 3])
def test_second_order_is_what_finite_differences_say(k: int):
    found, info = meta_gradient(loss, net(), batches(k + 1), 0.3)
    assert float(info["loss"]) == pytest.approx(value(net(), k, 0.3), abs=1e-14)
    for key in range(100, 110):
        direction = {name: numbers(key, *tensor.shape) for name, tensor in net().items()}
        ahead, behind = (value(moved(net(), direction, sign * 1e-5), k, 0.3) for sign in (-1, 1))
        assert (ahead - behind) / 2e-5 == pytest.approx(dot(found, direction), rel=1e-6, abs=1e-9)


def test_gradcheck_of_two_layers():
    def j(w1: Tensor, b1: Tensor, w2: Tensor) -> Tensor:
        tasks = [Task(lambda p, b=b: loss(p, b), ["w1", "b1", "w2"]) for b in batches(2)]
        end = unroll(tasks, {"w1": w1, "b1": b1, "w2": w2}, Inner(), lambda name: 0.2).end
        return loss(end, batches(3)[2])

    assert torch.autograd.gradcheck(j, [tensor.requires_grad_() for tensor in net().values()])


def test_first_order_differs_on_a_curved_loss():
    assert distance(gradient(2, 0.1, "first"), gradient(2)) > 0.01
    assert distance(gradient(2, 1.0, "first"), gradient(2, 1.0)) > 0.1


def test_first_order_is_exact_where_inner_losses_are_linear():
    def straight(parameters: dict[str, Tensor], batch: Tensor) -> Tensor:
        return (parameters["w1"] * batch).sum()

    given = [numbers(5, 5, 16), numbers(6, 5, 16), batches(1)[0]]
    both = [
        meta_gradient([straight, straight, loss], net(), given, 0.1, order)[0]
        for order in ("second", "first")
    ]
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])


def quadratic(parameters: dict[str, Tensor], task: tuple[Tensor, Tensor]) -> Tensor:
    curve, centre = task
    away = parameters["x"] - centre
    return 0.5 * away @ curve @ away


def curves(count: int) -> list[tuple[Tensor, Tensor]]:
    return [((m := numbers(n, 4, 4)) @ m.T + torch.eye(4), numbers(n + 50, 4)) for n in range(count)]


@pytest.mark.parametrize("k", [1, 3])
def test_quadratic_tasks_have_a_closed_form(k: int):
    tasks, alpha, x = curves(k + 1), 0.05, numbers(9, 4)
    factor, end = torch.eye(4, dtype=torch.float64), x.clone()
    for curve, centre in tasks[:-1]:
        end = end - alpha * curve @ (end - centre)
        factor = factor @ (torch.eye(4) - alpha * curve)
    curve, centre = tasks[-1]
    wanted = factor @ curve @ (end - centre)
    found, _ = meta_gradient(quadratic, {"x": x}, tasks, alpha)
    assert float((found["x"] - wanted).abs().max()) < 1e-12


def test_quadratic_tasks_of_one_curve_meet_at_the_mean_of_their_centres():
    curve = curves(1)[0][0]
    centres = [numbers(n, 4) for n in range(5)]
    mean = {"x": torch.stack(centres).mean(dim=0)}
    pulls = [meta_gradient(quadratic, mean, [(curve, c)] * 3, 0.05)[0]["x"] for c in centres]
    assert float(torch.stack(pulls).sum(dim=0).abs().max()) < 1e-12


def test_fomaml_is_the_gradient_after_the_step():
    first, query = batches(2)
    after = moved(net(), plain(net(), first), 0.3)
    assert distance(gradient(1, 0.3, "first"), plain(after, query)) < 1e-14


def test_reptile_is_the_way_of_the_steps():
    found, info = meta_gradient(loss, net(), batches(2), 0.3, "reptile")
    wanted = {name: 0.3 * g for name, g in plain(net(), batches(2)[0]).items()}
    assert distance(found, wanted) < 1e-14
    assert float(info["loss"]) == pytest.approx(value(net(), 1, 0.3), abs=1e-14)
    two = meta_gradient(loss, net(), batches(3), 0.3, "reptile")[0]
    middle = moved(net(), plain(net(), batches(3)[0]), 0.3)
    end = moved(middle, plain(middle, batches(3)[1]), 0.3)
    assert distance(two, {name: net()[name] - end[name] for name in end}) < 1e-14


def test_small_rates_follow_the_expansion():
    """J = L' - alpha grad L' . grad L_1 + O(alpha^2): what is left over falls with the square of the rate."""
    first, query = batches(2)
    leaves = {name: tensor.requires_grad_() for name, tensor in net().items()}

    def expanded(alpha: float) -> dict[str, Tensor]:
        ours = torch.autograd.grad(loss(leaves, first), list(leaves.values()), create_graph=True)
        theirs = torch.autograd.grad(loss(leaves, query), list(leaves.values()), create_graph=True)
        agreement = sum((a * b).sum() for a, b in zip(ours, theirs, strict=True))
        found = torch.autograd.grad(loss(leaves, query) - alpha * agreement, list(leaves.values()))
        return dict(zip(leaves, found, strict=True))

    rates = [1e-2, 1e-3, 1e-4]
    left = [distance(gradient(1, rate), expanded(rate)) for rate in rates]
    slopes = [math.log(a / b) / math.log(10) for a, b in itertools.pairwise(left)]
    assert all(slope == pytest.approx(2, abs=0.1) for slope in slopes)


def test_truncation_lies_between_first_and_second():
    assert distance(gradient(3, order="truncated", truncation=3), gradient(3)) == 0
    assert distance(gradient(3, order="truncated", truncation=0), gradient(3, order="first")) == 0
    middle = gradient(3, order="truncated", truncation=1)
    assert distance(middle, gradient(3)) > 1e-3 and distance(middle, gradient(3, order="first")) > 1e-3


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("order", ["second", "truncated"])
def test_recomputed_steps_give_the_same_gradient(optimiser: str, order: str):
    alike = [
        gradient(3, 0.1, order, optimiser=optimiser, truncation=2, recompute=recompute)
        for recompute in (False, True)
    ]
    assert distance(*alike) < 1e-12


def test_recomputing_keeps_no_graph():
    def nodes(recompute: bool) -> int:
        tasks = [Task(lambda p, b=b: loss(p, b), list(net())) for b in batches(3)]
        theta = {name: tensor.requires_grad_() for name, tensor in net().items()}
        end = unroll(tasks, theta, Inner(recompute=recompute), lambda name: 0.1).end
        seen, waiting = set(), [end["w1"].grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [inner for inner, _ in node.next_functions]
        return len(seen)

    assert nodes(True) == 3 + len(net())  # one for each step, and the parameters
    assert nodes(False) > 30


@pytest.mark.parametrize("optimiser", ["momentum", "adam"])
def test_inner_optimisers_are_those_of_torch(optimiser: str):
    tasks = [Task(lambda p, b=b: loss(p, b), list(net())) for b in batches(3)]
    theta = {name: tensor.requires_grad_() for name, tensor in net().items()}
    end = unroll(tasks, theta, Inner(optimiser=optimiser), lambda name: 0.1).end
    theirs = {name: tensor.clone().requires_grad_() for name, tensor in net().items()}
    made = {
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    }[optimiser](theirs.values())
    for batch in batches(3):
        made.zero_grad()
        loss(theirs, batch).backward()
        made.step()
    assert distance(end, theirs) < 1e-6


def test_adam_has_a_gradient_where_a_gradient_is_zero():
    def flat(parameters: dict[str, Tensor], batch: object) -> Tensor:
        return loss(parameters, batch) + (0.0 * parameters["unused"]).sum()

    found, _ = meta_gradient(flat, {**net(), "unused": numbers(3, 4)}, batches(2), 0.1, optimiser="adam")
    assert all(bool(g.isfinite().all()) for g in found.values())


def test_only_what_is_adapted_moves():
    found, _ = meta_gradient(loss, net(), batches(2), 0.3, adapted=["w2"])
    first, query = batches(2)
    after = {**net(), "w2": net()["w2"] - 0.3 * plain(net(), first)["w2"]}
    assert distance(found, plain(after, query)) > 1e-3  # the encoder feels how the head will move
    straight, _ = meta_gradient(loss, net(), batches(2), 0.3, "first", adapted=["w2"])
    assert distance(straight, plain(after, query)) < 1e-14


def test_what_the_loss_does_not_depend_on_has_no_gradient():
    found, _ = meta_gradient(loss, {**net(), "other head": numbers(3, 4)}, batches(3), 0.1)
    assert found["other head"] is None


def test_what_is_handed_in_stays():
    given = net()
    before = copy.deepcopy(given)
    for order in ("second", "first", "reptile"):
        meta_gradient(loss, given, batches(3), 0.1, order)
    assert all(torch.equal(given[n], before[n]) and not given[n].requires_grad for n in given)


def test_exploding_steps_name_themselves():
    def cubic(parameters: dict[str, Tensor], batch: object) -> Tensor:
        return parameters["x"].pow(4).sum()

    tasks = [Task(lambda p: cubic(p, None), ["x"], "cubes")] * 9
    with pytest.raises(Exploded, match=r"inner step \d on cubes: the loss was"):
        unroll(tasks, {"x": torch.full((3,), 10.0, requires_grad=True)}, Inner(), lambda name: 10.0)


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"1 losses for 2 batches: k \+ 1 of each are wanted"):
        meta_gradient([loss], net(), batches(2), 0.1)
