"""config.json of a transformers folder: which masked language models we open, and what their heads are called.

Imports nothing heavy: settings are checked with it before anything is built.
"""

import operator
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError
from maskwright.folder import read_table

CONFIG = "config.json"


@attrs.frozen
class Head:
    """Where the masked language model's head lies in transformers' model: three parts, and its table of tokens."""

    dense: str
    norm: str
    bias: str
    table: str
    activation: str = ""
    """Key of config.json with the name of the activation; empty: gelu."""

    def holds(self, name: str) -> bool:
        """Whether a tensor belongs to the head."""
        own = {part.partition(".")[0] for part in (self.dense, self.norm, self.bias, self.table)}
        return name.partition(".")[0] in own


@attrs.frozen
class Layers:
    """Where the heads and neurons of a block lie in transformers' network, by paths within the block."""

    blocks: str
    """Path of the list of blocks."""
    attention: str
    """The module that works with the heads."""
    heads_made: tuple[str, ...]
    """Maps of queries, keys and values, or one for all three."""
    heads_read: str
    neurons_made: str
    neurons_read: str
    neurons: str = "intermediate_size"
    """Key of the config with their number."""
    gated: bool = False
    """One map makes the neurons and, after them, a gate for each."""
    within: tuple[str, ...] = ()
    """Parts of the attention module that work after the heads, in order."""


@attrs.frozen
class Architecture:
    """What is particular to a model type."""

    head: Head
    layers: Layers
    after_padding: bool = False
    """Positions are counted from pad_token_id + 1 on."""
    segmented: bool = True
    """Segments are told apart."""


_BERT = Head(
    "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias",
    "cls.predictions.decoder.weight", "hidden_act",
)  # fmt: skip
_ROBERTA = Head("lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder.weight")
_ELECTRA = Head(
    "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias",
    "generator_lm_head.weight",
)  # fmt: skip
_MODERN = Head("head.dense", "head.norm", "decoder.bias", "decoder.weight", "classifier_activation")
_DISTIL = Head(
    "vocab_transform", "vocab_layer_norm", "vocab_projector.bias", "vocab_projector.weight", "activation"
)
_BERT_LAYERS = Layers(
    "encoder.layer", "attention.self", ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output.dense", "intermediate.dense", "output.dense",
)  # fmt: skip
_MODERN_LAYERS = Layers(
    "layers", "attn", ("attn.Wqkv",), "attn.Wo", "mlp.Wi", "mlp.Wo", gated=True, within=("Wo", "out_drop")
)
_DISTIL_LAYERS = Layers(
    "transformer.layer", "attention", ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out_lin", "ffn.lin1", "ffn.lin2", neurons="hidden_dim", within=("out_lin",),
)  # fmt: skip

ARCHITECTURES = {
    "bert": Architecture(_BERT, _BERT_LAYERS),
    "camembert": Architecture(_ROBERTA, _BERT_LAYERS, after_padding=True),
    "distilbert": Architecture(_DISTIL, _DISTIL_LAYERS, segmented=False),
    "electra": Architecture(_ELECTRA, _BERT_LAYERS),
    "modernbert": Architecture(_MODERN, _MODERN_LAYERS, segmented=False),
    "roberta": Architecture(_ROBERTA, _BERT_LAYERS, after_padding=True),
    "roberta-prelayernorm": Architecture(_ROBERTA, _BERT_LAYERS, after_padding=True),
    "xlm-roberta": Architecture(_ROBERTA, _BERT_LAYERS, after_padding=True),
}
"""Model type -> what encoder:hf-text has to know to open it. All of them take any matrix of attention."""

# What transformers takes for a key that a config leaves out.
_POSITIONS = {"modernbert": 8192}
_PADDING = 1


@attrs.frozen
class FolderConfig:
    """What a folder says about its network."""

    folder: Path
    model_type: str
    table: dict[str, Any]
    pruned_heads: dict[int, list[int]] = attrs.field(factory=dict)
    """Block -> heads that transformers below 5 has removed; the weights have no rows for them."""

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.model_type]

    @property
    def first_position(self) -> int:
        """Row of the table of positions that the first token has."""
        return self._number("pad_token_id", _PADDING) + 1 if self.architecture.after_padding else 0

    @property
    def longest(self) -> int:
        """Tokens for which there are positions."""
        places = self._number("max_position_embeddings", _POSITIONS.get(self.model_type, 512))
        return places - self.first_position

    @property
    def segments(self) -> int:
        """Kinds of segments that are told apart; 0: none."""
        return self._number("type_vocab_size", 2) if self.architecture.segmented else 0

    def _number(self, key: str, usual: int) -> int:
        value = self.table.get(key, usual)
        if type(value) is not int or value < 0:
            path = self.folder / CONFIG
            raise UserError(
                f"{path}: {key} is {str(value)[:60]!r}, wanted a whole number",
                where=f"{path}: {key}",
                cure="mend the file, or save the model again",
            )
        return value


def read_folder(folder: Path) -> FolderConfig:
    """The config of a folder with a model of one of our types."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(
            f"{folder} is no folder of a transformers model",
            where=str(folder),
            why=f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder",
            cure="give the folder that save_pretrained wrote, with its tokenizer; a run needs the folder too: "
            "if it was moved, set the path anew",
        )
    table = read_table(path, "copy or save it again")
    found = str(table.get("model_type"))
    if found not in ARCHITECTURES:
        raise UserError(
            f'{path} is about a model of the type "{found}", which is no masked language model that we open',
            where=f"{path}: model_type",
            cure=f"one of {', '.join(ARCHITECTURES)}; for weights of UniLM  maskwright import {folder} --from unilm",
        )
    return FolderConfig(folder, found, table, _pruned_heads(path, table.get("pruned_heads") or {}))


def _pruned_heads(path: Path, found: Any) -> dict[int, list[int]]:
    try:
        made = {
            int(block): sorted({operator.index(head) for head in heads}) for block, heads in found.items()
        }
    except (AttributeError, TypeError, ValueError):
        made = {-1: []}
    if any(block < 0 or (heads and heads[0] < 0) for block, heads in made.items()):
        raise UserError(
            f"{path}: pruned_heads is {str(found)[:60]}",
            where=f"{path}: pruned_heads",
            why='wanted is a list of heads for each block, such as {"0": [2, 3]}',
            cure="mend the file, or save the model again",
        )
    return {block: heads for block, heads in made.items() if heads}


def is_text_model(folder: Path) -> bool:
    """Whether the folder holds a model of one of our types, all of which take any matrix of attention."""
    try:
        read_folder(folder)
    except UserError:
        return False
    return True
