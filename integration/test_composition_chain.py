"""One model from pre-training to a small folder, in a chain that is killed in the middle of every stage."""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo  # making an optimiser imports it
from training import contents

from maskwright import Step, api
from maskwright.build import build_raw
from maskwright.cli.main import main
from maskwright.contracts import items_of
from maskwright_torch.batches import collate

FORK = multiprocessing.get_context("fork")
"""Children start with torch already imported."""

LOOP = {
    "use": "train",
    "steps": 18,
    "batch": 16,
    "lr": 3e-3,
    "log_every": 2,
    "checkpoint_every": 6,
    "device": "cpu",
}
SENTENCES = {
    "use": "topic-attributes",
    "count": 120,
    "test_count": 40,
    "words": 100,
    "topics": 3,
    "length": 12,
}
ENCODER = {
    "use": "text", "length": 16, "width": 16, "depth": 2, "heads": 4,
    "codec": {"use": "subwords", "model": "words", "vocabulary": 120},
}  # fmt: skip


def taken(stage: str, part: str) -> dict[str, str]:
    return {"use": "from-run", "run": f"stage:{stage}", "part": part}


def classifier(encoder: Any) -> dict[str, Any]:
    return {"use": "classify", "classes": 4, "head_std": 0.02, "encoder": encoder}


CHAIN: dict[str, Any] = {
    "use": "chain",
    "stages": {
        "pretrain": {
            **LOOP, "data": SENTENCES,
            "objective": {"use": "mlm", "ratio": {"use": "mrd-cosine", "p": 0.3}, "encoder": ENCODER},
        },
        "meta": {
            **LOOP,
            "data": {"use": "tasks", "sets": [{**SENTENCES, "as": "words"}, {**SENTENCES, "as": "attribute"}]},
            "objective": {
                "use": "meta", "inner_rate": 0.01,
                "tasks": [
                    {"use": "mlm", "as": "words", "encoder": taken("pretrain", "objective.encoder")},
                    {**classifier({"ref": "objective.tasks.words.encoder"}), "as": "attribute"},
                ],
            },
        },
        "finetune": {
            **LOOP, "steps": 60, "checkpoint_every": 20, "data": SENTENCES,
            "objective": classifier(taken("meta", "objective.tasks.words.encoder")),
        },
        "prune": {
            **LOOP, "data": SENTENCES, "evaluators": [{"use": "sparsity", "on": "objective"}],
            "objective": {
                "use": "cap", "inner": classifier(taken("meta", "objective.tasks.words.encoder")), "floor": 0,
                "sparsity": {"use": "steps", "start": 0.0, "end": 0.9, "count": 3}, "importance_items": 48,
                "teacher": taken("finetune", "objective"), "fic": True, "kd": 0.9, "task": 0.1, "extra": 32,
            },
        },
        "small": {
            **LOOP, "data": SENTENCES, "evaluators": ["accuracy"],
            "objective": classifier(taken("prune", "compact")),
        },
    },
}  # fmt: skip

MOMENTS = (
    "pretrain/checkpoints/00000012",
    "meta/checkpoints/00000012",
    "finetune/checkpoints/00000040",
    "prune/banks/snap-00000006",
    "prune/checkpoints/00000012",
    "small/checkpoints/00000012",
)
"""Folders whose writing ends in a kill: each is there under another name, and has not been put in its place."""


def everything(run: Path) -> dict[str, bytes]:
    """What has to be equal after resuming, of the chain and of each of its stages."""
    found = dict(contents(run))
    for stage in CHAIN["stages"]:
        found |= {f"{stage}/{name}": data for name, data in contents(run / "stages" / stage).items()}
    return found


def go_on(recipe: Path, run: Path, moment: str = "") -> None:
    """Begin or resume, and die where the folder `moment` would be put in its place."""
    torch.set_num_threads(1)

    def watch(event: str, words: tuple[Any, ...]) -> None:
        if event == "os.rename" and moment and os.fspath(words[1]).endswith(f"stages/{moment}"):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    if (run / "resolved.json").is_file():
        api.resume(run, pictures=False)
    else:
        api.run(recipe, seed=2, out=run, pictures=False)


def ended(*arguments: Any) -> int | None:
    child = FORK.Process(target=go_on, args=arguments)
    child.start()
    child.join()
    return child.exitcode


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "chain.json"
    path.write_text(json.dumps(CHAIN))
    return path


@pytest.fixture(scope="module")
def run(recipe: Path) -> Path:
    folder = recipe.parent / "run"
    assert ended(recipe, folder) == 0
    return folder


def test_killed_in_every_stage_it_ends_in_the_same_bytes(recipe: Path, run: Path):
    """In the same folder, since a stage writes down where it took its parts from; the tests below go on with it."""
    whole = everything(run)
    run.rename(run.with_name("uninterrupted"))
    for moment in MOMENTS:
        assert ended(recipe, run, moment) == -signal.SIGKILL, moment
        assert not (run / "stages" / moment).exists(), moment
    assert ended(recipe, run) == 0
    again = everything(run)
    assert {name.partition("/")[0] for name in whole} >= {"metrics.jsonl", *CHAIN["stages"]}
    assert whole.keys() == again.keys()
    assert not [name for name in whole if whole[name] != again[name]]


def test_nine_tenths_are_gone_and_what_is_left_does_the_same(run: Path):
    pruned = api.load(run / "stages" / "prune")
    small, zeros = pruned.part("compact"), pruned.part("objective.inner.encoder")
    assert sum(heads for heads, _ in small.shape) == 8 - round(0.9 * 8)
    assert sum(neurons for _, neurons in small.shape) == 128 - round(0.9 * 128)
    data = pruned.part("data")
    items = list(items_of(data, "test", Step(0)))
    vectors = []
    for encoder in (small, zeros):
        encoder.eval()
        with torch.no_grad():
            vectors.append(encoder(collate(items, range(len(items)), encoder.prepare, Step(0))).pooled)
    torch.testing.assert_close(*vectors, rtol=0, atol=1e-5)


def test_the_small_encoder_is_trained_judged_and_used_by_other_plugins(run: Path, tmp_path: Path):
    small = api.load(run / "stages" / "small")
    assert small.part("objective.encoder").shape == api.load(run / "stages" / "prune").part("compact").shape
    assert 0 <= small.last_metrics()["accuracy/accuracy"] <= 1
    found = list(small.pipeline("embed")([small.part("data").item("test", 0, Step(0))], Step(0)))
    assert len(found[0]["vector"]) == 16
    data = [
        "data=topic-attributes",
        *(f"data.{name}={SENTENCES[name]}" for name in SENTENCES if name != "use"),
    ]
    words = [f"{run / 'stages' / 'small'}:embed", "with=classification", *data]
    assert main(["evaluate", *words, "-q", "--no-pictures", "--out", str(tmp_path / "judged")]) == 0
    assert 0 < api.load(tmp_path / "judged").last_metrics()["classification/accuracy"] <= 1


def test_it_leaves_as_a_small_folder_and_as_one_of_transformers(run: Path, tmp_path: Path):
    prune = run / "stages" / "prune"
    for to, part in (("compact", "objective"), ("transformers", "objective.inner.encoder")):
        assert main(["export", str(prune), str(tmp_path / to), "--to", to, "--part", part]) == 0
    sizes = [(tmp_path / to / "model.safetensors").stat().st_size for to in ("compact", "transformers")]
    assert sizes[0] < sizes[1]
    items = [{"id": "one", "text": "w1 w2 w3"}]
    recipe = {"use": "hf-text", "path": str(tmp_path / "transformers"), "length": 16}
    theirs = build_raw(recipe, ("encoder",), "the folder", 0)[0]
    vectors = []
    for encoder in (api.load(prune).part("objective.inner.encoder"), theirs):
        encoder.eval()
        with torch.no_grad():
            vectors.append(encoder(collate(items, [0], encoder.prepare, Step(0))).pooled)
    torch.testing.assert_close(*vectors, rtol=0, atol=1e-5)
