"""How much smaller, how much faster, how good: numbers that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from scipy.stats import pearsonr, rankdata

from maskwright import Step
from maskwright_cap.example_parts import example_encoder, half_pruned
from maskwright_cap.glue_scores import GlueScores, scores
from maskwright_cap.measuring import Latency, SizeOnDisk, Sparsity
from maskwright_cap.params_cap import Cap
from maskwright_cap.pruned_sides import sides_of
from maskwright_cap.sparse_maps import with_plain_maps, with_sparse_maps
from maskwright_testing import assert_user_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.example_parts import example_items
from maskwright_torch.params_classify import Classify

DATA = ListedData(example_items())
STEP = Step(seed=1)
BLOCK = 2 * 2 * 16 + (48 * 16 + 48) + (16 * 16 + 16) + (32 * 16 + 32) + (16 * 32 + 16)
"""Parameters of a block of the example encoder: two norms, queries to values, projection, both maps of the MLP."""
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
    matrices = 48 * 16 + 16 * 16 + 2 * 32 * 16
    assert found.values["encoder_sparsity"] == pytest.approx(0.75 * matrices / BLOCK)
    (table,) = found.tables.values()
    assert [row["kept"] for row in table] == [0.25] * 8


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
    assert sparse.values == {"dense_bytes": found["dense_bytes"]}, "no file of ours leaves zeros out"
    assert "the file holds their zeros" in sparse.notes[0]


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
    found = scores(RIGHT, predicted, expected)
    assert found["accuracy"] == pytest.approx(4 / 6) and found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found["matthews"] == pytest.approx((2 * 2 - 1 * 1) / 9)
    assert found["spearman"] == pytest.approx(pearsonr(rankdata(RIGHT), rankdata(expected))[0])
    three = scores(np.array([0, 1, 2]), np.array([0, 1, 1]), np.array([0.0, 1.0, 1.5]))
    assert three["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert scores(RIGHT, predicted, np.full(6, 0.5))["spearman"] == 0.0


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
