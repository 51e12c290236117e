"""Whole runs: depth 0 is recipe:train on the objective alone; workers, pieces, ranks and a resume change nothing."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from meta_cases import SMALL, items, run, two_tasks
from safetensors.torch import load_file

from maskwright import UserError, api
from maskwright_meta.meta import Meta
from maskwright_meta.params_encoders import BagOfWords
from maskwright_meta.params_objectives import Meta as MetaParams
from maskwright_testing import assert_run_folders_equal
from maskwright_testing.listed_data import ListedData
from maskwright_torch.params_classify import Classify
from maskwright_torch.params_train import Train

STEPS = SMALL["steps"]


def values(folder: Path) -> dict[tuple[int, str], float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {(entry["step"], entry["name"]): entry["value"] for entry in map(json.loads, lines)}


def last(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / f"checkpoints/{STEPS:08d}/{name}.safetensors")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """(step, rows, task of each row) of every batch and piece."""
    found: list[Any] = []
    usual = Meta.forward

    def watched(self, batch, step):
        tasks = batch["task"].tolist() if "task" in batch else []
        found.append((step.number, batch["rows"].tolist(), tasks))
        return usual(self, batch, step)

    monkeypatch.setattr(Meta, "forward", watched)
    return found


def taken(found: list[Any]) -> list[Any]:
    """All but the trial before the first step, since the last call."""
    batches = found[1:]
    found.clear()
    return batches


def classify() -> Classify:
    encoder = BagOfWords(buckets=32, width=8, embedding=6, depth=1)
    return Classify(encoder=encoder, classes=2, head_std=0.1, layer_decay=0.7)


def test_depth_zero_equals_plain_training_bit_for_bit(tmp_path: Path):
    """Weights, what the optimiser remembers, and every line of the metrics: from the same seed, in its own order."""
    data = ListedData({"train": items(30)})
    settings: dict[str, Any] = {
        "steps": STEPS,
        "batch": 7,
        "log_every": 1,
        "checkpoint_every": 4,
        "device": "cpu",
    }
    for name, objective in (("plain", classify()), ("meta", MetaParams(tasks=[classify()], depth=0.0))):
        train = Train(data=data, objective=objective, **settings)
        api.run(train, seed=5, out=tmp_path / name, pictures=False)
    assert (tmp_path / "plain/metrics.jsonl").read_bytes() == (tmp_path / "meta/metrics.jsonl").read_bytes()
    for name in ("model", "optimizer"):
        ours, theirs = last(tmp_path / "meta", name), last(tmp_path / "plain", name)
        assert ours.keys() == {f"tasks.classify.{key}" for key in theirs}
        assert all(torch.equal(ours[f"tasks.classify.{key}"], tensor) for key, tensor in theirs.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"objective.depth": 0},
        {"objective.depth": 1, "objective.episode": "same"},
        {"objective.depth": 1, "objective.order": "first", "objective.learn_rate": True},
        {"objective.depth": {"use": "linear", "start": 0.0, "end": 1.0}},
    ],
)
def test_workers_pieces_and_a_resume_change_nothing(tmp_path: Path, seen: list[Any], changes: dict[str, Any]):
    recipe, changes = two_tasks(), {**changes, "precision": "fp64"}
    run(recipe, tmp_path / "whole", changes)
    batches = taken(seen)
    assert [number for number, _, _ in batches] == list(range(STEPS))
    assert {task for _, _, tasks in batches for task in tasks} == {0, 1}
    for workers in (1, 2):
        run(recipe, tmp_path / f"workers-{workers}", {**changes, "workers": workers})
        assert taken(seen) == batches
        assert_run_folders_equal(tmp_path / "whole", tmp_path / f"workers-{workers}")
    run(recipe, tmp_path / "pieces", {**changes, "accumulate": 2})
    pieces = taken(seen)
    together = [(a[0], a[1] + b[1], a[2] + b[2]) for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
    assert together == batches
    found, wanted = values(tmp_path / "pieces"), values(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key], rel=1e-9, abs=1e-12) for key in wanted)
    api.resume(unfinished(tmp_path / "whole", tmp_path / "resumed"), pictures=False)
    assert taken(seen) == batches[4:]
    assert_run_folders_equal(tmp_path / "whole", tmp_path / "resumed")


def unfinished(whole: Path, out: Path) -> Path:
    """A copy of a run as it is when the process dies after its step 4 was kept."""
    shutil.copytree(whole, out)
    shutil.rmtree(out / f"checkpoints/{STEPS:08d}")
    state = json.loads((out / "status.json").read_text())
    (out / "status.json").write_text(json.dumps(state | {"status": "interrupted"}))
    return out


def test_episodes_of_one_row_are_trained_on(tmp_path: Path):
    """The trial before the first step takes a batch of batches as it is."""
    run(two_tasks(), tmp_path / "run", {"steps": 1, "objective.depth": 0, "objective.episodes": 16})
    assert (1, "train/loss") in values(tmp_path / "run")


def test_two_processes_equal_one(tmp_path: Path):
    """Episodes are dealt whole, so that the result is that of one process."""
    recipe = two_tasks() | {"precision": "fp64"}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe))
    run(recipe, tmp_path / "one")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "maskwright", "run", path, "-q", "--no-pictures", "--out", tmp_path / "two"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, wanted = values(tmp_path / "two"), values(tmp_path / "one")
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key], rel=1e-6) for key in wanted)


def test_recomputed_pieces_equal_a_whole_batch(tmp_path: Path):
    changes = {"precision": "fp64", "objective.learn_rate": True}
    run(two_tasks(), tmp_path / "whole", changes)
    run(two_tasks(), tmp_path / "pieces", {**changes, "accumulate": 2, "objective.recompute": True})
    found, wanted = values(tmp_path / "pieces"), values(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key], rel=1e-9, abs=1e-12) for key in wanted)


def test_a_batch_may_hold_more_rows_than_there_are_items(tmp_path: Path, seen: list[Any]):
    """Episodes are drawn apart from each other, so items come again in the next one."""
    recipe = two_tasks() | {"batch": 96}
    recipe["objective"] |= {"episodes": 12}
    run(recipe, tmp_path / "run", {"steps": 1})
    assert [len(rows) for _, rows, _ in taken(seen)] == [96]
    assert "so every batch holds" not in (tmp_path / "run/log.txt").read_text()


def test_an_episode_is_never_cut(tmp_path: Path):
    with pytest.raises(
        UserError, match="a batch of 16 rows cannot be cut into 1 ranks × 3 pieces of 8 rows at least"
    ):
        run(two_tasks(), tmp_path / "run", {"accumulate": 3})


def test_tasks_are_drawn_anew_in_every_update_and_by_seed(tmp_path: Path, seen: list[Any]):
    run(two_tasks(), tmp_path / "a")
    first = taken(seen)
    api.run(two_tasks(), {}, seed=1, out=tmp_path / "b", pictures=False)
    second = taken(seen)
    assert len({tuple(tasks) for _, _, tasks in first}) > 2
    assert [tasks for _, _, tasks in first] != [tasks for _, _, tasks in second]
    episodes = [rows[start : start + 8] for _, rows, _ in first for start in (0, 8)]
    assert all(len(set(rows)) == 8 for rows in episodes), "no item twice in an episode"


def test_the_log_says_how_attention_is_computed(tmp_path: Path):
    run(SMALL, tmp_path / "a")
    log = (tmp_path / "a/log.txt").read_text()
    assert log.count("second-order inner steps use torch's plain attention (SDPBackend.MATH)") == 1
    run(SMALL, tmp_path / "b", {"objective.order": "first"})
    assert "SDPBackend" not in (tmp_path / "b/log.txt").read_text()


def test_learned_rates_are_learned_and_kept(tmp_path: Path):
    run(SMALL, tmp_path / "a", {"objective.learn_rate": True, "objective.inner_rate_per": "layer"})
    rates = {k: v for k, v in last(tmp_path / "a", "model").items() if k.startswith("rates")}
    assert len(rates) == 3 and all(float(rate) != pytest.approx(0.3) for rate in rates.values())


def test_training_lowers_the_loss_after_the_steps(tmp_path: Path):
    run(SMALL, tmp_path / "a", {"steps": 60, "batch": 32})
    losses = [value for (_, name), value in sorted(values(tmp_path / "a").items()) if name == "train/loss"]
    assert sum(losses[-10:]) / 10 < sum(losses[:10]) / 10 - 0.05


def test_the_recipe_of_the_read_me_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    recipe = tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])
    for name, classes in (("mood", 2), ("topic", 3)):
        rows = [{"text": f"text number {n}", "label": f"label {n % classes}"} for n in range(120)]
        path = tmp_path / f"tasks/{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    small = {"steps": 2, "log_every": 1, "objective.tasks.mood.encoder.width": 16}
    run(recipe, tmp_path / "run", small)
    assert (2, "train/loss") in values(tmp_path / "run")
