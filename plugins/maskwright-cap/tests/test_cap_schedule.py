"""When is what pruned: looks at the schedule, holds, the last step, snapshots, and what the ranks agree on."""

import contextlib
import copy
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import torch
from cap_toys import SMALL, run, series
from torch import Tensor

import maskwright as mw
import maskwright_torch.train
from maskwright import Step, UserError, api
from maskwright_cap.cap import Cap
from maskwright_cap.choosing import agree
from maskwright_testing import assert_run_folders_equal
from maskwright_torch.ranks import Ranks
from maskwright_torch.train import refuse_ranks

HOLD = {"use": "cubic", "start": 0.0, "end": 0.5, "hold_start": 0.1, "hold_end": 0.6}


pytestmark = pytest.mark.usefixtures("toys")


# -- looks -------------------------------------------------------------------------------------------------------------


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[Tensor], list[Tensor]]]:
    """(step, what is kept, scores) as each step begins, after pruning."""
    found: list[tuple[int, list[Tensor], list[Tensor]]] = []
    whole = Cap.before_step

    def before_step(self: Cap, visit: Any, step: Step) -> None:
        whole(self, visit, step)
        assert self.masks is not None
        pairs: Any = list(self.masks._weights(self.encoder))
        scores = [(w.abs() if m.score is None else m.score).detach().clone() for m, w in pairs]
        found.append((step.number, [m.keep.clone() for m, _ in pairs], scores))

    monkeypatch.setattr(Cap, "before_step", before_step)
    return found


@pytest.mark.parametrize(
    ("criterion", "scope"), [("movement", "matrix"), ("movement", "all"), ("magnitude", "matrix")]
)
def test_kept_weights_follow_their_scores_also_in_a_hold(
    criterion: str, scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = watched(monkeypatch)
    run(
        tmp_path / "a", objective__pruned="weights", objective__criterion=criterion, objective__scope=scope,
        objective__sparsity=HOLD, objective__update_every=2, objective__snc=False, objective__prc=False,
    )  # fmt: skip
    held = [entry for entry in found if entry[0] >= 6 and entry[0] % 2 == 0]
    assert [number for number, *_ in held] == [6, 8, 10], "the share is .5 in all of them"
    for _, kept, scores in held:
        groups = (
            [(torch.cat([k.flatten() for k in kept]), torch.cat([s.flatten() for s in scores]))]
            if scope == "all"
            else [(k.flatten(), s.flatten()) for k, s in zip(kept, scores, strict=True)]
        )
        for keep, score in groups:
            assert int(keep.sum()) == len(keep) // 2
            assert float(score[keep].min()) >= float(score[~keep].max())
    assert any(not torch.equal(a, b) for a, b in zip(held[0][1], held[-1][1], strict=True))


def test_soft_movement_goes_by_its_threshold_while_that_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = watched(monkeypatch)
    run(
        tmp_path / "a", objective__pruned="weights", objective__criterion="soft-movement",
        objective__sparsity=0.4, objective__penalty=50.0, objective__snc=False, objective__prc=False,
    )  # fmt: skip
    for _, kept, scores in found:
        for keep, score in zip(kept, scores, strict=True):
            above = score.sigmoid() > 0.4
            assert torch.equal(keep, above) or (int(above.sum()) < 2 + 0.005 * keep.numel() and keep.any())
    assert bool(found[0][1][0].all()) and not bool(found[-1][1][0].all())


def test_a_masker_that_goes_by_chance_keeps_to_its_choice_in_a_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = watched(monkeypatch)
    run(
        tmp_path / "a", objective__pruned="weights", objective__criterion="magnitude", objective__chooser="random",
        objective__sparsity=HOLD, objective__snc=False, objective__prc=False,
    )  # fmt: skip
    for (_, before, _), (_, after, _) in itertools.pairwise(found):
        assert all(bool((b | ~a).all()) for b, a in zip(before, after, strict=True)), "none comes back"


@pytest.mark.parametrize("pruned", ["heads-and-neurons", "weights"])
@pytest.mark.parametrize(
    ("sparsity", "every"),
    [
        ({"use": "linear", "start": 0.0, "end": 0.75}, 1),
        ({"use": "cubic", "start": 0.0, "end": 0.75}, 1),
        ({"use": "linear", "start": 0.0, "end": 0.75}, 5),
        ({"use": "steps", "start": 0.0, "end": 0.75, "count": 4}, 8),
    ],
)  # fmt: skip
def test_the_last_step_reaches_what_was_asked(
    sparsity: dict[str, Any], every: int, pruned: str, tmp_path: Path
):
    criterion = "magnitude"
    made = run(
        tmp_path / "a", objective__sparsity=sparsity, objective__update_every=every, objective__pruned=pruned,
        objective__criterion=criterion, objective__snc=False, objective__prc=False,
    )  # fmt: skip
    share = series(made, "sparsity")
    assert share[-1] == pytest.approx(0.75) and share[-2] < 0.75
    assert float(made.part("objective").reached) == 0.75


def test_scores_come_before_the_snapshot_and_pruning_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[tuple[str, int]] = []
    for name in ("_scores", "_prune"):
        whole = getattr(Cap, name)

        def told(self: Cap, visit: Any, step: Step, *rest: Any, name: str = name, whole: Any = whole) -> Any:
            done.append((name, step.number))
            return whole(self, visit, step, *rest)

        monkeypatch.setattr(Cap, name, told)
    from maskwright_cap.banks import Banks

    add = Banks.add

    def added(self: Banks, name: str, number: int, *rest: Any) -> None:
        done.append((name, number))
        add(self, name, number, *rest)

    monkeypatch.setattr(Banks, "add", added)
    run(tmp_path / "a")
    assert done[:4] == [("pre", 0), ("_scores", 3), ("snap", 3), ("_prune", 3)]


def test_a_smooth_schedule_scores_units_when_their_number_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A share that rises from 0 to .5 of 8 heads in 40 steps: four heads go, one at a time."""
    scored: list[int] = []
    whole = Cap._scores

    def told(self: Cap, visit: Any, step: Step) -> list[Tensor]:
        scored.append(step.number)
        return whole(self, visit, step)

    monkeypatch.setattr(Cap, "_scores", told)
    made = run(
        tmp_path / "a", objective__sparsity={"use": "linear", "start": 0.0, "end": 0.5}, objective__pruned="heads",
        steps=40,
    )  # fmt: skip
    assert scored == [10, 20, 30, 39], "and the last step, which asks for the end"
    assert names(made.folder) == ["pre-00000000"] + [f"snap-{number:08d}" for number in scored]
    assert series(made, "sparsity")[-1] == 0.5


# -- snapshots ---------------------------------------------------------------------------------------------------------

SMOOTH = {
    "objective__pruned": "weights",
    "objective__criterion": "movement",
    "objective__sparsity": {"use": "linear", "start": 0.0, "end": 0.75},
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "banks").iterdir())


def test_of_weights_there_is_one_snapshot_an_epoch(tmp_path: Path):
    """40 items in batches of 16: step 3 is the first whose rows begin in the second walk, step 5 in the third."""
    made = run(tmp_path / "a", batch=16, **SMOOTH)
    assert names(made.folder) == ["pre-00000000"] + [f"snap-{n:08d}" for n in (3, 5, 8, 10)]


def test_snapshots_that_no_checkpoint_names_are_removed(tmp_path: Path):
    few = {"objective__snapshot_every": 2, "objective__snapshots": 2, **SMOOTH}
    made = run(tmp_path / "a", checkpoint_every=12, **few)
    assert names(made.folder) == ["pre-00000000", "snap-00000008", "snap-00000010"]
    kept = run(tmp_path / "b", checkpoint_every=5, keep=3, **few)
    # The checkpoint after step 5 names those of steps 2 and 4, the one after step 10 those of 6 and 8.
    assert names(kept.folder) == ["pre-00000000"] + [f"snap-{n:08d}" for n in (2, 4, 6, 8, 10)]


def test_a_run_that_goes_on_finds_the_snapshots_of_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = {"objective__snapshot_every": 2, "objective__snapshots": 2, "checkpoint_every": 5, **SMOOTH}
    whole = run(tmp_path / "whole", **few)
    before = Cap.before_step

    def dying(self: Cap, visit: Any, step: Step) -> None:
        before(self, visit, step)
        if step.number == 9:  # the snapshots of steps 6 and 8 are there, the checkpoint names 2 and 4
            raise RuntimeError("no power")

    monkeypatch.setattr(Cap, "before_step", dying)
    with pytest.raises(RuntimeError, match="no power"):
        run(tmp_path / "a", **few)
    monkeypatch.undo()
    api.resume(tmp_path / "a", pictures=False)
    assert_run_folders_equal(whole.folder, tmp_path / "a")
    assert names(whole.folder) == names(tmp_path / "a")


# -- several pieces, several ranks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [False, True])
def test_pieces_of_a_batch_add_up_where_nothing_is_contrasted(
    weights: bool, taught: dict[str, Any], tmp_path: Path
):
    settings = {
        **taught, "objective__fic": False, "objective__prc": False, "objective__snc": False,
        "objective__inner__encoder__dropout": 0.0, "precision": "fp64",
    }  # fmt: skip
    if weights:
        settings |= {"objective__pruned": "weights", "objective__criterion": "soft-movement"}
        settings |= {"objective__penalty": 5.0, "objective__sparsity": 0.4}
    whole, cut = run(tmp_path / "a", **settings), run(tmp_path / "b", accumulate=3, **settings)
    assert {"kd", "loss"} <= {e["name"].removeprefix("train/") for e in whole.metrics()}
    for name in ("loss", "kd", "grad_norm", *(["penalty"] if weights else [])):
        assert series(cut, name) == pytest.approx(series(whole, name), rel=1e-9)


def test_counts_of_the_inner_objective_are_asked_where_it_has_them(tmp_path: Path):
    objective: Any = run(tmp_path / "a", steps=0).part("objective")
    batch = {"rows": torch.arange(3), "vector": torch.zeros(3, 8), "label": torch.zeros(3, dtype=torch.int64)}
    assert {name: float(count) for name, count in objective.counts(batch, Step()).items()} == {"loss": 3.0}
    objective.inner.__dict__["counts"] = lambda batch, step: {"loss": torch.tensor(7.0)}
    assert float(objective.counts(batch, Step())["loss"]) == 7.0


@attrs.define
class TwoRanks:
    """Rank 0 said these; a sum over both is taken."""

    said: list[Tensor]
    is_first: bool
    size: int = 2

    def sum(self, own: Tensor) -> Tensor:
        if self.is_first:
            self.said.append(own.clone())
            return own
        return own + self.said.pop(0)


def test_all_ranks_keep_what_the_first_has_chosen():
    said: list[Tensor] = []
    first = [torch.tensor([True, False, True]), torch.tensor([[False, True]])]
    other = [torch.tensor([True, True, False]), torch.tensor([[True, False]])]
    wanted = [one.clone() for one in first]
    agree(TwoRanks(said, True), first)  # type: ignore[arg-type]
    agree(TwoRanks(said, False), other)  # type: ignore[arg-type]
    assert all(torch.equal(a, w) and torch.equal(b, w) for a, b, w in zip(first, other, wanted, strict=True))
    agree(Ranks(), first)
    assert torch.equal(first[0], wanted[0])


@pytest.mark.parametrize("settings", [{}, {"pruned": "weights", "criterion": "magnitude"}])
def test_ranks_agree_after_each_pruning(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import maskwright_cap.cap as module

    asked: list[int] = []
    monkeypatch.setattr(module, "agree", lambda ranks, chosen: asked.append(len(list(chosen))))
    run(
        tmp_path / "a",
        objective__prc=False,
        objective__snc=False,
        **{f"objective__{k}": v for k, v in settings.items()},
    )
    assert asked == ([8] * 12 if settings else [4] * 3)


OFF = {"objective.prc": False, "objective.snc": False}


@pytest.mark.parametrize(
    ("changes", "size", "refused"),
    [({}, 2, True), ({}, 1, False), (OFF, 2, False), ({**OFF, "objective.inner.mixup": 0.8}, 2, True)],
)
def test_several_processes_do_not_share_out_a_batch_that_belongs_together(
    changes: dict[str, Any], size: int, refused: bool
):
    planned = SimpleNamespace(root=mw.plan(copy.deepcopy(SMALL), changes).require())
    if not refused:
        assert refuse_ranks(planned, Ranks(0, size)) is None  # type: ignore[arg-type, func-returns-value]
        return
    with pytest.raises(
        UserError, match="compares the rows of a batch with each other, and 2 processes"
    ) as caught:
        refuse_ranks(planned, Ranks(0, size))  # type: ignore[arg-type]
    assert "without torchrun" in caught.value.cure


def test_a_run_under_torchrun_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(maskwright_torch.train, "joined", lambda device: contextlib.nullcontext(Ranks(1, 2)))
    with pytest.raises(UserError, match="compares the rows of a batch"):
        run(tmp_path / "a")
