"""Weights of other programs as encoder:text and objective:mlm: folders of transformers, state dicts of UniLM.

An importer gets a path and gives (Params, part). The tokenizer comes along: it is kept in the run.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright.errors import RecipeError, UserError
from maskwright_text.bert_names import POSITIONS, SEGMENTS, to_ours
from maskwright_text.codecs import Loaded
from maskwright_text.foreign_config import CONFIG
from maskwright_text.foreign_folders import open_folder
from maskwright_text.kept_tokenizer import specials_setting
from maskwright_text.new_tokens import grown, rows_with
from maskwright_text.notices import note
from maskwright_text.params_models import Mlm, TextEncoder, Tokenizer
from maskwright_text.unilm_weights import TABLE, read_unilm
from maskwright_torch.part import State, differences

FIRST_INNER = "blocks.0.mlp.fc1.weight"
PRE_NORM = {"bert": False, "camembert": False, "roberta": False, "xlm-roberta": False} | {
    "roberta-prelayernorm": True
}
"""Model types that encoder:text can be -> whether their norms come before each part."""


@attrs.frozen(eq=False)
class Found:
    """A foreign network of BERT's shape."""

    where: Path
    config: Mapping[str, Any]
    """With the keys of BERT's config.json."""
    network: State
    """By BERT's names within the network."""
    head: State | None
    """By the names in VocabularyHead."""
    codec: Loaded
    pre_norm: bool = False
    relative: Tensor | None = None
    """(heads, buckets)"""


def from_transformers(
    path: Path, *, new_rows: bool = False, add_tokens: tuple[str, ...] = ()
) -> tuple[Any, Any]:
    """A folder of a BERT, a RoBERTa or a RoBERTa-PreLayerNorm, with or without its head for masked tokens.

    `add_tokens` are added to the tokenizer; with `new_rows` all its tokens that the table lacks get rows.
    """
    if path.is_file():
        raise UserError(
            f"{path} is a file, transformers has folders",
            where=str(path),
            cure="the folder that save_pretrained wrote; for a state dict of UniLM  "
            f"maskwright import {path} --from unilm",
        )
    opened = open_folder(path, new_rows=new_rows, add_tokens=add_tokens)
    kind, config = opened.config.model_type, opened.model.config.to_dict()
    if kind not in PRE_NORM:
        raise UserError(
            f"encoder:text cannot be a model of the type {kind}",
            where=f"{path / CONFIG}: model_type",
            why=f"it is built as {', '.join(PRE_NORM)} are",
            cure=f'encoder = {{ use = "hf-text", path = "{path}" }} takes it as it is, without an import',
        )
    if opened.config.pruned_heads:
        note("heads that were removed come back as zeros; encoder:hf-text leaves them out")
    network = dict(opened.model.base_model.state_dict())
    network[POSITIONS] = network[POSITIONS][opened.config.first_position :]
    return _assembled(Found(path, config, network, opened.head, opened.codec, PRE_NORM[kind]))


def from_unilm(path: Path, *, new_rows: bool = False, add_tokens: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """A state dict of UniLM 1 or 2 (a .bin file, or the folder it is in) with config.json and vocab.txt beside it."""
    read = read_unilm(path)
    codec = Loaded(read.path.parent, "put the vocabulary beside the weights, as vocab.txt", add_tokens)
    rows = rows_with(codec, len(read.network[TABLE]), new_rows, str(read.path))
    network = {**read.network, TABLE: grown(read.network[TABLE], rows)}
    head = read.head and {**read.head, "bias": grown(read.head["bias"], rows)}
    found = Found(read.path, read.config, network, head, codec, relative=read.relative)
    return _assembled(found)


def _assembled(found: Found) -> tuple[Any, Any]:
    """(Params, part) with the weights in it."""
    where = str(found.where)
    settings = _settings(found)
    network = dict(found.network)
    network[SEGMENTS] = _two_segments(network[SEGMENTS], found.config)
    rows = len(network[TABLE])
    folder = found.where if found.where.is_dir() else found.where.parent
    codec = Tokenizer(
        path=folder.absolute(),
        vocabulary=rows,
        specials=specials_setting(found.codec, rows),
        add_tokens=list(found.codec.added),
    )
    ours = to_ours(network, settings["depth"], found.pre_norm, where)
    _refuse_sizes(found.config, ours, where)
    if found.relative is not None:
        ours["relative.table.weight"] = found.relative.t().contiguous()
    params: Any = _built(where, TextEncoder, codec=codec, **settings)
    if found.head is not None:
        params = Mlm(encoder=params)
        ours = {f"encoder.{name}": tensor for name, tensor in ours.items()}
        ours |= {f"head.{name}": tensor for name, tensor in found.head.items()}
    try:
        part = params.build()
    except RecipeError as error:
        raise _cannot_be(where, [str(mistake) for mistake in error.mistakes]) from None
    if wrong := sorted(differences(part, ours, [])):
        raise _cannot_be(where, wrong[:6])
    part.load_state_dict({name: tensor.float() for name, tensor in ours.items()})
    encoder = part if found.head is None else part.encoder
    encoder.codec.read()
    return params, part


def _refuse_sizes(config: Mapping[str, Any], ours: State, where: str) -> None:
    """UserError where the configuration has other sizes than the tensors, before a network of them is built."""
    tables = {
        "hidden_size": ours["tokens.weight"].shape[1:],
        "intermediate_size": ours[FIRST_INNER].shape[:1],
    }
    wrong = [
        f"{key}: {config[key]}, the tensors have {' x '.join(map(str, size)) or 'none'}"
        for key, size in tables.items()
        if size != (config[key],)
    ]
    if wrong:
        raise _cannot_be(where, wrong)


def _settings(found: Found) -> dict[str, Any]:
    """Settings of encoder:text."""
    where, config = f"{found.where}: {CONFIG}", found.config
    whole = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    width, depth, heads, hidden = (_number(config, key, where) for key in whole)
    for key, usual in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if (value := config.get(key, usual)) != usual:
            raise UserError(
                f"{where} says {key} = {value!r}, encoder:text has {usual}",
                where=where,
                cure="encoder:hf-text, which keeps transformers' own network",
            )
    settings: dict[str, Any] = {
        "length": found.network[POSITIONS].shape[0],
        "width": width,
        "depth": depth,
        "heads": heads,
        "mlp_ratio": hidden / width,
        "pre_norm": found.pre_norm,
        "dropout": _real(config, "hidden_dropout_prob", 0.1, where),
        "eps": _real(config, "layer_norm_eps", 1e-12, where),
    }
    if found.relative is not None:
        reach = _number({"max_rel_pos": 128, **config}, "max_rel_pos", where)
        settings |= {"relative": found.relative.shape[1], "reach": reach}
    return settings


def _number(config: Mapping[str, Any], key: str, where: str) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise _mend(key, value, "a whole number of at least 1", where)
    return value


def _real(config: Mapping[str, Any], key: str, usual: float, where: str) -> float:
    value = config.get(key, usual)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise _mend(key, value, "a number of at least 0", where)
    return float(value)


def _mend(key: str, value: Any, wanted: str, where: str) -> UserError:
    return UserError(
        f"{where}: {key} is {str(value)[:60]!r}, wanted {wanted}",
        where=where,
        cure="mend the file, or save the model again",
    )


def _two_segments(table: Tensor, config: Mapping[str, Any]) -> Tensor:
    """The rows of encoder:text's two segments. RoBERTa has one; UniLM 1 has six, two for each way of reading."""
    if len(table) == 1:
        return table.expand(2, -1).clone()
    rows = [config.get("source_type_id", 0), config.get("target_type_id", 1)]
    if not all(type(row) is int and 0 <= row < len(table) for row in rows):
        raise UserError(
            f"segments {rows[0]!r} and {rows[1]!r} of a table of {len(table)}",
            where=f"{CONFIG}: source_type_id, target_type_id",
            cure=f"numbers from 0 to {len(table) - 1}",
        )
    if len(table) > 2:
        note(
            f"of {len(table)} kinds of segments {rows[0]} and {rows[1]} were taken; others are chosen with "
            f"source_type_id and target_type_id in {CONFIG}"
        )
    return table[torch.tensor(rows)]


def _built(where: str, make: Any, **settings: Any) -> Any:
    """Params from settings that come from outside."""
    try:
        made = make(**settings)
        wrong = [f"{name}: {message}" for name, message in made.check()]
    except ValueError as error:
        wrong = [str(error)]
    if wrong:
        raise _cannot_be(where, wrong)
    return made


def _cannot_be(where: str, wrong: list[str]) -> UserError:
    return UserError(
        f"{where} is no network that encoder:text and objective:mlm can be",
        where=where,
        why="; ".join(wrong),
        cure="give weights and config.json that belong together, or use encoder:hf-text",
    )
