"""Shared transformer blocks against plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskwright_torch.blocks import Block, Cache, DropPath, RelativeBias, initialise
from maskwright_torch.masking import take
from maskwright_torch.noise import uniform
from maskwright_torch.part import seeded


def noise(*shape: int) -> Tensor:
    return (uniform(5, torch.arange(math.prod(shape[:-1])), shape[-1]) - 0.5).view(shape)


def block(**settings: object) -> Block:
    return seeded(1, lambda: Block(16, 4, **settings)).double().eval()


def by_hand(block: Block, x: Tensor, attend: Tensor | None = None) -> Tensor:
    """Pre-norm block written out, head by head."""
    h = block.norm1(x)
    heads = []
    q, k, v = block.attn.qkv(h).chunk(3, dim=-1)
    for i in range(4):
        part = slice(4 * i, 4 * i + 4)
        scores = q[..., part] @ k[..., part].transpose(-1, -2) / math.sqrt(4)
        if attend is not None:
            scores = scores.masked_fill(~attend, -math.inf)
        heads.append(scores.softmax(dim=-1) @ v[..., part])
    x = x + block.attn.proj(torch.cat(heads, dim=-1))
    return x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))


def test_block_equals_the_formula():
    x = noise(2, 7, 16)
    assert torch.allclose(block()(x), by_hand(block(), x), atol=1e-12)


def test_boolean_and_additive_masks_agree_with_the_formula():
    x, causal = noise(2, 7, 16), torch.ones(7, 7, dtype=torch.bool).tril()
    wanted = by_hand(block(), x, causal)
    assert torch.allclose(block()(x, causal), wanted, atol=1e-12)
    additive = torch.zeros(7, 7, dtype=torch.float64).masked_fill(~causal, -math.inf)
    assert torch.allclose(block()(x, additive), wanted, atol=1e-12)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_computing_only_some_outputs_gives_the_same(pre_norm: bool):
    x, only = noise(2, 7, 16), torch.tensor([[1, 5], [0, 6]])
    made = block(pre_norm=pre_norm)
    assert torch.allclose(made(x, only=only), take(made(x), only), atol=1e-12)
    assert torch.allclose(made(x, only=3), made(x)[:, -3:], atol=1e-12)


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_a_context_that_reads_itself_alone_is_what_a_mask_says(pre_norm: bool, masked: bool):
    x, attend = noise(2, 7, 16), torch.ones(7, 7, dtype=torch.bool).tril()
    attend[:4, :4] = torch.eye(4, dtype=torch.bool) if masked else True
    made = block(pre_norm=pre_norm)
    found = made(x, attend[4:], context=4, inner=attend[:4, :4] if masked else None)
    assert torch.allclose(found, made(x, attend), atol=1e-12)


def test_post_norm():
    made, x = block(pre_norm=False), noise(1, 3, 16)
    y = made.norm1(x + made.attn(x))
    assert torch.allclose(made(x), made.norm2(y + made.mlp(y)), atol=1e-12)


def test_a_cache_gives_what_one_pass_gives():
    x, causal = noise(2, 6, 16), torch.ones(6, 6, dtype=torch.bool).tril()
    first, second = block(), seeded(2, lambda: Block(16, 4)).double().eval()
    wanted = second(first(x, causal), causal)
    cache, found = Cache(), []
    for i in range(6):
        y = first(x[:, i : i + 1], cache=cache, layer=0)
        found.append(second(y, cache=cache, layer=1))
    assert cache.length == 6
    assert torch.allclose(torch.cat(found, dim=1), wanted, atol=1e-12)


def test_relative_buckets_by_hand():
    """T5: exact distances below a quarter of the buckets, then logarithmic, half of the buckets for each direction."""
    bias = RelativeBias(heads=2, buckets=32, reach=128)
    distances = [0, -1, -7, -8, -9, -15, -16, -127, -128, -5000, 1, 7, 8, 128]

    def expected(distance: int) -> int:
        far, up = abs(distance), 16 if distance > 0 else 0
        if far < 8:
            return far + up
        return up + min(15, 8 + int(math.log(far / 8) / math.log(128 / 8) * 8))

    found = bias.bucket(torch.tensor(distances)).tolist()
    assert found == [expected(distance) for distance in distances]


def test_relative_bias_depends_on_the_distance_alone():
    bias = seeded(3, lambda: RelativeBias(heads=4))
    places = torch.arange(9)
    table = bias(places, places)
    assert table.shape == (4, 9, 9)
    assert torch.equal(table[:, 0, 3], table[:, 5, 8])
    assert torch.equal(bias(places + 40, places + 40), table)
    made, x = block(), noise(1, 9, 16)
    assert made(x, bias(places, places).double()[None]).shape == x.shape


def test_drop_path_leaves_out_whole_rows_and_keeps_the_mean():
    part = DropPath(0.25)
    x = torch.ones(4000, 3, 2)
    torch.default_generator.manual_seed(0)
    dropped = part.train()(x)
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (dropped.flatten(1).std(dim=1) == 0).all()
    assert abs(float(dropped.mean()) - 1) < 0.03
    assert torch.equal(part.eval()(x), x)


def test_initialise():
    part = seeded(0, lambda: Block(64, 4))
    nn.init.ones_(part.mlp.fc1.bias)
    initialise(part)
    limit = math.sqrt(6 / (64 + 256))
    weight, bias = part.mlp.fc1.weight.detach(), part.mlp.fc1.bias.detach()
    assert float(bias.abs().max()) == 0
    assert 0.95 * limit < float(weight.abs().max()) <= limit


def test_blocks_compile_clean():
    """No break in the graph: torch.compile of a block is one piece."""
    explained = torch._dynamo.explain(block())(noise(2, 7, 16))
    assert explained.graph_break_count == 0, explained
