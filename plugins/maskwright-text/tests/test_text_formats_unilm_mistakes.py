"""State dicts of UniLM that are damaged, or do not go with their configuration: one message, never another model."""

import json

import pytest
import torch
from text_unilm_files import said, unilm2_state, written

from maskwright_text.importing import from_transformers, from_unilm

TABLES, FIRST = "bert.embeddings.", "bert.encoder.layer.0.attention.self."
PARTS = ("query", "key", "value")


def without(state, name):
    return {other: tensor for other, tensor in state.items() if other != name}


def plain(state):
    """The first layer with three maps, as UniLM 1 has them."""
    made = {name: tensor for name, tensor in state.items() if not name.startswith(FIRST)}
    return made | {
        f"{FIRST}{part}.{end}": torch.ones((16, 16) if end == "weight" else 16)
        for part in PARTS
        for end in ("weight", "bias")
    }


STATES = [
    (lambda s: {"other": s["cls.predictions.bias"]}, "holds no weights of UniLM"),
    (lambda s: [1, 2], "holds no table of tensors"),
    (lambda s: {n: t for n, t in s.items() if "q_bias" not in n}, "wanted (3 H, H) with"),
    (lambda s: {n: t for n, t in s.items() if "1.output.dense.bias" not in n}, "layer.1.output.dense.bias is missing"),
    (lambda s: {**s, "bert.embeddings.LayerNorm.bias": torch.ones(5)}, "norm_in.bias: (5,) where (16,) is wanted"),
    (lambda s: {**s, "bert.encoder.rel_pos_bias.weight": torch.ones(2, 6)}, "has 6 buckets of relative positions"),
    (lambda s: without(s, f"{TABLES}position_embeddings.weight"), "embeddings.position_embeddings.weight is missing"),
    (lambda s: without(s, f"{TABLES}token_type_embeddings.weight"), "token_type_embeddings.weight is missing"),
    (lambda s: {**s, f"{TABLES}word_embeddings.weight": torch.ones(40)}, "word_embeddings.weight is torch.float32 of"),
    (lambda s: {**s, f"{TABLES}position_embeddings.weight": torch.ones(12, 16).long()}, "is torch.int64 of the shape"),
    (lambda s: {**s, "bert.encoder.rel_pos_bias.weight": torch.ones(8)}, "rel_pos_bias.weight is torch.float32 of the"),
    (lambda s: {**s, f"{FIRST}qkv_linear.weight": torch.ones(48)}, "qkv_linear.weight is torch.float32 of the shape"),
    (lambda s: {**s, "cls.predictions.bias": torch.ones(())}, "cls.predictions.bias is torch.float32 of the shape ()"),
    (lambda s: plain(s) | {f"{FIRST}key.bias": torch.ones(2, 8)}, "queries, keys and values of a layer"),
    (lambda s: plain(s) | {f"{FIRST}{part}.bias": torch.ones(()) for part in PARTS}, "are of different shapes"),
    (lambda s: {**s, "bert.encoder.layer.2.output.dense.bias": torch.ones(16)}, "has a layer 2, its configuration"),
    (lambda s: {**s, "bert.encoder.layer.1.adapter.bias": torch.ones(16)}, "why:   encoder.layer.1.adapter.bias\n"),
    (lambda s: {**s, "classifier.weight": torch.ones(2, 16)}, "has weights for which encoder:text has no place"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "wanted"), STATES)
def test_states_that_are_not_whole(tmp_path, change, wanted):
    path = written(tmp_path / "a", change(unilm2_state()))
    text = said(lambda: from_unilm(path))
    assert wanted in text and str(path) in text and "do:" in text


CONFIGS = [
    ({"num_attention_heads": "two"}, "num_attention_heads is 'two', wanted a whole number of at least 1"),
    ({"num_attention_heads": 3}, "width: 16 is no multiple of 3 heads"),
    ({"hidden_size": 32}, "why:   hidden_size: 32, the tensors have 16"),
    (
        {"intermediate_size": 10**30},
        "intermediate_size: 1000000000000000000000000000000, the tensors have 24",
    ),
    ({"num_hidden_layers": 10**30}, "encoder.layer.999999999999999999999999999999.* is missing"),
    ({"source_type_id": 2}, "segments 2 and 1 of a table of 2"),
    ({"max_rel_pos": 2}, "reach: 2 is too near: with relative = 8 distances below 2 are exact"),
    ({"max_rel_pos": 0}, "max_rel_pos is '0', wanted a whole number of at least 1"),
    ({"hidden_dropout_prob": 1.5}, "dropout"),
    ({"hidden_dropout_prob": None}, "hidden_dropout_prob is 'None', wanted a number of at least 0"),
    ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small', wanted a number of at least 0"),
    ({"layer_norm_eps": float("nan")}, "layer_norm_eps is 'nan', wanted a number of at least 0"),
    ({"num_hidden_layers": 1}, "has a layer 1, its configuration says 1 layers, 0 to 0"),
    ({"rel_pos_bins": 0}, "has 8 buckets of relative positions, config.json says rel_pos_bins = 0"),
    ({"rel_pos_bins": 6, "max_rel_pos": 20}, "config.json says rel_pos_bins = 6"),
]


@pytest.mark.parametrize(("config", "wanted"), CONFIGS)
def test_configurations_that_do_not_fit(tmp_path, config, wanted):
    path = written(tmp_path / "a", unilm2_state(), **config)
    assert wanted in said(lambda: from_unilm(path))


def test_a_relative_bias_that_is_announced_and_missing(tmp_path):
    path = written(tmp_path / "a", unilm2_state(relative=False))
    assert said(lambda: from_unilm(path)) == (
        f"{path} has no table of relative positions, config.json says rel_pos_bins = 8\n"
        f"  where: {path.parent / 'config.json'}: rel_pos_bins\n"
        "  why:   the table is the tensor bert.encoder.rel_pos_bias.weight, heads x buckets\n"
        "  do:    give weights and config.json that belong together"
    )


def test_a_number_of_buckets_that_cannot_be(tmp_path):
    state = unilm2_state() | {"bert.encoder.rel_pos_bias.weight": torch.ones(2, 6)}
    path = written(tmp_path / "a", state, rel_pos_bins=6)
    assert "6 is no multiple of 4" in said(lambda: from_unilm(path))


def test_where_a_folder_of_transformers_was_expected_the_other_importer_is_named(tmp_path):
    path = written(tmp_path / "a", unilm2_state(), "pytorch_model.bin").parent
    cure = f"maskwright import {path} --from unilm"
    assert cure in said(lambda: from_transformers(path))  # its config.json says no model_type
    config = json.loads((path / "config.json").read_text()) | {"model_type": "bert"}
    (path / "config.json").write_text(json.dumps(config))
    text = said(lambda: from_transformers(path))
    assert text.startswith(f"{path} lacks weights of its model") and "as UniLM 2: " + cure in text


def test_what_fine_tuning_leaves_beside_the_network_is_left_out(tmp_path):
    """A pooler, other heads, and the table of a loss with smoothing."""
    beside = ("bert.pooler.dense.weight", "cls.seq_relationship.weight", "crit_mask_lm_smoothed.one_hot")
    state = unilm2_state() | {name: torch.ones(16, 16) for name in beside}
    assert from_unilm(written(tmp_path / "a", state))[1].encoder.depth == 2
