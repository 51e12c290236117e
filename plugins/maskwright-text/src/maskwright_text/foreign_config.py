"""config.json of a transformers folder: which masked language models we open, and what their heads are called.

Imports nothing heavy: settings are checked with it before anything is built.
"""

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
class Architecture:
    """What is particular to a model type."""

    head: Head
    after_padding: bool = False
    """Positions are counted from pad_token_id + 1 on."""


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

ARCHITECTURES = {
    "bert": Architecture(_BERT),
    "camembert": Architecture(_ROBERTA, after_padding=True),
    "electra": Architecture(_ELECTRA),
    "modernbert": Architecture(_MODERN),
    "roberta": Architecture(_ROBERTA, after_padding=True),
    "roberta-prelayernorm": Architecture(_ROBERTA, after_padding=True),
    "xlm-roberta": Architecture(_ROBERTA, after_padding=True),
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
        return 0 if self.model_type == "modernbert" else self._number("type_vocab_size", 2)

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
            cure=f"one of {', '.join(ARCHITECTURES)}",
        )
    return FolderConfig(folder, found, table)


def is_text_model(folder: Path) -> bool:
    """Whether the folder holds a model of one of our types, all of which take any matrix of attention."""
    try:
        read_folder(folder)
    except UserError:
        return False
    return True
