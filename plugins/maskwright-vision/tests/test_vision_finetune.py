"""The fine-tuning objective, mixing, layer-wise rates, the pipeline, and the evaluator with its arm from scratch."""

import math

import pytest
import torch
import torch.nn.functional as F

import maskwright as mw
from maskwright.errors import RecipeError, UserError
from maskwright.step import Step
from maskwright_samples.params_images import Digits
from maskwright_testing.listed_data import ListedData
from maskwright_torch.batches import Order
from maskwright_torch.noise import uniform
from maskwright_torch.optim import make_optimiser, set_lr
from maskwright_torch.params_train import Train
from maskwright_torch.part import digest, freeze, seeded, set_training, state_of
from maskwright_vision import finetune
from maskwright_vision.classify import Classify, Labeller
from maskwright_vision.example_pictures import SideOfTheLight, shaded_pictures
from maskwright_vision.features import labelled_split
from maskwright_vision.mixing import Mixing, partners
from maskwright_vision.params_classify import Classify as ClassifyParams
from maskwright_vision.params_evaluators import FineTune, LinearProbe
from maskwright_vision.params_models import Vit

STEP = Step(seed=4, number=3, total=10)


def vit(depth=2, **changes):
    return Vit(image=8, patch=4, width=16, depth=depth, heads=2, **changes).build()


def batch(rows=6):
    pixels = uniform(STEP.stream("pixels"), torch.arange(rows), 64).float().view(rows, 1, 8, 8)
    return {"pixels": pixels, "label": torch.arange(rows) % 3, "rows": torch.arange(rows) + 100}


def pictures():
    return ListedData(shaded_pictures(), {"classes": ["left", "right"]})


# -- the loss ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_of_rows(smoothing):
    objective = Classify(vit(), 3, head_std=1.0, label_smoothing=smoothing)
    given = batch()
    loss = objective(given, STEP)
    encoded = objective.encoder(given)
    logits = objective.head(F.layer_norm(encoded.pooled, (16,), eps=1e-6))
    wanted = F.cross_entropy(logits, given["label"], label_smoothing=smoothing)
    torch.testing.assert_close(loss.value, wanted)
    assert loss.terms["loss"].count == 6
    assert loss.parts["accuracy"] == (logits.argmax(1) == given["label"]).float().mean()


def test_the_norm_can_be_left_out_and_the_head_starts_small():
    objective = Classify(vit(), 200, norm=False)
    assert isinstance(objective.norm, torch.nn.Identity)
    assert (
        objective.head.weight.std().item() == pytest.approx(2e-5, rel=0.1) and not objective.head.bias.any()
    )


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (3, "an item has the label 3, and there are 3 classes\n  where: objective:classify, setting classes\n"
         "  why:   labels run from 0 to 2\n  do:    classes=4, or as many as the data have"),
        (-1, "an item has the label -1, and there are 3 classes"),
    ],
)  # fmt: skip
def test_labels_beyond_the_classes_are_refused(label, message):
    given = batch()
    given["label"][2] = label
    with pytest.raises(UserError) as error:
        Classify(vit(), 3)(given, STEP)
    assert message in str(error.value)


def test_items_without_labels_are_refused():
    given = batch()
    del given["label"]
    with pytest.raises(
        UserError, match="no label, or the encoder .*\n.*\n  why:   the batch holds pixels, rows"
    ):
        Classify(vit(), 3)(given, STEP)


# -- mixing --------------------------------------------------------------------------------------------------


def test_partners_are_a_ring_that_does_not_depend_on_the_order_of_rows():
    rows = torch.tensor([5, 9, 2, 7, 30])
    partner = partners(rows, STEP)
    of = dict(zip(rows.tolist(), rows[partner].tolist(), strict=True))
    turned = rows.flip(0)
    assert of == dict(zip(turned.tolist(), turned[partners(turned, STEP)].tolist(), strict=True))
    walk = [5]
    while of[walk[-1]] != 5:
        walk.append(of[walk[-1]])
    assert sorted(walk) == [2, 5, 7, 9, 30]
    assert not torch.equal(partner, partners(rows, STEP.at(4)))


def test_mixup_blends_pictures_and_losses_alike():
    objective = Classify(vit(), 3, head_std=1.0, mixing=Mixing(mixup=0.8))
    objective.train()
    given = batch()
    mixed, partner, own = objective.mixing.of(given, STEP)
    assert 0 < own < 1
    torch.testing.assert_close(mixed["pixels"], own * given["pixels"] + (1 - own) * given["pixels"][partner])
    logits = objective.logits(mixed)[0]
    one, two = F.cross_entropy(logits, given["label"]), F.cross_entropy(logits, given["label"][partner])
    loss = objective(given, STEP)
    torch.testing.assert_close(loss.value, own * one + (1 - own) * two)
    objective.eval()
    torch.testing.assert_close(
        objective(given, STEP).value, F.cross_entropy(objective.logits(given)[0], given["label"])
    )


def test_a_mixed_row_hits_by_the_share_of_the_label():
    objective = Classify(vit(), 3, mixing=Mixing(mixup=0.8))
    objective.train()
    given = batch()
    _, partner, own = objective.mixing.of(given, STEP)
    objective.logits = lambda mixed: (F.one_hot(given["label"], 3).float(), None)  # all labels, no partner's
    alike = (given["label"] == given["label"][partner]).float().mean().item()
    assert alike < 1
    assert objective(given, STEP).parts["accuracy"].item() == pytest.approx(own + (1 - own) * alike)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels():
    given, shares = batch(), []
    for number in range(20):
        mixed, partner, own = Mixing(cutmix=1.0).of(given, STEP.at(number))
        pasted = (mixed["pixels"] != given["pixels"])[:, 0]
        assert torch.equal(mixed["pixels"][0, 0][pasted[0]], given["pixels"][partner][0, 0][pasted[0]])
        count = int(pasted[0].sum())
        rows, columns = pasted[0].any(1).sum(), pasted[0].any(0).sum()
        assert count == rows * columns and own == pytest.approx(1 - count / 64)
        shares.append(own)
    assert 0.3 < sum(shares) / 20 < 0.9 and min(shares) < 0.5
    assert torch.equal(given["pixels"], batch()["pixels"])


def kinds(mixing, steps=40):
    """How often nothing, a rectangle, everything was changed."""
    found = {"none": 0, "cut": 0, "blend": 0}
    for number in range(steps):
        given = batch(2)
        changed = mixing.of(given, STEP.at(number))[0]["pixels"] != given["pixels"]
        found["none" if not changed.any() else "blend" if changed.all() else "cut"] += 1
    return found


def test_a_coin_decides_between_both_and_probability_mixes_fewer_batches():
    both = kinds(Mixing(mixup=1.0, cutmix=1.0))
    assert both["blend"] >= 10 and both["cut"] >= 10
    half = kinds(Mixing(mixup=1.0, probability=0.5))
    assert 10 <= half["none"] <= 30 and half["cut"] == 0
    assert not Mixing(mixup=1.0, probability=0.0).is_on and not Mixing().is_on and Mixing(cutmix=0.1).is_on


def test_mixing_needs_pixels_and_the_whole_batch():
    with pytest.raises(
        UserError, match="mix pixels, and this encoder reads none\n.*\n  do:    mixup=0 cutmix=0"
    ):
        Mixing(mixup=1.0).of({"rows": torch.arange(2)}, STEP)
    settings = {"encoder": Vit.example(), "classes": 2}
    assert ClassifyParams(**settings, cutmix=0.5).tags() == {"whole-batch"}
    assert ClassifyParams(**settings, cutmix=0.5, mix_probability=0.0).tags() == set()
    with pytest.raises(RecipeError, match="compares the rows of a batch with each other: accumulate = 1"):
        Train(data=Digits(), objective=ClassifyParams(**settings, mixup=0.8), steps=1, accumulate=2).build()


# -- layers --------------------------------------------------------------------------------------------------


def test_rates_fall_from_the_head_down_to_the_patches():
    objective = Classify(vit(depth=12), 3, layer_decay=0.65)
    optimiser = make_optimiser("adamw", objective, lr=1.0, betas=(0.9, 0.999), momentum=0, decay=0.05)
    set_lr(optimiser, 2.0)
    names = {id(p): name for name, p in objective.named_parameters()}
    rates = {names[id(p)]: group["lr"] / 2.0 for group in optimiser.param_groups for p in group["params"]}
    decayed = {names[id(p)] for g in optimiser.param_groups if g["weight_decay"] for p in g["params"]}
    assert rates.keys() == dict(objective.named_parameters()).keys()
    assert rates["encoder.patch_embed.weight"] == pytest.approx(0.65**13)
    assert rates["encoder.cls_token"] == pytest.approx(0.65**13)
    for block in range(12):
        assert rates[f"encoder.blocks.{block}.attn.qkv.weight"] == pytest.approx(0.65 ** (12 - block))
    assert (
        rates["encoder.norm.weight"]
        == rates["norm.weight"]
        == rates["head.weight"]
        == rates["head.bias"]
        == 1.0
    )
    assert "head.weight" in decayed and not {"head.bias", "norm.weight"} & decayed


def test_without_layer_decay_all_rates_are_alike():
    groups = Classify(vit(), 3).groups(0.05)
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0] and not any(
        "lr_scale" in g for g in groups
    )


def trained_names(objective):
    return {name for name, p in objective.named_parameters() if p.requires_grad}


def test_the_head_alone():
    objective = Classify(vit(), 3, trained_blocks=0)
    assert trained_names(objective) == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    set_training(objective)
    assert not objective.encoder.training and objective.head.training


def test_the_last_blocks():
    objective = Classify(vit(depth=3, drop_path=0.1), 3, trained_blocks=1)
    names = trained_names(objective)
    assert {name.split(".")[1] for name in names if name.startswith("encoder.")} == {"blocks", "norm"}
    assert {name.split(".")[2] for name in names if "blocks" in name} == {"2"}
    set_training(objective)
    assert [block.training for block in objective.encoder.blocks] == [False, False, True]
    saved = state_of(objective)[0]
    assert "encoder.blocks.2.mlp.fc1.weight" in saved and "encoder.blocks.1.mlp.fc1.weight" not in saved
    objective(batch(), STEP).value.backward()
    assert {name for name, p in objective.named_parameters() if p.grad is not None} == names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_decay": 0.7}, "does not say which layer a weight belongs to\n  where: layer_decay\n"
         "  why:   it has no layer_of(name) and depth\n  do:    layer_decay=1"),
        ({"trained_blocks": 1}, "which layer a weight belongs to\n  where: trained_blocks"),
    ],
)  # fmt: skip
def test_an_encoder_without_layers_is_told(settings, message):
    with pytest.raises(UserError) as error:
        Classify(SideOfTheLight(), 2, **settings)
    assert message in str(error.value)


def test_more_blocks_than_there_are():
    with pytest.raises(
        UserError, match="3 blocks are to be trained, the encoder has 2\n.*\n  do:    at most 2"
    ):
        Classify(vit(), 2, trained_blocks=3)
    with pytest.raises(RecipeError, match="the head alone is trained"):
        ClassifyParams(encoder=Vit.example(), classes=2, trained_blocks=0, layer_decay=0.5).build()


# -- put to work ---------------------------------------------------------------------------------------------


def test_the_pipeline_gives_the_likeliest_class():
    objective = Classify(SideOfTheLight(), 2, norm=False)
    with torch.no_grad():
        objective.head.weight.copy_(torch.eye(2))
    items = shaded_pictures()["test"]
    made = list(Labeller(_readable(objective), 4)(items, STEP))
    assert [item["predicted"] for item in made] == [0, 1, 0, 1, 0, 1]
    assert made[0]["probability"] == pytest.approx(math.e / (1 + math.e)) and made[0]["id"] == "test-00"


def _readable(objective):
    objective.encoder.read = lambda argument: iter([{"id": argument}])
    return objective


def test_files_are_read_by_the_encoder():
    objective = _readable(Classify(SideOfTheLight(), 2))
    assert list(Labeller(objective, 4).read("a.png")) == [{"id": "a.png"}]
    with pytest.raises(UserError, match="this encoder reads no files\n  do:    give items as JSON lines"):
        Classify(SideOfTheLight(), 2).read("a.png")


def test_a_run_trains_and_judges_its_encoder(tmp_path):
    recipe = Train(
        data=Digits(), steps=2, batch=8, device="cpu",
        objective=ClassifyParams(encoder=Vit.example(), classes=10, mixup=0.8, layer_decay=0.7, trained_blocks=1),
        evaluators=[LinearProbe(shots=1, max_test=20)],
    )  # fmt: skip
    run = mw.run(recipe, out=tmp_path / "run")
    logged = (run.folder / "metrics.jsonl").read_text()
    assert '"train/accuracy"' in logged and '"linear-probe/random_accuracy"' in logged
    predicted = next(iter(run.pipeline("label")([shaded_pictures()["test"][0]], STEP)))
    assert 0 <= predicted["predicted"] < 10


# -- the evaluator -------------------------------------------------------------------------------------------


def few_steps(**changes):
    return FineTune(**{"steps": 30, "shots": 5, "lr": 3e-3, **changes}).build()


@pytest.mark.parametrize("frozen", [False, True])
def test_both_arms_learn_and_the_subject_stays_as_it_is(frozen):
    encoder = vit(drop_path=0.1)
    if frozen:
        freeze(encoder)
    before, state = digest(encoder), torch.get_rng_state()
    found = few_steps().evaluate(encoder, pictures(), STEP)
    assert found.values["accuracy"] == found.values["scratch_accuracy"] == 1.0 and found.values["gain"] == 0.0
    assert digest(encoder) == before and torch.equal(torch.get_rng_state(), state)
    assert all(p.requires_grad is not frozen for p in encoder.parameters())
    ((title, table),) = found.tables.items()
    assert title == "30 steps: 10 to learn from, 6 to judge, 2 classes"
    assert [row["arm"] for row in table] == [
        "fine-tuned", "from scratch, same steps", "logistic regression on raw pixels", "always left",
    ]  # fmt: skip
    assert found.rows[0]["id"] == "test-00" and found.values["raw_pixels_accuracy"] == 1.0


def test_the_fine_tuned_arm_starts_from_the_subject():
    """A subject that is blind stays at chance in a single step of a tiny rate, whatever the labels are."""
    encoder = vit()
    torch.nn.init.zeros_(encoder.patch_embed.weight)
    found = few_steps(steps=1, trained_blocks=0).evaluate(encoder, pictures(), STEP)
    assert {row["predicted"] for row in found.rows} in ({0}, {1}) and found.values["accuracy"] == 0.5


def test_training_is_adamw_on_the_drawn_order_with_the_rates_of_the_schedule():
    """Three steps of an encoder without weights, again by hand."""
    data = pictures()
    split = labelled_split(data, STEP, "here")
    training = finetune.Training(3, 5, 0.01, 0.05, 0.5, 1.0, False, 0.5, -1)
    made = seeded(1, lambda: finetune.trained(SideOfTheLight(), split, STEP, training))
    hand = seeded(1, lambda: Classify(SideOfTheLight(), 2, norm=False, head_std=0.5))
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
        features = hand.encoder({"pixels": whole["pixels"][rows]}).pooled
        F.cross_entropy(hand.head(features), whole["label"][rows]).backward()
        optimiser.step()
    torch.testing.assert_close(made.head.weight, hand.head.weight)
    torch.testing.assert_close(made.head.bias, hand.head.bias)


def test_modules_are_in_training_mode_and_seeded_for_each_step_only_while_they_train():
    seen = []

    class Watched(SideOfTheLight):
        def forward(self, batch, hidden=None):
            seen.append((self.training, torch.default_generator.initial_seed()))
            return super().forward(batch, hidden)

    few_steps(steps=3).evaluate(Watched().eval(), pictures(), STEP)
    assert [mode for mode, _ in seen] == [True, True, True, False]
    assert len({seed for _, seed in seen[:3]}) == 3


def test_scratch_has_the_full_rate_in_every_layer(monkeypatch):
    seen = []

    def watched(encoder, split, step, training):
        assert all(p.requires_grad for p in encoder.parameters())
        seen.append((training.layer_decay, training.trained_blocks, digest(encoder), step))
        return Classify(encoder, 2)

    monkeypatch.setattr(finetune, "trained", watched)
    encoder = vit()
    freeze(encoder)
    few_steps(layer_decay=0.5, trained_blocks=1).evaluate(encoder, pictures(), STEP)
    (tuned, scratch) = seen
    assert tuned[:3] == (0.5, 1, digest(encoder)) and scratch[:2] == (1.0, -1) and scratch[2] != tuned[2]
    assert tuned[3] == scratch[3]  # the same batches


def test_the_rate_rises_then_falls():
    training = finetune.Training(100, 8, 1e-3, 0.05, 0.2, 1.0, True, 2e-5, -1)
    factors = [training.factor(share) for share in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def test_an_encoder_that_cannot_be_made_anew_has_no_arm_from_scratch():
    encoder = SideOfTheLight()
    encoder.gain = torch.nn.Parameter(torch.ones(1))
    found = few_steps().evaluate(encoder, pictures(), STEP)
    assert found.values["accuracy"] == 1.0 and "gain" not in found.values
    assert found.notes == ["no arm from scratch: this encoder has no reset(), which makes new weights"]


def test_an_encoder_without_weights_trains_its_head_alone():
    assert few_steps().evaluate(SideOfTheLight(), pictures(), STEP).values["accuracy"] == 1.0


def test_a_rate_that_is_far_too_high_ends_in_words():
    with pytest.raises(UserError, match="the loss became .* of fine-tuning\n  where: evaluator:finetune\n"):
        few_steps(lr=1e30, warmup=0.0).evaluate(vit(), pictures(), STEP)
