"""What "works" means for a combination that runs: finite, falling, the count that was asked for, and resumable."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskwright import Step, api
from maskwright.contracts import items_of
from maskwright_torch.batches import collate
from maskwright_torch.masking import choose

AWAY = 2
"""Units by which a row may miss the count asked for where a masker takes whole words or carries `inexact-count`."""


def check_run(recipe: Mapping[str, Any], folder: Path, steps: int) -> str:
    """Train, look, resume; what is wrong, empty where nothing is."""
    whole = api.run(recipe, out=folder / "whole", pictures=False)
    losses = [entry["value"] for entry in whole.metrics() if entry["name"] == "train/loss"]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return f"losses are not finite: {losses}"
    first, last = (mean_loss(whole, at) for at in (steps // 2, steps))
    if not last < first:
        return f"the loss of the same items does not fall: {first:.4f} after {steps // 2} steps, {last:.4f} later"
    return hidden(whole) or resumed(folder, steps)


def items_and_step(run: Any) -> tuple[list[Any], Step]:
    data = run.part("data")
    return list(items_of(data, "train", Step(run.seed).fork("look")))[:32], Step(run.seed, 0, 1)


def mean_loss(run: Any, at: int) -> float:
    """The loss of the first items under the same masks, with the weights of a checkpoint."""
    objective = run.part("objective", at=at)
    items, step = items_and_step(run)
    objective.eval()
    with torch.no_grad():
        return float(objective(collate(items, range(len(items)), objective.prepare, step), step).value)


def hidden(run: Any) -> str:
    """Whether as many units are hidden as were asked for; objectives without a masker hide none."""
    objective = run.part("objective")
    if not all(hasattr(objective, name) for name in ("encoder", "masker", "ratio")):
        return ""
    items, step = items_and_step(run)
    batch = collate(items, range(len(items)), objective.prepare, step)
    chosen = choose(objective.encoder, objective.masker, objective.ratio, batch, step)
    valid = objective.encoder.units(batch).valid
    if bool((chosen & ~valid).any()):
        return "units are hidden that never may be"
    ratio = objective.ratio
    share = ratio(step.done) if callable(ratio) else float(ratio)
    asked = torch.floor(torch.as_tensor(share, dtype=torch.float64) * valid.sum(dim=1) + 0.5)
    missed = (chosen.sum(dim=1) - asked).abs()
    if not getattr(objective.masker, "may_miss", False) and int(missed.max()) > AWAY:
        return f"{int(missed.max())} units more or fewer are hidden in a row than asked for"
    return ""


def resumed(folder: Path, steps: int) -> str:
    """A run that is cut back to its first checkpoint and resumed ends in the same bytes."""
    part = folder / "part"
    shutil.copytree(folder / "whole", part)
    shutil.rmtree(part / "checkpoints" / f"{steps:08d}")
    status = json.loads((part / "status.json").read_text())
    (part / "status.json").write_text(json.dumps({**status, "status": "interrupted"}))
    api.resume(part)
    for name in (
        "metrics.jsonl",
        f"checkpoints/{steps:08d}/model.safetensors",
        f"checkpoints/{steps:08d}/state.json",
    ):
        if (part / name).read_bytes() != (folder / "whole" / name).read_bytes():
            return f"a resumed run differs in {name}"
    return ""
