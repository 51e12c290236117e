"""Whole runs: from pre-training over fine-tuning to what is written on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from maskwright import Step, UserError, api
from maskwright.cli.main import main
from maskwright.errors import RecipeError
from maskwright_text.params_models import Mlm, TextEncoder
from maskwright_text.params_seq2seq import Seq2Seq
from maskwright_text.seq2seq import Seq2Seq as Built

ENCODER = {
    "use": "text",
    "length": 24,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "codec": {"use": "subwords", "vocabulary": 60, "model": "words"},
}
TEXTS = [
    {"src": "the quick brown fox jumps over the lazy dog", "tgt": "a fox jumps"},
    {"src": "a lazy dog sleeps while the fox runs", "tgt": "the dog sleeps"},
    {"src": "every good dog likes a long walk in the park", "tgt": "dogs like walks"},
    {"src": "the fox and the dog are good friends now", "tgt": "they are friends"},
]


def train(folder: Path, out: str, objective: dict[str, Any], **settings: Any) -> api.LoadedRun:
    data = folder / "pairs.jsonl"
    data.write_text("".join(json.dumps(pair) + "\n" for pair in TEXTS), encoding="utf-8")
    fields = {"text": "src", "summary": "tgt"}
    recipe = {
        "use": "train",
        "steps": 2,
        "batch": 2,
        "lr": 0.1,
        "device": "cpu",
        "data": {"use": "json-lines", "path": str(data), "fields": fields, "test_share": 0.3},
        "objective": objective,
        **settings,
    }
    return api.run(recipe, seed=1, out=folder / out, pictures=False)


@pytest.fixture(scope="module")
def pre_trained(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedRun:
    return train(tmp_path_factory.mktemp("before"), "mlm", {"use": "mlm", "encoder": ENCODER})


def state(module: torch.nn.Module) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in module.state_dict().items()}


def test_a_pre_trained_objective_brings_encoder_head_and_tokenizer(
    pre_trained: api.LoadedRun, tmp_path: Path
):
    before = pre_trained.part("objective")
    start = {"use": "seq2seq", "target_length": 8, "pretrained": str(pre_trained.folder)}
    begun = train(tmp_path, "begun", start, steps=0).part("objective")
    assert state(begun.head) == state(before.head) and state(begun.encoder) == state(before.encoder)
    assert begun.encoder.codec.tokenizer.to_str() == before.encoder.codec.tokenizer.to_str()

    run = train(tmp_path, "tuned", start, evaluators=[{"use": "generation"}, {"use": "infill"}])
    tuned = run.part("objective")
    assert tuned.head is tuned.pretrained.head and tuned.encoder is tuned.pretrained.encoder
    assert state(tuned.head) != state(before.head) and state(tuned.encoder) != state(before.encoder)
    encoder = run.part("objective.pretrained.encoder")  # the fine-tuned one, as a part of its own
    assert state(encoder) == state(tuned.encoder)
    assert {
        "train/nll",
        "train/source_cut_tokens",
        "train/target_cut_tokens",
        "generation/rougeL",
        "infill/nll",
    } <= set(run.last_metrics())

    # A run that writes may be gone on with, too.
    again = train(tmp_path, "again", {**start, "pretrained": str(run.folder)}, steps=0).part("objective")
    assert state(again.head) == state(tuned.head)


@pytest.mark.parametrize("length", [20, 40])
def test_an_encoder_may_get_another_length_on_the_way(
    pre_trained: api.LoadedRun, tmp_path: Path, length: int
):
    def begun(run: api.LoadedRun, out: str, **changes: object) -> tuple[api.LoadedRun, Any]:
        source = {"use": "from-run", "run": str(run.folder), "set": changes}
        start = {"use": "seq2seq", "target_length": 8, "pretrained": source}
        made = train(tmp_path, out, start, steps=0)
        return made, made.part("objective")

    before = pre_trained.part("objective").encoder.positions.weight
    wanted = torch.cat([before, before])[:length]
    run, one = begun(pre_trained, "one", encoder={"length": length})
    assert torch.equal(one.encoder.positions.weight, wanted) and one.source_length == length - 8
    # A run that writes holds the encoder twice, by itself and in what it began with.
    _, two = begun(run, "two", pretrained={"set": {"encoder": {"length": 24}}})
    assert torch.equal(two.encoder.positions.weight, torch.cat([wanted, wanted])[:24])


def test_each_line_of_a_file_gets_its_text_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = train(tmp_path, "new", {"use": "seq2seq", "target_length": 8, "encoder": ENCODER}, steps=1)
    lines = tmp_path / "lines.jsonl"
    sources = [{"text": pair["src"], "mine": number} for number, pair in enumerate(TEXTS)]
    sources.append({"text": "the fox " * 12, "mine": 4})
    lines.write_text("".join(json.dumps(item) + "\n" for item in sources), encoding="utf-8")
    words = ["apply", f"{run.folder}:generate", str(lines), "--set", "beam=2", "--set", "candidates=2"]
    assert main(words) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["mine"] for item in found] == [0, 1, 2, 3, 4]
    assert [item["source_cut"] for item in found] == [0, 0, 0, 0, 24 - 14]
    model = run.part("objective")
    for item, source in zip(found, sources, strict=True):
        both = item["candidates"]
        assert {"generated", "complete", "score"} == both[0].keys() and len(both) == 2
        assert all(item[name] == both[0][name] for name in both[0]) and item["text"] == source["text"]
    greedy = model.generate([{"id": "1", **sources[0]}], Step())
    lines.write_text(json.dumps(TEXTS[0]) + "\n", encoding="utf-8")  # the names of s2s-ft
    assert main(["apply", f"{run.folder}:generate", str(lines)]) == 0
    assert json.loads(capsys.readouterr().out)["generated"] == greedy[0][0].text
    assert main(["apply", str(run.folder), sources[0]["text"]]) == 0  # what the run does by default
    assert json.loads(capsys.readouterr().out)["generated"] == greedy[0][0].text


def test_neither_encoder_nor_pre_trained_objective_is_a_mistake_before_anything_runs(tmp_path: Path):
    with pytest.raises(RecipeError) as raised:
        train(tmp_path, "wrong", {"use": "seq2seq"})
    assert "objective.encoder" in str(raised.value) and "give encoder, or pretrained" in str(raised.value)


def test_what_has_no_head_over_tokens_is_a_mistake_before_anything_runs(tmp_path: Path):
    other = {"use": "classify", "classes": 2, "encoder": ENCODER}
    with pytest.raises(RecipeError) as raised:
        train(tmp_path, "wrong", {"use": "seq2seq", "pretrained": other})
    assert "objective:seq2seq needs text:head" in str(raised.value)
    assert "Fits: mlm (maskwright-text), pmlm (maskwright-text), seq2seq (maskwright-text)" in str(
        raised.value
    )


def test_an_objective_without_a_head_over_tokens_is_refused():
    class Other(torch.nn.Module):
        def __init__(self, encoder: object) -> None:
            super().__init__()
            self.encoder = encoder

    for encoder, why in (
        (torch.nn.Linear(2, 2), "its encoder lacks attended, make_head"),
        (TextEncoder.example().build(), "it has no head over a vocabulary"),
    ):
        with pytest.raises(UserError) as raised:
            Built(pretrained=Other(encoder))
        assert raised.value.what == "Other has no encoder and head that can learn to write"
        assert raised.value.why == why


def test_a_new_encoder_gets_a_new_head():
    model = Seq2Seq.example().build(1)
    assert model.pretrained is None and state(model.head) != state(Mlm.example().build(2).head)
