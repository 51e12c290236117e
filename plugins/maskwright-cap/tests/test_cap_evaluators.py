"""How much smaller, how much faster, how good: numbers that can be worked out by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from scipy.stats import pearsonr, rankdata

from maskwright import Step
from maskwright_cap.example_parts import example_encoder, half_pruned
from maskwright_cap.glue_scores import GlueScores, scores
from maskwright_cap.measuring import Latency, SizeOnDisk, Sparsity, of_length
from maskwright_cap.params_cap import Cap
from maskwright_cap.pruned_sides import sides_of
from maskwright_cap.sparse_maps import with_plain_maps, with_sparse_maps
from maskwright_testing import assert_user_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.contracts import Space
from maskwright_torch.example_parts import example_items
from maskwright_torch.params_classify import Classify

DATA = ListedData(example_items())
STEP = Step(seed=1)
BLOCK = 2 * 2 * 16 + (48 * 16 + 48) + (16 * 16 + 16) + (32 * 16 + 32) + (16 * 32 + 16)
"""Parameters of a block of the example encoder: two norms, queries to values, projection, both maps of the MLP."""
MATRICES = 48 * 16 + 16 * 16 + 2 * 32 * 16
"""Of these, weights of linear maps."""
GONE = 2 * 3 * 4 * (16 + 1) + 2 * 4 * 16 + 16 * (16 + 1) + 16 * 16
"""Of two heads and 16 neurons: their rows with biases, and their columns."""


def weights_pruned(keep: float) -> Any:
    inner = Classify(encoder=example_encoder(), classes=2)
    made: Any = Cap(inner=inner, pruned="weights", criterion="magnitude", prc=False, snc=False).build()
    made.masks.keep_best(made.encoder, keep, "matrix", made.chooser, STEP)
    return made


def test_sparsity_of_units_counts_rows_columns_and_biases():
    found = Sparsity().evaluate(half_pruned(), DATA, STEP)
    assert found.values["encoder_sparsity"] == pytest.approx(GONE / BLOCK)
    whole = 2 * BLOCK + 16 * 9 + 16 + 2 * 16 + 2 * 16 + 2 * 16 + 2  # embedding, last norm, norm and head
    assert found.values["model_sparsity"] == pytest.approx(2 * GONE / whole)
    assert found.values["parameters"] == whole - 2 * GONE
    (table,) = found.tables.values()
    assert table[1] == {"block": 1, "heads": "2 of 4", "neurons": "16 of 32"}


def test_sparsity_of_weights_counts_zeros_of_matrices_alone():
    found = Sparsity().evaluate(weights_pruned(0.25), DATA, STEP)
    assert found.values["encoder_sparsity"] == pytest.approx(0.75 * MATRICES / BLOCK)
    (table,) = found.tables.values()
    assert [row["kept"] for row in table] == [0.25] * 8
    assert [row["matrix"] for row in table][:2] == ["blocks.0.attn.qkv", "blocks.0.attn.proj"]


def test_zeros_of_an_encoder_count_wherever_they_come_from():
    """As the part `objective.inner.encoder` of a run has them, and a folder of movement pruning."""
    part, plain = weights_pruned(0.25), example_encoder()
    part.masks.multiply(part.encoder)
    plain.load_state_dict(part.encoder.state_dict())
    found, masked = (Sparsity().evaluate(subject, DATA, STEP) for subject in (plain, part.encoder))
    wanted = Sparsity().evaluate(part, DATA, STEP)
    assert found.values["encoder_sparsity"] == wanted.values["encoder_sparsity"] > 0.6
    assert found.values == masked.values and found.tables == wanted.tables
    assert [
        row["encoder"] for row in next(iter(Latency(3, 1, 0, 0).evaluate(plain, DATA, STEP).tables.values()))
    ] == [
        "dense",
        "sparse",
    ]


def test_a_compact_encoder_stands_beside_what_it_was():
    small = half_pruned().compacted()
    found = Sparsity().evaluate(small, DATA, STEP)
    assert found.values["encoder_sparsity"] == pytest.approx(GONE / BLOCK)
    dense = Sparsity().evaluate(example_encoder(), DATA, STEP)
    assert dense.values["encoder_sparsity"] == 0.0
    plain = torch.nn.Linear(2, 2)
    plain.pooled_width = 2  # type: ignore[assignment]
    assert_user_error(
        lambda: Sparsity().evaluate(plain, DATA, STEP), "Linear does not say what was pruned", "compact"
    )


def test_what_is_pruned_again_stands_beside_the_first_model():
    first: Any = half_pruned()
    inner = Classify(encoder=first.compacted(), classes=2)
    again: Any = Cap(inner=inner, criterion="magnitude", prc=False, snc=False).build()
    found = Sparsity().evaluate(again, DATA, STEP)
    assert found.values["encoder_sparsity"] == pytest.approx(GONE / BLOCK), "nothing more is closed yet"
    again.gates.gates[1].open[:4] = False
    more = Sparsity().evaluate(again, DATA, STEP)
    assert more.values["encoder_sparsity"] == pytest.approx((2 * GONE + 4 * 33) / (2 * BLOCK))
    (table,) = more.tables.values()
    assert table[0] == {"block": 0, "heads": "2 of 4", "neurons": "12 of 32"}
    batch = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}
    dense: Any = sides_of(again, "").dense.eval()
    torch.testing.assert_close(dense(batch).pooled, first.compacted().eval()(batch).pooled, rtol=0, atol=1e-5)


def test_how_many_units_a_floor_held_back_is_a_metric():
    part: Any = half_pruned()
    part.held_back.fill_(3)
    assert Sparsity().evaluate(part, DATA, STEP).values["held_back"] == 3.0
    assert Sparsity().evaluate(example_encoder(), DATA, STEP).values["held_back"] == 0.0
    assert Sparsity.metrics["held_back"] == "min"


def test_sizes_are_those_of_the_files():
    part: Any = half_pruned()
    found = SizeOnDisk().evaluate(part, DATA, STEP).values
    small = {name: tensor.contiguous() for name, tensor in part.compacted().state_dict().items()}
    assert found["pruned_bytes"] == len(save(small))
    assert (
        found["times_smaller"] == pytest.approx(found["dense_bytes"] / found["pruned_bytes"])
        and found["times_smaller"] > 1
    )
    sparse = SizeOnDisk().evaluate(weights_pruned(0.25), DATA, STEP)
    assert sparse.values["dense_bytes"] == found["dense_bytes"]
    gone, matrices = 0.75 * 4 * 2 * MATRICES, 8
    # Two bytes a column, four for each row's beginning and one more, and names: 500 bytes a matrix at most.
    least = found["dense_bytes"] - gone + 0.25 * 2 * 2 * MATRICES
    assert least < sparse.values["pruned_bytes"] < least + 500 * matrices
    assert "the small file is that of export --to sparse" in sparse.notes[0]


def test_latency_says_what_was_timed_and_leaves_the_threads_alone(monkeypatch: pytest.MonkeyPatch):
    clock = iter(np.cumsum([0.0, 4.0, 0.0, 2.0] + [0.0, 6.0, 0.0, 3.0] * 3).tolist())
    monkeypatch.setattr(Latency, "_now", staticmethod(lambda batch: next(clock)))
    threads = torch.get_num_threads()
    found = Latency(3, 3, 1, 1).evaluate(half_pruned(), DATA, STEP)
    assert found.values == {"dense_ms": 6000.0, "pruned_ms": 3000.0, "times_faster": 2.0}, (
        "the first one is not counted"
    )
    assert torch.get_num_threads() == threads
    assert list(found.tables) == ["3 items a batch, median of 3, cpu, 1 threads"]
    assert found.notes[0].startswith(f"{GONE / BLOCK:.1%} of the blocks is gone: that alone would make it")
    monkeypatch.undo()


def test_latency_of_single_weights_is_that_of_maps_that_skip_zeros():
    found = Latency(3, 1, 0, 0).evaluate(weights_pruned(0.5), DATA, STEP)
    (table,) = found.tables.values()
    assert [row["encoder"] for row in table] == ["dense", "sparse"]
    assert "1.0 times as fast; sparse: with torch.sparse_csr" in found.notes[0]


def test_latency_of_a_length_that_is_asked_for():
    tokens = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]])
    batch = {"rows": torch.arange(2), "tokens": tokens, "real": tokens != 0, "label": torch.zeros(2)}
    encoder = SimpleNamespace(space=Space((6,), vocabulary=10))
    found = of_length(batch, 5, encoder)
    assert found["tokens"].tolist() == [[5, 6, 7, 5, 6], [8, 9, 8, 9, 8]] and bool(found["real"].all())
    assert of_length(batch, 2, encoder)["tokens"].tolist() == [[5, 6], [8, 9]]
    assert found["rows"] is batch["rows"] and found["label"] is batch["label"]
    assert_user_error(
        lambda: of_length(batch, 7, encoder), "length = 7", "reads 6 tokens at most", "at most 6"
    )
    assert_user_error(
        lambda: Latency(3, 1, 0, 0, 8).evaluate(half_pruned(), DATA, STEP),
        "SmallBlocks reads no tokens",
        "length=0",
    )


def test_maps_that_skip_zeros_give_the_same_and_leave_the_masked_ones_alone():
    part = weights_pruned(0.1)
    batch = {"rows": torch.arange(3), "vector": torch.linspace(-1, 1, 24).view(3, 8)}
    made = [make(part.encoder, part.masks.paths).eval() for make in (with_plain_maps, with_sparse_maps)]
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    with torch.no_grad():
        wanted = part.encoder.eval()(batch).pooled
        for encoder in made:
            torch.testing.assert_close(encoder(batch).pooled, wanted, rtol=0, atol=1e-6)
            assert encoder.prepare is part.encoder.prepare
    sparse = made[1].blocks[0].mlp.fc1.weight
    assert sparse.layout == torch.sparse_csr and sparse.values().numel() == 51  # a tenth of 32 x 16
    assert all(torch.equal(tensor, before[name]) for name, tensor in part.state_dict().items())


def test_less_is_faster_where_much_is_removed():
    """Really measured: an encoder of many neurons, and the same with hardly any."""
    from maskwright_cap.pruned_sides import Sides

    torch.set_num_threads(1)
    wide = example_encoder()
    for block in wide.blocks:
        block.mlp = type(block.mlp)(16, 40000)
    wide.whole = wide.shape
    batch = {"rows": torch.arange(32), "vector": torch.zeros(32, 8)}
    small = wide.compact([torch.arange(g.count if g.kind == "heads" else 8) for g in wide.prunable()])
    dense_took, small_took = Latency(32, 3, 1, 1)._medians([Sides(wide, small).dense, small], batch)
    assert dense_took > 2 * small_took


RIGHT = np.array([0, 1, 1, 0, 1, 0])


def test_scores_are_their_formulas():
    predicted = np.array([0, 1, 0, 1, 1, 0])  # 2 hits of 1, 1 missed, 1 false
    expected = np.array([0.1, 0.9, 0.4, 0.6, 0.8, 0.3])
    found = scores(RIGHT, predicted, expected, 2)
    assert found["accuracy"] == pytest.approx(4 / 6) and found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found["matthews"] == pytest.approx((2 * 2 - 1 * 1) / 9)
    assert found["spearman"] == pytest.approx(pearsonr(rankdata(RIGHT), rankdata(expected))[0])
    three = scores(np.array([0, 1, 2]), np.array([0, 1, 1]), np.array([0.0, 1.0, 1.5]), 3)
    assert three["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert scores(RIGHT, predicted, np.full(6, 0.5), 2)["spearman"] == 0.0


def test_what_f1_is_follows_from_the_data_and_not_from_what_was_predicted():
    predicted = np.array([0, 1, 2, 1, 1, 0])  # 2 hits of 1, 1 missed, 1 false
    assert scores(RIGHT, predicted, predicted * 1.0, 2)["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    wide: Any = Classify(encoder=example_encoder(), classes=5, head_std=0.5).build()
    found = GlueScores("test").evaluate(wide, DATA, STEP)
    right, said = (np.array([row[name] for row in found.rows]) for name in ("label", "predicted"))
    assert said.max() > 1, "it names classes that the data lack"
    hits, wrong = int(((right == 1) & (said == 1)).sum()), int(((right == 1) != (said == 1)).sum())
    assert found.values["f1"] == pytest.approx(2 * hits / max(2 * hits + wrong, 1))


def test_labels_between_classes_are_refused():
    items = [{**item, "label": 0.4} for item in example_items()["test"]]
    subject: Any = Classify(encoder=example_encoder(), classes=2).build()
    data = ListedData({**example_items(), "test": items})
    assert_user_error(
        lambda: GlueScores("test").evaluate(subject, data, STEP), "the label 0.4 is no class", "round them"
    )
    whole = ListedData({**example_items(), "test": [{**item, "label": 1.0} for item in items]})
    assert GlueScores("test").evaluate(subject, whole, STEP).rows[0]["label"] == 1


def test_predictions_are_written_as_glue_wants_them():
    subject: Any = Classify(encoder=example_encoder(), classes=2, head_std=0.5).build()
    found = GlueScores("test").evaluate(subject, DATA, STEP)
    lines = found.files["predictions.tsv"].decode().splitlines()
    assert lines[0] == "index\tprediction" and len(lines) == 7
    assert [line.split("\t")[1] for line in lines[1:]] == [str(row["predicted"]) for row in found.rows]
    assert_user_error(lambda: GlueScores("dev").evaluate(subject, DATA, STEP), 'no split "dev"')


class Named(ListedData):
    """Classes have names."""

    def about(self, split: str) -> Any:
        return {"classes": ["falls", "rises"]}


def test_items_without_a_label_are_predicted_and_not_judged():
    subject: Any = Classify(encoder=example_encoder(), classes=2, head_std=0.5).build()
    items = [
        {**item, "label": -1 if place < 2 else item["label"]}
        for place, item in enumerate(example_items()["test"])
    ]
    data = Named({**example_items(), "test": items})
    found, whole = (GlueScores("test").evaluate(subject, one, STEP) for one in (data, DATA))
    assert found.rows == whole.rows[2:]
    right, said = (np.array([row[name] for row in found.rows]) for name in ("label", "predicted"))
    assert found.values["accuracy"] == pytest.approx(float((right == said).mean()))
    lines = found.files["predictions.tsv"].decode().splitlines()[1:]
    names = [["falls", "rises"][row["predicted"]] for row in whole.rows]
    assert lines == [f"{number}\t{name}" for number, name in enumerate(names)]
    assert "2 of 6 items have no label: they are predicted and not judged" in found.notes
    bare = Named({**example_items(), "test": [{**item, "label": -1} for item in items]})
    none = GlueScores("test").evaluate(subject, bare, STEP)
    assert none.values == {} and none.rows == [] and len(none.files["predictions.tsv"].splitlines()) == 7
