"""Vision transformers without some of their heads and neurons: in MAE, in runs, and as files of other programs."""

import json

import numpy as np
import pytest
import torch
from foreign_models import assert_same_weights, mae, vit

import maskwright as mw
from maskwright.api import load
from maskwright.cli.main import main
from maskwright.errors import RecipeError, UserError
from maskwright_vision.exporting import to_official, to_timm, to_transformers, to_transformers_zero_filled
from maskwright_vision.importing import from_official, from_timm, from_transformers
from maskwright_vision.params_foreign import HfVit, HfVitMae
from maskwright_vision.params_models import Mae

FORMATS = [(to_transformers, "a", from_transformers), (to_official, "a.pth", from_official)]


def some_of(encoder):
    """Every other unit, up to the last; no heads in the first block, and no neurons in the last."""
    kept = [torch.arange(group.count - 1, -1, -2).flip(0) for group in encoder.prunable()]
    return [kept[0][:0], *kept[1:-1], kept[0][:0]]


def batch_of(part):
    generator = np.random.Generator(np.random.Philox(key=mw.Step(seed=4).stream("pictures")))
    items = [
        {"id": str(number), "pixels": generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)}
        for number in range(3)
    ]
    return {**part.prepare(items, mw.Step()), "rows": torch.arange(3)}


def states(encoder):
    with torch.no_grad():
        return encoder.eval()(batch_of(encoder)).states


def test_mae_learns_with_a_compact_encoder():
    part = mae().build(seed=2)
    part.encoder = part.encoder.compact(some_of(part.encoder))
    part(batch_of(part), mw.Step()).value.backward()
    assert part.encoder.shape == [[0, 48], [1, 0]]
    assert part.encoder.blocks[1].attn.qkv.weight.grad.shape == (36, 24)


@pytest.mark.parametrize("positions", ["sin-cos", "learned"])
def test_a_saved_one_is_loaded_for_another_picture_size(tmp_path, positions):
    """The table of positions adapts, as that of a whole one does."""
    small = vit(positions=positions).build(seed=2)
    small = small.compact(some_of(small))
    small.save(tmp_path)
    other = vit(positions=positions, image=24, shape=small.shape).build(seed=3)
    other.load(tmp_path)
    assert torch.equal(other.blocks[1].attn.qkv.weight, small.blocks[1].attn.qkv.weight)
    assert [a.tolist() for a in other.kept_units()] == [a.tolist() for a in small.kept_units()]


def test_a_run_keeps_the_shape_and_from_run_takes_it(tmp_path):
    recipe = tmp_path / "a.toml"
    recipe.write_text(
        'use = "train"\nsteps = 1\nbatch = 4\ndata = { use = "shapes" }\n[objective]\nuse = "mae"\n'
        "decoder_width = 16\ndecoder_depth = 1\ndecoder_heads = 2\n[objective.encoder]\n"
        'use = "vit"\nimage = 24\npatch = 8\nwidth = 16\ndepth = 2\nheads = 2\nshape = [[1, 5], [0, 64]]\n'
    )
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-q"]) == 0
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    assert resolved["objective"]["encoder"]["shape"] == [[1, 5], [0, 64]]
    part = load(tmp_path / "run").part("objective.encoder")
    assert part.shape == [[1, 5], [0, 64]]
    taken = Mae(
        encoder={"use": "from-run", "run": str(tmp_path / "run"), "part": "objective.encoder"}, decoder_width=16,
        decoder_heads=2,
    ).build()  # fmt: skip
    assert_same_weights(taken.encoder, part)


@pytest.mark.parametrize(("make", "cls"), [(vit, HfVit), (mae, HfVitMae)])
def test_a_folder_is_built_in_a_smaller_shape(tmp_path, make, cls):
    to_transformers(make().build(seed=2), tmp_path / "a")
    whole = cls(path=tmp_path / "a").build()
    small = whole.compact(some_of(whole))
    framed = cls(path=tmp_path / "a", shape=small.shape).build()
    assert framed.shape == [[0, 48], [1, 0]]
    assert torch.equal(
        framed.blocks[1].attn.qkv.weight,
        whole.blocks[1].attn.qkv.weight[[*range(12), *range(24, 36), *range(48, 60)]],
    )
    framed.load_state_dict(small.state_dict())
    assert torch.equal(states(framed), states(small))


def test_a_shape_that_cannot_be(tmp_path):
    said = "block 1 has [heads, neurons] of at most [2, 96], found [3, 5]"
    with pytest.raises(RecipeError) as caught:
        vit(shape=[[1, 5], [3, 5]]).build()
    assert [(mistake.path, mistake.message) for mistake in caught.value.mistakes] == [("shape", said)]
    to_transformers(vit().build(), tmp_path / "a")
    with pytest.raises(RecipeError) as caught:
        HfVit(path=tmp_path / "a", shape=[[1, 5], [3, 5]]).build()
    assert [(mistake.path, mistake.message) for mistake in caught.value.mistakes] == [("shape", said)]


@pytest.mark.parametrize(
    ("export", "name"), [(to_transformers, "a"), (to_official, "a.pth"), (to_timm, "a.safetensors")]
)
def test_a_format_that_cannot_hold_the_shape_names_the_one_with_zeros(tmp_path, export, name):
    whole = vit().build()
    with pytest.raises(UserError) as caught:
        export(whole.compact(some_of(whole)), tmp_path / name)
    assert str(caught.value) == (
        "this part cannot be written in that format\n"
        "  why:   there blocks are alike and whole, here [heads, neurons] are [[0, 48], [1, 0]]\n"
        "  do:    --to transformers-zero-filled writes the shape from before, with zeros for what was removed"
    )
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("neurons", [0, 96])
def test_blocks_without_neurons_or_with_fewer_heads_in_all_are_not_exported(tmp_path, neurons):
    whole = vit().build()
    heads = 2 if neurons == 0 else 1
    small = whole.compact(
        [torch.arange(heads if group.kind == "heads" else neurons) for group in whole.prunable()]
    )
    with pytest.raises(UserError, match="there blocks are alike and whole"):
        to_transformers(small, tmp_path / "a")


@pytest.mark.parametrize(("export", "name", "back"), [*FORMATS, (to_timm, "a.safetensors", from_timm)])
@pytest.mark.parametrize("way", ["with zeros", "fewer neurons in all"])
def test_what_a_format_can_hold_goes_out_and_in(tmp_path, export, name, back, way):
    whole = vit().build(seed=2)
    kept = some_of(whole)
    if way == "fewer neurons in all":
        kept = [torch.arange(g.count if g.kind == "heads" else 9) for g in whole.prunable()]
    small = whole.compact(kept)
    export(small if way == "fewer neurons in all" else small.widened(), tmp_path / name)
    params, part = back(tmp_path / name)
    assert params.shape == []
    torch.testing.assert_close(states(part), states(small), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("export", "name", "back"), FORMATS)
def test_a_whole_mae_with_fewer_neurons_goes_out_and_in(tmp_path, export, name, back):
    part = mae().build(seed=2)
    kept = [torch.arange(g.count if g.kind == "heads" else 9) for g in part.encoder.prunable()]
    part.encoder = part.encoder.compact(kept)
    export(part, tmp_path / name)
    torch.testing.assert_close(
        states(back(tmp_path / name)[1].encoder), states(part.encoder), atol=1e-5, rtol=0
    )


def test_a_compact_mae_goes_out_with_zeros(tmp_path):
    """The part keeps its compact encoder."""
    part = mae().build(seed=2)
    part.encoder = part.encoder.compact(some_of(part.encoder))
    to_transformers_zero_filled(part, tmp_path / "a")
    assert part.encoder.shape == [[0, 48], [1, 0]]
    back = from_transformers(tmp_path / "a")[1]
    assert back.encoder.shape == [[2, 96], [2, 96]]
    torch.testing.assert_close(states(back.encoder), states(part.encoder), atol=1e-5, rtol=0)
    assert torch.equal(back.decoder_pred.weight, part.decoder_pred.weight)


@pytest.mark.parametrize("removed", [{"0": [1]}, {"0": [], "1": [0]}])
def test_a_folder_with_pruned_heads_is_refused(tmp_path, removed):
    to_transformers(vit().build(), tmp_path / "a")
    config = tmp_path / "a" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pruned_heads": removed}))
    with pytest.raises(UserError) as caught:
        from_transformers(tmp_path / "a")
    assert str(caught.value) == (
        f"the model in {tmp_path / 'a'} lacks heads\n"
        f"  where: {config}: pruned_heads\n"
        "  why:   transformers has removed some, and later versions cannot open it either\n"
        "  do:    the model as it was before; encoder:vit has the setting shape for what is pruned here"
    )


@pytest.mark.parametrize("removed", [{}, None, {"0": []}])
def test_an_empty_list_is_a_whole_model(tmp_path, removed):
    to_transformers(vit().build(), tmp_path / "a")
    config = tmp_path / "a" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pruned_heads": removed}))
    assert from_transformers(tmp_path / "a")[1].shape == [[2, 96], [2, 96]]
