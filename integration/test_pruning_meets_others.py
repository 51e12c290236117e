"""One chain for text, pictures and a folder of transformers: pre-train under a schedule, fine-tune, prune, and go on
with the small encoder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from training import maskwright

from maskwright import Step, api
from maskwright.build import build_raw
from maskwright.contracts import items_of
from maskwright.metrics import read_metrics
from maskwright_text.codecs import Subwords
from maskwright_text.exporting import write_tokenizer
from maskwright_torch.batches import collate
from maskwright_torch.part import seeded

LOOP = {"use": "train", "batch": 16, "log_every": 5, "checkpoint_every": 50, "device": "cpu"}
TEXT = {
    "data": {"use": "topic-attributes", "count": 200, "test_count": 40, "words": 100, "topics": 3, "length": 12},
    "learn": {"use": "mlm", "ratio": {"use": "mrd-cosine", "p": 0.3}},
    "encoder": {
        "use": "text", "length": 24, "width": 16, "depth": 2, "heads": 4,
        "codec": {"use": "subwords", "model": "bpe", "vocabulary": 400},
    },
}  # fmt: skip
PICTURES = {
    "data": {"use": "shapes", "size": 16, "count": 200, "test_count": 40},
    "learn": {
        "use": "mae", "ratio": {"use": "linear", "start": 0.5, "end": 0.75}, "decoder_width": 8, "decoder_depth": 1,
        "decoder_heads": 2,
    },
    "encoder": {"use": "vit", "image": 16, "patch": 4, "width": 16, "depth": 2, "heads": 4},
}  # fmt: skip


def bert(folder: Path) -> dict[str, Any]:
    """TEXT with a BERT as transformers writes it, of the same sizes, that was never trained."""
    codec = Subwords(400, "bpe", False, "train")
    codec.fit(build_raw(TEXT["data"], ("dataset",), "the sentences", 0)[0], Step())
    config = transformers.BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=24, pad_token_id=0,
    )  # fmt: skip
    seeded(3, lambda: transformers.BertForMaskedLM(config)).save_pretrained(folder)
    write_tokenizer(codec, folder, 24, segmented=False)
    return {**TEXT, "encoder": {"use": "hf-text", "path": str(folder), "length": 24}}


def chain(kind: dict[str, Any]) -> dict[str, Any]:
    """The same stages for all; only data, encoder and what it is pre-trained with differ."""
    data = kind["data"]
    encoder = {"use": "from-run", "run": "stage:pretrain", "part": "objective.encoder"}
    classify = {"use": "classify", "classes": 6, "head_std": 0.02, "encoder": encoder}
    return {
        "use": "chain",
        "stages": {
            "pretrain": {**LOOP, "steps": 10, "data": data, "objective": {**kind["learn"], "encoder": kind["encoder"]}},
            "teacher": {**LOOP, "steps": 60, "lr": 3e-3, "data": data, "objective": classify},
            "prune": {
                **LOOP, "steps": 12, "lr": 1e-3, "data": data,
                "objective": {
                    "use": "cap", "inner": classify, "fic": True, "kd": 0.9, "task": 0.1, "extra": 32,
                    "sparsity": {"use": "steps", "start": 0.0, "end": 0.5, "count": 3}, "importance_items": 64,
                    "teacher": {"use": "from-run", "run": "stage:teacher", "part": "objective"},
                },
            },
            "again": {
                **LOOP, "steps": 4, "data": data,
                "objective": {**classify, "encoder": {"use": "from-run", "run": "stage:prune", "part": "compact"}},
                "evaluators": [{"use": "linear-probe", "max_test": 20, "shots": 4}],
            },
        },
    }  # fmt: skip


@pytest.fixture(scope="module", params=["text", "pictures", "bert"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "chain.json"
    kinds = {"text": lambda: TEXT, "pictures": lambda: PICTURES, "bert": lambda: bert(folder / "bert")}
    recipe.write_text(json.dumps(chain(kinds[request.param]())))
    done = maskwright("run", recipe, "-q", "--no-pictures", "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def pooled(encoder: Any, run: Path) -> torch.Tensor:
    data = api.load(run / "stages" / "prune").part("data")
    items = list(items_of(data, "test", Step(0)))
    encoder.eval()
    with torch.no_grad():
        return encoder(collate(items, range(len(items)), encoder.prepare, Step(0))).pooled


def test_the_small_encoder_does_what_the_one_with_zeros_does(run: Path):
    pruned = api.load(run / "stages" / "prune")
    small, zeros = pruned.part("compact"), pruned.part("objective.inner.encoder")
    assert sum(heads for heads, _ in small.shape) == 4 and sum(neurons for _, neurons in small.shape) == 64
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in zeros.parameters())
    torch.testing.assert_close(pooled(small, run), pooled(zeros, run), rtol=0, atol=1e-5)


def test_it_is_trained_probed_and_used_as_any_other(run: Path):
    again = api.load(run / "stages" / "again")
    assert again.part("objective.encoder").shape == api.load(run / "stages" / "prune").part("compact").shape
    assert 0 <= again.last_metrics()["linear-probe/accuracy"] <= 1
    items = [again.part("data").item("test", number, Step(0)) for number in range(3)]
    found = list(again.pipeline("embed")(items, Step(0)))
    assert [len(item["vector"]) for item in found] == [16] * 3


@pytest.mark.parametrize("run", ["text", "bert"], indirect=True)
def test_documents_are_found_by_its_vectors(run: Path, tmp_path: Path):
    """By the evaluator and on the data of another plugin, none of whose words it has seen."""
    done = maskwright(
        "evaluate", f"{run / 'stages' / 'again'}:embed", "with=known-item", "data=docstring-search",
        "data.packages=networkx", "-q", "--no-pictures", "--out", tmp_path / "judged",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {entry["name"]: entry["value"] for entry in read_metrics(tmp_path / "judged")}
    assert 0 < found["known-item/ndcg@10"] < 1


def test_it_is_exported(run: Path, tmp_path: Path):
    done = maskwright(
        "export", run / "stages" / "prune", tmp_path / "small", "--to", "compact", "--part", "objective"
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "small" / "maskwright_pruning.json").read_text())
    assert kept, "which heads and neurons each block has kept"
    assert (tmp_path / "small" / "model.safetensors").is_file()
