"""From a folder of transformers to a run, what can be done with that run, and out again."""

import importlib
import json
import shutil

import pytest
import torch
import transformers
from text_foreign_models import LONGEST, TEXTS, our_batch, saved, their_model

from maskwright.api import load
from maskwright.build import build_params
from maskwright.cli.main import main
from maskwright.errors import RecipeError, UserError
from maskwright.step import Step
from maskwright_text.importing import from_transformers
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm, Tokenizer
from maskwright_text.params_pmlm import Pmlm
from maskwright_text.params_seq2seq import Seq2Seq


def states(part):
    with torch.no_grad():
        return part.eval()(our_batch(part)).states


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A run from a BERT folder that is gone afterwards; the run was moved, too."""
    folder = tmp_path_factory.mktemp("imported")
    saved(their_model("bert"), folder / "bert")
    wanted = states(from_transformers(folder / "bert")[1].encoder)
    assert (
        main(["import", str(folder / "bert"), "--from", "transformers", "--out", str(folder / "made")]) == 0
    )
    shutil.rmtree(folder / "bert")
    (folder / "made").rename(folder / "run")
    return folder / "run", wanted


def test_the_run_needs_the_folder_no_more(imported):
    run, wanted = imported
    made = load(run).part("part")
    assert torch.equal(states(made.encoder), wanted)
    assert load(run).resolved["part"]["use"].startswith("mlm@")
    assert (run / "parts" / "part.encoder.codec" / "tokenizer.json").is_file()


def test_from_run_takes_encoder_and_tokenizer(imported):
    run, wanted = imported
    new = Mlm(encoder={"use": "from-run", "run": str(run), "part": "part.encoder"}).build()
    assert torch.equal(states(new.encoder), wanted)
    codec = load(run).part("part.encoder.codec")
    assert codec.decode(codec.encode(TEXTS[:1])[0].ids) == TEXTS[0]


def test_apply_fills_in_and_embeds(imported, capsys):
    run, _ = imported
    assert main(["apply", str(run), "the quick [MASK] fox"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["filled"].startswith("the quick ") and len(found["hidden"]) == 1
    vectors = [
        item["vector"] for item in load(run).pipeline("embed")([{"id": "0", "text": TEXTS[0]}], Step())
    ]
    assert vectors[0].shape == (16,)


def test_it_is_exported_as_it_came(imported, tmp_path):
    run, _ = imported
    assert main(["export", str(run), str(tmp_path / "a"), "--to", "transformers"]) == 0
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "a").eval()
    before, after = their_model("bert").state_dict(), theirs.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    words = ["export", str(run), str(tmp_path / "b"), "--to", "unilm", "--part", "part.encoder"]
    assert main(words) == 0
    assert "bert.encoder.layer.0.attention.self.q_bias" in torch.load(
        tmp_path / "b" / "pytorch_model.bin", weights_only=True
    )


def test_training_goes_on_from_it_and_the_new_run_knows_its_tokenizer(imported, tmp_path):
    run, _ = imported
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(TEXTS * 4))
    recipe = tmp_path / "a.toml"
    recipe.write_text(
        f'use = "train"\nsteps = 2\nbatch = 2\n[data]\nuse = "lines"\npath = "{data}"\n'
        f'[objective]\nuse = "mlm"\nencoder = {{ use = "from-run", run = "{run}", part = "part.encoder" }}\n'
    )
    assert main(["run", str(recipe), "--out", str(tmp_path / "b"), "-q", "--no-pictures"]) == 0
    made = load(tmp_path / "b").part("objective")
    assert our_batch(made)["tokens"].tolist() == our_batch(load(run).part("part"))["tokens"].tolist()
    assert not torch.equal(states(made.encoder), imported[1])


def test_a_run_of_hf_text_says_when_its_folder_was_moved(tmp_path):
    folder = saved(their_model("roberta"), tmp_path / "a")
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(TEXTS * 4))
    recipe = tmp_path / "a.toml"
    recipe.write_text(
        f'use = "train"\nsteps = 2\nbatch = 2\n[data]\nuse = "lines"\npath = "{data}"\n[objective]\nuse = "mlm"\n'
        f'encoder = {{ use = "hf-text", path = "{folder}", length = {LONGEST} }}\n'
    )
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-q", "--no-pictures"]) == 0
    trained = states(load(tmp_path / "run").part("objective.encoder"))
    folder.rename(tmp_path / "b")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "run").part("objective.encoder")
    assert f"{folder} is no folder of a transformers model" in str(caught.value)
    assert "if it was moved, set the path anew" in str(caught.value)
    taken = {"use": "from-run", "run": str(tmp_path / "run"), "part": "objective.encoder"}
    moved = Mlm(encoder={**taken, "set": {"path": str(tmp_path / "b")}}).build()
    assert torch.equal(states(moved.encoder), trained)


def test_an_import_as_something_that_does_not_read_the_format(tmp_path, capsys):
    folder = saved(their_model("bert"), tmp_path / "a")
    words = ["import", str(folder), "--from", "transformers", "--out", str(tmp_path / "b")]
    assert main([*words, "--as", "objective:mlmm"]) == 2
    said = capsys.readouterr().err
    assert '"objective:mlmm" does not import "transformers" — did you mean "objective:mlm"?' in said
    assert "--as objective:mlm" in said
    assert main([*words, "--as", "objective:mlm"]) == 0


@pytest.mark.parametrize("made", [Pmlm, Seq2Seq])
def test_other_objectives_are_exported_with_their_head(tmp_path, made):
    folder = saved(their_model("electra"), tmp_path / "a")
    more = {"target_length": 8} if made is Seq2Seq else {}
    ours = made(encoder=HfText(path=folder, length=LONGEST), **more)
    module, _, name = ours.exports()["transformers"].partition(":")
    getattr(importlib.import_module(module), name)(ours.build(), tmp_path / "b")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "b")
    before, after = their_model("electra").state_dict(), theirs.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


MISTAKES = [
    ({"vocabulary": 40}, "vocabulary and specials go together: give both, or neither"),
    ({"specials": [0, 1, 2, 3, 4]}, "vocabulary and specials go together: give both, or neither"),
    ({"vocabulary": 40, "specials": [0, 1, 2]}, "wanted at least 5 ids below vocabulary, found [0, 1, 2]"),
    ({"vocabulary": 40, "specials": [0, 1, 2, 3, 40]}, "wanted at least 5 ids below vocabulary, found"),
]


@pytest.mark.parametrize(("settings", "wanted"), MISTAKES)
def test_settings_of_a_kept_tokenizer(tmp_path, settings, wanted):
    with pytest.raises(RecipeError) as caught:
        build_params(Tokenizer(path=tmp_path, **settings))
    assert wanted in str(caught.value)


def test_a_kept_tokenizer_is_fitted_by_reading_it(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    codec = Tokenizer(path=folder, vocabulary=40, specials=[0, 1, 2, 3, 4, 30]).build()
    with pytest.raises(UserError, match="has not been trained yet"):
        codec.encode(TEXTS)
    codec.fit(None, Step())
    assert codec.specials.all == (0, 1, 2, 3, 4, 30)
    assert (codec.specials.pad, codec.specials.mask, codec.vocabulary) == (0, 4, 40)
    assert codec.decode(codec.encode(TEXTS[:1])[0].ids) == TEXTS[0]
