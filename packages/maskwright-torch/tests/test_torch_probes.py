"""Probes: what they report beside the encoder, which labels they draw, and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix
from torch import nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_testing.listed_data import ListedData
from maskwright_torch import confusions, judging, knn
from maskwright_torch.contracts import Baseline, Encoded
from maskwright_torch.example_parts import HeavierHalf, SmallNetwork, example_encoder, example_items
from maskwright_torch.features import features_of, labelled_split, pooled, untrained_copy
from maskwright_torch.linear_probe import regress, scaled
from maskwright_torch.noise import identities, uniform
from maskwright_torch.params_evaluators import FineTune, LinearProbe, Neighbours
from maskwright_torch.part import digest, freeze, seeded

STEP = Step(seed=2)


def ramps(train=12, test=6, classes=("rising", "falling")):
    return ListedData(example_items(train, test), {"classes": list(classes)})


def noise(rows, columns, name="noise"):
    """float32 (rows, columns) in [0, 1)."""
    return uniform(STEP.stream(name), torch.arange(rows), columns).float().numpy()


@pytest.mark.parametrize("params", [LinearProbe(), Neighbours()])
def test_a_perfect_encoder_reaches_one(params):
    found = params.build().evaluate(HeavierHalf(), ramps(), STEP)
    assert found.values["accuracy"] == found.values["macro_f1"] == 1.0
    assert found.rows[1] == {"id": "test-01", "label": 1, "predicted": 1, "correct": 1}
    assert len(found.rows) == 6


@pytest.mark.parametrize("params", [LinearProbe, Neighbours, FineTune])
def test_another_split_can_be_judged(params):
    items = example_items()
    data = ListedData(
        {"train": items["train"], "validation": items["test"][:4]}, {"classes": ["rising", "falling"]}
    )
    found = params(split="validation").build().evaluate(example_encoder(), data, STEP)
    assert [row["id"] for row in found.rows] == ["test-00", "test-01", "test-02", "test-03"]


def test_all_four_rows_stand_in_the_table():
    found = LinearProbe().build().evaluate(example_encoder(), ramps(), STEP)
    ((title, table),) = found.tables.items()
    assert title == "logistic regression, C = 1: 12 to learn from, 6 to judge, 2 classes"
    assert [row["vectors"] for row in table] == [
        "this encoder", "the numbers", "the same encoder, untrained", "none: always rising",
    ]  # fmt: skip
    assert [row["numbers"] for row in table] == [16, 8, 16, 0]
    names = ["accuracy", "numbers_accuracy", "random_accuracy", "majority_accuracy"]
    assert [row["accuracy"] for row in table] == [found.values[name] for name in names]
    assert found.values["majority_accuracy"] == 0.5
    assert found.notes[:1] == [
        "the numbers: 1.000, the encoder: 1.000; on this data nothing is gained by encoding; "
        "compare with the untrained encoder only"
    ]


def test_what_an_encoder_cannot_give_is_left_out_and_told():
    found = LinearProbe().build().evaluate(HeavierHalf(), ramps(), STEP)
    assert found.values.keys() == {"accuracy", "macro_f1", "majority_accuracy"}
    assert found.notes == [
        "no row without an encoder: this one has no baseline(), which a linear model would get",
        "no row for an untrained encoder: this one has no reset(), which makes new weights",
    ]


def test_what_training_did_not_help_is_said_and_only_then():
    def said(own, plain, untrained):
        words = ("this encoder", "the numbers", judging.UNTRAINED)
        table = [{"vectors": w, "accuracy": a} for w, a in zip(words, (own, plain, untrained), strict=True)]
        return list(judging._honest(table))

    assert said(0.4, 0.3, 0.5) == [
        "the same encoder untrained reaches 0.500, this one 0.400: training did not help here"
    ]
    assert said(0.4, 0.4, 0.1)[0].startswith("the numbers: 0.400, the encoder: 0.400; on this data nothing")
    assert not said(0.6, 0.5, 0.5)


class Blind(HeavierHalf):
    """The same vector for everything; its baseline is sparse and tells the classes apart."""

    kind = csr_array

    def forward(self, batch, hidden=None):
        seen = super().forward(batch, hidden)
        states = torch.ones_like(seen.states)
        return Encoded(states, seen.index, seen.valid, states[:, 0], seen.prefix)

    def baseline(self, known, asked, step):
        dense = (np.stack([item["vector"].clip(0) for item in items]) for items in (known, asked))
        return Baseline("words", "counts of words", *(self.kind(side) for side in dense))


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
@pytest.mark.parametrize("params", [LinearProbe(), Neighbours()])
def test_a_baseline_may_be_sparse(params, kind):
    encoder = Blind()
    encoder.kind = kind
    found = params.build().evaluate(encoder, ramps(), STEP)
    assert (found.values["accuracy"], found.values["words_accuracy"]) == (0.5, 1.0)
    assert next(iter(found.tables.values()))[1]["vectors"] == "counts of words"
    assert found.notes[1].startswith("counts of words: 1.000, the encoder: 0.500; on this data")


# -- which items ---------------------------------------------------------------------------------------------


def drawn(data, step, **settings):
    split = labelled_split(data, step, "here", **settings)
    return [item["id"] for item in split.train.items], [item["id"] for item in split.test.items]


def test_the_labels_drawn_depend_on_seed_and_ids_alone():
    data, items = ramps(40, 40), example_items(40, 40)
    reverse = ListedData({split: list(reversed(entries)) for split, entries in items.items()})
    first = drawn(data, STEP, shots=3, max_test=5)
    assert first == drawn(data, Step(2, 7, 9).fork("evaluate", "other"), shots=3, max_test=5)
    assert [set(side) for side in first] == [set(side) for side in drawn(reverse, STEP, shots=3, max_test=5)]
    assert first != drawn(data, Step(seed=3), shots=3, max_test=5)
    train, test = first
    assert sorted(int(name[-2:]) % 2 for name in train) == [0, 0, 0, 1, 1, 1] and len(test) == 5
    assert len(drawn(data, STEP)[0]) == 40 and len(drawn(data, STEP, max_test=99)[1]) == 40


def test_a_class_without_training_items_is_told():
    items = example_items()
    items["test"][0]["label"] = 2
    data = ListedData(items, {"classes": ["left", "right"]})
    found = LinearProbe().build().evaluate(HeavierHalf(), data, STEP)
    assert found.notes[0] == "classes in the test split that no training item has: 2"
    assert found.values["accuracy"] == pytest.approx(5 / 6)


def one_class():
    return ListedData({split: [e for e in v if not e["label"]] for split, v in example_items().items()})


def unlabelled():
    items = example_items()
    del items["test"][3]["label"]
    return ListedData(items)


@pytest.mark.parametrize(
    ("data", "params", "message"),
    [
        (one_class(), LinearProbe(), "the train split holds one class only, label 0\n  where: evaluator:linear-probe"),
        (unlabelled(), Neighbours(), '1 of 6 items of the split "test" have no label\n  where: evaluator:knn\n'
         '  why:   the first is "test-03"'),
        (ListedData({"train": example_items()["train"]}), LinearProbe(), 'the data has no split "test"\n'
         "  where: evaluator:linear-probe"),
        (ramps(test=0), LinearProbe(), 'the split "test" is empty'),
        (ramps(), LinearProbe(shots=7), "label 0 has 6 training items, fewer than 7 shots\n"
         "  where: evaluator:linear-probe\n  do:    shots=6, or leave the class out"),
        (ramps(), Neighbours(k=13), "there are 12 training items, fewer than k = 13 neighbours\n"
         "  where: evaluator:knn, setting k\n  do:    k=12 at most"),
        (ramps(), LinearProbe(pool="class"), "this encoder has no class token\n  where: pool\n"
         "  do:    pool=own, or pool=mean"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(data, params, message):
    with pytest.raises(UserError) as error:
        params.build().evaluate(HeavierHalf(), data, STEP)
    assert message in str(error.value)


def test_vectors_that_are_no_numbers_name_their_item():
    encoder = example_encoder()
    nn.init.constant_(encoder.norm.weight, float("nan"))
    with pytest.raises(UserError, match='infinite or missing numbers\n  where: item "train-00"'):
        LinearProbe().build().evaluate(encoder, ramps(), STEP)


# -- vectors and the untrained copy ---------------------------------------------------------------------------


def test_pools():
    states, valid = torch.arange(12.0).view(1, 3, 4), torch.tensor([[True, False, True]])
    own, prefix = torch.full((1, 4), 7.0), torch.full((1, 2, 4), 9.0)
    encoded = Encoded(states, torch.arange(3)[None], valid, own, prefix)
    assert pooled(encoded, "own").tolist() == [[7.0] * 4] and pooled(encoded, "class").tolist() == [[9.0] * 4]
    assert pooled(encoded, "mean").tolist() == [[4.0, 5.0, 6.0, 7.0]]


def test_vectors_are_those_of_the_whole_in_any_mode():
    items = example_items(train=70)["train"]  # more than one batch
    encoder = example_encoder().train()
    encoder.norm = nn.Sequential(encoder.norm, nn.Dropout(0.5))
    found = features_of(encoder, items, STEP)
    assert found.shape == (70, 16) and found.dtype == np.float32
    np.testing.assert_array_equal(found, features_of(encoder.eval(), items, STEP))
    np.testing.assert_allclose(found[[69]], features_of(encoder, items[69:], STEP), rtol=1e-5, atol=1e-6)


def test_an_untrained_copy_keeps_nothing_of_what_was_learned():
    encoder = SmallNetwork()
    for parameter in encoder.parameters():
        nn.init.constant_(parameter, 5.0)
    freeze(encoder)
    before = digest(encoder)
    made = untrained_copy(encoder, 7)
    assert not any(bool((p == 5.0).any()) for p in made.parameters())
    assert all(p.requires_grad for p in made.parameters()) and not made.is_frozen
    other = seeded(3, SmallNetwork)
    assert digest(made) == digest(untrained_copy(other, 7)) != digest(untrained_copy(encoder, 8))
    assert digest(encoder) == before and encoder.is_frozen


def test_the_subject_stays_as_it_is():
    encoder = example_encoder().train()
    before, state = digest(encoder), torch.get_rng_state()
    LinearProbe().build().evaluate(encoder, ramps(), STEP)
    assert digest(encoder) == before and all(part.training for part in encoder.modules())
    assert torch.equal(torch.get_rng_state(), state)


# -- the two ways to learn ------------------------------------------------------------------------------------


def test_vectors_are_centred_and_have_one_common_scale():
    known = np.array([[1.0, 10.0], [3.0, 10.0], [2.0, 40.0]])
    fit, judged = scaled(known, np.array([[2.0, 20.0]]))
    centred = known - [2.0, 20.0]
    np.testing.assert_allclose(fit, centred / np.sqrt(602 / 6))
    np.testing.assert_allclose(judged, [[0.0, 0.0]])
    assert np.isfinite(scaled(np.ones((3, 2)), np.ones((1, 2)))[0]).all()


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_sparse_vectors_have_one_common_scale_and_stay_sparse(kind):
    known = np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    fit, judged = scaled(kind(known), kind(np.array([[0.0, 13.0, 0.0]])))
    length = np.sqrt((9 + 16 + 1) / 4)  # root of the mean square of the rows' lengths
    assert fit.nnz == 3 and judged.nnz == 1
    np.testing.assert_allclose(fit.toarray(), known / length)
    np.testing.assert_allclose(judged.toarray(), [[0.0, 13 / length, 0.0]])
    with np.errstate(all="raise"):  # nothing to scale by
        assert scaled(kind(np.zeros((2, 3))), kind(np.zeros((1, 3))))[0].nnz == 0
    whole = kind(known.astype(np.int64))
    assert regress(1.0, whole, np.array([0, 1, 2, 2]), whole)[0].tolist() == [0, 1, 2, 2]


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


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_sparse_neighbours_are_those_of_the_same_dense_vectors(kind, monkeypatch):
    known, asked = noise(30, 5, "a"), noise(9, 5, "b")
    known[known < 0.6], asked[asked < 0.6] = 0.0, 0.0
    asked[4] = 0.0  # at a right angle to everything, in both
    labels = np.arange(30) % 3
    monkeypatch.setattr(knn, "ROWS_AT_ONCE", 4)
    for weights in ("equal", "similarity"):
        dense = knn.vote(known, labels, asked, 3, weights)
        assert len(set(dense.tolist())) > 1
        with np.errstate(divide="raise", invalid="raise"):
            assert (knn.vote(kind(known), labels, kind(asked), 3, weights) == dense).all()


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


# -- pictures -------------------------------------------------------------------------------------------------


def test_confusions_are_drawn_with_the_names_of_classes():
    found = LinearProbe().build().evaluate(HeavierHalf(), ramps(classes=("$\\no$", "b_c")), STEP)
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
    items = [{"id": n, "label": 0} for n in names]
    data = ListedData({"train": [*items, {**items[0], "id": "c", "label": 1}], "test": items})
    assert drawn(data, STEP, shots=1)[0] == [first, "c"]


def test_only_the_modules_of_probes_import_sklearn():
    """Whoever only trains does not wait for it."""
    code = """
import importlib, pkgutil, sys, maskwright_torch
apart = {"judging", "linear_probe", "knn", "finetune", "accuracy"}
names = {module.name for module in pkgutil.iter_modules(maskwright_torch.__path__)}
assert apart < names and "train" in names
for name in sorted(names - apart):
    importlib.import_module(f"maskwright_torch.{name}")
assert "sklearn" not in sys.modules, "sklearn"
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
