"""Folders that leave zeros out: the same bits after the way there and back, and how small they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cap_toys
import pytest
import torch
from cap_toys import toys_alone
from safetensors.torch import load_file, save_file

from maskwright import api
from maskwright.cli.main import main
from maskwright_cap.example_parts import half_pruned
from maskwright_cap.sparse_files import from_sparse, to_sparse, with_zeros, without_zeros
from maskwright_testing import assert_user_error
from maskwright_torch.inference import in_use
from maskwright_torch.noise import uniform

BATCH = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedRun:
    """A run of movement pruning to 97 %."""
    with toys_alone():
        return cap_toys.run(
            tmp_path_factory.mktemp("masked") / "run", steps=4, checkpoint_every=2, keep=5,
            objective__pruned="weights", objective__criterion="movement", objective__snc=False,
            objective__sparsity={"use": "linear", "start": 0.9, "end": 0.97},
        )  # fmt: skip


@pytest.fixture
def folder(masked: api.LoadedRun, tmp_path: Path) -> Path:
    words = ["export", str(masked.folder), str(tmp_path / "out"), "--to", "sparse", "--part", "objective"]
    assert main(words) == 0
    return tmp_path / "out"


def test_export_and_import_change_no_bit(masked: api.LoadedRun, folder: Path, tmp_path: Path):
    assert main(["import", str(folder), "--from", "sparse", "--out", str(tmp_path / "back")]) == 0
    before, after = masked.part("objective.inner"), api.load(tmp_path / "back").part("part")
    known = before.state_dict()
    assert all(torch.equal(tensor, known[name]) for name, tensor in after.state_dict().items())
    with in_use(before), in_use(after):
        assert torch.equal(before.logits(BATCH), after.logits(BATCH))
    assert api.load(tmp_path / "back").part("part.encoder").shape == [[4, 32], [4, 32]]


def test_only_what_is_kept_is_written(folder: Path):
    state = load_file(folder / "model.safetensors")
    name = "encoder.blocks.0.attn.qkv.weight"
    assert name not in state
    assert len(state[f"{name}.values"]) == len(state[f"{name}.columns"]) == 23, "3 % of 48 x 16"
    assert state[f"{name}.columns"].dtype == torch.int16 and state[f"{name}.starts"].shape == (49,)
    assert json.loads((folder / "config.json").read_text())["matrices"][name] == [48, 16]


def test_while_masks_are_learned_what_they_leave_is_written(masked: api.LoadedRun, tmp_path: Path):
    """Before the end the weights under the masks are whole."""
    part = masked.part("objective", at=2)
    assert bool((part.inner.state_dict()["encoder.blocks.0.attn.qkv.weight"] != 0).all())
    to_sparse(part, tmp_path / "out")
    state = load_file(tmp_path / "out/model.safetensors")
    kept = int(part.masks.masks[0].keep.sum())
    assert len(state["encoder.blocks.0.attn.qkv.weight.values"]) == kept < 100


def test_a_large_matrix_takes_six_bytes_a_weight():
    weight = uniform(1, torch.arange(512), 1024).float()
    weight[weight < 0.97] = 0.0
    state = without_zeros({"a": weight, "b": weight[0]}, ["a"])
    size = sum(tensor.numel() * tensor.element_size() for name, tensor in state.items() if name != "b")
    assert size == 6 * int((weight != 0).sum()) + 4 * 513
    assert size < 0.05 * weight.numel() * 4
    back = with_zeros(state, {"a": [512, 1024]}, "here")
    assert torch.equal(back["a"], weight) and torch.equal(back["b"], weight[0]) and len(back) == 2
    wide = without_zeros({"a": torch.ones(1, 40000)}, ["a"])
    assert torch.equal(with_zeros(wide, {"a": [1, 40000]}, "here")["a"], torch.ones(1, 40000))


def other_columns(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["encoder.blocks.0.attn.qkv.weight.columns"] += 16
    save_file(state, folder / "model.safetensors")


def says(**other: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | other))

    return change


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (other_columns, "do not fit together"),
        (says(matrices=None), "do not fit together"),
        (says(matrices={"a": [1, 2]}), "do not fit together"),
        (says(matrices={}), "the saved weights do not fit the part"),
        (says(format="maskwright compact encoder"), "is no sparse folder"),
    ],
)
def test_a_damaged_folder_is_refused(damage: Callable[[Path], None], text: str, folder: Path):
    damage(folder)
    assert_user_error(lambda: from_sparse(folder), text)


def test_units_leave_no_zeros(tmp_path: Path):
    part: Any = half_pruned()
    assert_user_error(
        lambda: to_sparse(part, tmp_path / "out"), "there are no zeros to leave out", "--to compact"
    )
    assert not (tmp_path / "out").exists()
