"""Objectives that wrap others, around any of them: recipes that differ only in what is learned, and schedules of one
plugin that drive what another one does."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from training import contents

from maskwright import Step, api
from maskwright.contracts import items_of
from maskwright.planning import plan
from maskwright_testing import assert_mistakes
from maskwright_torch.batches import collate

LOOP = {
    "use": "train",
    "steps": 16,
    "batch": 16,
    "lr": 3e-3,
    "log_every": 1,
    "checkpoint_every": 8,
    "device": "cpu",
}
SENTENCES = {"use": "topic-attributes", "count": 96, "test_count": 8, "words": 100, "topics": 3, "length": 12}
SHAPES = {"use": "shapes", "size": 16, "count": 96, "test_count": 8}
TEXT = {
    "use": "text", "length": 16, "width": 16, "depth": 2, "heads": 4,
    "codec": {"use": "subwords", "model": "words", "vocabulary": 120},
}  # fmt: skip
VIT = {"use": "vit", "image": 16, "patch": 4, "width": 16, "depth": 2, "heads": 4}
MLM = {"use": "mlm", "ratio": 0.3, "encoder": TEXT}
MAE = {"use": "mae", "ratio": 0.5, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2, "encoder": VIT}
TASKS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "mlm": (SENTENCES, [MLM]),
    "mlm-and-pmlm": (
        SENTENCES,
        [MLM, {"use": "pmlm", "ratio": 0.3, "encoder": {"ref": "objective.tasks.mlm.encoder"}}],
    ),
    "mae": (SHAPES, [MAE]),
}


def trained(folder: Path, data: dict[str, Any], objective: dict[str, Any]) -> api.LoadedRun:
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps({**LOOP, "data": data, "objective": objective}))
    return api.run(recipe, seed=1, out=folder / "run", pictures=False)


def logged(run: api.LoadedRun, name: str) -> list[float]:
    return [entry["value"] for entry in run.metrics() if entry["name"] == f"train/{name}"]


def loss_at(run: api.LoadedRun, step: int) -> float:
    """The loss of the first 32 items under the same masks and the same episodes, with the weights of a checkpoint."""
    objective = run.part("objective", at=step)
    objective.eval()
    items = list(items_of(run.part("data"), "train", Step(0)))[:32]
    with torch.no_grad():
        return float(objective(collate(items, range(32), objective.prepare, Step(0)), Step(0)).value)


@pytest.mark.parametrize("learned", ["mlm", "mlm-and-pmlm", "mae"])
def test_meta_learns_what_it_is_given(tmp_path: Path, learned: str):
    """Second order, one inner step: the recipes differ in their tasks, and in the data for these."""
    data, tasks = TASKS[learned]
    run = trained(tmp_path, data, {"use": "meta", "depth": 1, "inner_rate": 0.01, "tasks": tasks})
    losses = logged(run, "loss")
    assert len(losses) == 16 and all(math.isfinite(loss) for loss in losses)
    assert loss_at(run, 16) < loss_at(run, 8)
    part = tmp_path / "part"
    shutil.copytree(run.folder, part)
    shutil.rmtree(part / "checkpoints" / "00000016")
    state = json.loads((part / "status.json").read_text())
    (part / "status.json").write_text(json.dumps({**state, "status": "interrupted"}))
    api.resume(part, pictures=False)
    assert contents(part) == contents(run.folder)


def units_left(run: api.LoadedRun) -> tuple[int, int]:
    """Heads and neurons of the small encoder."""
    heads, neurons = zip(*run.part("compact").shape, strict=True)
    return sum(heads), sum(neurons)


PRUNED = {"use": "cap", "prc": False, "snc": False, "criterion": "magnitude", "floor": 0}


def test_a_curve_for_masking_ratios_drives_pruning(tmp_path: Path):
    """And one for pruning drives a ratio, in the same run."""
    ratio = {"use": "cubic", "start": 0.1, "end": 0.6, "hold_start": 0.2, "hold_end": 0.2}
    sparsity = {"use": "mrd-ascend", "p": 0.25}
    run = trained(tmp_path, SENTENCES, {**PRUNED, "inner": {**MLM, "ratio": ratio}, "sparsity": sparsity})
    units = 8 + 128
    for step, share in enumerate(logged(run, "sparsity")):
        asked = 2 * 0.25 * (1.0 if step == 15 else step / 16)  # the last step asks for the end
        gone = int(8 * asked) + int(128 * asked)
        assert share == pytest.approx(gone / units), step
    assert units_left(run) == (4, 64)
    shares = logged(run, "hidden")
    assert shares[0] == pytest.approx(1 / 12) and shares[-1] == pytest.approx(7 / 12)


def test_a_falling_curve_does_not_bring_back_what_was_pruned():
    objective = {**PRUNED, "inner": MLM, "sparsity": {"use": "mrd-cosine", "p": 0.25}}
    said = "must never fall, found 0.52 before 0.02: what is gone stays gone"
    assert_mistakes({**LOOP, "data": SENTENCES, "objective": objective}, {"objective.sparsity": said})


CUBIC = {"use": "cubic", "start": 0.25, "end": 0.75, "hold_start": 0.2, "hold_end": 0.2}
STEPS = {"use": "steps", "start": 0.25, "end": 0.75, "count": 4}


@pytest.mark.parametrize(
    ("data", "learned", "curve"),
    [
        (SENTENCES, MLM, CUBIC),
        (SENTENCES, MLM, STEPS),
        (SHAPES, MAE, CUBIC),
        (SHAPES, MAE, STEPS),
    ],
    ids=["mlm-cubic", "mlm-steps", "mae-cubic", "mae-steps"],
)
def test_a_curve_for_pruning_drives_what_is_hidden(
    tmp_path: Path, data: dict[str, Any], learned: dict[str, Any], curve: dict[str, Any]
):
    run = trained(tmp_path, data, {**learned, "ratio": curve})
    shares = logged(run, "hidden")
    # A quarter and three quarters of 16 patches, and of 12 words, are whole.
    assert shares[0] == pytest.approx(0.25)
    assert shares[-1] == pytest.approx(0.75)
    assert 0.25 < shares[8] < 0.75
    assert shares == sorted(shares)


@pytest.mark.parametrize("recipe", ["mae", "mlm", "pmlm"])
def test_who_has_no_scores_cannot_hide_the_lowest(recipe: str):
    (mistake,) = plan(recipe, ["objective.masker=lowest"]).mistakes
    assert "masker:lowest hides units of an encoder with cap:scores" in str(mistake)
    assert not plan("cap-f", ["objective.chooser=lowest"]).mistakes
