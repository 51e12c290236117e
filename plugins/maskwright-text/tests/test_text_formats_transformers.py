"""encoder:text and objective:mlm as folders of transformers, there and back: the same numbers, the same bits."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file
from text_foreign_models import (
    LONGEST,
    TEXTS,
    Texts,
    changed,
    our_batch,
    saved,
    stirred,
    their_batch,
    their_model,
)
from transformers.models.t5.modeling_t5 import T5Attention

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.exporting import to_transformers
from maskwright_text.importing import from_transformers
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm, Subwords, TextEncoder
from maskwright_torch.blocks import RelativeBias

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
EXACT = {"atol": 1e-10, "rtol": 1e-10}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def our_model(pre_norm=True, model="words", objective=True, **more):
    """A model of ours that has seen the texts, with weights that are nowhere zero."""
    codec = Subwords(vocabulary=40 if model == "words" else 300, model=model)
    encoder = TextEncoder(
        codec=codec, length=LONGEST, width=16, depth=2, heads=2, mlp_ratio=1.5, pre_norm=pre_norm, **more
    )
    made = stirred((Mlm(encoder=encoder) if objective else encoder).build())
    (made.encoder if objective else made).codec.fit(Texts(), Step())
    return made


def opened(folder, auto=transformers.AutoModelForMaskedLM, **more):
    return auto.from_pretrained(folder, local_files_only=True, **more).eval()


def all_logits(mlm, batch):
    return mlm.logits(batch, torch.zeros_like(batch["real"]), batch["real"])


def assert_same_weights(one, other):
    before, after = one.state_dict(), other.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("model", ["words", "bpe"])
@pytest.mark.parametrize(
    ("pre_norm", "cls"), [(False, "BertForMaskedLM"), (True, "RobertaPreLayerNormForMaskedLM")]
)
def test_an_export_opens_in_transformers_with_the_same_tokens_and_logits(tmp_path, pre_norm, cls, model):
    ours = our_model(pre_norm, model)
    to_transformers(ours, tmp_path / "a")
    theirs = opened(tmp_path / "a")
    assert type(theirs).__name__ == cls
    batch, wanted = our_batch(ours), their_batch(tmp_path / "a")
    assert torch.equal(batch["tokens"], wanted["input_ids"])
    real = batch["real"]
    assert not bool(real.all())
    logits = theirs(wanted["input_ids"], attention_mask=wanted["attention_mask"]).logits[real]
    torch.testing.assert_close(all_logits(ours, batch), logits, **CLOSE)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_in_double_precision_they_agree_to_rounding(tmp_path, pre_norm):
    ours = our_model(pre_norm)
    to_transformers(ours, tmp_path / "a")
    batch = our_batch(ours, TEXTS[:1])
    logits = opened(tmp_path / "a").double()(batch["tokens"]).logits[batch["real"]]
    torch.testing.assert_close(all_logits(ours.double(), batch), logits, **EXACT)


@pytest.mark.parametrize(("pre_norm", "cls"), [(False, "BertModel"), (True, "RobertaPreLayerNormModel")])
def test_an_encoder_alone_opens_as_a_model_without_head(tmp_path, pre_norm, cls):
    ours = our_model(pre_norm, objective=False)
    to_transformers(ours, tmp_path / "a")
    theirs = opened(tmp_path / "a", transformers.AutoModel)
    assert type(theirs).__name__ == cls
    batch = our_batch(ours, TEXTS[:1])
    torch.testing.assert_close(ours(batch).states, theirs(batch["tokens"]).last_hidden_state, **CLOSE)


def test_pairs_of_texts_have_two_segments_there_too(tmp_path):
    ours = our_model(False)
    to_transformers(ours, tmp_path / "a")
    item = {"id": "0", "text": "a lazy dog", "other": "the brown fox"}
    batch = {**ours.prepare([item], Step()), "rows": torch.arange(1)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    wanted = tokenizer(item["text"], item["other"], return_tensors="pt")
    assert torch.equal(batch["segment"], wanted["token_type_ids"])
    torch.testing.assert_close(all_logits(ours, batch), opened(tmp_path / "a")(**wanted).logits[0], **CLOSE)


def test_an_exported_tokenizer_cuts_nothing_off(tmp_path):
    """Encoding with a length leaves that length in our tokenizer; it is no part of what it is."""
    ours = our_model()
    ours.prepare([{"id": "0", "text": TEXTS[0]}], Step())
    to_transformers(ours, tmp_path / "a")
    table = json.loads((tmp_path / "a" / "tokenizer.json").read_text())
    assert (table["truncation"], table["padding"]) == (None, None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    assert tokenizer.model_max_length == LONGEST
    assert (tokenizer.mask_token, tokenizer.pad_token_id, tokenizer.sep_token_id) == ("[MASK]", 0, 3)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_imported_again_it_has_the_same_weights_and_tokens(tmp_path, pre_norm):
    ours = our_model(pre_norm, dropout=0.1, eps=1e-6)
    to_transformers(ours, tmp_path / "a")
    params, again = from_transformers(tmp_path / "a")
    assert_same_weights(ours, again)
    before, after = our_batch(ours), our_batch(again)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    found = {name: getattr(params.encoder, name) for name in ("length", "width", "heads", "dropout", "eps")}
    assert found == {"length": LONGEST, "width": 16, "heads": 2, "dropout": 0.1, "eps": 1e-6}
    assert again.encoder.space.specials == (0, 1, 2, 3, 4, *range(27, 40))


IMPORTS = ["bert", "camembert", "roberta", "roberta-prelayernorm", "xlm-roberta"]


@pytest.mark.parametrize("kind", IMPORTS)
def test_their_folder_as_ours(tmp_path, kind):
    theirs = their_model(kind, layer_norm_eps=1e-3)
    ours = from_transformers(saved(theirs, tmp_path / "a"))[1].eval()
    batch = our_batch(ours)
    real = batch["real"]
    logits = theirs(batch["tokens"], attention_mask=real.long()).logits[real]
    torch.testing.assert_close(all_logits(ours, batch), logits, **CLOSE)


def test_without_a_relative_bias_and_with_one_of_zeros_it_is_their_bert(tmp_path):
    """Oracle: bias zero -> their BERT with the same weights."""
    theirs = their_model("bert")
    params, part = from_transformers(saved(theirs, tmp_path / "a"))
    settings = {"codec": params.encoder.codec, "relative": 32, "reach": 128, "pre_norm": False}
    sizes = {"length": LONGEST, "width": 16, "depth": 2, "heads": 2, "mlp_ratio": 1.5}
    ours = TextEncoder(**settings, **sizes).build().eval()
    ours.load_state_dict({**part.encoder.state_dict(), "relative.table.weight": torch.zeros(32, 2)})
    tokens = our_batch(part, TEXTS[:1])["tokens"]
    batch = {"tokens": tokens, "real": tokens >= 0, "special": tokens < 5, "rows": torch.arange(1)}
    wanted = theirs.bert(tokens).last_hidden_state
    torch.testing.assert_close(ours(batch).states, wanted, **CLOSE)
    ours.relative.table.weight.add_(torch.arange(32)[:, None] * 0.1)
    assert not torch.allclose(ours(batch).states, wanted, atol=1e-2)


@pytest.mark.parametrize(("buckets", "reach"), [(32, 128), (8, 20)])
def test_buckets_are_those_of_t5(buckets, reach):
    distance = torch.arange(-600, 601)
    wanted = T5Attention._relative_position_bucket(distance, True, buckets, reach)
    assert torch.equal(RelativeBias(2, buckets, reach).bucket(distance), wanted)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_the_loss_is_theirs(tmp_path, precision):
    """Oracle: with the same set of hidden tokens the loss equals BertForMaskedLM(labels=...)."""
    theirs = their_model("bert").to(precision)
    folder = saved(theirs.float(), tmp_path / "a")
    theirs = theirs.to(precision)
    ours = Mlm(
        encoder=from_transformers(folder)[0].encoder, mask_share=1.0, random_share=0.0, ratio=0.15
    ).build()
    ours.load_state_dict(from_transformers(folder)[1].state_dict())
    ours.encoder.codec.read()
    ours = ours.eval().to(precision)
    batch, step = our_batch(ours), Step(seed=5)
    hidden = ours.choose(batch, step)
    assert 3 <= int(hidden.sum()) < 12
    labels = batch["tokens"].masked_fill(~hidden, -100)
    seen = batch["tokens"].masked_fill(hidden, ours.encoder.space.mask_id)
    wanted = theirs(seen, attention_mask=batch["real"].long(), labels=labels).loss
    made = ours(batch, step).value
    torch.testing.assert_close(made.double(), wanted.double(), atol=1e-6, rtol=0)


def test_half_precision_and_fused_kernels_stay_near_eager_full_precision(tmp_path):
    """Oracle: bounds on logits of sdpa, and of bfloat16, against eager float32."""
    folder = saved(their_model("bert"), tmp_path / "a")
    made = {
        kind: Mlm(encoder=HfText(path=folder, length=LONGEST, attention=kind)).build().eval()
        for kind in ("sdpa", "eager")
    }
    batch = our_batch(made["eager"])
    wanted = all_logits(made["eager"], batch)
    torch.testing.assert_close(all_logits(made["sdpa"], batch), wanted, atol=1e-5, rtol=0)
    ours = from_transformers(folder)[1].eval()
    for model in (made["sdpa"], made["eager"], ours):
        with torch.autocast("cpu", torch.bfloat16):
            found = all_logits(model, batch)
        difference = float((found.float() - wanted).abs().max())
        assert 1e-4 < difference < 0.1, difference


@pytest.mark.parametrize("kind", ["sdpa", "eager"])
def test_what_may_not_be_read_stays_unread_in_bfloat16(tmp_path, kind):
    """Scores are lowered by a finite number that bfloat16 holds: no row becomes NaN, none leaks."""
    folder = saved(their_model("bert"), tmp_path / "a")
    encoder = HfText(path=folder, length=LONGEST, attention=kind).build()
    tokens = our_batch(encoder, TEXTS[:1])["tokens"]
    count = tokens.shape[1]
    attend = torch.ones(1, count, count, dtype=torch.bool).tril()
    attend[:, -1] = False
    position = torch.arange(count)[None]
    other = tokens.clone()
    other[:, 5:] = 7
    with torch.autocast("cpu", torch.bfloat16):
        one, two = (encoder.attended(t, position, attend) for t in (tokens, other))
    assert bool(one.isfinite().all())
    assert torch.equal(one[:, :5], two[:, :5])
    assert not torch.equal(one[:, 5:-1], two[:, 5:-1])


@pytest.mark.parametrize("kind", ["bert", "electra", "modernbert", "roberta"])
def test_a_foreign_model_goes_back_with_todays_weights(tmp_path, kind):
    ours = Mlm(encoder=HfText(path=saved(their_model(kind), tmp_path / "a"), length=LONGEST)).build().eval()
    for parameter in ours.parameters():
        parameter.mul_(1.1)
    to_transformers(ours, tmp_path / "b")
    to_transformers(ours.encoder, tmp_path / "c")
    batch = our_batch(ours, TEXTS[:1])
    logits = opened(tmp_path / "b")(batch["tokens"]).logits[0]
    torch.testing.assert_close(all_logits(ours, batch), logits, **CLOSE)
    states = opened(tmp_path / "c", transformers.AutoModel)(batch["tokens"]).last_hidden_state
    torch.testing.assert_close(ours.encoder(batch).states, states, **CLOSE)
    assert torch.equal(their_batch(tmp_path / "b", TEXTS[:1])["input_ids"], batch["tokens"])


def test_a_folder_without_head_is_an_encoder_alone(tmp_path, capsys):
    theirs = their_model("bert", "Model")
    params, part = from_transformers(saved(theirs, tmp_path / "a"))
    assert isinstance(params, TextEncoder)
    assert "has no head for masked tokens" in capsys.readouterr().err
    batch = our_batch(part, TEXTS[:1])
    torch.testing.assert_close(part.eval()(batch).states, theirs(batch["tokens"]).last_hidden_state, **CLOSE)


def refusal(act):
    with pytest.raises(UserError) as caught:
        act()
    return str(caught.value)


def test_models_that_ours_cannot_be_are_sent_to_hf_text(tmp_path):
    folder = saved(their_model("electra"), tmp_path / "a")
    assert refusal(lambda: from_transformers(folder)) == (
        "encoder:text cannot be a model of the type electra\n"
        f"  where: {folder / 'config.json'}: model_type\n"
        "  why:   it is built as bert, camembert, roberta, xlm-roberta, roberta-prelayernorm are\n"
        f'  do:    encoder = {{ use = "hf-text", path = "{folder}" }} takes it as it is, without an import'
    )


def test_another_activation_is_sent_to_hf_text(tmp_path):
    folder = saved(their_model("bert"), tmp_path / "a")
    changed(folder / "config.json", hidden_act="relu")
    said = refusal(lambda: from_transformers(folder))
    assert f"{folder}: config.json says hidden_act = 'relu', encoder:text has gelu" in said
    assert "do:    encoder:hf-text, which keeps transformers' own network" in said


def test_a_relative_bias_goes_to_unilm_only(tmp_path):
    ours = our_model(False, relative=8)
    assert refusal(lambda: to_transformers(ours, tmp_path / "a")) == (
        "this part cannot be written in that format\n"
        "  why:   none of its models of this shape has a bias for relative positions\n"
        "  do:    --to unilm"
    )
    assert not (tmp_path / "a").exists()


def test_blocks_of_different_sizes_are_refused(tmp_path):
    ours = our_model(False)
    block = ours.encoder.blocks[1]
    block.mlp.fc1, block.mlp.fc2 = torch.nn.Linear(16, 20), torch.nn.Linear(20, 16)
    assert "there blocks are alike and whole, here [heads, neurons] are [[" in refusal(
        lambda: to_transformers(ours, tmp_path / "a")
    )


def test_what_is_no_encoder_of_text_is_refused(tmp_path):
    said = refusal(lambda: to_transformers(torch.nn.Linear(2, 2), tmp_path / "a"))
    assert "it is for our encoders of text, not for Linear" in said


def test_their_table_of_positions_begins_after_the_padding_token(tmp_path):
    ours = our_model(True)
    to_transformers(ours, tmp_path / "a")
    table = load_file(tmp_path / "a" / "model.safetensors")
    found = table["roberta_prelayernorm.embeddings.position_embeddings.weight"]
    assert found.shape == (LONGEST + 1, 16)
    assert torch.equal(found[1:], ours.encoder.positions.weight)
    assert not bool(found[0].any())
