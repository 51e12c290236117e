"""Probes: what they report beside the encoder, which labels they draw, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.digits import DigitData
from maskwright_testing.listed_data import ListedData
from maskwright_torch.noise import identities, uniform
from maskwright_torch.part import digest, freeze
from maskwright_vision import confusions, judging, knn, paper_probe
from maskwright_vision.example_pictures import SideOfTheLight, shaded_pictures
from maskwright_vision.features import features_of, labelled_split, untrained_copy
from maskwright_vision.linear_probe import regress, scaled
from maskwright_vision.params_evaluators import LinearProbe, Neighbours, PaperProbe
from maskwright_vision.params_models import Vit, VitFull

STEP = Step(seed=2)
TINY = {"image": 8, "patch": 4, "width": 16, "depth": 1, "heads": 2}


def pictures(train=12, test=6, classes=("left", "right")):
    return ListedData(shaded_pictures(train, test), {"classes": list(classes)})


def noise(rows, columns, name="noise"):
    """float32 (rows, columns) in [0, 1)."""
    return uniform(STEP.stream(name), torch.arange(rows), columns).float().numpy()


@pytest.mark.parametrize("params", [LinearProbe(), PaperProbe(), Neighbours()])
def test_a_perfect_encoder_reaches_one(params):
    found = params.build().evaluate(SideOfTheLight(), pictures(), STEP)
    assert found.values["accuracy"] == found.values["macro_f1"] == 1.0
    assert found.rows[1] == {"id": "test-01", "label": 1, "predicted": 1, "correct": 1}
    assert len(found.rows) == 6


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
    assert any(note.startswith("raw pixels reach 0.8") for note in few[0].notes)
    assert "no row for an untrained encoder: this one has no reset(), which makes new weights" in few[0].notes


def test_what_training_did_not_help_is_said_and_only_then():
    worse = {"accuracy": 0.4, "raw_pixels_accuracy": 0.3, "random_accuracy": 0.5}
    (note,) = judging._honest(worse)
    assert note == "the same encoder untrained reaches 0.500, this one 0.400: training did not help here"
    assert not list(judging._honest({"accuracy": 0.6, "raw_pixels_accuracy": 0.5, "random_accuracy": 0.5}))


def test_an_encoder_that_reads_no_pixels_is_judged_without_that_row():
    encoder = SideOfTheLight()
    inner = encoder.prepare
    encoder.prepare = lambda items, step: {"light": inner(items, step)["pixels"]}
    encoder.forward = lambda batch: SideOfTheLight.forward(encoder, {**batch, "pixels": batch["light"]})
    found = LinearProbe().build().evaluate(encoder, pictures(), STEP)
    assert found.values["accuracy"] == 1.0 and "raw_pixels_accuracy" not in found.values
    assert "no row for raw pixels: the encoder reads none" in found.notes


# -- which items ---------------------------------------------------------------------------------------------


def drawn(data, step, **settings):
    split = labelled_split(data, step, "here", **settings)
    return [item["id"] for item in split.train.items], [item["id"] for item in split.test.items]


def test_the_labels_drawn_depend_on_seed_and_ids_alone():
    data, items = pictures(40, 40), shaded_pictures(40, 40)
    reverse = ListedData({split: list(reversed(entries)) for split, entries in items.items()})
    first = drawn(data, STEP, shots=3, max_test=5)
    assert first == drawn(data, Step(2, 7, 9).fork("evaluate", "other"), shots=3, max_test=5)
    assert [set(side) for side in first] == [set(side) for side in drawn(reverse, STEP, shots=3, max_test=5)]
    assert first != drawn(data, Step(seed=3), shots=3, max_test=5)
    train, test = first
    assert sorted(int(name[-2:]) % 2 for name in train) == [0, 0, 0, 1, 1, 1] and len(test) == 5
    assert len(drawn(data, STEP)[0]) == 40 and len(drawn(data, STEP, max_test=99)[1]) == 40


def test_a_class_without_training_items_is_told():
    items = shaded_pictures()
    items["test"][0]["label"] = 2
    data = ListedData(items, {"classes": ["left", "right"]})
    found = LinearProbe().build().evaluate(SideOfTheLight(), data, STEP)
    assert found.notes[0] == "classes in the test split that no training item has: 2"
    assert found.values["accuracy"] == pytest.approx(5 / 6)


def one_class():
    return ListedData({split: [e for e in v if not e["label"]] for split, v in shaded_pictures().items()})


def unlabelled():
    items = shaded_pictures()
    del items["test"][3]["label"]
    return ListedData(items)


@pytest.mark.parametrize(
    ("data", "params", "message"),
    [
        (one_class(), LinearProbe(), "the train split holds one class only, label 0\n  where: evaluator:linear-probe"),
        (unlabelled(), Neighbours(), '1 of 6 items of the split "test" have no label\n  where: evaluator:knn\n'
         '  why:   the first is "test-03"'),
        (ListedData({"train": shaded_pictures()["train"]}), PaperProbe(), 'the data has no split "test"\n'
         "  where: evaluator:paper-probe"),
        (pictures(test=0), LinearProbe(), 'the split "test" is empty'),
        (pictures(), LinearProbe(shots=7), "label 0 has 6 training items, fewer than 7 shots\n"
         "  where: evaluator:linear-probe\n  do:    shots=6, or leave the class out"),
        (pictures(), Neighbours(k=13), "there are 12 training items, fewer than k = 13 neighbours\n"
         "  where: evaluator:knn, setting k\n  do:    k=12 at most"),
        (pictures(), LinearProbe(pool="class"), "this encoder has no class token\n  where: pool\n"
         "  do:    pool=own, or pool=mean"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(data, params, message):
    with pytest.raises(UserError) as error:
        params.build().evaluate(SideOfTheLight(), data, STEP)
    assert message in str(error.value)


def test_vectors_that_are_no_numbers_name_their_item():
    encoder = Vit(**TINY).build()
    torch.nn.init.constant_(encoder.norm.weight, math.nan)
    with pytest.raises(UserError, match='infinite or missing numbers\n  where: item "train-00"'):
        LinearProbe().build().evaluate(encoder, pictures(), STEP)


# -- vectors and the untrained copy ---------------------------------------------------------------------------


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


# -- the three ways to learn ----------------------------------------------------------------------------------


def test_vectors_are_centred_and_have_one_common_scale():
    known = np.array([[1.0, 10.0], [3.0, 10.0], [2.0, 40.0]])
    fit, judged = scaled(known, np.array([[2.0, 20.0]]))
    centred = known - [2.0, 20.0]
    np.testing.assert_allclose(fit, centred / np.sqrt(602 / 6))
    np.testing.assert_allclose(judged, [[0.0, 0.0]])
    assert np.isfinite(scaled(np.ones((3, 2)), np.ones((1, 2)))[0]).all()


def test_c_weakens_the_penalty():
    x, y = noise(60, 30), np.arange(60) % 2
    assert (regress(100.0, x, y, x)[0] == y).mean() > (regress(1e-3, x, y, x)[0] == y).mean()
    assert regress(1.0, x, y, x)[1] is True


def test_the_nearest_by_angle_decides():
    known = np.array([[1.0, 0.0], [5.4, 7.2], [0.0, 0.0]])
    asked = np.array([[50.0, 1.0], [1.0, 0.2], [0.1, 0.3], [-2.0, 0.0]])
    # The second is nearer to the first by angle, though its product with the longer one is larger. A vector of zeros
    # is at a right angle to everything.
    assert knn.vote(known, np.array([4, 6, 9]), asked, 1, "equal").tolist() == [4, 4, 6, 9]


def test_votes_of_several_neighbours():
    degrees = np.radians([0.0, 20.0, 22.0, 50.0])
    known, labels = np.stack([np.cos(degrees), np.sin(degrees)], axis=1), np.array([1, 0, 0, 2])
    asked = np.array([[1.0, 0.0]])
    assert knn.vote(known, labels, asked, 3, "equal").tolist() == [0]  # two against one
    assert knn.vote(known, labels, asked, 2, "equal").tolist() == [1]  # one each: the nearer
    # exp((cos 20° - 1) / 0.07) + exp((cos 22° - 1) / 0.07) = 0.78 < 1
    assert knn.vote(known, labels, asked, 3, "similarity").tolist() == [1]


def test_pieces_of_the_similarity_matrix_change_nothing(monkeypatch):
    known, asked, labels = noise(30, 4, "a") - 0.5, noise(17, 4, "b") - 0.5, np.arange(30) % 3
    whole = knn.vote(known, labels, asked, 5, "equal")
    monkeypatch.setattr(knn, "ROWS_AT_ONCE", 4)
    assert len(set(whole.tolist())) > 1 and (knn.vote(known, labels, asked, 5, "equal") == whole).all()


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


# -- pictures -------------------------------------------------------------------------------------------------


def test_confusions_are_drawn_with_the_names_of_classes():
    found = LinearProbe().build().evaluate(SideOfTheLight(), pictures(classes=("$\\no$", "b_c")), STEP)
    (one,), (two,) = found.figures(), found.figures()
    assert one.data == two.data and one.data.startswith(b"<?xml") and one.name == "confusions"


def test_of_many_classes_those_with_mistakes_are_drawn(monkeypatch):
    drawn = []
    monkeypatch.setattr(confusions, "heat_map", lambda shares, labels: drawn.append((shares, labels)) or b"x")
    right = np.arange(60)
    predicted = np.where(right == 55, 3, right)
    figure = confusions.confusion_figure(right, predicted, {n: f"class {n}" for n in range(60)})
    ((shares, labels),) = drawn
    assert len(labels) == 40 and labels[-1] == "class 55" and shares[-1][3] == 1.0 and shares[3][3] == 1.0
    assert figure.caption.endswith("; the 40 classes with most mistakes of 60.")


def test_identities_are_what_hashes_are_drawn_for():
    names = ["a", "b"]
    key = Step(2).fork("probe").stream("labels")
    first = "a" if uniform(key, identities(names), 1)[0] < uniform(key, identities(names), 1)[1] else "b"
    items = [{"id": n, "pixels": np.zeros((8, 8, 1), np.uint8), "label": 0} for n in names]
    data = ListedData({"train": [*items, {**items[0], "id": "c", "label": 1}], "test": items})
    assert drawn(data, STEP, shots=1)[0] == [first, "c"]
