"""Whole pruning runs on toys, through the public interface: what is pruned when, resuming, what comes out."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import cap_toys
import numpy as np
import pytest
import torch
from cap_toys import CLASSIFY, SMALL, run, series, toys_alone
from safetensors.torch import load_file

from maskwright import Step, api
from maskwright.contracts import items_of
from maskwright_cap.banks import Banks
from maskwright_cap.cap import Cap
from maskwright_testing import assert_run_folders_equal, assert_user_error
from maskwright_torch.classify import Classify
from maskwright_torch.contracts import Loss
from maskwright_torch.inference import in_use, prepared

FORK = multiprocessing.get_context("fork")


pytestmark = pytest.mark.usefixtures("toys")


def weights(made: api.LoadedRun, number: int = 12) -> dict[str, torch.Tensor]:
    return load_file(made.folder / f"checkpoints/{number:08d}/model.safetensors")


def test_without_weights_of_its_own_it_is_plain_pruning(tmp_path: Path):
    """And where nothing is pruned, plain fine-tuning: step by step, bit for bit."""
    off = {"objective__prc": False, "objective__snc": False}
    plain = run(tmp_path / "plain", {**SMALL, "objective": SMALL["objective"]["inner"]})
    wrapped = run(tmp_path / "wrapped", objective__sparsity=0.0, **off)
    assert series(wrapped, "loss") == series(plain, "loss")
    inner = {n.removeprefix("inner."): t for n, t in weights(wrapped).items() if n.startswith("inner.")}
    assert all(torch.equal(t, inner[n]) for n, t in weights(plain).items())
    zero = run(tmp_path / "zero", objective__unsupervised=0.0, objective__supervised=0.0)
    pruned = run(tmp_path / "pruned", **off)
    assert series(zero, "loss") == series(pruned, "loss")
    assert series(pruned, "loss")[:3] == series(plain, "loss")[:3]
    assert series(pruned, "loss")[4:] != series(plain, "loss")[4:]


def test_what_is_pruned_when_and_what_is_kept_of_it(taught: dict[str, Any], tmp_path: Path):
    made = run(tmp_path / "a", **taught)
    share = series(made, "sparsity")
    assert share[:3] == [0.0] * 3 and share[3:6] == [0.25] * 3 and share[-1] == 0.75
    folders = sorted(path.name for path in (made.folder / "banks").iterdir())
    assert folders == ["fine-00000000", "pre-00000000", "snap-00000003", "snap-00000006", "snap-00000009"]
    names = {entry["name"].removeprefix("train/") for entry in made.metrics()}
    assert {"kd", "loss", "prc_same_item", "prc_same_label", "snc_same_item", "fic_same_label"} <= names
    assert not [path for path in weights(made) if path.startswith("teacher")], "the teacher is read again"
    objective = made.part("objective")
    opened = [int(gate.open.sum()) for gate in objective.gates.gates]
    assert sum(opened[0::2]) == 2 and min(opened[0::2]) == 1, "a head stays in each block"
    assert sum(opened[1::2]) == 16 and int(objective.held_back) == 0


def test_what_is_closed_stays_closed_and_zero_while_training_goes_on(tmp_path: Path):
    made = run(tmp_path / "a", keep=20, checkpoint_every=1)
    before = torch.zeros(0)
    for number in range(1, 13):
        state = weights(made, number)
        closed = ~torch.cat([state[f"gates.gates.{n}.open"] for n in range(4)])
        assert not len(before) or bool((closed | ~before).all()), "never opened again"
        before = closed
        neurons = state["gates.gates.1.open"]
        assert float(state["inner.encoder.blocks.0.mlp.fc2.weight"][:, ~neurons].abs().sum()) == 0.0
    assert int(before.sum()) == 6 + 48


def test_the_compact_part_gives_what_the_pruned_encoder_gives(small_run: api.LoadedRun, tmp_path: Path):
    made = small_run
    objective, small = made.part("objective"), made.part("compact")
    assert small.shape == objective.compacted().shape != [[4, 32], [4, 32]]
    dense = made.part("objective.inner.encoder")
    batch = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}
    with in_use(objective), in_use(small), in_use(dense):
        wanted = objective.encoder(batch).pooled
        torch.testing.assert_close(small(batch).pooled, wanted, rtol=0, atol=1e-5)
        torch.testing.assert_close(dense(batch).pooled, wanted, rtol=0, atol=1e-5)
    again = run(
        tmp_path / "b",
        {**SMALL, "objective": CLASSIFY},
        objective__encoder={"use": "from-run", "run": str(made.folder), "part": "compact"},
        steps=2,
    )
    assert again.part("objective.encoder").shape == small.shape
    further = run(
        tmp_path / "c",
        objective__inner__encoder={"use": "from-run", "run": str(made.folder), "part": "compact"},
        objective__sparsity={"use": "steps", "start": 0.0, "end": 0.5, "count": 2},
    )
    total = sum(heads for heads, _ in small.shape)
    assert sum(heads for heads, _ in further.part("compact").shape) == max(total - total // 2, 2)


@pytest.mark.parametrize(
    "settings",
    [
        {"pruned": "heads"},
        {"pruned": "neurons", "per": "example", "importance_items": 12},
        {"criterion": "magnitude", "chooser": "random"},
        {"pruned": "weights", "criterion": "magnitude", "scope": "all"},
        {"pruned": "weights", "criterion": "movement", "snapshot_every": 4},
    ],
)  # fmt: skip
def test_every_way_of_pruning_reaches_its_share(settings: dict[str, Any], tmp_path: Path):
    made = run(tmp_path / "a", **{f"objective__{name}": value for name, value in settings.items()})
    assert series(made, "sparsity")[-1] == pytest.approx(0.75, abs=0.005)
    objective = made.part("objective")
    plain = made.part("objective.inner.encoder")
    batch = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}
    with in_use(objective), in_use(plain):
        torch.testing.assert_close(plain(batch).pooled, objective.encoder(batch).pooled, rtol=0, atol=1e-5)
    if settings.get("snapshot_every"):
        snaps = sorted(path.name for path in (made.folder / "banks").glob("snap-*"))
        assert snaps == ["snap-00000004", "snap-00000008"]
    if settings.get("pruned") == "weights":
        assert not (made.folder / "parts" / "compact").exists(), "zeros have no smaller shape"


def test_soft_movement_prunes_by_threshold_and_pays_for_what_is_kept(tmp_path: Path):
    settings = {
        "objective__pruned": "weights",
        "objective__criterion": "soft-movement",
        "objective__penalty": 50.0,
    }
    curve = {"use": "cubic", "start": 0.0, "end": 0.5}
    made = run(tmp_path / "a", objective__sparsity=curve, **settings)
    penalty = series(made, "penalty")
    assert penalty[0] == pytest.approx(0.5) and penalty[-1] < penalty[0]
    assert 0.0 < series(made, "sparsity")[-1] <= 0.995


def test_scores_learn_at_a_rate_of_their_own(tmp_path: Path):
    settings = {
        "objective__pruned": "weights",
        "objective__criterion": "movement",
        "objective__score_lr": 7.0,
    }
    objective = run(tmp_path / "a", steps=0, **settings).part("objective")
    groups = objective.groups(0.1)
    assert groups[-1]["lr_scale"] == 7.0 and groups[-1]["weight_decay"] == 0.0
    assert len(groups[-1]["params"]) == 8
    held = [p for group in groups for p in group["params"]]
    assert (
        len({id(p) for p in held}) == len(held) == len([p for p in objective.parameters() if p.requires_grad])
    )


def test_what_the_inner_objective_does_not_hand_over_is_made_again(
    taught: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that gives neither its pass nor its scores, such as mlm, costs a second pass and changes nothing."""
    settings = {**taught, "objective__inner__encoder__dropout": 0.0}
    given = run(tmp_path / "a", **settings)
    whole = Classify.forward

    def bare(self: Classify, batch: Any, step: Step) -> Loss:
        loss = whole(self, batch, step)
        assert loss.encoded is not None and loss.logits is not None
        return Loss(loss.terms, loss.parts)

    monkeypatch.setattr(Classify, "forward", bare)
    again = run(tmp_path / "b", **settings)
    assert series(given, "loss") == pytest.approx(series(again, "loss"), rel=1e-6)


# -- stopping and going on -----------------------------------------------------------------------------------------


def killed_run(out: Path, settings: dict[str, Any], at: tuple[str, int]) -> int | None:
    """The exit code of a process that is killed while it fills that bank at that step."""

    def child() -> None:
        whole = Banks.add

        def add(self: Banks, name: str, number: int, visit: Any, encode: Any, size: int) -> None:
            def dying(batch: Any) -> torch.Tensor:
                if (name, number) == at and int(batch["rows"][0]) > 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return encode(batch)

            whole(self, name, number, visit, dying, size)

        Banks.add = add  # type: ignore[method-assign]
        run(out, **settings)

    process = FORK.Process(target=child)
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def often_saved(taught: dict[str, Any]) -> dict[str, Any]:
    return {**taught, "checkpoint_every": 2, "objective__bank_batch": 16}


@pytest.fixture(scope="module")
def unbroken(often_saved: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> api.LoadedRun:
    with toys_alone():
        return run(tmp_path_factory.mktemp("unbroken") / "run", **often_saved)


@pytest.mark.parametrize("at", [("pre", 0), ("snap", 6), ("snap", 9)])
def test_killed_in_the_middle_of_a_step_it_goes_on_as_if_nothing_had_happened(
    at: tuple[str, int], often_saved: dict[str, Any], unbroken: api.LoadedRun, tmp_path: Path
):
    assert killed_run(tmp_path / "killed", often_saved, at) == -signal.SIGKILL
    banks = [path.name for path in (tmp_path / "killed" / "banks").iterdir()]
    assert [name for name in banks if name.startswith(".tmp-")], "a bank was left half-written"
    api.resume(tmp_path / "killed", pictures=False)
    assert_run_folders_equal(unbroken.folder, tmp_path / "killed")


def test_a_bank_of_another_model_is_refused(
    small_run: api.LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    prune = Cap._prune

    def stopped(self: Cap, visit: Any, step: Step, share: float, scores: Any) -> None:
        if step.number == 9:
            raise KeyboardInterrupt
        prune(self, visit, step, share, scores)

    monkeypatch.setattr(Cap, "_prune", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a")
    monkeypatch.undo()
    path = tmp_path / "a/banks/snap-00000003/vectors.npy"
    vectors = np.load(path, allow_pickle=False)
    np.save(path, vectors + 1)
    assert_user_error(
        lambda: api.resume(tmp_path / "a", pictures=False),
        "the bank snap-00000003 is not the one this run was begun with",
        "made by another model",
    )
    np.save(path, vectors)
    api.resume(tmp_path / "a", pictures=False)
    assert_run_folders_equal(small_run.folder, tmp_path / "a")


def test_only_the_last_snapshots_and_a_share_of_the_items_are_in_the_banks(tmp_path: Path):
    made = run(tmp_path / "a", objective__snapshots=2, objective__bank_share=0.25)
    marks = made.part("objective").banks.marks
    assert marks[:, 0].tolist() == [-1, 0, 6, 9]
    vectors = np.load(made.folder / "banks/snap-00000009/vectors.npy", allow_pickle=False)
    assert vectors.shape == (10, 16) and vectors.dtype == np.float16
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(1.0, abs=1e-2)


def test_the_pre_trained_encoder_may_be_another_one(taught: dict[str, Any], tmp_path: Path):
    teacher = taught["objective__teacher"]["run"]
    given = {"use": "from-run", "run": teacher, "part": "objective.encoder"}
    made = run(tmp_path / "a", objective__pretrained=given, steps=1)
    held = np.load(made.folder / "banks/pre-00000000/vectors.npy", allow_pickle=False)
    encoder = api.load(teacher).part("objective.encoder")
    data = cap_toys.ToyRamps().build()
    items = list(items_of(data, "train", Step()))
    with in_use(encoder):
        found = encoder(prepared(encoder, encoder.prepare, items, Step())).pooled
    wanted = torch.nn.functional.normalize(found, dim=1)
    torch.testing.assert_close(torch.from_numpy(held).float(), wanted, rtol=0, atol=2e-3)
    assert json.loads((made.folder / "status.json").read_text())["status"] == "finished"
