"""Fine-tuning on few labels beside the same network from scratch, and how often a trained one is right."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_testing.listed_data import ListedData
from maskwright_torch import finetune
from maskwright_torch.batches import Order
from maskwright_torch.classify import Classify
from maskwright_torch.contracts import Baseline
from maskwright_torch.example_parts import HeavierHalf, example_encoder, example_items
from maskwright_torch.features import labelled_split
from maskwright_torch.params_classify import Accuracy
from maskwright_torch.params_evaluators import FineTune
from maskwright_torch.part import digest, freeze, seeded

STEP = Step(seed=4, number=3, total=10)


def ramps():
    return ListedData(example_items(), {"classes": ["rising", "falling"]})


# -- the evaluator -------------------------------------------------------------------------------------------


def few_steps(**changes):
    return FineTune(**{"steps": 30, "shots": 5, "lr": 3e-3, **changes}).build()


@pytest.mark.parametrize("frozen", [False, True])
def test_both_arms_learn_and_the_subject_stays_as_it_is(frozen):
    encoder = example_encoder()
    if frozen:
        freeze(encoder)
    before, state = digest(encoder), torch.get_rng_state()
    found = few_steps().evaluate(encoder, ramps(), STEP)
    assert found.values["accuracy"] == found.values["scratch_accuracy"] == 1.0 and found.values["gain"] == 0.0
    assert digest(encoder) == before and torch.equal(torch.get_rng_state(), state)
    assert all(p.requires_grad is not frozen for p in encoder.parameters())
    ((title, table),) = found.tables.items()
    assert title == "30 steps: 10 to learn from, 6 to judge, 2 classes"
    assert [row["arm"] for row in table] == [
        "fine-tuned", "from scratch, same steps", "logistic regression on the numbers", "always rising",
    ]  # fmt: skip
    assert found.rows[0]["id"] == "test-00" and found.values["numbers_accuracy"] == 1.0


def test_the_fine_tuned_arm_starts_from_the_subject():
    """A subject that is blind stays at chance in a single step of a tiny rate, whatever the labels are."""
    encoder = example_encoder()
    torch.nn.init.zeros_(encoder.embed.weight)
    found = few_steps(steps=1, trained_blocks=0).evaluate(encoder, ramps(), STEP)
    assert {row["predicted"] for row in found.rows} in ({0}, {1}) and found.values["accuracy"] == 0.5


def test_training_is_adamw_on_the_drawn_order_with_the_rates_of_the_schedule():
    """Three steps of an encoder without weights, again by hand."""
    data = ramps()
    split = labelled_split(data, STEP, "here")
    training = finetune.Training(3, 5, 0.01, 0.05, 0.5, 1.0, False, 0.5, -1)
    made = seeded(1, lambda: finetune.trained(HeavierHalf(), split, STEP, training))
    hand = seeded(1, lambda: Classify(HeavierHalf(), 2, norm=False, head_std=0.5))
    whole = hand.prepare(split.train.items, STEP)
    optimiser = torch.optim.AdamW(
        [{"params": [hand.head.weight]}, {"params": [hand.head.bias], "weight_decay": 0.0}],
        lr=0.01, betas=(0.9, 0.999), weight_decay=0.05,
    )  # fmt: skip
    for number, factor in enumerate([0.0, 2 / 3, 0.5 * (1 + math.cos(math.pi / 3))]):
        rows = [row for _, row in Order(STEP, 12, 5).places(number)]
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * factor
        optimiser.zero_grad()
        features = hand.encoder({"vector": whole["vector"][rows]}).pooled
        F.cross_entropy(hand.head(features), whole["label"][rows]).backward()
        optimiser.step()
    torch.testing.assert_close(made.head.weight, hand.head.weight)
    torch.testing.assert_close(made.head.bias, hand.head.bias)


def test_modules_are_in_training_mode_and_seeded_for_each_step_only_while_they_train():
    seen = []

    class Watched(HeavierHalf):
        def forward(self, batch, hidden=None):
            seen.append((self.training, torch.default_generator.initial_seed()))
            return super().forward(batch, hidden)

    few_steps(steps=3).evaluate(Watched().eval(), ramps(), STEP)
    assert [mode for mode, _ in seen] == [True, True, True, False]
    assert len({seed for _, seed in seen[:3]}) == 3


def test_scratch_has_the_full_rate_in_every_layer(monkeypatch):
    seen = []

    def watched(encoder, split, step, training):
        assert all(p.requires_grad for p in encoder.parameters())
        seen.append((training.layer_decay, training.trained_blocks, digest(encoder), step))
        return Classify(encoder, 2)

    monkeypatch.setattr(finetune, "trained", watched)
    encoder = example_encoder()
    freeze(encoder)
    few_steps(layer_decay=0.5, trained_blocks=1).evaluate(encoder, ramps(), STEP)
    (tuned, scratch) = seen
    assert tuned[:3] == (0.5, 1, digest(encoder)) and scratch[:2] == (1.0, -1) and scratch[2] != tuned[2]
    assert tuned[3] == scratch[3]  # the same batches


def test_the_rate_rises_then_falls():
    training = finetune.Training(100, 8, 1e-3, 0.05, 0.2, 1.0, True, 2e-5, -1)
    factors = [training.factor(share) for share in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def test_an_encoder_that_cannot_be_made_anew_has_no_arm_from_scratch():
    encoder = HeavierHalf()
    encoder.gain = torch.nn.Parameter(torch.ones(1))
    found = few_steps().evaluate(encoder, ramps(), STEP)
    assert found.values["accuracy"] == 1.0 and "gain" not in found.values
    assert found.notes == ["no arm from scratch: this encoder has no reset(), which makes new weights"]


def test_an_encoder_without_weights_trains_its_head_alone():
    assert few_steps().evaluate(HeavierHalf(), ramps(), STEP).values["accuracy"] == 1.0


def test_a_rate_that_is_far_too_high_ends_in_words():
    with pytest.raises(UserError, match="the loss became .* of fine-tuning\n  where: evaluator:finetune\n"):
        few_steps(lr=1e30, warmup=0.0).evaluate(example_encoder(), ramps(), STEP)


def test_a_sparse_baseline_stands_beside_both_arms():
    class Counted(HeavierHalf):
        def baseline(self, known, asked, step):
            first, second = (csr_array([[item["label"] + 1.0] for item in side]) for side in (known, asked))
            return Baseline("words", "counts of words", first, second)

    found = few_steps(steps=1).evaluate(Counted(), ramps(), STEP)
    assert found.values["words_accuracy"] == 1.0
    assert "logistic regression on counts of words" in [
        row["arm"] for row in next(iter(found.tables.values()))
    ]


# -- a model that was fine-tuned -------------------------------------------------------------------------------


def sorter(classes=2):
    """Right about everything."""
    objective = Classify(HeavierHalf(), classes, norm=False)
    with torch.no_grad():
        objective.head.weight.copy_(torch.eye(classes, 2))
    return objective


def test_how_often_a_model_names_the_right_class():
    items = example_items()
    items["test"][0]["label"] = 1
    data = ListedData(items, {"classes": ["rising", "falling"]})
    found = Accuracy().build().evaluate(sorter(), data, STEP)
    assert found.values["accuracy"] == pytest.approx(5 / 6)
    assert found.values["majority_accuracy"] == pytest.approx(4 / 6)
    right, wrong = (-math.log(math.exp(x) / (math.exp(0) + math.exp(1))) for x in (1, 0))
    assert found.values["loss"] == pytest.approx((5 * right + wrong) / 6)
    assert found.rows[0] == {"id": "test-00", "label": 1, "predicted": 0, "correct": 0}
    ((title, table),) = found.tables.items()
    assert title == "6 to judge, 2 classes" and [row["answer"] for row in table] == [
        "this model",
        "always falling",
    ]
    assert len(Accuracy(max_test=2).build().evaluate(sorter(), data, STEP).rows) == 2


def test_labels_that_a_model_does_not_know_are_refused():
    items = example_items()
    items["test"][3]["label"] = 2
    with pytest.raises(UserError) as error:
        Accuracy().build().evaluate(sorter(), ListedData(items), STEP)
    assert str(error.value).startswith(
        "an item has the label 2, and the model knows 2 classes\n  where: evaluator:accuracy\n"
        "  why:   labels run from 0 to 1\n"
    )
