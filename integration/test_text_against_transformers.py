"""Our models of text against those of transformers: same weights, same tokens, same numbers, in double precision."""

import inspect
import json
import math
import sys
from typing import Any

import pytest
import torch
import transformers
from transformers.models.t5.modeling_t5 import T5Attention

import maskwright as mw
from maskwright.cli.main import main
from maskwright_text.codecs import Subwords
from maskwright_text.exporting import to_transformers, write_tokenizer
from maskwright_text.foreign_folders import quiet
from maskwright_text.importing import from_transformers
from maskwright_text.params_foreign import HfText
from maskwright_text.params_models import Mlm, TextEncoder
from maskwright_torch.blocks import RelativeBias
from maskwright_torch.noise import identity, uniform
from maskwright_torch.part import seeded

CLOSE = {"atol": 1e-9, "rtol": 1e-9}
LENGTH = 48
SIZES: dict[str, Any] = {
    "vocab_size": 500, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40,
    "max_position_embeddings": LENGTH, "pad_token_id": 0,
}  # fmt: skip
KINDS = {
    "bert": ("Bert", {}),
    "roberta": ("Roberta", {"type_vocab_size": 1, "max_position_embeddings": LENGTH + 1}),
    "roberta-prelayernorm": ("RobertaPreLayerNorm", {"max_position_embeddings": LENGTH + 1}),
    "electra": ("Electra", {"embedding_size": 16}),
    "modernbert": ("ModernBert", {"local_attention": 8, "num_hidden_layers": 4}),
}
ENDS = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


TEXTS = [
    "Return the sum of all elements along an axis.",
    "Open a file, read it and close it again; an error is raised where it is missing.",
    "A short one.",
]


class Texts:
    """A data set of the texts."""

    def splits(self):
        return ("train",)

    def length(self, split):
        return len(TEXTS)

    def item(self, split, index, step):
        return {"id": str(index), "text": TEXTS[index]}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def codec():
    """Pieces of bytes."""
    made = Subwords(500, "bpe", False, "train")
    made.fit(Texts(), mw.Step())
    return made


def stirred(model):
    """Every weight moved away from where it starts: fresh norms are the identity and would hide a mistake."""
    for name, parameter in model.named_parameters():
        key = torch.tensor([identity(name)])
        noise = uniform(7, key, math.prod(parameter.shape))[0].reshape(parameter.shape)
        parameter.add_((0.4 * (noise - 0.5)).to(parameter.dtype))
    return model.eval()


def their_model(kind, **more):
    words, settings = KINDS[kind]
    ends = ENDS if kind == "modernbert" else {}
    config = getattr(transformers, f"{words}Config")(**{**SIZES, **settings, **ends, **more})
    return stirred(seeded(3, lambda: getattr(transformers, f"{words}ForMaskedLM")(config)))


def saved(model, folder, codec):
    with quiet():
        model.save_pretrained(folder)
    write_tokenizer(codec, folder, LENGTH, segmented=False)
    return folder


def batch_of(part):
    items = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]
    return {**part.prepare(items, mw.Step()), "rows": torch.arange(len(TEXTS))}


def logits_of(mlm, batch):
    return mlm.logits(batch, torch.zeros_like(batch["real"]), batch["real"])


def their_logits(model, folder, batch):
    """With their own tokenizer, which has to agree with ours."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    assert torch.equal(made["input_ids"], batch["tokens"])
    assert torch.equal(made["attention_mask"].bool(), batch["real"])
    assert not bool(batch["real"].all())
    logits = model(input_ids=made["input_ids"], attention_mask=made["attention_mask"]).logits
    return logits[batch["real"]]


@pytest.mark.parametrize("kind", ["bert", "roberta", "roberta-prelayernorm", "electra", "modernbert"])
def test_logits_of_hf_text_are_theirs(tmp_path, codec, kind):
    theirs = their_model(kind)
    folder = saved(theirs, tmp_path / "a", codec)
    ours = Mlm(encoder=HfText(path=folder, length=LENGTH)).build().eval()
    batch = batch_of(ours)
    # ModernBERT computes its rotations in single precision whatever the weights have.
    close = {"atol": 1e-5, "rtol": 1e-5} if kind == "modernbert" else CLOSE
    torch.testing.assert_close(
        logits_of(ours.double(), batch), their_logits(theirs.double(), folder, batch), **close
    )


@pytest.mark.parametrize("kind", ["bert", "roberta", "roberta-prelayernorm"])
def test_an_import_has_their_logits(tmp_path, codec, kind):
    theirs = their_model(kind)
    folder = saved(theirs, tmp_path / "a", codec)
    ours = from_transformers(folder)[1].eval()
    batch = batch_of(ours)
    torch.testing.assert_close(
        logits_of(ours.double(), batch), their_logits(theirs.double(), folder, batch), **CLOSE
    )


@pytest.mark.parametrize("pre_norm", [False, True])
def test_an_export_has_our_logits_there(tmp_path, codec, pre_norm):
    sizes = {"length": LENGTH, "width": 24, "depth": 3, "heads": 3, "pre_norm": pre_norm}
    ours = stirred(Mlm(encoder=TextEncoder(codec={"use": "subwords", "vocabulary": 500}, **sizes)).build())
    ours.encoder.codec.tokenizer = codec.tokenizer
    to_transformers(ours, tmp_path / "a")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "a").eval()
    batch = batch_of(ours)
    torch.testing.assert_close(
        logits_of(ours.double(), batch), their_logits(theirs.double(), tmp_path / "a", batch), **CLOSE
    )


def test_the_loss_of_hidden_tokens_is_theirs(tmp_path, codec):
    theirs = their_model("bert")
    ours = from_transformers(saved(theirs, tmp_path / "a", codec))[1].eval().double()
    batch = batch_of(ours)
    hidden = ours.choose(batch, mw.Step(seed=2))
    labels = batch["tokens"].masked_fill(~hidden, -100)
    seen = batch["tokens"].masked_fill(hidden, ours.encoder.space.mask_id)
    wanted = theirs.double()(seen, attention_mask=batch["real"].long(), labels=labels).loss
    made = torch.nn.functional.cross_entropy(ours.logits(batch, hidden, hidden), batch["tokens"][hidden])
    torch.testing.assert_close(made, wanted, **CLOSE)


def test_buckets_of_relative_positions_are_those_of_t5():
    distance = torch.arange(-600, 601)
    wanted = T5Attention._relative_position_bucket(distance, True, 32, 128)
    assert torch.equal(RelativeBias(2, 32, 128).bucket(distance), wanted)
    assert len(wanted.unique()) == 31  # the direction "after" has no distance 0


def test_import_takes_pictures_to_vision_and_texts_to_text(tmp_path, codec, capsys):
    """Both plugins read folders of transformers; what the folder holds decides."""
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=16, patch_size=4
    )  # fmt: skip
    with quiet():
        transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    saved(their_model("bert"), tmp_path / "bert", codec)
    used = {}
    for name in ("vit", "bert"):
        words = [
            "import",
            str(tmp_path / name),
            "--from",
            "transformers",
            "--out",
            str(tmp_path / f"run-{name}"),
        ]
        assert main(words) == 0
        used[name] = mw.load(tmp_path / f"run-{name}").resolved["part"]["use"].partition("@")[0]
    assert used == {"vit": "vit", "bert": "mlm"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    words = ["import", str(tmp_path / "other"), "--from", "transformers", "--out", str(tmp_path / "run")]
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"nothing recognises {tmp_path / 'other'}" in said
    assert "--as encoder:vit or --as objective:mlm" in said


def test_nothing_was_left_out():
    """Every comparison above ran or failed: none can be skipped because a library is missing."""
    tests = [
        name
        for name, _ in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
        if name.startswith("test_")
    ]
    assert len(tests) == 7
    assert "transformers" in sys.modules
