"""What pruning has left, read back: a compact folder as an objective around the small encoder.

An importer gets a path and gives (Params, part). The numbers that heads and neurons had before any were removed come
along, so pruning again, and widening, go on from there.
"""

from pathlib import Path
from typing import Any

from maskwright.build import build_raw
from maskwright.errors import UserError
from maskwright.folder import read_table
from maskwright_cap.exporting import CODEC, CONFIG, FORMAT, WEIGHTS
from maskwright_torch.part import load_state, read_tensors

AGAIN = "export the run again:  maskwright export RUN FOLDER --to compact --part objective"


def from_compact(path: Path) -> tuple[Any, Any]:
    """What `maskwright export RUN FOLDER --to compact` wrote: the objective around the encoder, with its weights."""
    file = path / CONFIG
    if not file.is_file():
        raise UserError(
            f"{path} is no compact folder",
            where=str(path),
            why=f"it has no {CONFIG}" if path.is_dir() else "it is a file",
            cure=AGAIN,
        )
    config = read_table(file, AGAIN)
    if config.get("format") != FORMAT:
        raise UserError(
            f"{path} is no compact folder",
            where=f"{file}: format",
            why=f'it says {str(config.get("format"))[:60]!r}, and not "{FORMAT}"',
            cure="--from transformers for a folder of transformers; --from movement for one with mask_scores",
        )
    if not isinstance(config.get("recipe"), dict):
        raise UserError(
            f"{file} does not say how its network is built",
            where=f"{file}: recipe",
            why="it was written from a model in memory, of which no recipe is known",
            cure=AGAIN,
        )
    part, node = build_raw(config["recipe"], ("objective",), str(file))
    load_state(part, read_tensors(path / WEIGHTS), str(path / WEIGHTS))
    _load_codec(part.encoder, path / CODEC)
    return node.params, part


def _load_codec(encoder: Any, folder: Path) -> None:
    codec = getattr(encoder, "codec", None)
    if not hasattr(codec, "load"):
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: the tokenizer", where=str(folder.parent), cure=AGAIN)
    codec.load(folder)
