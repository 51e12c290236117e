"""What is left after pruning, in files of other programs."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maskwright import UserError
from maskwright_cap import exporting
from maskwright_cap.cap import Cap
from maskwright_cap.example_parts import example_encoder, half_pruned
from maskwright_cap.params_cap import Cap as CapParams
from maskwright_testing import assert_user_error
from maskwright_torch.params_classify import Classify

ITEM = {"id": "a", "vector": np.linspace(-1, 1, 8, dtype=np.float32)}


def weights_pruned() -> Cap:
    inner = Classify(encoder=example_encoder(), classes=2)
    made: Any = CapParams(inner=inner, pruned="weights", criterion="magnitude", prc=False, snc=False).build()
    made.masks.masks[0].keep[:24] = False
    return made


def test_a_compact_folder_gives_the_same_scores_and_says_what_was_kept(tmp_path: Path):
    part: Any = half_pruned()
    exporting.to_compact(part, tmp_path / "out")
    state = load_file(tmp_path / "out/model.safetensors")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["shape"] == [[2, 16], [2, 16]] and config["whole_shape"] == [[4, 32], [4, 32]]
    assert config["classes"] == 2
    built: Any = Classify(encoder=example_encoder(9).with_shape(config["shape"]), classes=2).build()
    built.load_state_dict(state)
    built.eval(), part.eval()
    batch = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}
    torch.testing.assert_close(built.logits(batch), part.logits(batch), rtol=0, atol=1e-5)
    said = json.loads((tmp_path / "out/maskwright_pruning.json").read_text())
    assert said["layers"]["1"] == {"kept_heads": [2, 3], "kept_neurons": list(range(16, 32))}
    assert said["pruned_heads"] == {"0": [0, 1], "1": [0, 1]}
    assert 0.4 < said["sparsity"]["encoder"] < 0.5 and said["sparsity"]["model"] < said["sparsity"]["encoder"]
    assert len(said["source"]) == 64


def test_numbers_of_a_model_that_was_compact_before_are_those_of_the_whole(tmp_path: Path):
    first: Any = half_pruned()
    inner = Classify(encoder=first.compacted(), classes=2)
    part: Any = CapParams(inner=inner, criterion="magnitude", prc=False, snc=False).build()
    part.gates.gates[0].open[0] = False
    assert exporting.pruning_of(part)["layers"]["0"]["kept_heads"] == [3]
    assert exporting.pruning_of(part)["pruned_heads"]["0"] == [0, 1, 2]
    exporting.to_masks(part, tmp_path / "masks.npz")
    with np.load(tmp_path / "masks.npz", allow_pickle=False) as found:
        assert found["heads_0"].tolist() == [False, False, False, True]
        assert found["neurons_1"].tolist() == [False] * 16 + [True] * 16
    before = exporting.pruning_of(first)["sparsity"]["encoder"]
    assert exporting.pruning_of(part)["sparsity"]["encoder"] > before > 0.4, "against the first model"


@pytest.mark.parametrize(
    ("name", "shape", "kept"),
    [("heads_1", (4,), 2), ("neurons_0", (32,), 16), ("blocks.0.attn.qkv", (48, 16), 384)],
)
def test_masks_are_an_archive_of_arrays(name: str, shape: tuple[int, ...], kept: int, tmp_path: Path):
    part: Any = half_pruned() if "_" in name else weights_pruned()
    exporting.to_masks(part, tmp_path / "masks.npz")
    with np.load(tmp_path / "masks.npz", allow_pickle=False) as found:
        assert found[name].shape == shape and found[name].dtype == bool and int(found[name].sum()) == kept
    assert_user_error(
        lambda: exporting.to_masks(part, tmp_path / "masks"), "no name for masks", "ends in .npz"
    )


def test_zeros_have_no_smaller_shape(tmp_path: Path):
    for export, name in ((exporting.to_compact, "out"), (exporting.to_onnx, "out.onnx")):
        if export is exporting.to_onnx and importlib.util.find_spec("onnx") is None:
            continue
        assert_user_error(
            lambda export=export, name=name: export(weights_pruned(), tmp_path / name),
            "single weights were pruned",
            "--to masks",
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # there is a newer way, which cannot follow every `if`
def test_the_graph_that_is_written_gives_the_same_scores():
    part: Any = half_pruned()
    model, tensors = exporting.traced(part, ITEM)
    assert model.names == ["vector"] and tensors[0].shape == (2, 8)
    with torch.no_grad():
        graph = torch.jit.trace(model, tuple(tensors))
        batch = {"rows": torch.arange(2), "vector": torch.linspace(-1, 1, 16).view(2, 8)}
        torch.testing.assert_close(graph(batch["vector"]), part.eval().logits(batch), rtol=0, atol=1e-5)
    assert_user_error(
        lambda: exporting.traced(part), "no example of what this encoder reads: the field 'vector'"
    )


def test_an_onnx_file_or_the_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the package, the file has the model's inputs and any number of items; without, the extra is named."""
    monkeypatch.setattr(exporting, "EXAMPLE", ITEM)
    monkeypatch.setattr(exporting.traced, "__defaults__", (ITEM,))
    path = tmp_path / "small.onnx"
    if importlib.util.find_spec("onnx") is None:
        assert "cap" not in os.environ.get("TOX_ENV_NAME", ""), (
            "the environments of this plugin have its extra"
        )
        with pytest.raises(UserError, match="ONNX files need the package onnx") as caught:
            exporting.to_onnx(half_pruned(), path)
        assert caught.value.cure == "pip install maskwright-cap[onnx]"
        return
    import onnx
    from onnx.reference import ReferenceEvaluator

    part: Any = half_pruned()
    exporting.to_onnx(part, path)
    vectors = torch.linspace(-1, 1, 24).view(3, 8)
    (found,) = ReferenceEvaluator(onnx.load(path)).run(None, {"vector": vectors.numpy()})
    with torch.no_grad():
        wanted = part.eval().logits({"rows": torch.arange(3), "vector": vectors})
    assert np.abs(found - wanted.numpy()).max() < 1e-5, "of three items, where two were followed"
    graph = onnx.load(path).graph
    assert [entry.name for entry in graph.input] == ["vector"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "items"
    assert_user_error(lambda: exporting.to_onnx(half_pruned(), tmp_path / "a"), "no name for an ONNX file")
