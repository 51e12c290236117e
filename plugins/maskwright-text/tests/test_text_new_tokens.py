"""Tokens that are new to a model: refused unless asked for, then average rows, in the tokenizer and in every run."""

import json
from pathlib import Path

import pytest
import torch
from text_foreign_models import TEXTS, changed, our_batch, saved, their_model
from tokenizers import Tokenizer as Library

from maskwright import api
from maskwright.cli.main import main
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.codecs import Loaded
from maskwright_text.exporting import to_transformers, to_unilm
from maskwright_text.importing import from_transformers, from_unilm
from maskwright_text.new_tokens import grown
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm, Tokenizer

ROWS = 40
"""Of the models' tables; their tokenizer has 27 tokens."""
FULL = [f"new{number}" for number in range(27, ROWS)]
"""As many tokens as there are rows left."""


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def hf_text(**settings):
    return HfText(length=16, **settings)


def with_tokens(folder: Path, count: int) -> Path:
    """The folder's tokenizer with more words, up to so many tokens."""
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["vocab"] |= {f"new{number}": number for number in range(27, count)}
    (folder / "tokenizer.json").write_text(json.dumps(table))
    return folder


def as_unilm(folder: Path, out: Path) -> Path:
    part = from_transformers(folder)[1]
    to_unilm(part, out)
    return out


def one_of(rows: torch.Tensor) -> torch.Tensor:
    """The row that all of these are."""
    assert torch.equal(rows, rows[:1].expand_as(rows))
    return rows[0]


def test_new_rows_are_the_mean_of_the_others():
    values = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert grown(values, 4).tolist() == [[1.0, 2.0], [3.0, 6.0], [2.0, 4.0], [2.0, 4.0]]
    assert grown(torch.tensor([1.0, 5.0]), 3).tolist() == [1.0, 5.0, 3.0]
    assert torch.equal(grown(values, 2), values)


def test_tokens_without_a_row_are_refused_by_name(tmp_path):
    folder = with_tokens(saved(their_model("bert"), tmp_path / "a"), 50)
    for ask in (lambda: hf_text(path=folder).build(), lambda: from_transformers(folder)):
        with pytest.raises(UserError) as caught:
            ask()
        assert caught.value.what == f"the tokenizer in {folder} has 50 tokens, the model only 40"
        assert caught.value.why == (
            "a token without a row in the table could not be read: new40, new41, new42, new43, new44 and 5 more"
        )
        assert "or new_rows=true" in caught.value.cure


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "modernbert"])
def test_a_foreign_model_with_new_rows(tmp_path, kind):
    folder = saved(their_model(kind), tmp_path / "a")
    before = Mlm(encoder=hf_text(path=folder)).build().eval()
    made = Mlm(encoder=hf_text(path=with_tokens(folder, 43), new_rows=True)).build().eval()
    old, new = before.encoder.table, made.encoder.table
    assert new.shape[0] == made.encoder.space.vocabulary == 43
    assert torch.equal(new[:ROWS], old)
    torch.testing.assert_close(one_of(new[ROWS:]), old.mean(dim=0))
    assert torch.equal(made.head.bias[:ROWS], before.head.bias)
    torch.testing.assert_close(one_of(made.head.bias[ROWS:]), before.head.bias.mean())
    batch = our_batch(made)
    assert torch.equal(made.encoder(batch).states, before.encoder(batch).states)
    other = our_batch(made, ["the new41 dog"])
    assert 41 in other["tokens"].tolist()[0]
    assert bool(made(other, Step()).value.isfinite())
    made.encoder.reset()
    assert len(made.encoder.table) == 43
    to_transformers(made, tmp_path / "b")
    assert len(hf_text(path=tmp_path / "b").build().table) == 43


def test_named_tokens_get_the_rows_that_are_left_and_then_new_ones(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    encoder = hf_text(path=folder, add_tokens=["[KEY]", "lazy", *FULL]).build()
    assert [encoder.codec.tokenizer.token_to_id(name) for name in ("[KEY]", "new27", "new39")] == [27, 28, 40]
    assert encoder.codec.tokenizer.token_to_id("lazy") < 27, "it was there"
    assert len(encoder.table) == 41
    assert 27 not in encoder.space.specials, "it is text, and may be hidden"
    assert encoder.codec.decode(encoder.codec.encode(["the [KEY] dog"])[0].ids) == "the [KEY] dog"
    with pytest.raises(UserError, match="a token to add is empty"):
        hf_text(path=folder, add_tokens=[" "]).build()


def without_mask(folder: Path) -> Path:
    text = (folder / "tokenizer.json").read_text().replace("[MASK]", "[HOLE]")
    (folder / "tokenizer.json").write_text(text)
    changed(folder / "tokenizer_config.json", mask_token=None)
    return folder


def test_a_mask_token_for_a_tokenizer_without_one(tmp_path):
    folder = without_mask(saved(their_model("bert"), tmp_path / "a"))
    with pytest.raises(UserError) as caught:
        hf_text(path=folder).build()
    assert caught.value.what == "the tokenizer has no mask token"
    assert 'or add_tokens=["[MASK]"], which a model has to learn' in caught.value.cure
    for encoder in (
        hf_text(path=folder, add_tokens=["[MASK]"]).build(),
        from_transformers(folder, add_tokens=("[MASK]",))[1].encoder,
    ):
        assert encoder.space.mask_id == encoder.codec.specials.mask == 27
        assert 27 in encoder.space.specials


def test_a_tokenizer_alone_may_get_tokens(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    codec = Tokenizer(path=folder, add_tokens=["[KEY]"]).build()
    assert codec.vocabulary == 28 and codec.tokenizer.token_to_id("[KEY]") == 27
    assert Loaded(folder).vocabulary == 27


@pytest.mark.parametrize("format", ["transformers", "unilm"])
def test_an_import_with_new_rows_keeps_them_in_its_run(tmp_path, format, capsys):
    source = saved(their_model("bert"), tmp_path / "a")
    plain = from_transformers(source)[1]
    if format == "unilm":
        source = as_unilm(source, tmp_path / "u")
    words = ["import", str(source), "--from", format, "--out", str(tmp_path / "run")]
    more = json.dumps(["[KEY]", *FULL, "[VALUE]"])
    assert main([*words, "--as", "objective:mlm", "--set", f"add_tokens={more}"]) == 0
    part = api.load(tmp_path / "run").part("part")
    rows = part.encoder.space.vocabulary
    assert rows == 42 == len(part.encoder.table) == len(part.head.bias)
    table = plain.encoder.table
    assert torch.equal(part.encoder.table[:ROWS], table)
    torch.testing.assert_close(one_of(part.encoder.table[ROWS:]), table.mean(dim=0))
    kept = tmp_path / "run" / "parts" / "part.encoder.codec" / "tokenizer.json"
    assert Library.from_str(kept.read_text()).token_to_id("[VALUE]") == 41
    assert part.encoder.codec.encode(["[KEY]"])[0].ids[1] == 27
    batch = our_batch(part, TEXTS)
    torch.testing.assert_close(part.eval().encoder(batch).states, plain.eval().encoder(batch).states)
    part.encoder.codec.fit(None, Step())  # in a new run it is read from where it came from
    assert part.encoder.codec.tokenizer.token_to_id("[VALUE]") == 41


def test_an_import_of_a_larger_tokenizer_is_refused_or_asked_for(tmp_path):
    source = as_unilm(saved(their_model("bert"), tmp_path / "a"), tmp_path / "u")
    (source / "vocab.txt").unlink(missing_ok=True)
    with_tokens(source, 44)
    with pytest.raises(UserError) as caught:
        from_unilm(source)
    assert "has 44 tokens, the model only 40" in caught.value.what
    assert len(from_unilm(source, new_rows=True)[1].encoder.table) == 44


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("new_row=true", 'this import has no option "new_row" — did you mean "new_rows"?'),
        ("new_row=true", "options: new_rows, add_tokens"),
        ("new_rows=yes", 'new_rows: expected true or false, found "yes"'),
    ],
)
def test_options_of_an_import_that_cannot_be(tmp_path, capsys, words, says):
    source = saved(their_model("bert"), tmp_path / "a")
    command = ["import", str(source), "--from", "transformers", "--as", "objective:mlm"]
    assert main([*command, "--out", str(tmp_path / "run"), "--set", words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
