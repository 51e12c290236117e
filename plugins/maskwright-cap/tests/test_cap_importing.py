"""Compact folders read back, and folders of movement pruning: the same numbers, or one clear error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from maskwright import api
from maskwright.cli.main import main
from maskwright.parts import table_of
from maskwright_cap import exporting
from maskwright_cap.importing import from_compact
from maskwright_cap.movement_folders import METHODS, from_movement, kept, multiplied
from maskwright_testing import assert_user_error
from maskwright_torch.inference import in_use
from maskwright_torch.noise import uniform
from maskwright_torch.part import seeded

BATCH = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}


@pytest.fixture
def folder(toys: None, small_run: api.LoadedRun, tmp_path: Path) -> Path:
    """A compact folder of the small run."""
    recipe = table_of(small_run.tree, "objective")
    exporting.to_compact(small_run.part("objective"), tmp_path / "compact", recipe=recipe)
    return tmp_path / "compact"


def test_export_and_import_change_no_bit(toys: None, small_run: api.LoadedRun, tmp_path: Path):
    out, back = tmp_path / "out", tmp_path / "back"
    assert main(["export", str(small_run.folder), str(out), "--to", "compact", "--part", "objective"]) == 0
    assert main(["import", str(out), "--from", "compact", "--out", str(back)]) == 0
    before, after = small_run.part("compact-objective"), api.load(back).part("part")
    with in_use(before), in_use(after):
        assert torch.equal(before.logits(BATCH), after.logits(BATCH))
    encoder = api.load(back).part("part.encoder")
    assert encoder.shape == before.encoder.shape and encoder.whole == [[4, 32], [4, 32]]
    numbers = zip(encoder.kept_units(), before.encoder.kept_units(), strict=True)
    assert all(torch.equal(a, b) for a, b in numbers), "what was removed is known by its first numbers"


def without_a_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["encoder.embed.weight"]
    save_file(state, folder / "model.safetensors")


def with_another(folder: Path) -> None:
    save_file(
        {**load_file(folder / "model.safetensors"), "more": torch.zeros(1)}, folder / "model.safetensors"
    )


def says(**other: Any) -> Callable[[Path], None]:
    """A change of config.json; None takes a key away."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        table = json.loads(path.read_text()) | other
        path.write_text(json.dumps({key: value for key, value in table.items() if value is not None}))

    return change


@pytest.mark.parametrize(
    ("damage", "texts"),
    [
        (without_a_tensor, ("the saved weights do not fit the part", "encoder.embed.weight: missing")),
        (with_another, ("the saved weights do not fit the part", "more: not known here")),
        (lambda f: (f / "model.safetensors").unlink(), ("model.safetensors is missing",)),
        (lambda f: (f / "config.json").unlink(), ("is no compact folder", "it has no config.json")),
        (lambda f: (f / "config.json").write_text("{"), ("config.json is damaged", "export the run again")),
        (says(format="bert"), ("is no compact folder", "it says 'bert', and not", "--from transformers")),
        (says(recipe=None), ("does not say how its network is built", "from a model in memory")),
        (says(recipe={"use": "classify", "encoder": "no-such"}), ("config.json: ", "no-such")),
    ],
)  # fmt: skip
def test_a_damaged_compact_folder_is_refused(
    damage: Callable[[Path], None], texts: tuple[str, ...], folder: Path
):
    damage(folder)
    assert_user_error(lambda: from_compact(folder), *texts)


def test_a_file_is_no_compact_folder(tmp_path: Path):
    (tmp_path / "a").touch()
    assert_user_error(lambda: from_compact(tmp_path / "a"), "is no compact folder", "it is a file")


def test_a_model_in_memory_has_no_recipe(folder: Path, small_run: api.LoadedRun, tmp_path: Path):
    exporting.to_compact(small_run.part("objective"), tmp_path / "bare")
    bare, whole = (json.loads((path / "config.json").read_text()) for path in (tmp_path / "bare", folder))
    recipe = whole.pop("recipe")
    assert bare == whole and recipe["encoder"]["shape"] == whole["shape"]


# -- movement pruning --------------------------------------------------------------------------------------------------

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "dog",
]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 12,
}  # fmt: skip
MASKED = "encoder.layer.1.intermediate.dense"


@pytest.fixture(scope="module")
def bert() -> dict[str, torch.Tensor]:
    """The weights of a tiny BERT, none of which is 0."""
    from transformers import BertConfig, BertModel

    made = seeded(1, lambda: BertModel(BertConfig(**SIZES)))
    return {name: tensor.detach() + 1e-3 for name, tensor in made.state_dict().items()}


def scored(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Beside each matrix of the blocks what movement pruning has learned of it."""
    found = dict(state)
    matrices = [n for n, t in state.items() if n.startswith("encoder.layer") and t.ndim == 2]
    for key, name in enumerate(matrices):
        rows, columns = state[name].shape
        scores = uniform(key, torch.arange(rows), columns).float() - 0.5
        found[name.replace("weight", "mask_scores")] = scores
    assert len(matrices) == 12
    return found


def written(folder: Path, state: dict[str, torch.Tensor], **config: Any) -> Path:
    """A folder as transformers wrote them then."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**SIZES, "model_type": "bert", **config}))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    torch.save({f"bert.{name}": tensor for name, tensor in state.items()}, folder / "pytorch_model.bin")
    return folder


def test_a_folder_of_movement_pruning_becomes_an_encoder_with_zeros(
    bert: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state = scored(bert)
    path = written(
        tmp_path / "masked", state, model_type="masked_bert", pruning_method="topK", mask_init="constant"
    )
    plain = dict(bert)
    for name in state:
        if name.endswith("mask_scores"):  # the same by sorting: the highest fifth stays
            edge = sorted(state[name].flatten().tolist(), reverse=True)[int(0.2 * state[name].numel()) - 1]
            weight = name.replace("mask_scores", "weight")
            plain[weight] = torch.where(state[name] >= edge, bert[weight], torch.zeros(()))
    save_file(
        {f"bert.{n}": t for n, t in plain.items()}, written(tmp_path / "plain", {}) / "model.safetensors"
    )
    for name, how in (("masked", "movement"), ("plain", "transformers")):
        more = ["--set", "threshold=0.2"] if name == "masked" else []
        words = ["import", str(tmp_path / name), "--from", how, "--out", str(tmp_path / f"run-{name}"), *more]
        assert main(words) == 0, capsys.readouterr().err
    found, wanted = (api.load(tmp_path / f"run-{name}").part("part") for name in ("masked", "plain"))
    tensors = wanted.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in found.state_dict().items())
    fc1 = found.blocks[1].mlp.fc1.weight
    assert int((fc1 != 0).sum()) == int(0.2 * fc1.numel())
    raw = api.load(tmp_path / "run-masked").resolved
    assert raw["part"]["codec"]["path"] == str(path.absolute()), (
        "and not the folder in between, which is gone"
    )


@pytest.mark.parametrize(
    ("method", "threshold", "expected"),
    [
        ("topK", 0.5, [[False, True], [True, False]]),
        ("topK", 0.26, [[False, True], [False, False]]),
        ("threshold", -0.5, [[False, True], [True, True]]),
        ("sigmoied_threshold", 0.6, [[False, True], [True, False]]),
        ("sigmoied_threshold", 0.99, [[False, True], [False, False]]),
    ],
)  # fmt: skip
def test_each_method_has_its_own_meaning_of_the_threshold(
    method: str, threshold: float, expected: list[list[bool]]
):
    """The sigmoids are .27, .88, .73 and .5; the last case keeps one weight in any case."""
    assert kept(torch.tensor([[-1.0, 2.0], [1.0, 0.0]]), method, threshold).tolist() == expected


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({}, ("topK needs a threshold", "the share of the weights that is kept", "--set threshold=0.1")),
        ({"threshold": 1.5}, ("threshold = 1.5 is none for topK", "above 0 and at most 1")),
        ({"threshold": 0.0}, ("threshold = 0 is none for topK",)),
        ({"method": "sigmoied_threshold"}, ("sigmoied_threshold needs a threshold", "sigmoid(score) must exceed")),
        ({"method": "sigmoied_threshold", "threshold": 1.0}, ("= 1 is none for sigmoied", "between 0 and 1")),
        ({"method": "threshold"}, ("threshold needs a threshold", "a number that scores must exceed")),
        ({"method": "threshold", "threshold": float("nan")}, ("threshold = nan is none for threshold",)),
        ({"method": "l0", "threshold": 0.1}, ("were made by 'l0'", ", ".join(METHODS), "--set method=topK")),
    ],
)  # fmt: skip
def test_what_the_folder_does_not_tell_is_asked_for(
    settings: dict[str, Any], texts: tuple[str, ...], bert: dict[str, torch.Tensor], tmp_path: Path
):
    path = written(tmp_path / "masked", scored(bert), pruning_method="topK")
    assert_user_error(lambda: from_movement(path, **settings), *texts)


def test_scores_belong_to_weights(bert: dict[str, torch.Tensor]):
    plain = "holds no mask_scores"
    assert_user_error(lambda: multiplied(bert, "topK", 0.1, "a"), f"a {plain}", "--from transformers")
    state = scored(bert)
    lone = {name: tensor for name, tensor in state.items() if name != f"{MASKED}.weight"}
    assert_user_error(
        lambda: multiplied(lone, "topK", 0.1, "a"), f"{MASKED}.mask_scores has no weight", "weights None"
    )
    state[f"{MASKED}.mask_scores"] = torch.zeros(1)
    assert_user_error(lambda: multiplied(state, "topK", 0.1, "a"), "scores are (1,), weights (24, 16)")


class Anything:
    """What a state dict never holds."""


def test_files_that_are_no_state_dict_are_refused(bert: dict[str, torch.Tensor], tmp_path: Path):
    path = written(tmp_path / "masked", bert, pruning_method="topK")
    file = path / "pytorch_model.bin"
    torch.save({"a": Anything()}, file)
    assert_user_error(
        lambda: from_movement(path, threshold=0.1), "pytorch_model.bin is no state dict", "never opened"
    )
    torch.save([torch.zeros(1)], file)
    assert_user_error(lambda: from_movement(path, threshold=0.1), "is no state dict", "model.state_dict()")
    file.unlink()
    assert_user_error(
        lambda: from_movement(path), "no folder of movement pruning", "it has no pytorch_model.bin"
    )
    assert_user_error(lambda: from_movement(path / "vocab.txt"), "it is a file")
