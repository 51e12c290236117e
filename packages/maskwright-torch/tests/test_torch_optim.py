"""Optimisers: groups, layer-wise rates, LARS by hand, state by name."""

import pytest
import torch
from torch import nn

from maskwright import UserError, schedules
from maskwright_torch.noise import uniform
from maskwright_torch.optim import (
    Lars,
    Name,
    layer_decay_groups,
    load_optimiser,
    make_optimiser,
    optimiser_tensors,
    set_lr,
    split_by_decay,
)
from maskwright_torch.part import freeze, seeded

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.95), "momentum": 0.9, "decay": 0.05}


def net() -> nn.Sequential:
    return seeded(0, lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)))


def test_biases_and_norms_do_not_decay_and_tokens_do():
    module = net()
    module.token = nn.Parameter(torch.zeros(1, 1, 4))
    weights, rest = split_by_decay(module.named_parameters(), 0.05)
    assert [p.ndim for p in weights["params"]] == [3, 2, 2]
    assert weights["weight_decay"] == 0.05 and rest["weight_decay"] == 0.0
    assert all(p.ndim == 1 for p in rest["params"]) and len(rest["params"]) == 4


def test_layer_decay_scales():
    """Depth 12, rate 0.65: what comes before the blocks 0.65^13, the head 1."""
    named = [("patch_embed.weight", nn.Parameter(torch.zeros(2, 2)))]
    named += [(f"blocks.{k}.fc.weight", nn.Parameter(torch.zeros(2, 2))) for k in range(12)]
    named += [("head.weight", nn.Parameter(torch.zeros(2, 2)))]

    def layer(name: str) -> int:
        if name.startswith("patch"):
            return 0
        return int(name.split(".")[1]) + 1 if name.startswith("blocks") else 13

    groups = layer_decay_groups(named, layer, 12, 0.65, 0.05)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    found = [scales[id(p)] for _, p in named]
    assert found == pytest.approx([0.65 ** (13 - layer(name)) for name, _ in named])
    assert found[0] == pytest.approx(0.65**13) and found[-1] == 1.0


def test_groups_scale_the_learning_rate():
    module = net()
    optimiser = torch.optim.SGD(
        [{"params": [module[0].weight], "lr_scale": 0.5}, {"params": [module[2].weight]}], lr=1
    )
    set_lr(optimiser, 0.2)
    assert [group["lr"] for group in optimiser.param_groups] == [0.1, 0.2]


def test_the_schedule_of_the_papers():
    """lr e/W in the warm-up, then half a cosine to 0, at every step (equation in MAE's and ViT's recipes)."""
    shape = schedules.warmup(schedules.cosine(1.0, 0.0), 0.0, 40 / 400)
    for epoch, wanted in [(0, 0), (20, 0.5), (40, 1.0), (220, 0.5), (400, 0.0), (130, 0.5 * (1 + 0.5**0.5))]:
        assert shape(epoch / 400) == pytest.approx(wanted, abs=1e-12), epoch


def test_lars_by_hand():
    weight, bias = nn.Parameter(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.tensor([2.0]))
    weight.grad, bias.grad = torch.tensor([[0.6, 0.8]]), torch.tensor([0.5])
    optimiser = Lars([weight, bias], lr=0.1, momentum=0.9, weight_decay=0.0)
    optimiser.step()
    # |w| = 5, |g| = 1: the step is 0.001 * 5 * g * lr; the bias is not scaled.
    assert weight.tolist() == [[pytest.approx(3 - 0.1 * 0.005 * 0.6), pytest.approx(4 - 0.1 * 0.005 * 0.8)]]
    assert bias.tolist() == [pytest.approx(2 - 0.05)]
    before = bias.item()
    optimiser.step()
    assert bias.item() == pytest.approx(before - 0.1 * (0.9 * 0.5 + 0.5))


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_state_goes_by_name_and_goes_on_bit_for_bit(name: Name):
    def walk(module: nn.Module, optimiser: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            optimiser.zero_grad()
            module(uniform(number, torch.arange(5), 3).float()).square().mean().backward()
            optimiser.step()

    one, two = net(), net()
    first = make_optimiser(name, one, **SETTINGS)
    walk(one, first, range(4))
    second = make_optimiser(name, two, **SETTINGS)
    two.load_state_dict(one.state_dict())
    tensors = optimiser_tensors(first, one)
    assert all(key.rpartition("/")[0] in dict(one.named_parameters()) for key in tensors)
    load_optimiser(second, two, tensors)
    walk(one, first, range(4, 8))
    walk(two, second, range(4, 8))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    fresh = net()
    walk(fresh, make_optimiser(name, fresh, **SETTINGS), range(8))
    assert torch.equal(fresh[0].weight, one[0].weight)


def test_unknown_names_in_a_state_and_nothing_to_train():
    module = net()
    with pytest.raises(UserError, match='remembers "gone.weight"'):
        load_optimiser(
            make_optimiser("sgd", module, **SETTINGS), module, {"gone.weight/momentum_buffer": torch.ones(1)}
        )
    freeze(module)
    with pytest.raises(UserError, match="nothing is left to train"):
        make_optimiser("adamw", module, **SETTINGS)
