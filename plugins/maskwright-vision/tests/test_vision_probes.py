"""Probes of vision transformers beside raw pixels, and the paper's probe."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.digits import DigitData
from maskwright_testing.listed_data import ListedData
from maskwright_torch.contracts import Baseline
from maskwright_torch.features import features_of, untrained_copy
from maskwright_torch.noise import uniform
from maskwright_torch.params_evaluators import LinearProbe, Neighbours
from maskwright_torch.part import digest, freeze
from maskwright_vision import paper_probe
from maskwright_vision.example_pictures import SideOfTheLight, shaded_pictures
from maskwright_vision.params_evaluators import PaperProbe
from maskwright_vision.params_models import Vit, VitFull

STEP = Step(seed=2)
TINY = {"image": 8, "patch": 4, "width": 16, "depth": 1, "heads": 2}


def pictures(train=12, test=6):
    return ListedData(shaded_pictures(train, test), {"classes": ["left", "right"]})


def noise(rows, columns, name="noise"):
    """float32 (rows, columns) in [0, 1)."""
    return uniform(STEP.stream(name), torch.arange(rows), columns).float().numpy()


def test_all_four_rows_stand_in_the_table():
    found = LinearProbe().build().evaluate(Vit(**TINY).build(), pictures(), STEP)
    ((title, table),) = found.tables.items()
    assert title == "logistic regression, C = 1: 12 to learn from, 6 to judge, 2 classes"
    assert [row["vectors"] for row in table] == [
        "this encoder", "raw pixels", "the same encoder, untrained", "none: always left",
    ]  # fmt: skip
    assert [row["numbers"] for row in table] == [16, 64, 16, 0]
    names = ["accuracy", "raw_pixels_accuracy", "random_accuracy", "majority_accuracy"]
    assert [row["accuracy"] for row in table] == [found.values[name] for name in names]
    assert found.values["majority_accuracy"] == 0.5


def test_raw_pixels_of_digits_are_hard_to_beat_and_it_is_said():
    data, encoder = DigitData(), SideOfTheLight()
    few = [LinearProbe(shots=5).build().evaluate(encoder, data, Step(seed)) for seed in range(4)]
    assert 0.80 < np.mean([found.values["raw_pixels_accuracy"] for found in few]) < 0.88
    assert Neighbours(shots=5).build().evaluate(encoder, data, STEP).values["raw_pixels_accuracy"] > 0.80
    assert LinearProbe().build().evaluate(encoder, data, STEP).values["raw_pixels_accuracy"] > 0.92
    assert any(note.startswith("raw pixels: 0.8") for note in few[0].notes)


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_pixels_are_those_that_the_encoder_sees(channels):
    encoder = Vit(**TINY | {"image": [4, 8]}, channels=channels).build()
    items = [{"id": str(n), "pixels": np.full((8, 8, channels), 40 * n, np.uint8)} for n in range(5)]
    found = encoder.baseline(items[:3], items[3:], STEP)
    assert (found.name, found.words) == ("raw_pixels", "raw pixels")
    for side, own in ((found.known, items[:3]), (found.asked, items[3:])):
        assert side.shape == (len(own), 4 * 8 * channels) and side.dtype == np.float32
        np.testing.assert_array_equal(side, encoder.prepare(own, STEP)["pixels"].flatten(1))


def test_pools():
    encoder = Vit(**TINY).build()
    items = [pictures().item("test", i, STEP) for i in range(3)]
    with torch.no_grad():
        batch = encoder.prepare(items, STEP) | {"rows": torch.arange(3)}
        encoded = encoder(batch)
    np.testing.assert_allclose(features_of(encoder, items, STEP, "class"), encoded.prefix[:, 0], rtol=1e-5)
    np.testing.assert_allclose(
        features_of(encoder, items, STEP, "mean"), encoded.states.mean(1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(features_of(encoder, items, STEP), encoded.pooled, rtol=1e-5)


@pytest.mark.parametrize("params", [Vit(**TINY), VitFull(**TINY, positions="learned")])
def test_an_untrained_copy_keeps_nothing_of_what_was_learned(params):
    encoder = params.build()
    for parameter in encoder.parameters():
        torch.nn.init.constant_(parameter, 5.0)
    freeze(encoder)
    before = digest(encoder)
    made = untrained_copy(encoder, 7)
    assert not any(bool((p == 5.0).any()) for p in made.parameters())
    assert all(p.requires_grad for p in made.parameters()) and not made.is_frozen
    assert digest(made) == digest(untrained_copy(params.build(3), 7)) != digest(untrained_copy(encoder, 8))
    assert digest(encoder) == before and encoder.is_frozen


def test_the_subject_stays_as_it_is():
    encoder = Vit(**TINY | {"depth": 2}, drop_path=0.5).build()
    encoder.train()
    before, state = digest(encoder), torch.get_rng_state()
    PaperProbe(epochs=2).build().evaluate(encoder, pictures(), STEP)
    assert digest(encoder) == before and all(part.training for part in encoder.modules())
    assert torch.equal(torch.get_rng_state(), state)


# -- the paper's probe ------------------------------------------------------------------------------------------


def test_a_perfect_encoder_reaches_one():
    found = PaperProbe().build().evaluate(SideOfTheLight(), pictures(), STEP)
    assert found.values["accuracy"] == found.values["macro_f1"] == 1.0
    assert found.rows[1] == {"id": "test-01", "label": 1, "predicted": 1, "correct": 1}


def test_its_refusals_name_it():
    data = ListedData({"train": shaded_pictures()["train"]})
    with pytest.raises(UserError, match='the data has no split "test"\n  where: evaluator:paper-probe'):
        PaperProbe().build().evaluate(SideOfTheLight(), data, STEP)


def test_a_baseline_may_be_sparse_or_in_other_numbers(monkeypatch):
    seen = []

    def trained(vectors, labels, epochs, batch, step):
        seen.append(vectors)
        return torch.nn.Linear(vectors.shape[1], 2), np.array([0, 1])

    class Counting(SideOfTheLight):
        kind = csr_array

        def baseline(self, known, asked, step):
            first, second = ([[item["label"], 0.5, 3] for item in side] for side in (known, asked))
            return Baseline("words", "counts of words", self.kind(first), self.kind(second))

    monkeypatch.setattr(paper_probe, "trained_probe", trained)
    for kind in (csr_array, np.array):
        encoder = Counting()
        encoder.kind = kind
        found = PaperProbe().build().evaluate(encoder, pictures(), STEP)
        assert "words_accuracy" in found.values
        assert seen[-1].dtype == np.float32 and seen[-1][:2].tolist() == [[0, 0.5, 3], [1, 0.5, 3]]


def test_the_papers_probe_is_a_norm_without_weights_and_a_small_head():
    norm, head = paper_probe.make_probe(200, 50)
    assert not list(norm.parameters()) and norm.eps == 1e-6
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.1) and not head.bias.any()


def test_the_papers_schedule_and_optimiser(monkeypatch):
    seen = []

    class Recorded(paper_probe.Lars):
        def step(self, closure=None):
            (group,) = self.param_groups
            seen.append((group["lr"], group["momentum"], group["weight_decay"]))
            super().step(closure)

    monkeypatch.setattr(paper_probe, "Lars", Recorded)
    probe, classes = paper_probe.trained_probe(noise(50, 4), np.arange(50) % 2 + 3, 20, 10, STEP)
    # 5 pieces of 10 rows, 20 epochs: 100 steps, 10 of them warm-up, up to 0.1 * 10 / 256
    highest = 0.1 * 10 / 256
    assert len(seen) == 100 and {(momentum, decay) for _, momentum, decay in seen} == {(0.9, 0.0)}
    rates = [lr for lr, _, _ in seen]
    assert rates[0] == 0 and rates[5] == pytest.approx(highest / 2) and rates[10] == pytest.approx(highest)
    assert rates[55] == pytest.approx(highest / 2)
    assert rates[99] == pytest.approx(highest * 0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert not probe.training and classes.tolist() == [3, 4]


def test_a_probe_that_had_too_few_steps_says_so():
    few = PaperProbe(epochs=1).build().evaluate(Vit(**TINY).build(), pictures(), STEP)
    many = PaperProbe().build().evaluate(SideOfTheLight(), pictures(), STEP)
    assert "vectors are computed once: no crops and flips, unlike in the paper" in many.notes
    assert any("right after 1 epochs" in note for note in few.notes)
    assert not any("epochs" in note for note in many.notes)
