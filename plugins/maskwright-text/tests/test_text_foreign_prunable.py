"""encoder:hf-text without some of its heads and neurons, folders with `pruned_heads`, and what is exported."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from test_text_foreign import EVERY
from text_foreign_models import LONGEST, TEXTS, changed, our_batch, saved, their_batch, their_model
from text_pruning import fed_zeros, some_of

from maskwright.api import load
from maskwright.build import build_params
from maskwright.cli.main import main
from maskwright.errors import RecipeError, UserError
from maskwright_text.exporting import to_transformers, to_transformers_zero_filled
from maskwright_text.foreign_folders import open_folder
from maskwright_text.importing import from_transformers
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm

CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def encoder_of(folder, **settings):
    return HfText(path=folder, length=LONGEST, **settings).build()


def real_states(encoder):
    batch = our_batch(encoder)
    return encoder(batch).states[batch["real"]]


@pytest.mark.parametrize(
    ("kind", "attention"), [*((kind, "sdpa") for kind in EVERY), ("bert", "eager"), ("modernbert", "eager")]
)
def test_it_is_the_whole_with_zeros(tmp_path, kind, attention):
    encoder = encoder_of(saved(their_model(kind, num_attention_heads=4), tmp_path / "a"), attention=attention)
    kept = some_of(encoder)
    with fed_zeros(encoder, kept):
        wanted = real_states(encoder)
    small = encoder.compact(kept)
    assert small.shape[0] == [0, 12] and small.shape[-1] == [2, 0]
    torch.testing.assert_close(real_states(small), wanted, **CLOSE)
    torch.testing.assert_close(real_states(small.widened()), wanted, **CLOSE)
    assert not torch.allclose(real_states(encoder), wanted, atol=1e-2)


def test_an_attention_comes_back_with_its_heads(tmp_path):
    """In the mode that the encoder is in, and with the counts that transformers keeps."""
    encoder = encoder_of(saved(their_model("bert"), tmp_path / "a"))
    small = encoder.compact(some_of(encoder))
    wide = small.train().widened()
    attention = wide.model.encoder.layer[0].attention.self
    assert type(attention) is type(encoder.model.encoder.layer[0].attention.self)
    assert attention.training and attention.dropout.training
    assert (attention.num_attention_heads, attention.all_head_size) == (2, 16)
    one = small.model.encoder.layer[1].attention.self
    assert (one.num_attention_heads, one.all_head_size) == (1, 8)


def test_a_new_start_keeps_the_shape(tmp_path):
    encoder = encoder_of(saved(their_model("bert"), tmp_path / "a"))
    small = encoder.compact(some_of(encoder))
    before = real_states(small)
    small.reset()
    assert small.shape == [[0, 12], [1, 0]]
    assert not torch.allclose(real_states(small), before, atol=1e-2)


def test_a_run_keeps_the_shape_and_from_run_takes_it(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS * 2))
    recipe = tmp_path / "a.toml"
    recipe.write_text(
        f'use = "train"\nsteps = 2\nbatch = 2\n[data]\nuse = "lines"\npath = "{tmp_path / "texts.txt"}"\n'
        f'[objective]\nuse = "mlm"\n[objective.encoder]\nuse = "hf-text"\npath = "{folder}"\nlength = {LONGEST}\n'
        "shape = [[0, 3], [1, 0]]\n"
    )
    with torch.enable_grad():
        assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-q"]) == 0
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    assert resolved["objective"]["encoder"]["shape"] == [[0, 3], [1, 0]]
    part = load(tmp_path / "run").part("objective.encoder").eval()
    assert part.shape == [[0, 3], [1, 0]]
    taken = Mlm(
        encoder={"use": "from-run", "run": str(tmp_path / "run"), "part": "objective.encoder"}
    ).build()
    assert torch.equal(real_states(taken.encoder.eval()), real_states(part))


def test_a_shape_that_cannot_be(tmp_path):
    params = HfText(path=saved(their_model("bert"), tmp_path / "a"), length=LONGEST, shape=[[1, 5], [3, 5]])
    with pytest.raises(UserError) as caught:
        build_params(params)
    assert "why:   block 1 has [heads, neurons] of at most [2, 24], found [3, 5]" in str(caught.value)


def quantised(network):
    weight = network.encoder.layer[0].intermediate.dense.weight
    network.encoder.layer[0].intermediate.dense.weight = torch.nn.Parameter(
        weight.char(), requires_grad=False
    )
    return (
        "neurons of block 0",
        "model.encoder.layer.0.intermediate.dense is quantised, or no linear map: torch.int8",
    )


def tied(network):
    network.encoder.layer[1].output.dense = network.encoder.layer[0].output.dense
    same = "model.encoder.layer.1.output.dense and model.encoder.layer.0.output.dense"
    return "neurons of block 1", f"{same} are one tensor"


def grouped(network):
    network.encoder.layer[0].attention.self.key = torch.nn.Linear(16, 8)
    key = "model.encoder.layer.0.attention.self.key"
    return "heads of block 0", f"{key} has 8 rows where 16 are wanted: heads share them"


@pytest.mark.parametrize("change", [quantised, tied, grouped])
def test_networks_whose_units_cannot_be_removed(tmp_path, change):
    encoder = encoder_of(saved(their_model("bert"), tmp_path / "a"))
    what, why = change(encoder.model)
    with pytest.raises(UserError) as caught:
        encoder.prunable()
    assert str(caught.value).startswith(
        f"the {what} cannot be removed one by one\n  where: {tmp_path / 'a'}\n  why:   {why}\n"
    )


# -- pruned_heads ------------------------------------------------------------------------------------------------

LEFT = {0: [1, 3], 1: [0, 1, 2, 3], 2: []}
REMOVED = {"0": [0, 2], "2": [3, 1, 0, 2]}
FORMS = ["model.safetensors", "pytorch_model.bin"]


def pruned_by_hand(kind, folder, form="model.safetensors"):
    """As transformers 4 writes a model of four heads whose heads it has pruned; and the whole with zeros."""
    theirs = their_model(kind, num_attention_heads=4, num_hidden_layers=3)
    saved(theirs, folder)
    names = ("q_lin", "k_lin", "v_lin", "out_lin") if kind == "distilbert" else ("query", "key", "value", "")
    state = load_file(folder / "model.safetensors")
    for name in list(state):
        words = name.split(".")
        block = next((int(word) for word in words if word.isdigit()), None)
        if block is None or "attention" not in words:
            continue
        rows = [4 * head + at for head in LEFT[block] for at in range(4)]
        if words[-2] in names[:3]:
            state[name] = state[name][rows].clone()
        elif words[-2] in ("dense", "out_lin") and words[-1] == "weight":
            whole = theirs.state_dict()[name]
            whole[:, [at for at in range(16) if at not in rows]] = 0
            state[name] = state[name][:, rows].clone()
    (folder / "model.safetensors").unlink()
    if form == "model.safetensors":
        save_file(state, folder / form, {"format": "pt"})
    else:
        torch.save(
            {n.replace("LayerNorm.weight", "LayerNorm.gamma"): t for n, t in state.items()}, folder / form
        )
    changed(folder / "config.json", pruned_heads=REMOVED)
    return theirs


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
def test_a_folder_with_pruned_heads(tmp_path, kind, form):
    theirs = pruned_by_hand(kind, tmp_path / "a", form)
    ours = Mlm(encoder=HfText(path=tmp_path / "a", length=LONGEST)).build().eval()
    assert ours.encoder.shape == [[2, 24], [4, 24], [0, 24]]
    assert [ours.encoder.kept.heads(block).tolist() for block in range(3)] == list(LEFT.values())
    batch, asked = our_batch(ours), their_batch(tmp_path / "a")
    real = batch["real"]
    wanted = theirs(input_ids=asked["input_ids"], attention_mask=asked["attention_mask"]).logits[real]
    torch.testing.assert_close(ours.logits(batch, torch.zeros_like(real), real), wanted, **CLOSE)


def test_a_pruned_folder_can_be_made_smaller_still(tmp_path):
    pruned_by_hand("bert", tmp_path / "a")
    encoder = encoder_of(tmp_path / "a", shape=[[1, 24], [4, 2], [0, 24]])
    assert encoder.shape == [[1, 24], [4, 2], [0, 24]]
    assert encoder.kept.heads(0).tolist() == [1]
    assert encoder.widened().shape == [[4, 24]] * 3


@pytest.mark.parametrize("head", [True, False])
def test_heads_that_are_gone_are_written_as_pruned_heads(tmp_path, capsys, head):
    pruned_by_hand("bert", tmp_path / "a")
    part = Mlm(encoder=HfText(path=tmp_path / "a", length=LONGEST)).build()
    part = part if head else part.encoder
    to_transformers(part, tmp_path / "b")
    table = json.loads((tmp_path / "b" / "config.json").read_text())
    assert table["pruned_heads"] == {"0": [0, 2], "2": [0, 1, 2, 3]}
    before, after = (
        load_file(tmp_path / "a" / "model.safetensors"),
        load_file(tmp_path / "b" / "model.safetensors"),
    )
    prefix = "" if head else "bert."
    both = {name: tensor for name, tensor in after.items() if f"{prefix}{name}" in before}
    assert len(both) >= 50
    assert [name for name, tensor in both.items() if not torch.equal(tensor, before[f"{prefix}{name}"])] == []
    assert (
        "note: heads are gone: transformers below 5 and encoder:hf-text open this folder, later versions do not"
        in capsys.readouterr().err
    )
    if head:
        again = Mlm(encoder=HfText(path=tmp_path / "b", length=LONGEST)).build()
        assert torch.equal(real_states(again.encoder), real_states(part.encoder))


def test_an_import_puts_zeros_for_heads_that_are_gone(tmp_path, capsys):
    theirs = pruned_by_hand("bert", tmp_path / "a")
    _, part = from_transformers(tmp_path / "a")
    asked = their_batch(tmp_path / "a")
    wanted = theirs.base_model(**asked).last_hidden_state[asked["attention_mask"].bool()]
    torch.testing.assert_close(real_states(part.encoder.eval()), wanted, **CLOSE)
    assert (
        "note: heads that were removed come back as zeros; encoder:hf-text leaves them out"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("found", [[1], {"0": 1}, {"0": ["a"]}, {"x": [1]}, {"-1": [1]}, {"0": [-2]}])
def test_a_list_that_is_none(tmp_path, found):
    folder = saved(their_model("bert"), tmp_path / "a")
    changed(folder / "config.json", pruned_heads=found)
    with pytest.raises(RecipeError) as caught:
        HfText(path=folder, length=LONGEST).build()
    assert f"config.json: pruned_heads is {found}" in str(caught.value)
    assert 'wanted is a list of heads for each block, such as {"0": [2, 3]}' in str(caught.value)


@pytest.mark.parametrize(
    ("found", "named"), [({"0": [2]}, "head 2 of block 0"), ({"1": [0], "2": [1]}, "head 1 of block 2")]
)
def test_a_list_of_heads_that_never_were(tmp_path, found, named):
    folder = saved(their_model("bert"), tmp_path / "a")
    changed(folder / "config.json", pruned_heads=found)
    with pytest.raises(UserError) as caught:
        open_folder(folder)
    assert f"config.json: pruned_heads names {named}" in str(caught.value)
    assert "why:   the model has 2 blocks of 2 heads" in str(caught.value)


@pytest.mark.parametrize("found", [{}, None, {"0": []}])
def test_an_empty_list_is_a_whole_model(tmp_path, found):
    folder = saved(their_model("bert"), tmp_path / "a")
    changed(folder / "config.json", pruned_heads=found)
    assert encoder_of(folder).kept is None


def test_a_pruned_folder_without_weights(tmp_path):
    pruned_by_hand("bert", tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").unlink()
    with pytest.raises(UserError) as caught:
        open_folder(tmp_path / "a")
    assert f"why:   no model.safetensors and no pytorch_model.bin in {tmp_path / 'a'}" in str(caught.value)


# -- other shapes, out to transformers ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "modernbert", "distilbert"])
@pytest.mark.parametrize("way", ["with zeros", "fewer neurons in all"])
def test_what_transformers_can_hold_it_opens(tmp_path, kind, way):
    encoder = encoder_of(saved(their_model(kind), tmp_path / "a"))
    kept = some_of(encoder)
    if way == "fewer neurons in all":
        kept = [torch.arange(g.count if g.kind == "heads" else 9) for g in encoder.prunable()]
    small = encoder.compact(kept)
    export = to_transformers if way == "fewer neurons in all" else to_transformers_zero_filled
    export(small, tmp_path / "b")
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "b").eval()
    asked = their_batch(tmp_path / "b")
    seen = {"input_ids": asked["input_ids"], "attention_mask": asked["attention_mask"]}
    found = theirs(**seen).last_hidden_state[asked["attention_mask"].bool()]
    torch.testing.assert_close(found, real_states(small), **CLOSE)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [("bert", [1, 24, 2, 9]), ("bert", [2, 0, 2, 0]), ("modernbert", [1, 24, 2, 24, 2, 24, 2, 24])],
)
def test_a_shape_that_no_config_can_tell_is_refused(tmp_path, kind, counts):
    encoder = encoder_of(saved(their_model(kind), tmp_path / "a"))
    small = encoder.compact([torch.arange(count) for count in counts])
    with pytest.raises(UserError) as caught:
        to_transformers(small, tmp_path / "b")
    assert str(caught.value) == (
        "this part cannot be written in that format\n"
        f"  why:   config.json of a {kind} cannot tell [heads, neurons] of each block: {small.shape}\n"
        "  do:    --to transformers-zero-filled writes the shape from before, with zeros for what was removed"
    )
    assert not (tmp_path / "b").exists()
