"""State dicts of UniLM 1 and 2: names, the missing bias of keys, six segments, the relative bias."""

import json

import pytest
import torch
from text_foreign_models import LONGEST, TEXTS, Texts, numbers, our_batch, stirred, their_model
from text_unilm_files import CONFIG, said, unilm2_state, written
from tokenizers import Tokenizer, models, pre_tokenizers

from maskwright.step import Step
from maskwright_text.exporting import to_unilm
from maskwright_text.importing import from_transformers, from_unilm
from maskwright_text.params_models import Mlm, Subwords, TextEncoder


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def computed(state, tokens):
    """Logits (T, 40) of unilm2 for one text, written down from its definition, in the state's own names."""
    F, position = torch.nn.functional, torch.arange(len(tokens))

    def norm(x, name):
        return F.layer_norm(x, (16,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    at = "bert.embeddings."
    x = state[f"{at}word_embeddings.weight"][tokens] + state[f"{at}position_embeddings.weight"][position]
    x = norm(x + state[f"{at}token_type_embeddings.weight"][0], f"{at}LayerNorm")
    distance = position[None, :] - position[:, None]
    far = distance.abs()
    # 8 buckets: per direction 0 and 1 exactly, 2 and 3 by the logarithm up to 20.
    grown = (2 + (torch.log(far.clamp(min=1) / 2) / torch.log(torch.tensor(10.0)) * 2).long()).clamp(max=3)
    bucket = torch.where(far < 2, far, grown) + 4 * (distance > 0)
    bias = state["bert.encoder.rel_pos_bias.weight"][:, bucket]
    for number in (0, 1):
        at = f"bert.encoder.layer.{number}."
        q, k, v = F.linear(x, state[f"{at}attention.self.qkv_linear.weight"]).chunk(3, dim=-1)
        q, v = q + state[f"{at}attention.self.q_bias"], v + state[f"{at}attention.self.v_bias"]
        q, k, v = (part.reshape(-1, 2, 8).transpose(0, 1) for part in (q, k, v))
        weights = (q @ k.transpose(1, 2) / 8**0.5 + bias).softmax(dim=-1)
        out = linear((weights @ v).transpose(0, 1).reshape(-1, 16), f"{at}attention.output.dense")
        x = norm(x + out, f"{at}attention.output.LayerNorm")
        inner = linear(F.gelu(linear(x, f"{at}intermediate.dense")), f"{at}output.dense")
        x = norm(x + inner, f"{at}output.LayerNorm")
    at = "cls.predictions."
    x = norm(F.gelu(linear(x, f"{at}transform.dense")), f"{at}transform.LayerNorm")
    return F.linear(x, state[f"{at}decoder.weight"], state[f"{at}bias"])


def logits_of(mlm, text=TEXTS[0]):
    batch = our_batch(mlm, [text])
    return mlm.eval().logits(batch, torch.zeros_like(batch["real"]), batch["real"]), batch["tokens"][0]


def test_unilm2_computes_what_its_definition_says(tmp_path):
    state = unilm2_state()
    params, part = from_unilm(written(tmp_path / "a", state))
    found = {
        name: getattr(params.encoder, name) for name in ("relative", "reach", "pre_norm", "eps", "heads")
    }
    assert found == {"relative": 8, "reach": 20, "pre_norm": False, "eps": 1e-5, "heads": 2}
    logits, tokens = logits_of(part)
    torch.testing.assert_close(logits, computed(state, tokens), atol=1e-5, rtol=1e-5)


def test_written_again_the_file_has_the_same_tensors(tmp_path):
    """Names, shapes and bits; the bias of the keys was 0 and stays away."""
    state = unilm2_state()
    to_unilm(from_unilm(written(tmp_path / "a", state))[1], tmp_path / "b")
    again = torch.load(tmp_path / "b" / "pytorch_model.bin", weights_only=True)
    assert again.keys() == state.keys()
    assert [name for name in state if not torch.equal(state[name], again[name])] == []
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    assert {key: config[key] for key in CONFIG} == CONFIG


@pytest.mark.parametrize("relative", [0, 8])
def test_ours_written_and_read_gives_the_same_logits(tmp_path, relative):
    """Ours has a bias of keys, which the file has not: scores of a row all move alike, so nothing changes."""
    codec = Subwords(vocabulary=80, model="wordpiece")
    sizes = {"length": LONGEST, "width": 16, "depth": 2, "heads": 2, "pre_norm": False, "relative": relative}
    ours = stirred(Mlm(encoder=TextEncoder(codec=codec, **sizes)).build())
    ours.encoder.codec.fit(Texts(), Step())
    assert float(ours.encoder.blocks[0].attn.qkv.bias[16:32].abs().max()) > 0.05
    to_unilm(ours, tmp_path / "a")
    again = from_unilm(tmp_path / "a")[1]
    (one, tokens), (two, others) = logits_of(ours), logits_of(again)
    assert torch.equal(tokens, others)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    words = (tmp_path / "a" / "vocab.txt").read_text().splitlines()
    assert words[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert all(ours.encoder.codec.tokenizer.token_to_id(word) == n for n, word in enumerate(words))


def test_ids_of_the_vocabulary_may_have_gaps(tmp_path):
    """vocab.txt counts lines: a line stands for an id that no token has, by a name that none has."""
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "[unused0]": 5, "fox": 8, "dog": 10}
    made = Tokenizer(models.WordPiece(vocab=words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    codec = {"use": "tokenizer", "path": tmp_path / "tokenizer.json"}
    sizes = {"length": LONGEST, "width": 16, "depth": 1, "heads": 2, "pre_norm": False}
    part = Mlm(encoder=TextEncoder(codec=codec, **sizes)).build(1)
    to_unilm(part, tmp_path / "a")
    found = (tmp_path / "a" / "vocab.txt").read_text().splitlines()
    assert [found[number] for number in words.values()] == list(words)
    assert [found[number] for number in (6, 7, 9)] == ["[unused1]", "[unused2]", "[unused3]"]
    assert len(found) == len(set(found)) == 11


def test_unilm1_has_the_names_of_bert_and_six_segments(tmp_path, capsys):
    theirs = their_model("bert", type_vocab_size=6, layer_norm_eps=1e-5)
    state = dict(theirs.state_dict())
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in state.items()
    }
    sizes = {"type_vocab_size": 6, "rel_pos_bins": 0}
    chosen = {"source_type_id": 4, "target_type_id": 5}
    for folder, more, rows in (("a", {}, [0, 1]), ("b", chosen, [4, 5])):
        part = from_unilm(written(tmp_path / folder, old, "unilm1-tiny.bin", **sizes, **more))[1]
        said = capsys.readouterr().err
        assert f"note: of 6 kinds of segments {rows[0]} and {rows[1]} were taken" in said
        assert 'unless tokenizer_config.json beside it says {"do_lower_case": false}' in said
        table = state["bert.embeddings.token_type_embeddings.weight"]
        assert torch.equal(part.encoder.segments.weight, table[rows])
        logits, tokens = logits_of(part)
        wanted = theirs(tokens[None], token_type_ids=torch.full((1, len(tokens)), rows[0])).logits[0]
        torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-5)


def test_a_bias_outside_the_encoder_and_names_of_parallel_training_are_read(tmp_path):
    state = unilm2_state()
    moved = {f"module.{n.replace('encoder.rel_pos', 'rel_pos')}": t for n, t in state.items()}
    part = from_unilm(written(tmp_path / "a", moved))[1]
    assert torch.equal(part.encoder.relative.table.weight, state["bert.encoder.rel_pos_bias.weight"].t())


def test_without_a_head_it_is_an_encoder(tmp_path, capsys):
    path = written(tmp_path / "a", unilm2_state(head=False))
    params, _ = from_unilm(path)
    assert isinstance(params, TextEncoder)
    assert f"note: {path} has no whole head for masked tokens" in capsys.readouterr().err
    other = unilm2_state() | {"cls.predictions.decoder.weight": numbers("another", 40, 16)}
    params, _ = from_unilm(written(tmp_path / "b", other))
    assert isinstance(params, TextEncoder)
    assert "has a table of tokens of its own" in capsys.readouterr().err


def test_norms_before_each_part_and_byte_pieces(tmp_path, capsys):
    codec = Subwords(vocabulary=300, model="bpe")
    sizes = {"codec": codec, "length": LONGEST, "width": 16, "depth": 1, "heads": 2}
    before = TextEncoder(**sizes).build()
    assert said(lambda: to_unilm(before, tmp_path / "a")) == (
        "this part cannot be written in that format\n"
        "  why:   UniLM has its norms after each part, this encoder before\n"
        "  do:    --to transformers"
    )
    after = TextEncoder(**sizes, pre_norm=False).build()
    after.codec.fit(Texts(), Step())
    to_unilm(after, tmp_path / "b")
    assert "its scripts read a vocab.txt of word pieces, this tokenizer has none" in capsys.readouterr().err
    assert not (tmp_path / "b" / "vocab.txt").exists()


def test_what_lies_beside_the_file_is_asked_for(tmp_path):
    path = written(tmp_path / "a", unilm2_state())
    (path.parent / "vocab.txt").unlink()
    assert "do:    put the vocabulary beside the weights, as vocab.txt" in said(lambda: from_unilm(path))
    (path.parent / "config.json").unlink()
    text = said(lambda: from_unilm(path))
    assert text.startswith(f"{path} has no config.json beside it\n")
    assert "why:   tensors do not tell how many heads the attention has" in text


def test_a_folder_with_several_files(tmp_path):
    path = written(tmp_path / "a", unilm2_state())
    assert from_unilm(path.parent)[1].encoder.depth == 2
    path.with_name("other.bin").write_bytes(b"")
    text = said(lambda: from_unilm(path.parent))
    assert f"{path.parent} has 2 files that end in .bin" in text
    assert "why:   other.bin, unilm2-tiny-uncased.bin" in text


def test_beside_states_of_the_optimiser_the_usual_name_is_taken(tmp_path):
    path = written(tmp_path / "ckpt-3", unilm2_state(), "pytorch_model.bin")
    for name in ("optim.3.bin", "sched.3.bin"):
        path.with_name(name).write_bytes(b"")
    assert from_unilm(path.parent)[1].encoder.depth == 2


def test_a_file_is_no_folder_of_transformers(tmp_path):
    path = written(tmp_path / "a", unilm2_state())
    text = said(lambda: from_transformers(path))
    assert text.startswith(f"{path} is a file, transformers has folders\n")
    assert f"maskwright import {path} --from unilm" in text


class Evil:
    def __reduce__(self):
        return print, ("run!",)


def test_pickled_code_is_not_run(tmp_path, capsys):
    path = written(tmp_path / "a", {})
    torch.save({"a": Evil()}, path)
    assert f"{path} is not opened, because that could run code" in said(lambda: from_unilm(path))
    assert "run!" not in capsys.readouterr().out


def test_more_tokens_than_rows(tmp_path):
    path = written(tmp_path / "a", unilm2_state())
    with (path.parent / "vocab.txt").open("a") as file:
        file.write("".join(f"new{n}\n" for n in range(20)))
    assert f"the tokenizer in {path} has 47 tokens, the model only 40" in said(lambda: from_unilm(path))
