"""What pruning has left, read back: a compact folder as an objective around the small encoder.

An importer gets a path and gives (Params, part). The numbers that heads and neurons had before any were removed come
along, so pruning again, and widening, go on from there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskwright.build import build_raw
from maskwright.errors import UserError
from maskwright.folder import read_table
from maskwright_cap.exporting import CODEC, CONFIG, FORMAT, WEIGHTS
from maskwright_torch.part import State, load_state, read_tensors


def from_compact(path: Path) -> tuple[Any, Any]:
    """What `maskwright export RUN FOLDER --to compact` wrote: the objective around the encoder, with its weights."""
    config = read_config(path, FORMAT, "compact")
    return built_from(path, config, None, "compact")


def read_config(path: Path, wanted: str, kind: str) -> dict[str, Any]:
    """config.json of an exported folder; UserError where that is of another format."""
    file = path / CONFIG
    if not file.is_file():
        raise UserError(
            f"{path} is no {kind} folder",
            where=str(path),
            why=f"it has no {CONFIG}" if path.is_dir() else "it is a file",
            cure=_again(kind),
        )
    config = read_table(file, _again(kind))
    if config.get("format") != wanted:
        raise UserError(
            f"{path} is no {kind} folder",
            where=f"{file}: format",
            why=f'it says {str(config.get("format"))[:60]!r}, and not "{wanted}"',
            cure="--from compact or sparse for what those exports wrote; --from transformers for a folder of "
            "transformers; --from movement for one with mask_scores",
        )
    if not isinstance(config.get("recipe"), dict):
        raise UserError(
            f"{file} does not say how its network is built",
            where=f"{file}: recipe",
            why="it was written from a model in memory, of which no recipe is known",
            cure=_again(kind),
        )
    return config


def built_from(path: Path, config: Mapping[str, Any], state: State | None, kind: str) -> tuple[Any, Any]:
    """(Params, part) of an exported folder; `state`: its tensors where they were not simply read."""
    part, node = build_raw(config["recipe"], ("objective",), str(path / CONFIG))
    load_state(part, read_tensors(path / WEIGHTS) if state is None else state, str(path / WEIGHTS))
    codec = getattr(part.encoder, "codec", None)
    if hasattr(codec, "load"):
        if not (path / CODEC).is_dir():
            raise UserError(f"{path / CODEC} is missing: the tokenizer", where=str(path), cure=_again(kind))
        codec.load(path / CODEC)
    return node.params, part


def _again(kind: str) -> str:
    return f"export the run again:  maskwright export RUN FOLDER --to {kind} --part objective"
