"""encoder:hf-text: the same numbers as transformers gives, and the whole contract of an encoder."""

import pytest
import torch
from text_foreign_models import (
    KINDS,
    LONGEST,
    TEXTS,
    our_batch,
    saved,
    their_batch,
    their_model,
    tokenizer,
)

from maskwright.cli.main import main
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text import foreign
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm
from maskwright_text.vocabulary import initial_std
from maskwright_torch.noise import uniform

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
EVERY = [
    "bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "roberta-prelayernorm", "xlm-roberta",
]  # fmt: skip


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def encoder_of(folder, **settings):
    return HfText(path=folder, length=LONGEST, **settings).build()


def test_every_type_of_model_is_tried():
    from maskwright_text.foreign_config import ARCHITECTURES

    assert sorted(KINDS) == sorted(ARCHITECTURES) == EVERY


@pytest.mark.parametrize(
    ("kind", "attention"), [*((kind, "sdpa") for kind in EVERY), ("bert", "eager"), ("modernbert", "eager")]
)
def test_logits_are_theirs(tmp_path, kind, attention):
    """Padded texts through their tokenizer, model and head, and through ours."""
    theirs = their_model(kind)
    folder = saved(theirs, tmp_path / "a")
    ours = Mlm(encoder=HfText(path=folder, length=LONGEST, attention=attention)).build().eval()
    batch, wanted = our_batch(ours), their_batch(folder)
    assert torch.equal(batch["tokens"], wanted["input_ids"])
    real = batch["real"]
    assert not bool(real.all())
    seen = {"input_ids": wanted["input_ids"], "attention_mask": wanted["attention_mask"]}
    torch.testing.assert_close(
        ours.logits(batch, torch.zeros_like(real), real), theirs(**seen).logits[real], **CLOSE
    )


@pytest.mark.parametrize("kind", ["bert", "electra"])
def test_second_texts_have_their_own_segment(tmp_path, kind):
    theirs = their_model(kind)
    ours = encoder_of(saved(theirs, tmp_path / "a"))
    items = [{"id": "0", "text": "a lazy dog sleeps", "other": "the fox likes it"}]
    batch = {**ours.prepare(items, Step()), "rows": torch.arange(1)}
    assert int(batch["segment"].sum()) == 5
    wanted = theirs.base_model(input_ids=batch["tokens"], token_type_ids=batch["segment"]).last_hidden_state
    torch.testing.assert_close(ours(batch).states, wanted, **CLOSE)


def test_hidden_tokens_enter_as_the_mask_token_and_pooling_is_as_set(tmp_path):
    theirs = their_model("roberta")
    folder = saved(theirs, tmp_path / "a")
    ours, first = encoder_of(folder), encoder_of(folder, pool="first")
    batch = our_batch(ours, TEXTS[:2])
    hidden = ours.units(batch).valid & (torch.arange(batch["tokens"].shape[1]) % 3 == 1)
    tokens = torch.where(hidden, ours.codec.specials.mask, batch["tokens"])
    states = theirs.base_model(input_ids=tokens, attention_mask=batch["real"].long()).last_hidden_state
    made = ours(batch, hidden)
    torch.testing.assert_close(made.states[batch["real"]], states[batch["real"]], **CLOSE)
    valid = ours.units(batch).valid[..., None]
    torch.testing.assert_close(made.pooled, (states * valid).sum(1) / valid.sum(1), **CLOSE)
    torch.testing.assert_close(first(batch, hidden).pooled, states[:, 0], **CLOSE)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "modernbert"])
def test_groups_that_may_not_read_each_other_are_passes_of_their_own(tmp_path, kind):
    theirs = their_model(kind)
    ours = encoder_of(saved(theirs, tmp_path / "a"))
    assert ours.leak == ""
    tokens = our_batch(ours, TEXTS[:1])["tokens"]
    first, second = tokens[:, :7], tokens[:, 7:]
    one = torch.arange(tokens.shape[1]) < 7
    attend = (one[:, None] == one)[None]
    # Both groups begin at position 0.
    position = torch.cat([torch.arange(7), torch.arange(second.shape[1])])[None]
    made = ours.attended(tokens, position, attend)
    for group, found in ((first, made[:, :7]), (second, made[:, 7:])):
        torch.testing.assert_close(found, theirs.base_model(input_ids=group).last_hidden_state, **CLOSE)
    index = torch.tensor([[9, 2]])
    assert torch.equal(ours.attended(tokens, position, attend, index=index), made[:, [9, 2]])


def test_modernbert_keeps_its_window_whatever_the_order_of_tokens(tmp_path):
    """Its local layers see two tokens to each side; by position, not by place in the row."""
    theirs = their_model("modernbert")
    ours = encoder_of(saved(theirs, tmp_path / "a"))
    assert ours.window == 2
    tokens = our_batch(ours, TEXTS[:1])["tokens"]
    count = tokens.shape[1]
    order = uniform(3, torch.arange(1), count)[0].argsort()
    attend = torch.ones(1, count, count, dtype=torch.bool)
    wanted = theirs.base_model(input_ids=tokens).last_hidden_state
    made = ours.attended(tokens[:, order], order[None], attend)
    torch.testing.assert_close(made, wanted[:, order], **CLOSE)


def test_a_token_that_may_not_be_read_has_no_gradient(tmp_path):
    """To the last bit 0, in both kinds of attention."""
    folder = saved(their_model("bert"), tmp_path / "a")
    for attention in ("sdpa", "eager"):
        ours = encoder_of(folder, attention=attention)
        tokens = our_batch(ours, TEXTS[:1])["tokens"]
        count = tokens.shape[1]
        attend = torch.ones(1, count, count, dtype=torch.bool).tril()
        with torch.enable_grad():
            ours.attended(tokens, torch.arange(count)[None], attend)[:, :3].square().sum().backward()
        rows = ours.table.grad.abs().sum(dim=1)
        early = set(tokens[0, :3].tolist())
        assert all(float(rows[token]) > 0 for token in early)
        assert [token for token in set(tokens[0, 3:].tolist()) - early if float(rows[token]) != 0] == []


class Ignoring(torch.nn.Module):
    """Around a model: takes what it is told about attention or positions, and forgets it."""

    def __init__(self, inner, forgotten):
        super().__init__()
        self.inner, self.forgotten, self.config = inner, forgotten, inner.config

    def get_input_embeddings(self):
        return self.inner.get_input_embeddings()

    def forward(self, **inputs):
        if self.forgotten == "everything":
            raise ValueError("Wrong shape for attention_mask\nand more")
        return self.inner(**{**inputs, self.forgotten: None})


REFUSALS = [
    ("attention_mask", "tokens that may not be read change the result: it ignores the matrix of attention"),
    (
        "position_ids",
        "tokens in another order with the same positions change the result: it ignores position ids",
    ),
    ("everything", "it raises Wrong shape for attention_mask"),
]


@pytest.mark.parametrize(("forgotten", "why"), REFUSALS)
def test_a_model_that_leaks_is_refused_for_matrices_only(tmp_path, forgotten, why):
    ours = encoder_of(saved(their_model("bert"), tmp_path / "a"))
    ours.model = Ignoring(ours.model, forgotten)
    ours.leak = foreign._leak(ours)
    tokens = our_batch(ours, TEXTS[:1])["tokens"]
    attend = torch.ones(1, tokens.shape[1], tokens.shape[1], dtype=torch.bool)
    with pytest.raises(UserError) as caught:
        ours.attended(tokens, torch.arange(tokens.shape[1])[None], attend)
    assert str(caught.value) == (
        f"the model in {tmp_path / 'a'} cannot be told which token may read which\n"
        "  where: encoder:hf-text\n"
        f"  why:   {why}; so the answers would leak into the questions\n"
        "  do:    encoder:text, or a folder of another model type, such as bert or roberta"
    )
    if forgotten != "everything":
        assert ours(our_batch(ours, TEXTS[:1])).states.isfinite().all()


def test_the_leak_test_is_made_when_a_folder_is_opened(tmp_path, monkeypatch):
    folder = saved(their_model("bert"), tmp_path / "a")
    monkeypatch.setattr(foreign, "_leak", lambda encoder: "it was asked")
    assert encoder_of(folder).leak == "it was asked"


def test_a_position_beyond_the_table_is_refused(tmp_path):
    ours = encoder_of(saved(their_model("roberta"), tmp_path / "a"))
    tokens, attend = torch.full((1, 2), 7), torch.ones(1, 2, 2, dtype=torch.bool)
    assert ours.attended(tokens, torch.tensor([[0, LONGEST - 1]]), attend).isfinite().all()
    with pytest.raises(UserError, match="position 24 for a model with 24 positions"):
        ours.attended(tokens, torch.tensor([[0, LONGEST]]), attend)


def test_rows_without_a_token_are_never_drawn_nor_predicted(tmp_path):
    """The table has 40 rows, the tokenizer 27 tokens; the last rows would win if they could."""
    theirs = their_model("bert")
    theirs.cls.predictions.bias[27:] = 50.0
    ours = Mlm(encoder=HfText(path=saved(theirs, tmp_path / "a"), length=LONGEST)).build().eval()
    assert (ours.encoder.codec.vocabulary, ours.encoder.space.vocabulary) == (27, 40)
    assert ours.usual().tolist() == list(range(5, 27))
    batch = our_batch(ours)
    filled = ours.fill(batch, ours.encoder.units(batch).valid, Step())
    assert int(filled.values.max()) < 27


def test_a_model_without_head_gets_a_new_one_and_says_so(tmp_path, capsys):
    folder = saved(their_model("bert", "Model"), tmp_path / "a")
    ours = Mlm(encoder=HfText(path=folder, length=LONGEST)).build(seed=3)
    assert (
        f"note: the model in {folder} has no head for masked tokens: "
        "an objective that needs one starts with a new head" in capsys.readouterr().err
    )
    other = Mlm(encoder=HfText(path=folder, length=LONGEST)).build(seed=4)
    assert not torch.equal(ours.head.dense.weight, other.head.dense.weight)
    assert float(ours.head.dense.weight.detach().std()) == pytest.approx(initial_std(16), rel=0.2)
    assert torch.equal(ours.encoder.table, other.encoder.table)


def test_a_head_with_a_table_of_its_own_is_not_taken(tmp_path, capsys):
    theirs = their_model("bert", tie_word_embeddings=False)
    ours = encoder_of(saved(theirs, tmp_path / "a"))
    assert "has a head with a table of tokens of its own" in capsys.readouterr().err
    assert ours.own_head is None


def test_a_biased_and_an_unbiased_map_of_modernbert_are_taken_as_they_are(tmp_path):
    theirs = their_model("modernbert", classifier_bias=True, norm_bias=False, norm_eps=1e-3)
    ours = Mlm(encoder=HfText(path=saved(theirs, tmp_path / "a"), length=LONGEST)).build().eval()
    batch = our_batch(ours, TEXTS[:1])
    real = batch["real"]
    wanted = theirs(input_ids=batch["tokens"]).logits[real]
    torch.testing.assert_close(ours.logits(batch, torch.zeros_like(real), real), wanted, **CLOSE)


def test_another_activation_of_the_head_is_followed(tmp_path):
    theirs = their_model("bert", hidden_act="relu")
    ours = Mlm(encoder=HfText(path=saved(theirs, tmp_path / "a"), length=LONGEST)).build().eval()
    batch = our_batch(ours, TEXTS[:1])
    real = batch["real"]
    wanted = theirs(input_ids=batch["tokens"]).logits[real]
    torch.testing.assert_close(ours.logits(batch, torch.zeros_like(real), real), wanted, **CLOSE)


def test_weights_of_half_precision_are_opened_in_full(tmp_path):
    folder = saved(their_model("bert").half(), tmp_path / "a")
    assert encoder_of(folder).table.dtype == torch.float32


def test_reset_gives_new_weights_and_a_new_head(tmp_path):
    ours = encoder_of(saved(their_model("bert"), tmp_path / "a"))
    before, head = ours.table.clone(), ours.make_head()
    ours.reset()
    assert not torch.equal(ours.table, before)
    assert float(ours.table.std()) < 0.05
    assert not torch.equal(ours.make_head().dense.weight, head.dense.weight)


LAYERS = [
    ("bert", {"model.embeddings.word_embeddings.weight": 0, "model.encoder.layer.1.output.dense.bias": 2}),
    ("electra", {"model.embeddings_project.weight": 0, "model.encoder.layer.0.output.dense.bias": 1}),
    ("roberta-prelayernorm", {"model.LayerNorm.weight": 3, "model.embeddings.LayerNorm.weight": 0}),
    (
        "modernbert",
        {"model.layers.3.mlp.Wi.weight": 4, "model.final_norm.weight": 5, "model.embeddings.norm.weight": 0},
    ),
]


@pytest.mark.parametrize(("kind", "wanted"), LAYERS)
def test_layers_of_weights(tmp_path, kind, wanted):
    ours = encoder_of(saved(their_model(kind), tmp_path / "a"))
    names = dict(ours.named_parameters())
    assert {name: ours.layer_of(name) for name in wanted if name in names} == wanted


def test_a_saved_encoder_gives_the_same_and_a_tokenizer_may_be_a_vocabulary(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    ours = encoder_of(folder)
    ours.table.add_(0.1)
    (tmp_path / "part").mkdir()
    ours.save(tmp_path / "part")
    (folder / "tokenizer.json").unlink()
    words = sorted(tokenizer().tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("\n".join(word for word, _ in words))
    again = encoder_of(folder)
    again.load(tmp_path / "part")
    batch, other = our_batch(ours), our_batch(again)
    assert torch.equal(batch["tokens"], other["tokens"])
    assert torch.equal(ours(batch).states, again(batch).states)


def test_it_is_listed_where_an_encoder_has_to_take_any_attention(capsys):
    """It used to provide that only once its folder was known, and `show` left it out."""
    assert main(["show", "objective:pmlm"]) == 0
    assert "fits: hf-text, text\n" in capsys.readouterr().out
