"""Whole runs of a small masked language model: which masks are drawn, with workers, after a resume, in pieces."""

import copy
import itertools
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from text_models import SENTENCES

from maskwright import api
from maskwright_testing import assert_run_folders_equal, assert_user_error
from maskwright_text import taggers
from maskwright_text.mlm import Mlm

STEPS = 20
SMALL: dict[str, Any] = {
    "use": "train", "steps": STEPS, "batch": 4, "log_every": 1, "checkpoint_every": 10, "device": "cpu", "lr": 1e-3,
    "data": {"use": "lines", "path": "", "test_share": 0.0},
    "objective": {
        "use": "mlm", "ratio": {"use": "mrd-linear", "p": 0.3},
        "encoder": {
            "use": "text", "length": 48, "width": 16, "depth": 1, "heads": 2,
            "codec": {"use": "subwords", "vocabulary": 60, "model": "words"},
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 lines: more than a batch, and long enough for a ratio to be seen."""
    path = tmp_path_factory.mktemp("data") / "texts.txt"
    path.write_text("".join(f"{one} {two}\n" for one in SENTENCES for two in SENTENCES[:4]))
    return path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[int, str]]:
    """Step -> row -> its mask, as drawn by the run in hand; the trial on two rows of step 0 is part of step 0."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    usual = Mlm.choose

    def watched(self, batch, step):
        hidden = usual(self, batch, step)
        for row, mask, real in zip(
            batch["rows"].tolist(), hidden.tolist(), batch["real"].tolist(), strict=True
        ):
            found[step.number][row] = "".join("#" if m else "." for m, r in zip(mask, real, strict=True) if r)
        return hidden

    monkeypatch.setattr(Mlm, "choose", watched)
    return found


def train(texts: Path, out: Path, **settings: Any) -> api.LoadedRun:
    recipe = copy.deepcopy(SMALL)
    recipe["data"]["path"] = str(texts)
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return api.run(recipe, changes, seed=3, out=out, pictures=False)


def taken(found: dict[int, dict[int, str]]) -> dict[int, dict[int, str]]:
    """What was drawn since the last call."""
    masks = {number: dict(rows) for number, rows in found.items()}
    found.clear()
    return masks


def unfinished(run: api.LoadedRun, out: Path) -> Path:
    """A copy of a run as it is when the process dies after its step 10 was kept."""
    shutil.copytree(run.folder, out)
    shutil.rmtree(out / f"checkpoints/{STEPS:08d}")
    state = json.loads((out / "status.json").read_text())
    (out / "status.json").write_text(json.dumps(state | {"status": "interrupted"}))
    return out


@pytest.mark.parametrize("masker", ["whole-word", {"use": "weighted", "source": "token-loss"}])
def test_masks_do_not_depend_on_workers_nor_on_a_resume(texts: Path, tmp_path: Path, drawn, masker: Any):
    run = train(texts, tmp_path / "whole", objective__masker=masker)
    masks = taken(drawn)
    assert sorted(masks) == list(range(STEPS)) and all(len(masks[t]) == 4 for t in range(1, STEPS))
    shares = [
        sum(m.count("#") for m in masks[t].values()) / sum(map(len, masks[t].values())) for t in range(STEPS)
    ]
    assert shares[1] > 0.4 and shares[10] < 0.4 and shares[19] < 0.1, "the ratio moves"
    for workers in (1, 2):
        train(texts, tmp_path / f"workers-{workers}", objective__masker=masker, workers=workers)
        assert taken(drawn) == masks
    api.resume(unfinished(run, tmp_path / "resumed"), pictures=False)
    rest = taken(drawn)
    assert sorted(rest) == [0, *range(10, STEPS)]  # 0: the trial on two rows
    assert all(rest[number] == masks[number] for number in range(10, STEPS))
    counts = {t: sum(mask.count("#") for mask in masks[t].values()) for t in range(1, STEPS)}
    so_far = [e["value"] for e in run.metrics() if e["name"] == "train/hidden_tokens_so_far"]
    assert [after - before for before, after in itertools.pairwise(so_far)] == list(counts.values())
    assert so_far[0] > 0
    assert_run_folders_equal(run.folder, tmp_path / "resumed")


def test_pieces_of_a_batch_belong_to_one_update(texts: Path, tmp_path: Path, drawn):
    plain = train(texts, tmp_path / "plain")
    masks = taken(drawn)
    pieces = train(texts, tmp_path / "pieces", accumulate=3)
    assert taken(drawn) == masks
    losses, so_far = (
        [[e["value"] for e in run.metrics() if e["name"] == name] for run in (plain, pieces)]
        for name in ("train/loss", "train/hidden_tokens_so_far")
    )
    assert so_far[0] == so_far[1]
    assert len(losses[1]) == STEPS
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_going_on_with_another_schedule_or_total_is_refused(texts: Path, tmp_path: Path):
    folder = unfinished(train(texts, tmp_path / "a"), tmp_path / "b")
    resolved = json.loads((folder / "resolved.json").read_text())
    resolved["objective"]["ratio"]["p"] = 0.2
    (folder / "resolved.json").write_text(json.dumps(resolved | {"steps": 40}))
    assert_user_error(
        lambda: api.resume(folder, pictures=False),
        "this run was begun with other settings",
        "objective.ratio.p: 0.3 -> 0.2",
        "steps: 20 -> 40",
    )


def test_going_on_with_tags_of_another_model_is_refused(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The tags decide which words are hidden, and whose losses are kept."""
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))
    data = ["first"]
    all_nouns = taggers.Tagger(
        "textblob", "json", "x", taggers.PENN, lambda module, model: lambda words: ["NN"] * len(words),
        lambda module, model: data[0],
    )  # fmt: skip
    monkeypatch.setitem(taggers.TAGGERS, "pattern", all_nouns)
    recipe = copy.deepcopy(SMALL) | {
        "data": {"use": "tagged", "inner": {**SMALL["data"], "path": str(texts)}}
    }
    recipe["objective"]["masker"] = {"use": "weighted", "source": "pos-loss"}
    folder = unfinished(api.run(recipe, seed=3, out=tmp_path / "a", pictures=False), tmp_path / "b")
    data[0] = "second"
    assert_user_error(
        lambda: api.resume(folder, pictures=False),
        "the data is not what this run was begun with",
        "put the data back",
    )
    data[0] = "first"
    api.resume(folder, pictures=False)


def test_evaluators_are_asked_on_the_way(texts: Path, tmp_path: Path):
    run = train(
        texts, tmp_path / "a", evaluate_every=10,
        evaluators=[{"use": "mlm-loss", "split": "train"}, {"use": "mask-report", "split": "train"}],
    )  # fmt: skip
    values = {(e["step"], e["name"]): e["value"] for e in run.metrics()}
    assert values[20, "mlm-loss/loss"] < values[10, "mlm-loss/loss"]
    assert values[10, "mlm-loss/unigram_loss"] == values[20, "mlm-loss/unigram_loss"]
    assert (
        values[10, "mask-report/hidden/0"]
        == values[20, "mask-report/hidden/0"]
        == pytest.approx(0.6, abs=0.02)
    )
