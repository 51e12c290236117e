"""State dicts of UniLM 1 and 2 (`unilm2-base-uncased.bin`), read without running anything, and written.

UniLM 1 has BERT's names. UniLM 2 has queries, keys and values in one map, a bias for queries and values only, and a
relative bias for each head and bucket that all layers share.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import read_table
from maskwright_text.bert_names import PARTS, POSITIONS, SEGMENTS
from maskwright_text.foreign_config import CONFIG
from maskwright_text.notices import note
from maskwright_torch.part import State

RELATIVE = "encoder.rel_pos_bias.weight"
TABLE = "embeddings.word_embeddings.weight"
HEAD = {
    "dense.weight": "transform.dense.weight", "dense.bias": "transform.dense.bias",
    "norm.weight": "transform.LayerNorm.weight", "norm.bias": "transform.LayerNorm.bias", "bias": "bias",
}  # fmt: skip
"""Names in VocabularyHead -> names after `cls.predictions.`"""
WEIGHTS = "pytorch_model.bin"
"""In folders of s2s-ft other .bin files lie beside it, which hold states of the optimiser."""
_BESIDE = ("cls.", "crit_")
"""Beginnings of names outside the network: heads, and what losses keep in checkpoints of fine-tuning."""
_FUSED = re.compile(r"(encoder\.layer\.\d+\.attention\.self\.)qkv_linear\.weight$")


@attrs.frozen(eq=False)
class Unilm:
    """What is in a file and beside it."""

    path: Path
    config: dict[str, Any]
    network: State
    """By BERT's names within the network."""
    head: State | None
    """By the names in VocabularyHead."""
    relative: Tensor | None
    """(heads, buckets)"""


def read_unilm(path: Path) -> Unilm:
    """A .bin file, or a folder with one or with WEIGHTS, and config.json beside it."""
    file = _the_file(path)
    config = file.parent / CONFIG
    if not config.is_file():
        raise UserError(
            f"{file} has no {CONFIG} beside it",
            where=str(file.parent),
            why="tensors do not tell how many heads the attention has",
            cure=f"put the model's configuration there, under the name {CONFIG}",
        )
    if not (file.parent / "tokenizer_config.json").is_file() and "uncased" not in file.name:
        note('text is made lower case, unless tokenizer_config.json beside it says {"do_lower_case": false}')
    state = _tensors(file)
    network = {n.removeprefix("bert."): t for n, t in state.items() if not n.startswith(_BESIDE)}
    # Files from the time of the paper have it outside the encoder.
    relative = network.pop(RELATIVE, network.pop("rel_pos_bias.weight", None))
    if TABLE not in network:
        raise UserError(
            f"{file} holds no weights of UniLM",
            where=str(file),
            why=f"bert.{TABLE} is missing; it has {', '.join(list(state)[:4]) or 'nothing'} …",
            cure="a state dict of unilm1 or unilm2; for a folder of transformers  --from transformers",
        )
    table = read_table(config, "copy it again")
    for name in (TABLE, POSITIONS, SEGMENTS):
        _refuse_rank(name, network.get(name), 2, str(file))
    _refuse_relative(relative, table, file)
    return Unilm(file, table, _parted(network, str(file)), _head(state, network, file), relative)


def _refuse_rank(name: str, tensor: Tensor | None, rank: int, where: str) -> None:
    if tensor is None or tensor.ndim != rank or not tensor.is_floating_point():
        raise UserError(
            f"{where}: {name} is "
            + ("missing" if tensor is None else f"{tensor.dtype} of the shape {tuple(tensor.shape)}"),
            where=where,
            why=f"wanted {'a table' if rank == 2 else 'a row'} of real numbers",
            cure="a state dict of unilm1 or unilm2 as it was published",
        )


def _refuse_relative(relative: Tensor | None, config: Mapping[str, Any], file: Path) -> None:
    """UserError where the configuration says something else about the relative bias than the tensors."""
    if relative is not None:
        _refuse_rank(RELATIVE, relative, 2, str(file))
    found = 0 if relative is None else relative.shape[1]
    said = config.get("rel_pos_bins", found)
    if said != found:
        raise UserError(
            f"{file} has {f'{found} buckets' if found else 'no table'} of relative positions, "
            f"{CONFIG} says rel_pos_bins = {str(said)[:60]}",
            where=f"{file.parent / CONFIG}: rel_pos_bins",
            why=f"the table is the tensor bert.{RELATIVE}, heads x buckets",
            cure="give weights and config.json that belong together",
        )


def _the_file(path: Path) -> Path:
    if path.is_file():
        return path
    if (usual := path / WEIGHTS).is_file():
        return usual
    found = sorted(path.glob("*.bin"))
    if len(found) != 1:
        raise UserError(
            f"{path} has {len(found) or 'no'} files that end in .bin",
            where=str(path),
            why=", ".join(file.name for file in found),
            cure="give the path of the file itself",
        )
    return found[0]


def _tensors(path: Path) -> State:
    """torch.load takes tensors only; names of norms as in the first BERT files are made today's."""
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        unsafe = "Weights only load failed" in str(error) or "Unsupported" in str(error)
        raise UserError(
            f"{path} is not opened, because that could run code" if unsafe else f"{path} is no sound file",
            where=str(path),
            why="it holds something else than tensors, or is damaged" if unsafe else type(error).__name__,
            cure="copy it again, or save only its tensors where it comes from: torch.save(state, path)",
        ) from None
    if not isinstance(data, dict) or not all(isinstance(tensor, Tensor) for tensor in data.values()):
        raise UserError(
            f"{path} holds no table of tensors", where=str(path), cure="torch.save(model.state_dict(), path)"
        )
    names = {str(name).removeprefix("module."): tensor for name, tensor in data.items()}
    old = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
    for before, after in old:
        names = {name.replace(before, after): tensor for name, tensor in names.items()}
    return names


def _parted(network: State, where: str) -> State:
    """Fused maps as three; the missing bias of the keys is 0: it would move all scores of a row alike."""
    made = {}
    for name, tensor in network.items():
        if (match := _FUSED.fullmatch(name)) is None:
            if not name.endswith((".q_bias", ".v_bias")):
                made[name] = tensor
            continue
        _refuse_rank(name, tensor, 2, where)
        at, width = match[1], tensor.shape[1]
        biases = [network.get(f"{at}q_bias"), tensor.new_zeros(width), network.get(f"{at}v_bias")]
        if tensor.shape[0] != 3 * width or any(bias is None or bias.numel() != width for bias in biases):
            raise UserError(
                f"{where}: {name} has the shape {tuple(tensor.shape)}",
                where=where,
                why=f"wanted (3 H, H) with {at}q_bias and {at}v_bias of H numbers each",
                cure="a state dict of unilm2 as it was published",
            )
        for part, weight, bias in zip(PARTS, tensor.chunk(3), biases, strict=True):
            made[f"{at}{part}.weight"], made[f"{at}{part}.bias"] = weight, bias.flatten()
    return made


def _head(state: State, network: State, path: Path) -> State | None:
    """The head for masked tokens, where it is whole and shares the table of tokens."""
    found = {ours: state.get(f"cls.predictions.{theirs}") for ours, theirs in HEAD.items()}
    table = state.get("cls.predictions.decoder.weight")
    if any(tensor is None for tensor in found.values()):
        note(f"{path} has no whole head for masked tokens: this is an encoder alone")
        return None
    if table is not None and not torch.equal(table, network[TABLE]):
        note(f"the head in {path} has a table of tokens of its own: this is an encoder alone")
        return None
    _refuse_rank("cls.predictions.bias", found["bias"], 1, str(path))
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def write_names(network: Mapping[str, Tensor], head: Mapping[str, Tensor], relative: Tensor | None) -> State:
    """Names of UniLM 2 for a network of BERT's names, a head of ours (may be empty) and (heads, buckets).

    The bias of the keys stays behind: it moves all scores of a row alike, which softmax does not see.
    """
    made: State = {}
    for name, tensor in network.items():
        at, _, rest = name.partition("attention.self.")
        if not rest:
            made[f"bert.{name}"] = tensor
        elif rest == "query.weight":
            fused = torch.cat([network[f"{at}attention.self.{part}.weight"] for part in PARTS])
            made[f"bert.{at}attention.self.qkv_linear.weight"] = fused
        elif rest in ("query.bias", "value.bias"):
            made[f"bert.{at}attention.self.{rest[0]}_bias"] = tensor
    if relative is not None:
        made[f"bert.{RELATIVE}"] = relative
    made |= {f"cls.predictions.{theirs}": head[ours] for ours, theirs in HEAD.items() if ours in head}
    if head:
        made["cls.predictions.decoder.weight"] = network[TABLE]
    return made
