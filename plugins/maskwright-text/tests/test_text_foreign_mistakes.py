"""Folders that encoder:hf-text cannot open: one error each, with the cure."""

import json
import sys

import pytest
from safetensors.torch import load_file, save_file
from text_foreign_models import LONGEST, changed, saved, their_model, tokenizer

from maskwright.build import build_params
from maskwright.errors import RecipeError, UserError
from maskwright_text.foreign_folders import open_folder
from maskwright_text.params_foreign import HfText


@pytest.fixture
def folder(tmp_path):
    return saved(their_model("bert"), tmp_path / "a")


def said(folder):
    with pytest.raises(UserError) as caught:
        open_folder(folder)
    return str(caught.value)


def planned(**settings):
    with pytest.raises(RecipeError) as caught:
        build_params(HfText(**settings))
    return str(caught.value)


def test_no_folder_and_no_config(tmp_path):
    (tmp_path / "empty").mkdir()
    assert said(tmp_path / "none") == (
        f"{tmp_path / 'none'} is no folder of a transformers model\n"
        f"  where: {tmp_path / 'none'}\n"
        "  why:   there is no such folder\n"
        "  do:    give the folder that save_pretrained wrote, with its tokenizer; a run needs the folder too: if it "
        "was moved, set the path anew"
    )
    assert "why:   it has no config.json" in said(tmp_path / "empty")
    assert f"{tmp_path / 'none'} is no folder of a transformers model" in planned(path=tmp_path / "none")


def test_a_model_that_is_no_masked_language_model(folder):
    changed(folder / "config.json", model_type="gpt2")
    wanted = 'is about a model of the type "gpt2", which is no masked language model that we open'
    assert wanted in said(folder)
    assert (
        "one of bert, camembert, distilbert, electra, modernbert, roberta, roberta-prelayernorm, xlm-roberta"
        in said(folder)
    )
    assert wanted in planned(path=folder)


def test_a_config_that_is_no_json(folder):
    (folder / "config.json").write_text("{")
    assert f"{folder / 'config.json'} is damaged" in said(folder)


def test_more_tokens_than_positions(folder):
    assert f"25 tokens, the model in {folder} has positions for {LONGEST}" in planned(path=folder, length=25)
    assert HfText(path=folder, length=LONGEST).build().space.grid == (LONGEST,)


def test_positions_of_roberta_are_fewer_than_its_table(tmp_path):
    folder = saved(their_model("roberta"), tmp_path / "a")
    assert f"25 tokens, the model in {folder} has positions for {LONGEST}" in planned(path=folder, length=25)


@pytest.mark.parametrize("value", ["many", 3.5, -1, True])
def test_a_number_of_positions_that_is_none(folder, value):
    changed(folder / "config.json", max_position_embeddings=value)
    assert f"config.json: max_position_embeddings is {str(value)!r}, wanted a whole number" in planned(
        path=folder
    )


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    assert f"the model in {folder} cannot be opened" in said(folder)
    assert (
        "save it again with save_pretrained: config.json of a bert and its weights, model.safetensors"
        in said(folder)
    )


def test_damaged_weights(folder):
    (folder / "model.safetensors").write_bytes(b"12345678 no tensors")
    assert f"the model in {folder} cannot be opened" in said(folder)


def test_weights_of_another_size(folder):
    changed(folder / "config.json", hidden_size=32)
    assert f"the model in {folder} cannot be opened" in said(folder)


def test_weights_that_are_not_all_there(folder):
    state = load_file(folder / "model.safetensors")
    gone = "bert.encoder.layer.0.output.dense.weight"
    save_file({name: t for name, t in state.items() if name != gone}, folder / "model.safetensors")
    assert f"{folder} lacks weights of its model" in said(folder)
    assert f"why:   {gone}" in said(folder)


def test_no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    assert f"no tokenizer at {folder}" in said(folder)
    assert "do:    save the tokenizer into the folder of the model, with save_pretrained" in said(folder)


def test_more_tokens_than_rows(folder):
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["vocab"] |= {f"new{number}": number for number in range(27, 50)}
    (folder / "tokenizer.json").write_text(json.dumps(table))
    assert f"the tokenizer in {folder} has 50 tokens, the model only 40" in said(folder)
    assert "the tokenizer that the model was trained with; or new_rows=true" in said(folder)


def test_a_tokenizer_without_mask_token(folder):
    text = (folder / "tokenizer.json").read_text().replace("[MASK]", "[HOLE]")
    (folder / "tokenizer.json").write_text(text)
    changed(folder / "tokenizer_config.json", mask_token=None)
    assert "the tokenizer has no mask token" in said(folder)


def test_transformers_that_cannot_be_imported(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert said(folder).startswith("transformers cannot be imported\n")
    assert "do:    pip install transformers" in said(folder)


def test_code_in_a_folder_is_never_run(folder, tmp_path):
    """A config may name classes in files beside it; they are left alone."""
    changed(
        folder / "config.json", auto_map={"AutoModelForMaskedLM": "evil.Model", "AutoConfig": "evil.Config"}
    )
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    assert open_folder(folder).head is not None
    assert not (tmp_path / "was-run").exists()


def test_the_tokenizer_of_the_tests_is_smaller_than_their_table():
    assert tokenizer().tokenizer.get_vocab_size() == 27
