"""Damaged files of every format end in a UserError or are read; nothing else ever comes out."""

import json

import numpy as np
import pytest
import torch
from foreign_models import TOLD, mae, official_state, vit, write_checkpoint

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_vision.exporting import to_timm, to_transformers
from maskwright_vision.importing import from_official, from_timm, from_transformers


def damaged(content, generator):
    """The content with one to three bytes changed, cut out or put in."""
    content = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        # Headers are short beside the weights: half of the damage falls on the first and the last bytes.
        near = min(len(content), 2000)
        place = int(generator.integers(len(content)))
        if generator.integers(2):
            place = int(generator.integers(near)) * (1 if generator.integers(2) else -1)
        kind = int(generator.integers(3))
        if kind == 0:
            content[place] = int(generator.integers(256))
        elif kind == 1:
            del content[place : place + int(generator.integers(1, 12)) or None]
        else:
            content[place:place] = bytes(generator.integers(0, 256, 3, dtype=np.uint8))
    return bytes(content)


def small(folder):
    """The smallest file or folder of each format: (file to damage, what is read, importer)."""
    tiny = vit(width=4, heads=1, depth=1, image=8)
    whole = mae(tiny, decoder_width=4, decoder_heads=1, decoder_depth=1)
    to_transformers(whole.build(), folder / "hf")
    to_timm(tiny.build(), folder / "a.safetensors")
    state = official_state(width=4, grid=(2, 2), decoder=4)
    path = write_checkpoint(folder / "a.pth", state, TOLD | {"heads": 1, "decoder_heads": 1})
    hf = folder / "hf"
    return {
        "config": (hf / "config.json", hf, from_transformers),
        "preprocessor": (hf / "preprocessor_config.json", hf, from_transformers),
        "transformers": (hf / "model.safetensors", hf, from_transformers),
        "timm": (folder / "a.safetensors", folder / "a.safetensors", from_timm),
        "official": (path, path, from_official),
        "beside": (path.with_suffix(".json"), path, from_official),
    }


@pytest.mark.parametrize("name", ["config", "preprocessor", "transformers", "timm", "official", "beside"])
def test_damage_ends_in_a_user_error(tmp_path, name):
    file, source, read = small(tmp_path)[name]
    content = file.read_bytes()
    generator = np.random.Generator(np.random.Philox(key=Step(seed=3).stream(name)))
    refused = 0
    for _ in range(60):
        file.write_bytes(damaged(content, generator))
        try:
            read(source)
        except UserError as error:
            refused += 1
            assert str(tmp_path) in str(error)
    assert refused >= 15
    file.write_bytes(content)
    read(source)


CUT = ["transformers", "timm", "official"]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short(tmp_path, name, share):
    file, source, read = small(tmp_path)[name]
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError) as caught:
        read(source)
    assert str(file) in caught.value.what
    assert "no sound" in caught.value.what or "not opened" in caught.value.what


NO_TABLES = [
    (torch.zeros(3), "holds Tensor, no table of tensors"),
    ({"model": {}}, "holds no table of tensors"),
    ({"optimizer": {"lr": 1.0}}, "holds no table of tensors"),
    ({"model": {"a": 1.0}}, "holds no table of tensors"),
]


@pytest.mark.parametrize(("content", "what"), NO_TABLES)
def test_no_table_of_tensors(tmp_path, content, what):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError) as caught:
        from_official(tmp_path / "a.pth")
    assert caught.value.what == f"{tmp_path / 'a.pth'} {what}"
    assert caught.value.cure == 'save {"model": state}'


@pytest.mark.parametrize(
    ("name", "why"), [("a.onnx", 'its name ends in ".onnx"'), ("folder", "it is a folder")]
)
def test_no_file_of_weights(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        from_official(tmp_path / name)
    assert (caught.value.what, caught.value.why) == (f"{tmp_path / name} is no file of weights", why)


def test_metadata_that_is_no_table_counts_for_nothing(tmp_path):
    from safetensors.torch import save_file

    save_file(
        official_state(width=192, decoder=0), str(tmp_path / "a.safetensors"), {"maskwright": json.dumps([1])}
    )
    assert from_timm(tmp_path / "a.safetensors")[0].heads == 3
