"""Recipes with the parts of other packages: an encoder of texts with a tokenizer of its own, pruned and taken on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import maskwright as mw
from maskwright import Step, api
from maskwright.cli.main import main
from maskwright_cap.importing import from_compact
from maskwright_cap.layers import share_of
from maskwright_testing import assert_user_error
from maskwright_torch.inference import in_use, prepared

SMALL: dict[str, Any] = {"data.count": 48, "data.test_count": 20, "batch": 16, "device": "cpu"}
WORDS = [
    {"id": str(number), "text": text} for number, text in enumerate(["c1 c2 a3 c5", "c7 a9 c11 c3 c4 a1"])
]


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedRun:
    """An encoder of a language model's run, pruned by the recipe cap-f."""
    folder = tmp_path_factory.mktemp("cap")
    torch.set_num_threads(1)
    encoder = {"use": "text", "length": 32, "width": 16, "depth": 2, "heads": 4}
    codec = {"use": "subwords", "model": "words", "vocabulary": 300}
    pretrain = {
        "use": "train", "steps": 1, "data": {"use": "topic-attributes"},
        "objective": {"use": "mlm", "encoder": {**encoder, "codec": codec}},
    }  # fmt: skip
    api.run(pretrain, SMALL, seed=1, out=folder / "pretrain", pictures=False)
    given = {"use": "from-run", "run": str(folder / "pretrain"), "part": "objective.encoder"}
    changes = {**SMALL, "epochs": 4, "objective.inner.encoder": given, "evaluators": ["sparsity"]}
    changes["evaluators"] = [{"use": "sparsity", "on": "objective"}]
    return api.run("cap-f", changes, seed=2, out=folder / "pruned", pictures=False)


def test_the_compact_encoder_takes_its_tokenizer_along(pruned: api.LoadedRun, tmp_path: Path):
    objective, small, whole = (pruned.part(name) for name in ("objective", "compact", "compact-objective"))
    batch = prepared(small, small.prepare, WORDS, Step())
    assert small.codec.known == objective.encoder.codec.known
    with in_use(objective), in_use(small), in_use(whole):
        torch.testing.assert_close(small(batch).pooled, objective.encoder(batch).pooled, rtol=0, atol=1e-5)
        torch.testing.assert_close(whole.logits(batch), objective.logits(batch), rtol=0, atol=1e-5)
    assert (
        sum(heads for heads, _ in small.shape) == 1
        and pruned.last_metrics()["sparsity/encoder_sparsity"] > 0.6
    )
    given = {"use": "from-run", "run": str(pruned.folder), "part": "compact"}
    probe = {
        "use": "evaluate",
        "subject": given,
        "data": {"use": "topic-attributes"},
        "evaluators": ["linear-probe"],
    }
    found = api.run(probe, {"data.count": 40, "data.test_count": 20}, out=tmp_path / "probe", pictures=False)
    assert 0 <= found.last_metrics()["linear-probe/accuracy"] <= 1


def test_a_compact_folder_stands_alone_and_is_read_back_bit_for_bit(pruned: api.LoadedRun, tmp_path: Path):
    """Its encoder came from another run, and its tokenizer was trained there: the folder names neither."""
    out, back = tmp_path / "out", tmp_path / "back"
    assert main(["export", str(pruned.folder), str(out), "--to", "compact", "--part", "objective"]) == 0
    assert "from-run" not in (out / "config.json").read_text()
    assert main(["import", str(out), "--from", "compact", "--out", str(back)]) == 0
    before, after = pruned.part("compact-objective"), api.load(back).part("part")
    batch, again = (prepared(part, part.prepare, WORDS, Step()) for part in (before, after))
    assert torch.equal(batch["tokens"], again["tokens"])
    with in_use(before), in_use(after):
        assert torch.equal(before.logits(batch), after.logits(again))
    shutil.rmtree(out / "codec")
    assert_user_error(lambda: from_compact(out), "codec is missing: the tokenizer", "export the run again")


def test_masked_weights_are_zeros_in_a_folder_that_transformers_opens(tmp_path: Path):
    """Its model knows no masks, and gives what the masked one does: states, and scores by the head of the run."""
    import transformers

    torch.set_num_threads(1)
    encoder = {"use": "text", "length": 32, "width": 16, "depth": 2, "heads": 4}
    codec = {"use": "subwords", "model": "words", "vocabulary": 300}
    changes = {
        **SMALL,
        "epochs": 1,
        "evaluators": [],
        "objective.update_every": 2,
        "objective.score_lr": 3000.0,
    }
    changes["objective.inner.encoder"] = {**encoder, "codec": codec}
    made = api.run("cap-m", changes, seed=2, out=tmp_path / "run", pictures=False)
    words = ["export", str(made.folder), str(tmp_path / "out"), "--to", "transformers"]
    assert main([*words, "--part", "objective.inner.encoder"]) == 0
    theirs, part = transformers.AutoModel.from_pretrained(tmp_path / "out").eval(), made.part("objective")
    batch = prepared(part, part.prepare, WORDS, Step())
    with in_use(part):
        states, scores = part.encoder(batch).states, part.logits(batch)
        found = theirs(input_ids=batch["tokens"], attention_mask=batch["real"].long()).last_hidden_state
        real = batch["real"]
        torch.testing.assert_close(found[real], states[real], rtol=0, atol=1e-5)
        counted = (real & ~batch["special"])[..., None].float()
        pooled = (found * counted).sum(dim=1) / counted.sum(dim=1)
        torch.testing.assert_close(part.inner.head(part.inner.norm(pooled)), scores, rtol=0, atol=1e-5)
    zeros = [
        float((p == 0).double().mean())
        for n, p in theirs.named_parameters()
        if n.endswith("output.dense.weight")
    ]
    assert zeros == [pytest.approx(0.9, abs=0.01)] * 4, "attention and MLP of two blocks"


@pytest.mark.parametrize(("name", "heads"), [("cap-topics", 8), ("cap", 8)])
def test_floors_of_recipes_hold_nothing_back(name: str, heads: int):
    stages: Any = mw.plan(name).require().settings["stages"]
    encoder, objective = stages["pretrain"]["objective"]["encoder"], stages["prune"]["objective"]
    assert encoder["depth"] * encoder["heads"] == heads
    assert encoder["depth"] * objective["floor"] <= heads - share_of(heads, objective["sparsity"]["end"])


def test_arms_on_texts_that_are_given_by_path_can_be_planned():
    arms = mw.plan("cap-experiment-questions").require().settings["arms"]
    assert list(arms) == ["ce", "ce-kd", "cap"]
    for arm in arms.values():
        changes = {f"base.{path}": value for path, value in arm.get("set", {}).items()}
        assert not mw.plan("cap-experiment-questions", changes).mistakes
    wrong = mw.plan("cap-experiment-questions", {"base.stages.prune.objective.prk": False}).mistakes
    assert any("prk" in str(mistake) for mistake in wrong)


@pytest.mark.parametrize(
    ("name", "children"), [("cap-experiment", 7), ("cap-experiment-curve", 8)]
)  # fmt: skip
def test_every_arm_of_an_experiment_can_be_planned(name: str, children: int):
    made = mw.plan(name)
    arms = made.require().settings["arms"]
    assert len(arms) == children
    for arm in arms.values():
        changes = arm.get("set", {})
        assert not mw.plan("cap-topics", changes).mistakes
        stages = mw.plan("cap-topics", changes).require().settings["stages"]
        objective = stages["prune"]["objective"]
        for path, value in changes.items():
            setting = path.removeprefix("stages.prune.objective.").split(".")
            found = objective[setting[0]]
            assert (found[setting[1]] if len(setting) > 1 else found) == value
