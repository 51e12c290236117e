"""Whole training runs of a tiny autoencoder: what recipe:train promises, through the public interface."""

import copy
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import maskwright as mw
from maskwright import Step, UserError, api
from maskwright.cli.main import main
from maskwright.errors import RecipeError
from maskwright_testing import assert_run_folders_equal, assert_user_error
from maskwright_torch.part import digest
from maskwright_vision.mae import Mae

SMALL: dict[str, Any] = {
    "use": "train",
    "steps": 8,
    "batch": 8,
    "log_every": 2,
    "checkpoint_every": 4,
    "device": "cpu",
    "data": {"use": "shapes", "size": 16, "count": 24, "test_count": 12},
    "objective": {
        "use": "mae",
        "decoder_width": 16,
        "decoder_depth": 1,
        "decoder_heads": 2,
        "encoder": {"use": "vit", "image": 16, "patch": 4, "width": 16, "depth": 2, "heads": 2},
    },
}


def train(out: Path, seed: int = 1, **settings: Any) -> api.LoadedRun:
    """Run the recipe with settings by path: `objective__ratio=0.5`."""
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return api.run(copy.deepcopy(SMALL), changes, seed=seed, out=out, pictures=False)


def weights(run: api.LoadedRun, number: int = 8) -> dict[str, torch.Tensor]:
    return load_file(run.folder / f"checkpoints/{number:08d}/model.safetensors")


def losses(run: api.LoadedRun) -> list[float]:
    return [entry["value"] for entry in run.metrics() if entry["name"] == "train/loss"]


def test_the_loss_falls_and_the_log_has_means_of_its_steps(tmp_path: Path):
    run = train(tmp_path / "a", steps=60, lr=3e-3, log_every=10)
    assert losses(run)[-1] < 0.9 * losses(run)[0]
    names = {entry["name"] for entry in run.metrics()}
    assert names == {"train/loss", "train/hidden", "train/grad_norm", "train/lr"}
    every = train(tmp_path / "b", steps=60, lr=3e-3, log_every=1)
    means = [sum(losses(every)[i : i + 10]) / 10 for i in range(0, 60, 10)]
    assert losses(run) == pytest.approx(means, rel=1e-12)


def test_workers_change_nothing_and_bf16_little(tmp_path: Path):
    plain, workers = train(tmp_path / "a"), train(tmp_path / "b", workers=2)
    assert plain.metrics() == workers.metrics()
    assert all(torch.equal(t, weights(workers)[n]) for n, t in weights(plain).items())
    half = train(tmp_path / "c", precision="bf16")
    assert losses(half) == pytest.approx(losses(plain), rel=0.02)
    assert losses(half) != losses(plain)
    assert all(t.dtype == torch.float32 for t in weights(half).values() if t.is_floating_point())


def test_no_step_at_all_and_fewer_items_than_a_batch(tmp_path: Path):
    run = train(tmp_path / "a", steps=0, evaluators=["reconstruction"])
    assert run.status["status"] == "finished"
    assert digest(run.part("objective.encoder")) == digest(run.part("objective.encoder", at=0))
    few = train(tmp_path / "b", batch=100, epochs=3, steps=None)
    assert few.status["step"] == 3
    assert (
        "the data has 24 items, so every batch holds 24 and not 100" in (few.folder / "log.txt").read_text()
    )


def test_evaluators_have_their_turn_and_the_best_checkpoint_stays(tmp_path: Path):
    run = train(
        tmp_path / "a",
        steps=20,
        keep=1,
        evaluate_every=5,
        best="rank/effective_rank",
        evaluators=[
            {"use": "feature-rank", "as": "rank", "every": 2},
            {"use": "reconstruction"},
        ],
    )
    ranks = {e["step"]: e["value"] for e in run.metrics() if e["name"] == "rank/effective_rank"}
    assert list(ranks) == list(range(2, 21, 2)), "an entry's own `every` wins"
    psnr = [e["step"] for e in run.metrics() if e["name"] == "reconstruction/psnr"]
    assert psnr == [5, 10, 15, 20]
    before_the_end = {step: value for step, value in ranks.items() if step < 20}
    spared = max(before_the_end, key=lambda step: (before_the_end[step], -step))
    kept = sorted(int(path.name) for path in (run.folder / "checkpoints").iterdir())
    assert kept == sorted({spared, 20})
    best = max(kept, key=lambda step: (ranks[step], -step))  # the last evaluation counts too
    mine = run.part("objective.encoder", at="best")
    state = {n.removeprefix("encoder."): t for n, t in weights(run, best).items() if n.startswith("encoder.")}
    assert all(torch.equal(t, state[n]) for n, t in mine.state_dict().items())
    last = train(tmp_path / "b", best="reconstruction/mse", evaluators=["reconstruction"])
    assert digest(last.part("objective", at="best")) == digest(last.part("objective")), (
        "evaluated at the end only"
    )


def test_unknown_best_and_unknown_checkpoints_are_told(tmp_path: Path):
    with pytest.raises(UserError, match='no evaluator reports "rank/none"') as caught:
        train(tmp_path / "a", best="rank/none", evaluators=[{"use": "feature-rank", "as": "rank"}])
    assert "rank/effective_rank" in caught.value.cure
    run = train(tmp_path / "b")
    assert_user_error(lambda: run.part("objective", at=3), 'has no checkpoint "3"', "4, 8")
    assert_user_error(
        lambda: run.part("objective", at="best"), 'has no checkpoint "best"', "followed no metric"
    )


def test_a_loss_that_is_no_number_stops_and_keeps_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    healthy = Mae.loss

    def poisoned(self: Mae, batch: Any, hidden: Any) -> Any:
        loss = healthy(self, batch, hidden)
        if self.steps_seen == 6:
            return type(loss).of(loss.terms["loss"].sum * float("nan"), loss.terms["loss"].count)
        self.steps_seen += 1
        return loss

    monkeypatch.setattr(Mae, "steps_seen", 0, raising=False)
    monkeypatch.setattr(Mae, "loss", poisoned)
    with pytest.raises(UserError, match="the loss became nan at step 6") as caught:
        train(tmp_path / "a")
    assert "learning rate" in caught.value.why and "Kept is checkpoints/00000005" in caught.value.why
    assert "lower lr" in caught.value.cure
    run = api.load(tmp_path / "a")
    assert run.status["status"] == "failed"
    assert all(bool(t.isfinite().all()) for t in weights(run, 5).values())
    monkeypatch.undo()
    whole = train(tmp_path / "b")
    api.resume(tmp_path / "a", pictures=False)
    assert all(torch.equal(t, weights(whole)[n]) for n, t in weights(run).items()), "the kept state was sound"


class Normed(Mae):
    """With running means, which a forward pass changes."""

    def __init__(self, *parts: Any, **settings: Any) -> None:
        super().__init__(*parts, **settings)
        self.means = torch.nn.BatchNorm1d(16, affine=False)

    def loss(self, batch: Any, hidden: Any) -> Any:
        loss = super().loss(batch, hidden)
        self.means(loss.encoded.pooled * (float("nan") if self.means.num_batches_tracked >= 6 else 1.0))
        spoiled = loss.terms["loss"].sum + 0 * self.means.running_var.mean()
        return type(loss).of(spoiled, loss.terms["loss"].count)


def test_the_trial_on_two_rows_leaves_no_trace_and_a_bad_pass_spoils_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("maskwright_vision.mae.Mae", Normed)
    with pytest.raises(UserError, match="nan at step 7") as caught:
        train(tmp_path / "a", checkpoint_every=6)
    assert "Kept is checkpoints/00000006" in caught.value.why
    state = weights(api.load(tmp_path / "a"), 6)
    assert int(state["means.num_batches_tracked"]) == 6, "the trial is not counted"
    assert bool(state["means.running_mean"].isfinite().all())
    keep = json.loads((tmp_path / "a/checkpoints/00000006/keep.json").read_text())
    assert not keep.get("passing"), "a regular checkpoint stays one"


def test_going_on_with_other_settings_is_refused_by_name(tmp_path: Path):
    run = train(tmp_path / "a")
    state = json.loads((run.folder / "status.json").read_text())
    (run.folder / "status.json").write_text(json.dumps(state | {"status": "interrupted"}))
    resolved = json.loads((run.folder / "resolved.json").read_text())
    (run.folder / "resolved.json").write_text(json.dumps(resolved | {"lr": 0.5, "steps": 12, "workers": 1}))
    assert_user_error(
        lambda: api.resume(run.folder, pictures=False),
        "begun with other settings",
        "lr: 0.001 -> 0.5",
        "steps: 8 -> 12",
    )
    (run.folder / "resolved.json").write_text(json.dumps(resolved | {"workers": 1}))
    api.resume(run.folder, pictures=False)


def interrupt_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while that step is under way."""
    from maskwright.progress import QuietProgress

    def advance(self: Any, done: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(QuietProgress, "advance", advance)


@pytest.mark.parametrize("step", [3, 4, 5, 8])
def test_ctrl_c_saves_and_leaves_no_trace(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the middle, at a regular checkpoint, right after one that `best` asked for, and in the last step."""
    settings = {
        "keep": 9,
        "best": "rank/effective_rank",
        "evaluators": [{"use": "feature-rank", "as": "rank", "every": 5}],
    }
    whole = train(tmp_path / "whole", **settings)
    interrupt_after(step, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", **settings)
    monkeypatch.undo()
    stopped = api.load(tmp_path / "stopped")
    assert stopped.status["status"] == "interrupted"
    assert max(int(path.name) for path in (stopped.folder / "checkpoints").iterdir()) == step
    api.resume(stopped.folder, pictures=False)
    assert_run_folders_equal(whole.folder, stopped.folder)


def test_evaluators_see_pictures_as_they_are(tmp_path: Path):
    """Around a data set, augmentation is for training: a probe must not learn from crops."""
    data = {"use": "shapes", "size": 16, "count": 60, "test_count": 60}
    evaluators = [{"use": "linear-probe", "as": "probe"}]
    plain = train(tmp_path / "a", steps=0, data=data, evaluators=evaluators)
    inner = {"use": "augmented", "inner": data, "crop": "random", "shift": 3}
    for name, around in (("b", inner), ("c", {"use": "subset", "inner": inner, "count": 60})):
        run = train(tmp_path / name, steps=0, data=around, evaluators=evaluators)
        found = run.last_metrics()["probe/raw_pixels_accuracy"]
        assert found == plain.last_metrics()["probe/raw_pixels_accuracy"]


def test_the_accuracy_of_a_fine_tuned_model(tmp_path: Path):
    raw = copy.deepcopy(SMALL)
    encoder = {**raw["objective"]["encoder"], "pool": "mean", "final_norm": False}
    raw["objective"] = {"use": "classify", "classes": 6, "encoder": encoder}
    run = api.run(raw, {"evaluators": ["accuracy"]}, seed=1, out=tmp_path / "a", pictures=False)
    found = run.last_metrics()
    assert 0 <= found["accuracy/accuracy"] <= 1 and found["accuracy/loss"] > 0
    assert run.pipelines() == ["label", "embed"], "the default first"
    digits = api.plan(
        {"use": "evaluate", "subject": str(run.folder), "data": "digits", "evaluators": ["accuracy"]}
    )
    assert_user_error(
        lambda: api.start(digits, tmp_path / "b", pictures=False), "the label 9", "knows 6 classes"
    )


def test_parts_that_do_not_fit_fail_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(self: Mae, batch: Any, hidden: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Mae, "loss", broken)
    with pytest.raises(UserError, match="do not work together") as caught:
        train(tmp_path / "a")
    assert "mat1 and mat2" in caught.value.why

    def full(self: Mae, batch: Any, hidden: Any) -> Any:
        raise torch.OutOfMemoryError("tried to allocate 20 GiB")

    monkeypatch.setattr(Mae, "loss", full)
    with pytest.raises(UserError, match="not enough memory"):
        train(tmp_path / "b")
    assert not (tmp_path / "a/checkpoints").exists()


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"steps": None}, "steps", "give steps or epochs"),
        ({"epochs": 2.0}, "steps", "give steps or epochs"),
        ({"accumulate": 9}, "accumulate", "9 pieces of a batch of 8 rows"),
        ({"best": "loss"}, "best", "EVALUATOR/METRIC"),
        ({"lr_shape": "cosine-of-uniform"}, "lr_shape", "refuses per-row"),
        ({"objective.ratio": {"use": "cosine-of-uniform"}}, "objective.ratio", "refuses per-row"),
        ({"objective.encoder.image": 18}, "objective.encoder.image", "no multiple of the patch 4; near it: 16 or 20"),
        ({"objective.encoder.heads": 3}, "objective.encoder.width", "16 is no multiple of 3 heads"),
        ({"objective.decoder_width": 18}, "objective.decoder_width", "no multiple of 2 heads and of 4"),
        ({"objective.encoder.mean": [0.1, 0.2]}, "objective.encoder.mean", "one number for each of 1 channels"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_starts(changes: dict[str, Any], path: str, text: str):
    with pytest.raises(RecipeError) as caught:
        mw.plan(copy.deepcopy(SMALL), changes).require()
    found = {mistake.path: mistake.message for mistake in caught.value.mistakes}
    assert text in found[path], found


def test_an_objective_that_compares_rows_cannot_be_accumulated():
    raw = copy.deepcopy(SMALL)
    raw["objective"] = {"use": "classify", "classes": 6, "mixup": 0.8, "encoder": raw["objective"]["encoder"]}
    (mistake,) = mw.plan(raw, {"accumulate": 2}).mistakes
    assert mistake.path == "accumulate" and "compares the rows" in mistake.message
    assert not mw.plan(raw).mistakes


def test_an_encoder_goes_on_frozen_and_its_source_is_watched(tmp_path: Path):
    first = train(tmp_path / "first")
    raw = copy.deepcopy(SMALL)
    encoder = {"use": "from-run", "run": str(first.folder), "part": "objective.encoder"}
    raw["objective"] = {"use": "classify", "classes": 6, "trained_blocks": 0, "encoder": encoder}
    run = api.run(raw, seed=2, out=tmp_path / "probe", pictures=False)
    assert not [name for name in weights(run) if name.startswith("encoder.")], (
        "frozen weights are not saved again"
    )
    source = digest(first.part("objective.encoder"))
    assert digest(run.part("objective.encoder")) == source
    assert digest(run.part("objective").encoder) == source
    again = api.run(
        {**SMALL, "objective": {"use": "from-run", "run": str(run.folder), "part": "objective"}},
        seed=3,
        out=tmp_path / "again",
        pictures=False,
    )
    assert digest(again.part("objective").encoder) == source
    kept = api.run(raw, {"keep_frozen": True}, seed=2, out=tmp_path / "kept", pictures=False)
    assert [name for name in weights(kept) if name.startswith("encoder.")]
    # Another source under the same name: going on is refused by the hash.
    state = json.loads((run.folder / "status.json").read_text())
    (run.folder / "status.json").write_text(json.dumps(state | {"status": "interrupted"}))
    other = train(tmp_path / "other", seed=5)
    for number in (4, 8):
        folder = first.folder / f"checkpoints/{number:08d}"
        for path in (other.folder / f"checkpoints/{number:08d}").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    assert_user_error(
        lambda: api.resume(run.folder, pictures=False), 'the frozen part "encoder" is not the one', "sha256"
    )
    for part in ("objective", "objective.encoder"):
        assert_user_error(lambda part=part: run.part(part), "is not the one", "sha256")
    assert digest(kept.part("objective").encoder) == source, "kept in the checkpoint, it needs no source"


def test_a_fitted_target_is_fitted_once_and_travels(tmp_path: Path):
    run = train(tmp_path / "a", objective__target="pca", objective__components=4)
    assert (run.folder / "parts/objective/model.safetensors").is_file()
    basis = run.part("objective").target.basis
    assert float(basis.norm()) == pytest.approx(2.0, abs=1e-4), "four unit vectors"
    assert torch.equal(weights(run)["target.basis"], basis)


def test_from_run_with_another_picture_size(tmp_path: Path):
    run = train(tmp_path / "a")
    part = {"use": "from-run", "run": str(run.folder), "part": "objective", "set": {"encoder": {"image": 32}}}
    larger = api.run({**SMALL, "objective": part}, seed=2, out=tmp_path / "b", pictures=False)
    assert larger.part("objective").encoder.grid == (8, 8)


def test_a_picture_file_filled_and_a_folder_embedded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = train(tmp_path / "a")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        pixels = np.full((20, 24), 80 * number, dtype=np.uint8)
        pixels[4:12, 6:14] = 255
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    out = tmp_path / "filled.png"
    assert main(["apply", str(run.folder), str(folder / "p1.png"), "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size[0] > picture.size[1], "three pictures side by side"
    features = tmp_path / "features.npz"
    assert main(["apply", f"{run.folder}:embed", str(folder), "--out", str(features)]) == 0
    with np.load(features, allow_pickle=False) as arrays:
        assert arrays["vector"].shape == (3, 16) and arrays["id"].tolist() == ["p0.png", "p1.png", "p2.png"]
    encoder = run.part("objective.encoder")
    (item,) = encoder.read(str(folder / "p1.png"))
    alone = next(iter(run.pipeline("embed")([item], Step())))["vector"]
    with np.load(features, allow_pickle=False) as arrays:
        assert np.allclose(arrays["vector"][1], alone, atol=1e-5)
    capsys.readouterr()
    assert main(["apply", f"{run.folder}:embed", str(folder), "--out", str(tmp_path / "x.png")]) == 2
    assert "writes no .png files" in capsys.readouterr().err


def test_a_filled_picture_keeps_what_was_visible(tmp_path: Path):
    run = train(tmp_path / "a", objective__target="pixels")
    items = [{"id": "one", "pixels": np.arange(256, dtype=np.uint8).reshape(16, 16, 1)}]
    (made,) = run.pipeline("fill")(items, Step())
    hidden = np.kron(made["hidden"], np.ones((4, 4), dtype=bool))
    assert made["hidden"].sum() == 12
    assert np.array_equal(made["filled"][..., 0][~hidden], items[0]["pixels"][..., 0][~hidden])
    (half,) = run.pipeline("fill", ["ratio=0.5"])(items, Step())
    assert half["hidden"].sum() == 8
    assert_user_error(
        lambda: list(run.pipeline("fill", ["passes=3"])(items, Step())), "does not say how sure", "passes=1"
    )
