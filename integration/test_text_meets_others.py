"""Text runs among the others: two processes, data and evaluators of other plugins, taken from run to run."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_two_processes import launch, logged
from training import maskwright, status

from maskwright.metrics import read_metrics

TEXT: dict[str, Any] = {
    "use": "train",
    "steps": 6,
    "batch": 8,
    "log_every": 1,
    "checkpoint_every": 3,
    "device": "cpu",
    "precision": "fp64",
    "data": {"use": "passages", "words": 24, "inner": {"use": "docstrings", "packages": ["networkx"]}},
    "objective": {
        "use": "mlm",
        "ratio": {"use": "mrd-cosine", "p": 0.15},
        "masker": {"use": "weighted", "source": "token-loss"},
        "encoder": {
            "use": "text",
            "length": 48,
            "width": 16,
            "depth": 1,
            "heads": 2,
            "codec": {"use": "subwords", "vocabulary": 500},
        },
    },
}
"""The schedule moves and the masker remembers losses: what is hidden depends on all that went before."""


def written(folder: Path, **settings: Any) -> Path:
    path = folder / "text.json"
    path.write_text(json.dumps({**TEXT, **settings}))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    done = maskwright("run", written(folder), "-q", "--no-pictures", "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_two_processes_hide_the_same_and_learn_the_same(tmp_path: Path, run: Path):
    done = launch("run", written(tmp_path), "-q", "--no-pictures", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two = logged(run), logged(tmp_path / "two")
    assert one.keys() == two.keys() and len({step for step, _ in one}) == 6
    for (step, name), value in one.items():
        exact = name in ("train/hidden", "train/hidden_tokens", "train/cut_tokens")
        assert two[step, name] == pytest.approx(value, rel=1e-12 if exact else 1e-6), (step, name)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_loader_processes_change_nothing(tmp_path: Path, run: Path, workers: int):
    done = maskwright(
        "run", written(tmp_path, workers=workers), "-q", "--no-pictures", "--out", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    assert logged(tmp_path / "run") == logged(run)
    shares = [value for (_, name), value in sorted(logged(run).items()) if name == "train/hidden"]
    assert shares[0] > 0.25 and shares[-1] < 0.08  # and the schedule moves


def test_a_text_run_is_judged_on_the_search_of_another_plugin(tmp_path: Path, run: Path):
    done = maskwright(
        "evaluate", f"{run}:embed", "with=known-item", "data=docstring-search", "data.packages=networkx",
        "-q", "--no-pictures", "--out", tmp_path / "judged",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert status(tmp_path / "judged") == "finished"
    found = {entry["name"]: entry["value"] for entry in read_metrics(tmp_path / "judged")}
    assert 0 < found["known-item/ndcg@10"] < 1
    assert 0 < found["known-item/mrr@10"] < 1


def test_a_text_encoder_is_probed_and_fine_tuned_by_what_serves_all(tmp_path: Path, run: Path):
    topics = ("data=docstring-tasks", "data.packages=networkx", "data.fewest=20")
    done = maskwright(
        "evaluate", run, "with=linear-probe", *topics, "-q", "--no-pictures", "--out", tmp_path / "probe"
    )
    assert done.returncode == 0, done.stderr
    found = {entry["name"]: entry["value"] for entry in read_metrics(tmp_path / "probe")}
    assert {
        "linear-probe/accuracy",
        "linear-probe/tfidf_accuracy",
        "linear-probe/random_accuracy",
    } <= found.keys()


def test_a_masker_of_pictures_is_refused_for_texts(tmp_path: Path):
    text = {**TEXT["objective"], "masker": "patch-blocks"}
    done = maskwright("check", written(tmp_path, objective=text))
    assert done.returncode == 2
    assert "hides units of an encoder with patches" in done.stderr
    done = maskwright("apply", "pipeline:show-masks", "some words", "--set", "masker=patch-blocks")
    assert done.returncode == 2
    assert "masker:patch-blocks hides units with patches, a text has tokens" in done.stderr
