"""encoder:text without some of its heads and neurons: every way to ask it, runs of it, and what it is exported as."""

import json

import attrs
import pytest
import torch
import transformers
from text_pruning import fed_zeros, some_of

from maskwright import Step
from maskwright.api import load
from maskwright.build import build_params
from maskwright.cli.main import main
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.exporting import to_transformers, to_transformers_zero_filled, to_unilm
from maskwright_text.params_models import EXAMPLE_TEXTS, Mlm, TextEncoder
from maskwright_torch.batches import collate
from maskwright_torch.blocks import Cache

ITEMS = [{"id": str(n), "text": text} for n, text in enumerate(EXAMPLE_TEXTS)]
RELATIVE = {"relative": 8, "reach": 6}
VARIANTS = [{}, {"pre_norm": False}, RELATIVE, {**RELATIVE, "pre_norm": False}]


def made(**settings):
    encoder = build_params(attrs.evolve(TextEncoder.example(), depth=3, heads=4, **settings)).double().eval()
    encoder.codec.fit(ListedData({"train": ITEMS}), Step())
    if encoder.relative is not None:
        torch.nn.init.normal_(encoder.relative.table.weight)  # small ones would hide a mistake
    return encoder, collate(ITEMS, range(len(ITEMS)), encoder.prepare, Step())


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.random.fork_rng(), torch.no_grad():
        torch.default_generator.manual_seed(3)
        yield


def attended(encoder, batch, **more):
    count = batch["tokens"].shape[1]
    attend = torch.ones(count, count, dtype=torch.bool).tril()
    attend[:4, :4] = True
    position = torch.arange(count).expand(batch["tokens"].shape)
    return encoder.attended(
        batch["tokens"], position, attend.expand(len(batch["tokens"]), -1, -1), context=4, **more
    )


def extended(encoder, batch):
    """Three tokens, then two more that read them."""
    cache, tokens = Cache(), batch["tokens"]
    found = []
    for first, last in ((0, 3), (3, 5)):
        new, seen = torch.arange(first, last), torch.arange(last)
        attend = (seen <= new[:, None]).expand(len(tokens), -1, -1)
        place, before = (where.expand(len(tokens), -1) for where in (new, seen))
        found.append(encoder.extend(cache, tokens[:, first:last], place, attend, before))
    return torch.cat(found, dim=1)


INDEX = torch.tensor([[1, 3], [4, 2], [0, 3], [2, 2]])
WAYS = {
    "states": lambda encoder, batch: encoder(batch, batch["word"] == 2).states[batch["real"]],
    "states at": lambda encoder, batch: encoder.states_at(batch, None, INDEX),
    "attended": attended,
    "attended at": lambda encoder, batch: attended(encoder, batch, index=INDEX),
    "extended": extended,
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("settings", VARIANTS)
def test_it_is_the_whole_with_zeros(settings, way):
    encoder, batch = made(**settings)
    kept = some_of(encoder)
    with fed_zeros(encoder, kept):
        wanted = WAYS[way](encoder, batch)
    small = encoder.compact(kept)
    assert small.shape == [[0, 32], [2, 32], [2, 0]]
    torch.testing.assert_close(WAYS[way](small, batch), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(WAYS[way](small.widened(), batch), wanted, atol=1e-12, rtol=0)
    assert not torch.allclose(WAYS[way](encoder, batch), wanted, atol=1e-3)


def test_a_relative_bias_is_that_of_the_heads_that_are_left():
    encoder, batch = made(**RELATIVE)
    small = encoder.compact(some_of(encoder))
    before = small(batch).states
    small.relative.table.weight[:, [0, 2]] = 9.0  # of heads that no block has any more
    assert torch.equal(small(batch).states, before)
    small.relative.table.weight[:, 1] = 9.0
    assert not torch.equal(small(batch).states, before)


RECIPE = """
use = "train"
steps = 2
batch = 2
[data]
use = "lines"
path = "{data}"
[objective]
use = "mlm"
[objective.encoder]
use = "text"
length = 16
width = 16
depth = 2
heads = 4
relative = 8
reach = 6
shape = [[1, 5], [0, 64]]
codec = {{ use = "subwords", model = "words", vocabulary = 60 }}
"""


def test_a_run_keeps_the_shape_and_from_run_takes_it(tmp_path):
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(EXAMPLE_TEXTS))
    (tmp_path / "a.toml").write_text(RECIPE.format(data=data))
    with torch.enable_grad():
        assert main(["run", str(tmp_path / "a.toml"), "--out", str(tmp_path / "run"), "-q"]) == 0
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    assert resolved["objective"]["encoder"]["shape"] == [[1, 5], [0, 64]]
    part = load(tmp_path / "run").part("objective.encoder")
    assert part.shape == [[1, 5], [0, 64]] and part.whole == [[4, 64], [4, 64]]
    taken = Mlm(
        encoder={"use": "from-run", "run": str(tmp_path / "run"), "part": "objective.encoder"}
    ).build()
    batch = {**part.prepare(ITEMS, Step()), "rows": torch.arange(4)}
    assert torch.equal(taken.encoder.eval()(batch).states, part.eval()(batch).states)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([[1, 5]], "needs [heads, neurons] for each of 2 blocks, found 1"),
        ([[1, 5], [3, 5]], "block 1 has [heads, neurons] of at most [2, 64], found [3, 5]"),
        ([[1, 65], [1, 5]], "block 0 has [heads, neurons] of at most [2, 64], found [1, 65]"),
        ([[1], [1, 5]], "block 0 has [heads, neurons] of at most [2, 64], found [1]"),
    ],
)
def test_a_shape_that_cannot_be(shape, message):
    params = attrs.evolve(TextEncoder.example(), shape=shape)
    assert [(name, text) for name, text in params.check()] == [("shape", message)]


def test_a_format_that_cannot_hold_the_shape_names_the_one_with_zeros(tmp_path):
    encoder, _ = made(pre_norm=False)
    small = encoder.compact(some_of(encoder))
    for export in (to_transformers, to_unilm):
        with pytest.raises(UserError) as caught:
            export(small, tmp_path / "a")
        assert str(caught.value) == (
            "this part cannot be written in that format\n"
            "  why:   there blocks are alike and whole, here [heads, neurons] are [[0, 32], [2, 32], [2, 0]]\n"
            "  do:    --to transformers-zero-filled writes the shape from before, with zeros for what was removed"
        )
    assert not (tmp_path / "a").exists()


def test_blocks_that_lost_all_neurons_are_not_exported(tmp_path):
    encoder, _ = made()
    kept = [torch.arange(0 if group.kind == "neurons" else group.count) for group in encoder.prunable()]
    with pytest.raises(UserError, match="heads, neurons"):
        to_transformers(encoder.compact(kept), tmp_path / "a")


@pytest.mark.parametrize("way", ["with zeros", "fewer neurons in all"])
def test_what_transformers_can_hold_it_opens(tmp_path, way):
    encoder, batch = made()
    kept = some_of(encoder)
    if way == "fewer neurons in all":
        kept = [torch.arange(g.count if g.kind == "heads" else 9) for g in encoder.prunable()]
    small = encoder.compact(kept)
    export = to_transformers if way == "fewer neurons in all" else to_transformers_zero_filled
    export(small, tmp_path / "a")
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "a").eval()
    found = theirs(input_ids=batch["tokens"], attention_mask=batch["real"].long()).last_hidden_state
    torch.testing.assert_close(
        found[batch["real"]], small.float()(batch).states[batch["real"]], atol=1e-5, rtol=0
    )
