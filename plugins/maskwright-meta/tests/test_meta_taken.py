"""Parts of a finished run in a later one, and its heads as files: what tasks share and keep for each other."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from meta_cases import SMALL, run, two_tasks
from safetensors.torch import load_file

from maskwright.cli.main import main
from maskwright_meta.exporting import facts, to_heads
from maskwright_meta.meta import Meta
from maskwright_torch.contracts import Reshaped


def with_a_codec_elsewhere() -> dict[str, Any]:
    """Two encoders; the tokenizer of the second is that of the first."""
    recipe = two_tasks()
    encoder = {"use": "text", "length": 8, "width": 8, "depth": 1, "heads": 2}
    codec = {"use": "subwords", "model": "words", "vocabulary": 40}
    first, second = recipe["objective"]["tasks"]
    first["encoder"] = {**encoder, "codec": codec}
    second["encoder"] = {**encoder, "codec": {"ref": "objective.tasks.a.encoder.codec"}}
    return recipe


def test_the_encoder_is_taken_by_a_later_run(tmp_path: Path):
    made = run(two_tasks(), tmp_path / "first", {"steps": 1})
    later = copy.deepcopy(SMALL)
    later["objective"]["tasks"][0]["encoder"] = {
        "use": "from-run", "run": str(tmp_path / "first"), "part": "objective.tasks.a.encoder",
    }  # fmt: skip
    again = run(later, tmp_path / "second", {"steps": 0})
    ours = again.part("objective").tasks["topics"].encoder.table
    assert torch.equal(ours, made.part("objective").tasks["b"].encoder.table)


def test_what_tasks_share_stays_shared_when_a_later_run_takes_it(tmp_path: Path):
    """The whole objective with one encoder, and a task whose encoder, with its tokenizer, is kept elsewhere."""
    recipe = two_tasks()
    codec = {"use": "subwords", "model": "words", "vocabulary": 40}
    recipe["objective"]["tasks"][0]["encoder"] = {
        "use": "text", "length": 8, "width": 8, "depth": 1, "heads": 2, "codec": codec,
    }  # fmt: skip
    made = run(recipe, tmp_path / "first", {"steps": 1}).part("objective")
    taken = {"use": "from-run", "run": str(tmp_path / "first")}
    whole = {**SMALL, "data": recipe["data"], "steps": 0, "objective": {**taken, "part": "objective"}}
    again = run(whole, tmp_path / "whole").part("objective")
    assert again.tasks["a"].encoder is again.tasks["b"].encoder
    single = copy.deepcopy(SMALL) | {"steps": 0}
    single["objective"]["tasks"] = [{**taken, "part": "objective.tasks.b", "as": "b"}]
    alone = run(single, tmp_path / "single").part("objective")
    for other in (again, alone):
        ours, theirs = other.tasks["b"].state_dict(), made.tasks["b"].state_dict()
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
        codecs = [objective.tasks["b"].encoder.codec for objective in (other, made)]
        assert codecs[0].vocabulary == codecs[1].vocabulary


def test_an_encoder_is_taken_whose_tokenizer_another_task_keeps(tmp_path: Path):
    """The tokenizer itself is a reference there: its state lies where it stands, under the other task."""
    recipe = with_a_codec_elsewhere()
    made = run(recipe, tmp_path / "first", {"steps": 1}).part("objective").tasks["b"].encoder
    later = copy.deepcopy(SMALL) | {"steps": 0}
    later["objective"]["tasks"][0]["encoder"] = {
        "use": "from-run", "run": str(tmp_path / "first"), "part": "objective.tasks.b.encoder",
    }  # fmt: skip
    taken = run(later, tmp_path / "second").part("objective").tasks["topics"].encoder
    assert taken.codec.vocabulary == made.codec.vocabulary
    assert all(torch.equal(taken.state_dict()[name], tensor) for name, tensor in made.state_dict().items())


def test_a_part_in_another_shape_brings_what_stands_elsewhere_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its settings are read outside of their recipe, where a reference would point nowhere."""

    def offered(self):
        return {"small": Reshaped("tasks.b.encoder", {}, self.tasks["b"].encoder)}

    with monkeypatch.context() as patched:
        patched.setattr(Meta, "parts", offered, raising=False)
        made = run(with_a_codec_elsewhere(), tmp_path / "first", {"steps": 1}).part("objective")
    later = copy.deepcopy(SMALL) | {"steps": 0}
    later["objective"]["tasks"][0]["encoder"] = {
        "use": "from-run", "run": str(tmp_path / "first"), "part": "small",
    }  # fmt: skip
    taken = run(later, tmp_path / "second").part("objective").tasks["topics"].encoder
    assert taken.codec.vocabulary == made.tasks["a"].encoder.codec.vocabulary
    wanted = made.tasks["b"].encoder.state_dict()
    assert all(torch.equal(taken.state_dict()[name], tensor) for name, tensor in wanted.items())


def test_heads_are_exported(tmp_path: Path):
    made = run(two_tasks(), tmp_path / "run", {"steps": 1})
    to_heads(made.part("objective"), tmp_path / "out")
    table = json.loads((tmp_path / "out/tasks.json").read_text())
    assert [entry["name"] for entry in table] == ["a", "b"] and {entry["labels"] for entry in table} == {2}
    head = load_file(tmp_path / "out" / table[1]["file"])
    assert torch.equal(head["head.weight"], made.part("objective").tasks["b"].head.weight)
    assert set(head) == {"head.weight", "head.bias"}


def test_the_exporter_is_told_what_is_known_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = run(two_tasks(), tmp_path / "run", {"steps": 1})
    sets = made.part("data").about("train")["sets"]
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "heads"]) == 0
    table = json.loads((tmp_path / "out/tasks.json").read_text())
    assert [(entry["size"], entry["classes"]) for entry in table] == [
        (sets[name]["count"], sets[name]["classes"]) for name in ("a", "b")
    ]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("about", "facts_of_b"),
    [
        ({}, {}),
        ({"sets": {"a": {"count": 4}}}, {}),
        (
            {"count": 9, "sets": {"b": {"count": 4, "classes": ("no", "yes")}}},
            {"size": 4, "classes": ["no", "yes"]},
        ),
        ({"count": 7, "classes": ["no", "yes"]}, {"size": 7, "classes": ["no", "yes"]}),
    ],
)
def test_facts_of_a_task(about: dict, facts_of_b: dict):
    assert facts(about, "b") == facts_of_b
