"""Recipe files of pseudo-masked models, each run in small: what goes from one stage or run to the next."""

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from text_reading import items

from maskwright import Step, api
from maskwright_testing import assert_mistakes
from maskwright_text.example_text_files import squad_file

SMALL = {"length": 48, "width": 16, "depth": 1, "heads": 2}
"""Of an encoder."""


def recipe(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("maskwright_text") / f"recipes/{name}.toml").read_text())


def labelled(folder: Path) -> dict[str, Any]:
    """Texts of two classes that one word tells apart."""
    path = folder / "labelled.jsonl"
    words = ["red", "blue"] * 20
    lines = [{"text": f"the {word} fox jumps over dog {n}", "label": word} for n, word in enumerate(words)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {
        "use": "json-lines",
        "path": str(path),
        "fields": {"text": "text", "label": "label"},
        "test_share": 0.3,
    }


def test_a_run_that_was_pre_trained_can_be_fine_tuned_to_classify(tmp_path: Path):
    encoder = {"use": "text", **SMALL, "codec": {"use": "subwords", "vocabulary": 60, "model": "words"}}
    data = labelled(tmp_path)
    before = api.run(
        {
            "use": "train",
            "steps": 1,
            "batch": 4,
            "data": data,
            "objective": {"use": "pmlm", "encoder": encoder},
        },
        out=tmp_path / "before",
        pictures=False,
    )
    settings = {
        "data": data,
        "objective.classes": 2,
        "objective.encoder": str(before.folder),
        "lr": 0.01,
        "epochs": 10,
    }
    run = api.run(recipe("pmlm-classify"), settings, out=tmp_path / "after", pictures=False)
    values = run.last_metrics()
    assert values["accuracy/accuracy"] == 1 and values["linear-probe/accuracy"] == 1
    mine, theirs = run.part("objective.encoder"), before.part("objective.encoder")
    assert mine.codec.tokenizer.to_str() == theirs.codec.tokenizer.to_str()
    begun = api.run(
        recipe("pmlm-classify"), {**settings, "epochs": 0.0}, out=tmp_path / "begun", pictures=False
    )
    states = [r.part("objective.encoder").state_dict() for r in (begun, before)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_questions_are_learned_from_a_folder_in_the_layout_of_squad(tmp_path: Path):
    small = {f"objective.encoder.{name}": value for name, value in SMALL.items()}
    small |= {"objective.encoder.codec.model": "words", "objective.encoder.codec.vocabulary": 60, "steps": 60}
    small |= {"lr": 0.01, "batch": 2}
    data = {"data.path": str(squad_file(tmp_path))}
    run = api.run(recipe("pmlm-questions"), data | small, out=tmp_path / "run", pictures=False)
    assert {"generation/exact", "infill/nll"} <= set(run.last_metrics())
    asked = run.part("data").item("train", 0, Step())
    (written,) = run.pipeline("generate")([asked], Step())
    assert written["generated"] in {"What was it?", "Which one?"}


def test_a_model_is_pre_trained_and_judged(tmp_path: Path):
    small = {f"objective.encoder.{name}": value for name, value in SMALL.items()}
    small |= {"objective.encoder.codec.vocabulary": 60, "objective.encoder.codec.model": "words"}
    small |= {"data": labelled(tmp_path), "steps": 2, "batch": 8, "checkpoint_every": 2}
    run = api.run(recipe("pmlm"), small, out=tmp_path / "run", pictures=False)
    assert run.part("objective.encoder").relative.buckets == 32
    assert {"train/ae", "train/par", "mlm-loss/loss", "mlm-loss/accuracy"} <= set(run.last_metrics())
    assert list(run.folder.glob("artefacts/findings/*mask-report*/findings.json"))


def test_summaries_are_learned_from_json_lines(tmp_path: Path):
    """As the recipe's header says, with a model that was pre-trained."""
    path = tmp_path / "pairs.jsonl"
    pairs = [{"src": f"the fox jumps over dog {n}. it does.", "tgt": f"fox {n}"} for n in range(12)]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    fields = {"text": "src", "summary": "tgt"}
    data = {"use": "json-lines", "path": str(path), "fields": fields, "test_share": 0.3}
    encoder = {"use": "text", **SMALL, "codec": {"use": "subwords", "vocabulary": 60, "model": "words"}}
    before = {"use": "train", "steps": 1, "batch": 4, "data": data}
    before |= {"objective": {"use": "pmlm", "encoder": encoder}}
    trained = api.run(before, out=tmp_path / "before", pictures=False)
    objective = {"use": "seq2seq", "target_length": 24, "pretrained": str(trained.folder)}
    settings = {"data": data, "objective": objective, "steps": 1, "batch": 4}
    run = api.run(recipe("pmlm-summarise"), settings, out=tmp_path / "run", pictures=False)
    assert run.part("objective").source_length == SMALL["length"] - 24
    assert {"generation/rougeL", "generation/rougeLsum", "infill/nll"} <= set(run.last_metrics())


def test_the_experiment_on_words_that_tell_each_other(tmp_path: Path):
    experiment = recipe("pmlm-experiment-joint") | {"seeds": [0], "workers": 1}
    experiment["base"] |= {"steps": 2, "batch": 4, "log_every": 1, "checkpoint_every": 2, "device": "cpu"}
    experiment["base"]["data"] |= {"count": 8, "test_count": 4}
    experiment["base"]["objective"]["encoder"] |= {"width": 16, "depth": 1}
    api.run(experiment, out=tmp_path / "run", pictures=False)
    (found,) = (tmp_path / "run").glob("artefacts/findings/*-experiment/findings.json")
    report = found.read_text(encoding="utf-8")
    for claim in experiment["claims"]:
        assert claim["says"] in report
    assert all(arm in report for arm in ("ae-and-par", "ae-only", "par-only"))


def test_the_experiment_on_summaries_hands_what_was_pre_trained_on(tmp_path: Path):
    experiment = recipe("pmlm-experiment-summaries")
    chain = experiment["base"]
    texts, pairs = labelled(tmp_path), tmp_path / "pairs.jsonl"
    lines = [{"text": f"the fox jumps over dog {n}", "summary": f"fox {n}"} for n in range(12)]
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fields = {"text": "text", "summary": "summary"}
    data = {"use": "json-lines", "path": str(pairs), "fields": fields, "test_share": 0.3}
    for name, own in (("pretrain", texts), ("write", data)):
        chain["stages"][name] |= {"steps": 1, "batch": 4, "checkpoint_every": 1, "device": "cpu", "data": own}
    chain["stages"]["write"]["steps"] = 0
    chain["stages"]["pretrain"]["objective"]["encoder"] |= SMALL
    chain["stages"]["pretrain"]["objective"]["encoder"]["codec"] |= {"model": "words", "vocabulary": 60}
    run = api.run(chain, seed=1, out=tmp_path / "run", pictures=False)
    before, after = (api.load(run.folder / "stages" / name) for name in ("pretrain", "write"))
    assert torch.equal(before.part("objective").head.dense.weight, after.part("objective").head.dense.weight)
    found = set(after.last_metrics())
    wanted = {claim["metric"].removeprefix("write/") for claim in experiment["claims"]}
    assert wanted == {"infill/nll", "generation/rougeL"} and wanted <= found


def test_questions_need_to_be_told_where_they_are():
    assert_mistakes(recipe("pmlm-questions"), {"data.path": "is required"})


def test_all_stages_of_the_experiment_see_the_same_sentences_and_begin_with_what_was_pre_trained(
    tmp_path: Path,
):
    experiment = recipe("pmlm-experiment-unified")
    chain = experiment["base"]
    for name, steps in {"pretrain": 2, "classify": 1, "seq2seq": 0}.items():
        chain["stages"][name] |= {"steps": steps, "batch": 4, "device": "cpu"}
    for stage in (chain["stages"]["pretrain"], chain["stages"]["seq2seq"]):
        stage["data"] |= {"count": 400, "test_count": 8}
    chain["stages"]["classify"]["data"]["inner"] |= {"count": 400, "test_count": 8}
    chain["stages"]["pretrain"]["objective"]["encoder"] |= SMALL
    run = api.run(chain, seed=1, out=tmp_path / "run", pictures=False)
    stages = {name: api.load(run.folder / "stages" / name) for name in chain["stages"]}
    data = {name: stage.part("data") for name, stage in stages.items()}
    assert data["classify"].length("train") == 200
    all_of_them = {item["id"]: item for item in items(data["pretrain"])}
    assert all(all_of_them[item["id"]] == item for item in items(data["classify"]))
    assert items(data["seq2seq"]) == list(all_of_them.values())
    before, writer = (stages[name].part("objective") for name in ("pretrain", "seq2seq"))
    assert torch.equal(before.head.dense.weight, writer.head.dense.weight)
    assert torch.equal(before.encoder.table, writer.encoder.table)
    read = [max(writer.sources.whole_lengths([item])) for item in all_of_them.values()]
    target = writer.prepare([all_of_them["row-000000"]], Step())["target"]
    assert max(read) < writer.source_length and target.shape[1] == 7  # nothing is cut: six words and the end
    assert {"generation/exact", "generation/rougeL"} <= set(stages["seq2seq"].last_metrics())
    assert "accuracy/accuracy" in stages["classify"].last_metrics()
    for claim in experiment["claims"]:
        assert claim["metric"] in experiment["metrics"] and {claim["arm"], claim["control"]} <= set(
            experiment["arms"]
        )
