"""What "works" means for a combination that runs: finite, falling, the counts that were asked for, and resumable."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch

from maskwright import Step, api
from maskwright.contracts import items_of
from maskwright.tree import index_of, tags_of
from maskwright_torch.batches import collate
from maskwright_torch.masking import choose, counts_of, ratios

AWAY = 2
"""Units by which a row may miss the count asked for where a masker takes whole words."""

CLOSE = 1e-4
"""In fp32: sums over fewer units round in another way."""


def check_run(whole: api.LoadedRun, steps: int) -> str:
    """Look at a run of so many steps and resume it; what is wrong, empty where nothing is."""
    losses = [entry["value"] for entry in whole.metrics() if entry["name"] == "train/loss"]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return f"losses are not finite: {losses}"
    first, last = (mean_loss(whole, at) for at in (steps // 2, steps))
    if not last < first:
        return f"the loss of the same items does not fall: {first:.4f} after {steps // 2} steps, {last:.4f} later"
    return hidden(whole) or pruned(whole) or resumed(whole.folder, steps)


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
    objective = innermost(run.part("objective"))
    if not all(hasattr(objective, name) for name in ("encoder", "masker", "ratio")):
        return ""
    items, step = items_and_step(run)
    batch = collate(items, range(len(items)), objective.prepare, step)
    chosen = choose(objective.encoder, objective.masker, objective.ratio, batch, step)
    units = objective.encoder.units(batch)
    if bool((chosen & ~units.valid).any()):
        return "units are hidden that never may be"
    asked = counts_of(ratios(objective.ratio, step, units.rows), units.valid)
    missed = int((chosen.sum(dim=1) - asked).abs().max())
    if missed > AWAY and not misses(run):
        return f"{missed} units more or fewer are hidden in a row than asked for"
    return ""


def misses(run: Any) -> bool:
    """Whether the masker says that its counts are not exact."""
    index = index_of(run.tree)
    return any("inexact-count" in tags_of(node, index) for node in index.values() if node.kind == "masker")


def innermost(objective: Any) -> Any:
    """The objective that others wrap, itself where none does."""
    while True:
        if hasattr(objective, "tasks"):
            (objective,) = objective.tasks.values()
        elif hasattr(objective, "gates"):
            objective = objective.inner
        else:
            return objective


def pruned(run: Any) -> str:
    """Whether as many units are gone as were asked for, and the small encoder does what the one with zeros does."""
    if "compact" not in run.parts():
        return ""
    objective, small = run.part("objective"), run.part("compact")
    asked = objective.sparsity(1.0)
    pairs = zip(zip(*small.shape, strict=True), zip(*small.whole, strict=True), strict=True)
    missed = [math.floor(asked * sum(whole) + 1e-6) - (sum(whole) - sum(left)) for left, whole in pairs]
    if missed[1] or missed[0] != int(objective.held_back):
        return f"of heads and neurons {missed} more are there than asked for"
    items, step = items_and_step(run)
    zeros = run.part("objective.inner.encoder")
    batch = collate(items, range(len(items)), zeros.prepare, step)
    with torch.no_grad():
        away = float((small.eval()(batch).pooled - zeros.eval()(batch).pooled).abs().max())
    return "" if away < CLOSE else f"the small encoder differs from the one with zeros by {away:.2g}"


def resumed(whole: Path, steps: int) -> str:
    """A run that is cut back to its first checkpoint and resumed ends in the same bytes."""
    part = whole.with_name("part")
    shutil.copytree(whole, part)
    shutil.rmtree(part / "checkpoints" / f"{steps:08d}")
    status = json.loads((part / "status.json").read_text())
    (part / "status.json").write_text(json.dumps({**status, "status": "interrupted"}))
    api.resume(part)
    for name in (
        "metrics.jsonl",
        f"checkpoints/{steps:08d}/model.safetensors",
        f"checkpoints/{steps:08d}/state.json",
    ):
        if (part / name).read_bytes() != (whole / name).read_bytes():
            return f"a resumed run differs in {name}"
    return ""
