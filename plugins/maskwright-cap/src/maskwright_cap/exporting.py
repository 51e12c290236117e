"""What is left after pruning, for other programs: a compact folder, masks, ONNX.

An exporter gets a built objective:cap and a path. A dense folder of transformers with zeros in place of what was pruned
comes from the encoder's own exporter: its weights are kept zero there.
"""

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.folder import write_atomic, write_folder
from maskwright.sources import merge
from maskwright.step import Step
from maskwright_cap.cap import Cap
from maskwright_cap.pruned_sides import count_of, in_blocks, plain_state, sides_of
from maskwright_torch.contracts import ROWS

CONFIG, WEIGHTS, PRUNING, CODEC = "config.json", "model.safetensors", "maskwright_pruning.json", "codec"
FORMAT = "maskwright compact encoder"
EXAMPLE: Mapping[str, Any] = {
    "id": "example",
    "text": "a text of a few words",
    "pixels": np.zeros((32, 32, 1), np.uint8),
    "label": 0,
}
"""An item of any kind: what a graph is traced with."""
OPSET = 18


def to_compact(part: Cap, out: Path, *, recipe: Mapping[str, Any] | None = None) -> None:
    """A folder with the small encoder and its head, and what was pruned of which block.

    `recipe`: the table of the objective that prunes. With it the folder says how its network is built, and can be
    imported again.
    """
    small = _compact_objective(part)

    def fill(folder: Path) -> None:
        save_file(plain_state(small), str(folder / WEIGHTS), {"format": "pt"})
        write_json(folder / CONFIG, config_of(small) | built_by(recipe, small))
        write_json(folder / PRUNING, pruning_of(part))
        save_codec(small.encoder, folder)

    write_folder(out, fill)


def config_of(small: Any) -> dict[str, Any]:
    """What has to be known to build the network again."""
    encoder = small.encoder
    return {
        "format": FORMAT,
        "encoder": type(encoder).__name__,
        "objective": type(small).__name__,
        "width": encoder.width,
        "pooled_width": encoder.pooled_width,
        "shape": encoder.shape,
        "whole_shape": _whole_shape(encoder),
        **({"classes": small.classes} if hasattr(small, "classes") else {}),
    }


def built_by(recipe: Mapping[str, Any] | None, inner: Any) -> dict[str, Any]:
    """The table of the inner objective, its encoder in the shape it has."""
    if recipe is None:
        return {}
    return {"recipe": merge(recipe["inner"], {"encoder": {"shape": inner.encoder.shape}})}


def save_codec(encoder: Any, folder: Path) -> None:
    """The tokenizer, where the encoder has one."""
    codec = getattr(encoder, "codec", None)
    if hasattr(codec, "save"):
        (folder / CODEC).mkdir()
        codec.save(folder / CODEC)


def pruning_of(part: Cap) -> dict[str, Any]:
    """What was kept of each block, by the numbers that heads and neurons had before any were removed."""
    sides = sides_of(part, "export")
    gone = count_of(sides.dense) - count_of(sides.small)
    numbers = _numbers(part)
    layers: dict[str, dict[str, list[int]]] = {}
    for (kind, layer), kept in numbers.items():
        layers.setdefault(str(layer), {})[f"kept_{kind}"] = kept.tolist()
    heads = {
        str(layer): sorted(set(range(sides.small.whole[layer][0])) - set(kept.tolist()))
        for (kind, layer), kept in numbers.items()
        if kind == "heads" and hasattr(sides.small, "whole")
    }
    return {
        "layers": layers,
        "pruned_heads": {layer: gone for layer, gone in heads.items() if gone},
        "source": part.source_digest(),
        "sparsity": {
            "encoder": gone / max(in_blocks(sides.dense), 1),
            "model": gone / max(count_of(sides.dense) + sides.beside, 1),
        },
    }


def _whole_shape(encoder: Any) -> list[list[int]]:
    """[heads, neurons] of each block before any were removed."""
    return encoder.whole if hasattr(encoder, "whole") else encoder.shape


def _numbers(part: Cap) -> dict[tuple[str, int], Tensor]:
    """(kind, block) -> int64 numbers, of a model that was compact before too."""
    assert part.gates is not None
    before = (
        part.encoder.kept_units()
        if hasattr(part.encoder, "kept_units")
        else [torch.arange(group.count) for group in part.gates.all_groups]
    )
    return {
        (group.kind, group.layer): numbers.cpu()[kept]
        for group, numbers, kept in zip(part.gates.all_groups, before, part.gates.kept(), strict=True)
    }


def to_masks(part: Cap, out: Path) -> None:
    """An .npz: for each group of units, or each matrix, bool, true where it is kept.

    Units are at the numbers that they had before any were removed, also in an earlier run.
    """
    if out.suffix != ".npz":
        raise UserError(f"{out} is no name for masks", where=str(out), cure="a name that ends in .npz")
    if part.gates is not None:
        whole = _whole_shape(part.encoder)
        arrays = {
            f"{kind}_{layer}": np.isin(np.arange(whole[layer][kind != "heads"]), kept.numpy())
            for (kind, layer), kept in _numbers(part).items()
        }
    else:
        assert part.masks is not None
        pairs = zip(part.masks.paths, part.masks.masks, strict=True)
        arrays = {path: mask.keep.cpu().numpy() for path, mask in pairs}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(out, buffer.getvalue())


class Traced(nn.Module):
    """The compact model as a function of tensors: class scores where there are any, else the pooled vector."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors: Tensor) -> Tensor:
        batch = dict(zip(self.names, tensors, strict=True))
        batch[ROWS] = torch.arange(tensors[0].shape[0], device=tensors[0].device)
        return self.model.logits(batch) if hasattr(self.model, "logits") else self.model.encoder(batch).pooled


def traced(part: Cap, item: Mapping[str, Any] = EXAMPLE) -> tuple[Traced, list[Tensor]]:
    """The model and the tensors of an example batch of two items."""
    small = _compact_objective(part).eval()
    try:
        batch = small.prepare([item, item], Step())
    except KeyError as error:
        raise UserError(
            f"no example of what this encoder reads: the field {error}",
            where="export --to onnx",
            why="a graph is made by following one batch through the model",
            cure="an encoder of texts or pictures, or --to compact",
        ) from None
    batch = {name: tensor for name, tensor in batch.items() if name != "label"}
    if "real" in batch:
        # One row with padding, so that the way through the attention mask is the one that is written down.
        batch = {name: tensor.clone() for name, tensor in batch.items()}
        batch["real"][1, -1] = False
    return Traced(small, list(batch)), list(batch.values())


def to_onnx(part: Cap, out: Path) -> None:
    """An .onnx file of the compact model, for any number of items."""
    if out.suffix != ".onnx":
        raise UserError(
            f"{out} is no name for an ONNX file", where=str(out), cure="a name that ends in .onnx"
        )
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise UserError(
            "ONNX files need the package onnx",
            where="export --to onnx",
            cure="pip install maskwright-cap[onnx]",
        ) from None
    model, tensors = traced(part)
    axes = {name: {0: "items"} for name in model.names}
    for name, tensor in zip(model.names, tensors, strict=True):
        if name in ("tokens", "real", "special", "word", "segment") and tensor.ndim == 2:
            axes[name][1] = "tokens"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it says that there is a newer way, which cannot follow `if` on tensors
        torch.onnx.export(
            model, tuple(tensors), buffer, dynamo=False, input_names=model.names, output_names=["scores"],
            dynamic_axes={**axes, "scores": {0: "items"}}, opset_version=OPSET,
        )  # fmt: skip
    write_atomic(out, buffer.getvalue())


def _compact_objective(part: Cap) -> Any:
    made = part.compacted_objective()
    if made is None:
        raise UserError(
            "single weights were pruned: the encoder has no smaller shape",
            where="export",
            why="zeros are kept in place, and dense kernels multiply them too",
            cure="--to sparse leaves the zeros out; or --to masks, or --to transformers with "
            "--part objective.inner.encoder",
        )
    return made


def write_json(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
