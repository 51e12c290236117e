"""Gates and removal: what is gated, what is compact and what is worked out by hand are the same."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from maskwright import Step, UserError
from maskwright_cap.choosing import Lowest, hidden_of, next_open
from maskwright_cap.example_parts import HEADS, NEURONS, SmallBlocks, example_encoder
from maskwright_cap.gates import Gates, importance, magnitudes, normalised
from maskwright_cap.layers import groups_of, share_of
from maskwright_testing import assert_user_error
from maskwright_torch.contracts import Units
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.noise import uniform

ROWS = 6
BOTH = ("heads", "neurons")


def batch_of(dtype: torch.dtype = torch.float64, rows: int = ROWS) -> dict[str, Tensor]:
    """Items of which the last ones are partly padding."""
    real = torch.arange(8) < torch.tensor([8, 8, 5, 3, 8, 1])[:rows, None]
    return {
        "rows": torch.arange(rows),
        "vector": uniform(9, torch.arange(rows), 8).to(dtype) - 0.5,
        "real": real,
    }


def gated(dtype: torch.dtype = torch.float64) -> tuple[SmallBlocks, Gates]:
    encoder = example_encoder().to(dtype).eval()
    return encoder, Gates(encoder, BOTH)


def close(gates: Gates, layer: int, heads: Sequence[int], neurons: Sequence[int]) -> None:
    for kind, units in (("heads", heads), ("neurons", neurons)):
        gate = next(gate for gate in gates.of_kind(kind) if gate.group.layer == layer)
        gate.open[list(units)] = False


def small(encoder: SmallBlocks, gates: Gates) -> SmallBlocks:
    return gates.compacted(encoder)


@torch.no_grad()
def test_open_gates_change_no_bit():
    plain, (encoder, _) = example_encoder().eval(), gated(torch.float32)
    batch = batch_of(torch.float32)
    assert torch.equal(plain(batch).pooled, encoder(batch).pooled)


@torch.no_grad()
def test_a_gate_is_a_factor_on_the_attention_of_its_head():
    """As head masks once were: attention probabilities times a number for each head."""
    encoder, gates = gated()
    real, attention = batch_of()["real"][:, None, None, :], encoder.blocks[0].attn
    factor = torch.tensor([0.3, 1.0, 0.0, 0.7], dtype=torch.float64)
    x = uniform(1, torch.arange(ROWS), 8 * 16).view(ROWS, 8, 16)
    q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in attention.qkv(x).chunk(3, dim=-1))
    chances = (q @ k.transpose(2, 3) / 2.0).masked_fill(~real, -torch.inf).softmax(dim=3)
    heads = ((chances * factor.view(-1, 1, 1)) @ v).transpose(1, 2).flatten(2)
    wanted = torch.nn.functional.linear(heads, attention.proj.weight, attention.proj.bias)
    plain = attention(x, real)
    gates.of_kind("heads")[0].watched = factor
    torch.testing.assert_close(attention(x, real), wanted, rtol=0, atol=1e-12)
    assert float((wanted - plain).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("heads", "neurons"),
    [([1], [0, 5, 31]), ([0, 1, 2, 3], []), ([], list(range(NEURONS))), ([0, 1, 2, 3], list(range(NEURONS)))],
)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_compact_is_masked(dtype: torch.dtype, limit: float, heads: list[int], neurons: list[int]):
    encoder, gates = gated(dtype)
    close(gates, 0, heads, neurons)
    close(gates, 1, [2], [7])
    made, batch = small(encoder, gates), batch_of(dtype)
    assert made.shape == [[HEADS - len(heads), NEURONS - len(neurons)], [HEADS - 1, NEURONS - 1]]
    assert not [hook for module in made.modules() for hook in module._forward_pre_hooks]
    with torch.no_grad():
        torch.testing.assert_close(made(batch).states, encoder(batch).states, rtol=0, atol=limit)
        gates.settle(encoder)
        plain = example_encoder().to(dtype).eval()
        plain.load_state_dict(encoder.state_dict())
        torch.testing.assert_close(plain(batch).states, made(batch).states, rtol=0, atol=limit)


def test_surviving_weights_learn_the_same():
    """Gradients of what stays agree, and so do the results after a step."""
    encoder, gates = gated()
    close(gates, 0, [0, 3], range(10))
    close(gates, 1, range(HEADS), [1])
    made, batch = small(encoder, gates), batch_of()
    for module in (encoder, made):
        loss = (module(batch).pooled * uniform(5, torch.arange(ROWS), 16)).sum()
        loss.backward()
    torch.testing.assert_close(made.embed.weight.grad, encoder.embed.weight.grad, rtol=0, atol=1e-5)
    ours, theirs = (dict(module.named_parameters()) for module in (encoder, made))
    kept = (torch.arange(4, 12), torch.arange(0))  # numbers of the heads that stay: 1 and 2, and none
    for layer, (heads, neurons) in enumerate(
        zip(kept, (range(10, NEURONS), [0, *range(2, NEURONS)]), strict=True)
    ):
        at, neuron = f"blocks.{layer}", torch.tensor(list(neurons))
        three = torch.cat([heads + 16 * part for part in range(3)])
        rows = {
            "attn.qkv.weight": three,
            "attn.qkv.bias": three,
            "mlp.fc1.weight": neuron,
            "mlp.fc1.bias": neuron,
        }
        columns = {"attn.proj.weight": heads, "mlp.fc2.weight": neuron}
        whole = ("attn.proj.bias", "mlp.fc2.bias", "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")
        for name, units in (rows | columns | dict.fromkeys(whole)).items():
            found, wanted = theirs[f"{at}.{name}"].grad, ours[f"{at}.{name}"].grad
            if units is not None:
                wanted = wanted[:, units] if name in columns else wanted[units]
            if found is None:  # the norm before no heads is read by nobody
                found = torch.zeros_like(wanted)
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)
    assert float(ours["blocks.0.mlp.fc1.weight"].grad[:10].abs().max()) == 0
    assert float(theirs["blocks.0.attn.qkv.weight"].grad.abs().max()) > 1e-3
    for module in (encoder, made):
        torch.optim.SGD(module.parameters(), lr=0.1).step()
    with torch.no_grad():
        torch.testing.assert_close(made(batch).pooled, encoder(batch).pooled, rtol=0, atol=1e-5)


def loss_of(encoder: SmallBlocks) -> Any:
    weights = uniform(5, torch.arange(100), 16)

    def found(batch: Any, _: int = 0) -> Tensor:
        return (encoder(batch).pooled * weights[batch["rows"]]).sum(dim=1).square().mean()

    return found


def test_importance_is_the_derivative_by_the_gate():
    """Of the first neurons and heads of both layers, against differences of the loss."""
    encoder, gates = gated()
    close(gates, 0, [3], [4])
    value, batch = loss_of(encoder), batch_of()
    found = importance(gates, encoder, value, [batch], "batch")
    for gate, scores in zip(gates.gates, found, strict=True):
        for unit in range(4):
            sides = []
            for sign in (1, -1):
                gate.watched = torch.ones(gate.group.count, dtype=torch.float64)
                gate.watched[unit] += sign * 1e-5
                with torch.no_grad():
                    sides.append(float(value(batch)))
                gate.watched = None
            assert float(scores[unit]) == pytest.approx(abs(sides[0] - sides[1]) / 2e-5, abs=1e-6)
    assert float(found[0][3]) == float(found[1][4]) == 0.0, "closed units have no part in the loss"


def test_importance_of_a_neuron_is_its_activation_times_its_gradient():
    encoder, gates = gated()
    batch, seen = batch_of(), {}

    def keep(module: Any, args: Any, out: Tensor) -> None:
        out.retain_grad()
        seen["a"] = out

    handle = encoder.blocks[1].mlp.fc1.register_forward_hook(keep)
    loss_of(encoder)(batch).backward()
    handle.remove()
    before = seen["a"].detach().requires_grad_()
    a = torch.nn.functional.gelu(before)
    (slope,) = torch.autograd.grad(a.sum(), before)
    wanted = (a.detach() * seen["a"].grad / slope).sum(dim=(0, 1)).abs()
    found = importance(gates, encoder, loss_of(encoder), [batch], "batch")[3]
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_examples_and_batches():
    encoder, gates = gated()
    value, batch = loss_of(encoder), batch_of()
    singles = [{name: tensor[i : i + 1] for name, tensor in batch.items()} for i in range(ROWS)]
    by_one = importance(gates, encoder, value, singles, "batch")
    for other in (
        importance(gates, encoder, value, singles, "example"),
        importance(gates, encoder, value, [batch], "example"),
    ):
        for mine, theirs in zip(by_one, other, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    twice = {name: torch.cat([tensor, tensor]) for name, tensor in batch.items()}
    for mine, theirs in zip(by_one, importance(gates, encoder, value, [twice], "example"), strict=True):
        torch.testing.assert_close(2 * mine, theirs, rtol=1e-9, atol=1e-12)
    whole = importance(gates, encoder, value, [batch], "batch")
    assert not torch.allclose(whole[1], by_one[1]), "signs cancel within a batch"


def test_heads_that_change_places_take_their_importance_along():
    encoder, gates = gated()
    batch = batch_of()
    before = importance(gates, encoder, loss_of(encoder), [batch], "batch")[0]
    order = torch.tensor([2, 0, 3, 1])
    rows = (order[:, None] * 4 + torch.arange(4)).flatten()
    attention = encoder.blocks[0].attn
    with torch.no_grad():
        three = torch.cat([rows + 16 * part for part in range(3)])
        attention.qkv.weight.copy_(attention.qkv.weight[three])
        attention.qkv.bias.copy_(attention.qkv.bias[three])
        attention.proj.weight.copy_(attention.proj.weight[:, rows])
    after = importance(gates, encoder, loss_of(encoder), [batch], "batch")[0]
    torch.testing.assert_close(after, before[order], rtol=1e-9, atol=1e-12)


def test_measuring_leaves_no_trace():
    encoder, gates = gated()
    encoder.train()
    importance(gates, encoder, loss_of(encoder), [batch_of()], "batch")
    assert encoder.training and all(gate.watched is None for gate in gates.gates)
    assert all(p.grad is None for p in encoder.parameters())
    with pytest.raises(
        UserError, match=r"the loss \(nan\) is no number while importance is measured"
    ) as caught:
        importance(
            gates, encoder, lambda batch, _: loss_of(encoder)(batch) * float("nan"), [batch_of()], "batch"
        )
    assert "training items [0, 1, 2]" in caught.value.where
    assert encoder.training and all(gate.watched is None for gate in gates.gates)


def test_a_gradient_that_is_no_number_is_told_though_the_loss_is_one():
    """The root of 0 is 0, and its slope has no end."""
    encoder, gates = gated()

    def loss(batch: Any, _: int) -> Tensor:
        return (encoder(batch).pooled.sum() * 0.0).abs().sqrt()

    assert float(loss(batch_of(), 0).detach()) == 0.0
    assert_user_error(
        lambda: importance(gates, encoder, loss, [batch_of()], "batch"),
        "a gradient is no number while importance is measured",
        "heads of block 0",
        "a lower lr",
    )


def test_magnitude_is_the_norm_of_what_reads_the_unit():
    encoder, gates = gated()
    found = magnitudes(gates, encoder)
    weight = encoder.blocks[0].attn.proj.weight.detach()
    assert float(found[0][1]) == pytest.approx(float(weight[:, 4:8].norm()))
    assert float(normalised(found[1]).norm()) == pytest.approx(1.0)
    assert normalised(torch.zeros(3)).tolist() == [0, 0, 0]


# -- which units go ------------------------------------------------------------------------------------------------

SCORES = [torch.tensor([4.0, 1.0, 2.0, 3.0]), torch.tensor([0.4, 0.1, 0.2, 0.3])]
ALL = [torch.ones(4, dtype=torch.bool)] * 2


@pytest.mark.parametrize(
    ("percent", "closed"), [(10, 0), (20, 1), (30, 2), (50, 4), (60, 4), (70, 5), (90, 7)]
)
def test_exactly_so_many_units_go(percent: int, closed: int):
    assert share_of(8, percent / 100) == closed
    now, lacking = next_open(Lowest(), SCORES, ALL, closed, 0, Step())
    assert sum(int((~one).sum()) for one in now) == closed and lacking == 0


def test_rounding_of_a_share_costs_no_unit():
    assert share_of(10, 0.1 + 0.2) == 3 and share_of(1000, 1 - 0.9) == 100 and share_of(144, 0.5) == 72
    assert share_of(10, 0.29) == 2


def test_units_stay_closed_and_layers_keep_their_best_open_heads():
    now, lacking = next_open(Lowest(), SCORES, ALL, 4, 1, Step())
    assert now[1].tolist() == [True, False, False, False], "the best of the weak layer stays"
    assert now[0].tolist() == [True, False, True, True] and lacking == 0
    # The best unit of the second layer is closed already: the best of the others is protected.
    opened = [ALL[0], torch.tensor([False, True, True, True])]
    now, _ = next_open(Lowest(), SCORES, opened, 3, 1, Step())
    assert now[1].tolist() == [False, False, False, True]
    assert all(now[0].tolist()), "what is closed already counts"
    now, lacking = next_open(Lowest(), SCORES, opened, 8, 1, Step())
    assert [int(one.sum()) for one in now] == [1, 1] and lacking == 2
    assert not bool(now[1][0]), "what is closed is never opened again"


def test_any_masker_chooses():
    now, _ = next_open(RandomMasker(), SCORES, ALL, 4, 0, Step(seed=1))
    assert sum(int(one.sum()) for one in now) == 4
    assert [one.tolist() for one in now] != [
        one.tolist() for one in next_open(Lowest(), SCORES, ALL, 4, 0, Step())[0]
    ]
    assert not bool(hidden_of(Lowest(), SCORES[0], torch.zeros(4, dtype=torch.bool), 3, Step()).any())


def test_the_lowest_go_and_of_equal_ones_the_first():
    scores = torch.tensor([[2.0, 1.0, 1.0, torch.inf, 1.0, 0.0]])
    valid = torch.tensor([[True, True, True, True, True, False]])
    units = Units(valid, (6,), torch.arange(6), torch.arange(1), {"score": scores})
    found = Lowest()(units, torch.tensor([0.4], dtype=torch.float64), Step())
    assert found.tolist() == [[False, True, True, False, False, False]]


# -- what cannot be pruned -------------------------------------------------------------------------------------------


def test_encoders_that_cannot_be_pruned_are_refused_in_words():
    assert_user_error(
        lambda: groups_of(torch.nn.Linear(2, 2)), "Linear does not say what can be pruned", "compact(kept)"
    )
    tied = example_encoder()
    tied.blocks[1].mlp.fc2.weight = tied.blocks[0].mlp.fc2.weight
    assert_user_error(
        lambda: groups_of(tied), "blocks.0.mlp.fc2.weight and blocks.1.mlp.fc2.weight are one tensor"
    )
    quantised = example_encoder()
    small = torch.zeros(16, NEURONS, dtype=torch.int8)
    quantised.blocks[0].mlp.fc2.weight = torch.nn.Parameter(small, requires_grad=False)
    assert_user_error(
        lambda: groups_of(quantised),
        "blocks.0.mlp.fc2 cannot be pruned: it is a Linear of torch.int8",
        "quantise after",
    )
    assert len(groups_of(example_encoder())) == 4


@pytest.mark.parametrize("path", ["blocks.1.mlp.fc2", "blocks.0.attn.qkv"])
def test_frozen_weights_are_not_pruned_for_no_file_would_hold_it(path: str):
    encoder = example_encoder()
    encoder.get_submodule(path).weight.requires_grad_(False)
    assert_user_error(
        lambda: groups_of(encoder),
        f"{path} cannot be pruned: its weight is frozen",
        "inner.trained_blocks=-1",
    )
