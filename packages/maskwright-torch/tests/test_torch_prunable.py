"""Heads and neurons taken out of blocks: what is left computes what the whole did with zeros in their places."""

import contextlib
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from maskwright.errors import UserError
from maskwright_torch.block_shapes import shape_mistake
from maskwright_torch.blocks import Block, Cache
from maskwright_torch.contracts import Group
from maskwright_torch.noise import uniform
from maskwright_torch.part import load_state, read_state, seeded
from maskwright_torch.prunable import PrunableBlocks, require_plain_maps

CLOSE = {"atol": 1e-12, "rtol": 0}
KEPT = [torch.tensor([1, 3]), torch.tensor([0, 5, 7]), torch.tensor([0]), torch.arange(8)]
NOTHING = [torch.arange(0), torch.arange(8), torch.arange(4), torch.arange(0)]
"""No heads in the first block, no neurons in the last."""


class Stack(PrunableBlocks):
    """Two blocks of four heads of 2 numbers, and eight neurons."""

    def __init__(self, pre_norm: bool = True) -> None:
        super().__init__()
        self.prepare = self.codec = SimpleNamespace(large=torch.zeros(1))
        self.blocks = nn.ModuleList(Block(8, 4, mlp_ratio=1.0, pre_norm=pre_norm) for _ in range(2))
        self.whole = self.shape

    def forward(self, x: Tensor, attend: Tensor | None = None, **settings: object) -> Tensor:
        for block in self.blocks:
            x = block(x, attend, **settings)
        return x


def noise(*shape: int) -> Tensor:
    return (uniform(5, torch.arange(math.prod(shape[:-1])), shape[-1]) - 0.5).view(shape)


def stack(pre_norm: bool = True) -> Stack:
    made = seeded(1, lambda: Stack(pre_norm)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * noise(1, weight.numel()).view_as(weight))
    return made


@contextlib.contextmanager
def fed_zeros(made: Stack, kept: list[Tensor]):
    """The maps that read units find zeros for all but these."""
    hooks = []
    for group, units in zip(made.prunable(), kept, strict=True):
        stays = torch.zeros(group.count, dtype=torch.float64).index_fill(0, units, 1)
        gate = stays.repeat_interleave(group.size)
        read = made.get_submodule(group.output)
        hooks.append(read.register_forward_pre_hook(lambda _, given, gate=gate: (given[0] * gate,)))
    yield
    for hook in hooks:
        hook.remove()


TRIL = torch.ones(6, 6, dtype=torch.bool).tril()
PATHS = {
    "plain": lambda part, x: part(x),
    "masked": lambda part, x: part(x, TRIL),
    "some by index": lambda part, x: part.blocks[0](x, only=torch.tensor([[1, 5], [0, 3]])),
    "the last ones": lambda part, x: part.blocks[1](x, only=2),
    "context": lambda part, x: part(x, TRIL[4:], context=4, inner=TRIL[:4, :4]),
    "cache": lambda part, x: in_turns(part, x),
}


def in_turns(part: Stack, x: Tensor) -> Tensor:
    """One position after the other, each reading those before."""
    cache, found = Cache(), []
    for i in range(x.shape[1]):
        y = x[:, i : i + 1]
        for layer, block in enumerate(part.blocks):
            y = block(y, cache=cache, layer=layer)
        found.append(y)
    assert cache.length == x.shape[1]
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("path", list(PATHS))
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("kept", [KEPT, NOTHING], ids=["some", "nothing"])
def test_a_compact_stack_is_the_whole_with_zeros(path: str, pre_norm: bool, kept: list[Tensor]):
    whole, x = stack(pre_norm), noise(2, 6, 8)
    small = whole.compact(kept)
    with fed_zeros(whole, kept):
        wanted = PATHS[path](whole, x)
    torch.testing.assert_close(PATHS[path](small, x), wanted, **CLOSE)
    assert not torch.allclose(wanted, PATHS[path](whole, x), atol=1e-3)
    torch.testing.assert_close(PATHS[path](small.widened(), x), wanted, **CLOSE)


def test_of_nothing_the_biases_are_left():
    small, x = stack().compact(NOTHING), noise(2, 6, 8)
    attention, mlp = small.blocks[0].attn, small.blocks[1].mlp
    assert torch.equal(attention(x), attention.proj.bias.expand(2, 6, 8))
    assert torch.equal(mlp(x), mlp.fc2.bias.expand(2, 6, 8))
    assert (attention.qkv.out_features, attention.proj.in_features, mlp.fc1.out_features) == (0, 0, 0)


def test_after_a_step_they_still_agree():
    """Gradients of what is left are those of the whole, so training goes the same way."""
    whole, x = stack(), noise(2, 6, 8)
    small = whole.compact(KEPT)
    with fed_zeros(whole, KEPT):
        for part in (whole, small):
            part(x).square().sum().backward()
            torch.optim.SGD(part.parameters(), lr=1e-4).step()
        torch.testing.assert_close(small(x), whole(x), **CLOSE)


def test_shape_and_numbers():
    whole = stack()
    assert whole.shape == whole.whole == [[4, 8], [4, 8]]
    assert "kept.heads_0" not in whole.state_dict()
    small = whole.compact(KEPT)
    assert small.shape == [[2, 3], [1, 8]]
    again = small.compact([torch.tensor([1]), torch.tensor([0, 2]), torch.arange(1), torch.tensor([3])])
    assert [numbers.tolist() for numbers in again.kept_units()] == [[3], [0, 7], [0], [3]]
    assert again.widened().shape == whole.whole
    everything = whole.compact([torch.arange(group.count) for group in whole.prunable()])
    assert everything.kept is None and list(everything.state_dict()) == list(whole.state_dict())


def test_groups():
    small = stack().compact(KEPT)
    assert small.prunable()[:2] == [
        Group("heads", 0, 2, 2, "blocks.0.attn.proj", ("blocks.0.attn.qkv",), 3),
        Group("neurons", 0, 3, 1, "blocks.0.mlp.fc2", ("blocks.0.mlp.fc1",), 1),
    ]


def test_weights_of_a_shape_are_loaded_with_their_numbers(tmp_path):
    small = stack().compact(KEPT)
    small.save(tmp_path)
    other = stack().with_shape([[2, 3], [1, 8]])
    assert not torch.equal(other.kept.heads(0), KEPT[0])
    load_state(other, read_state(tmp_path), "here")
    assert torch.equal(other.kept.heads(0), KEPT[0])
    assert torch.equal(other(noise(1, 3, 8)), small(noise(1, 3, 8)))


def test_what_comes_along():
    """Everything but the weights' values: their type, what is frozen; not the pruner's hooks, and no second codec."""
    whole = stack().bfloat16()
    whole.blocks[0].mlp.requires_grad_(False)
    with fed_zeros(whole, KEPT):
        small = whole.compact(KEPT)
    assert small.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16
    assert not small.blocks[0].mlp.fc1.weight.requires_grad and small.blocks[1].mlp.fc1.weight.requires_grad
    assert small.codec is small.prepare is whole.codec
    assert small(noise(1, 3, 8).bfloat16()).shape == (1, 3, 8)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (KEPT[:3], "indices for 3 groups, there are 4"),
        ([KEPT[0].int(), *KEPT[1:]], "heads of block 0: torch.int32 (2,), wanted is int64 with one axis"),
        ([KEPT[0].flip(0), *KEPT[1:]], "heads of block 0: 3, 1 do not rise"),
        ([KEPT[0], torch.tensor([2, 2]), *KEPT[2:]], "neurons of block 0: 2, 2 do not rise"),
        ([*KEPT[:3], torch.arange(9)], "neurons of block 1: 0, 1, 2, 3, 4, 5, 6, 7 …, there are 8"),
        ([torch.tensor([-1, 2]), *KEPT[1:]], "heads of block 0: -1, 2, there are 4"),
    ],
)
def test_units_that_cannot_be_kept(kept: list[Tensor], why: str):
    with pytest.raises(UserError) as caught:
        stack().compact(kept)
    assert str(caught.value) == (
        "these units cannot be kept\n"
        "  where: compact(kept)\n"
        f"  why:   {why}\n"
        "  do:    for each group of prunable() the rising indices of the units that stay"
    )


def test_shapes():
    whole = [[4, 8], [4, 8]]
    assert shape_mistake([[0, 8], [4, 0]], whole) == ""
    assert shape_mistake([[4, 8]], whole) == "needs [heads, neurons] for each of 2 blocks, found 1"
    assert (
        shape_mistake([[4, 8], [5, 8]], whole)
        == "block 1 has [heads, neurons] of at most [4, 8], found [5, 8]"
    )
    assert shape_mistake([[4], [4, 8]], whole) == "block 0 has [heads, neurons] of at most [4, 8], found [4]"
    assert shape_mistake([[-1, 8], [4, 8]], whole).endswith("found [-1, 8]")
    with pytest.raises(UserError) as caught:
        stack().compact(KEPT).with_shape(whole)
    assert "why:   block 0 has [heads, neurons] of at most [2, 3], found [4, 8]" in str(caught.value)
    assert "where: encoder, setting shape" in str(caught.value)


def tied(made: Stack) -> None:
    made.blocks[1].mlp.fc1.weight = made.blocks[0].mlp.fc1.weight


def quantised(made: Stack) -> None:
    weight = made.blocks[0].attn.qkv.weight.detach().char()
    made.blocks[0].attn.qkv.weight = nn.Parameter(weight, requires_grad=False)


def eight_bits(made: Stack) -> None:
    made.blocks[0].mlp.fc2.to(torch.float8_e4m3fn)


def wrapped(made: Stack) -> None:
    made.blocks[1].mlp.fc2 = nn.Sequential(made.blocks[1].mlp.fc2)
    made.blocks[1].mlp.fc2.in_features = 8


def sharing(made: Stack) -> None:
    made.blocks[0].attn.qkv = nn.Linear(8, 16)


@pytest.mark.parametrize(
    ("change", "what", "why"),
    [
        (tied, "neurons of block 1", "blocks.1.mlp.fc1 and blocks.0.mlp.fc1 are one tensor"),
        (quantised, "heads of block 0", "blocks.0.attn.qkv is quantised, or no linear map: torch.int8"),
        (
            eight_bits,
            "neurons of block 0",
            "blocks.0.mlp.fc2 is quantised, or no linear map: torch.float8_e4m3fn",
        ),
        (wrapped, "neurons of block 1", "blocks.1.mlp.fc2 is quantised, or no linear map: without a weight"),
        (sharing, "heads of block 0", "blocks.0.attn.qkv has 16 rows where 24 are wanted: heads share them"),
    ],
)
def test_networks_that_cannot_be_taken_apart(change, what: str, why: str):
    made = stack()
    change(made)
    with pytest.raises(UserError) as caught:
        require_plain_maps(made, made.prunable(), "a folder")
    assert str(caught.value) == (
        f"the {what} cannot be removed one by one\n"
        "  where: a folder\n"
        f"  why:   {why}\n"
        "  do:    a model whose heads have keys of their own, in floating point, with weights of its own in each block"
    )


def test_plain_networks_can_be_taken_apart():
    """Weights without numbers, of which several may have one address, are no reason to refuse."""
    small = stack().compact(NOTHING)
    require_plain_maps(small, small.prunable(), "a folder")
    assert [group.count for group in small.prunable()] == [0, 8, 4, 0]


def test_a_map_under_a_mask_keeps_its_size():
    made = stack()
    everything = [torch.arange(group.count) for group in made.prunable()]
    parametrize.register_parametrization(made.blocks[0].attn.qkv, "weight", nn.Identity())
    for change in (made.widened, lambda: made.compact(everything)):
        with pytest.raises(UserError, match=r"blocks.0.attn.qkv cannot get another size") as caught:
            change()
        assert "part objective.inner.encoder" in caught.value.cure
