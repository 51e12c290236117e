"""Files as UniLM has them, in small, and what is said about wrong ones."""

import json

import pytest
import torch
from text_foreign_models import LONGEST, numbers, tokenizer

from maskwright.errors import UserError

CONFIG = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": LONGEST, "type_vocab_size": 2, "vocab_size": 40, "hidden_act": "gelu",
    "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.1, "rel_pos_bins": 8, "max_rel_pos": 20,
}  # fmt: skip


def unilm2_state(relative=True, head=True):
    """Written out name by name, as the published files have them."""
    shapes = {
        "bert.embeddings.word_embeddings.weight": (40, 16),
        "bert.embeddings.position_embeddings.weight": (LONGEST, 16),
        "bert.embeddings.token_type_embeddings.weight": (2, 16),
        "bert.embeddings.LayerNorm.weight": (16,),
        "bert.embeddings.LayerNorm.bias": (16,),
    }
    for number in (0, 1):
        at = f"bert.encoder.layer.{number}."
        shapes |= {
            at + "attention.self.qkv_linear.weight": (48, 16),
            at + "attention.self.q_bias": (16,),
            at + "attention.self.v_bias": (16,),
            at + "attention.output.dense.weight": (16, 16),
            at + "attention.output.dense.bias": (16,),
            at + "attention.output.LayerNorm.weight": (16,),
            at + "attention.output.LayerNorm.bias": (16,),
            at + "intermediate.dense.weight": (24, 16),
            at + "intermediate.dense.bias": (24,),
            at + "output.dense.weight": (16, 24),
            at + "output.dense.bias": (16,),
            at + "output.LayerNorm.weight": (16,),
            at + "output.LayerNorm.bias": (16,),
        }
    if relative:
        shapes["bert.encoder.rel_pos_bias.weight"] = (2, 8)
    if head:
        shapes |= {
            "cls.predictions.bias": (40,),
            "cls.predictions.transform.dense.weight": (16, 16),
            "cls.predictions.transform.dense.bias": (16,),
            "cls.predictions.transform.LayerNorm.weight": (16,),
            "cls.predictions.transform.LayerNorm.bias": (16,),
        }
    state = {name: numbers(name, *shape) for name, shape in shapes.items()}
    if head:
        state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    return state


def written(folder, state, name="unilm2-tiny-uncased.bin", **config):
    """A .bin with config.json and vocab.txt beside it."""
    folder.mkdir()
    torch.save(state, folder / name)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    words = sorted(tokenizer().tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words))
    return folder / name


def said(act):
    with pytest.raises(UserError) as caught:
        act()
    return str(caught.value)
