"""The objective that classifies: its loss, mixing, layer-wise rates, and the pipeline that names classes."""

import math

import pytest
import torch
import torch.nn.functional as F
import torch_toy_params

from maskwright.errors import RecipeError, UserError
from maskwright.step import Step
from maskwright_testing.isolation import IsolatedCatalogue
from maskwright_torch import plugin
from maskwright_torch.classify import Classify, Labeller
from maskwright_torch.example_parts import HeavierHalf, SmallNetwork, example_items
from maskwright_torch.mixing import Mixing, partners
from maskwright_torch.noise import uniform
from maskwright_torch.optim import make_optimiser, set_lr
from maskwright_torch.params_classify import Classify as ClassifyParams
from maskwright_torch.params_train import Train
from maskwright_torch.part import set_training, state_of

STEP = Step(seed=4, number=3, total=10)


class Pixels(HeavierHalf):
    """Reads pictures of 2 x 4 pixels, row by row, as the eight numbers."""

    def forward(self, batch, hidden=None):
        return super().forward({**batch, "vector": batch["pixels"].flatten(1)}, hidden)


def batch(rows=6):
    vector = uniform(STEP.stream("vector"), torch.arange(rows), 8).float()
    return {"vector": vector, "label": torch.arange(rows) % 3, "rows": torch.arange(rows) + 100}


def pictures(rows=6):
    pixels = uniform(STEP.stream("pixels"), torch.arange(rows), 64).float().view(rows, 1, 8, 8)
    return {"pixels": pixels, "label": torch.arange(rows) % 3, "rows": torch.arange(rows) + 100}


# -- the loss ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_of_rows(smoothing):
    objective = Classify(SmallNetwork(), 3, head_std=1.0, label_smoothing=smoothing)
    given = batch()
    loss = objective(given, STEP)
    encoded = objective.encoder(given)
    logits = objective.head(F.layer_norm(encoded.pooled, (16,), eps=1e-6))
    wanted = F.cross_entropy(logits, given["label"], label_smoothing=smoothing)
    torch.testing.assert_close(loss.value, wanted)
    assert loss.terms["loss"].count == 6
    assert loss.parts["accuracy"] == (logits.argmax(1) == given["label"]).float().mean()


def test_the_norm_can_be_left_out_and_the_head_starts_small():
    objective = Classify(SmallNetwork(), 200, norm=False)
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
        Classify(SmallNetwork(), 3)(given, STEP)
    assert message in str(error.value)


def test_items_without_labels_are_refused():
    given = batch()
    del given["label"]
    with pytest.raises(
        UserError, match="no label, or the encoder .*\n.*\n  why:   the batch holds rows, vector"
    ):
        Classify(SmallNetwork(), 3)(given, STEP)


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
    objective = Classify(Pixels(), 3, head_std=1.0, mixing=Mixing(mixup=0.8))
    objective.train()
    given = pictures()
    mixed, partner, own = objective.mixing.of(given, STEP)
    assert 0 < own < 1
    torch.testing.assert_close(mixed["pixels"], own * given["pixels"] + (1 - own) * given["pixels"][partner])
    logits = objective.logits(mixed)
    one, two = F.cross_entropy(logits, given["label"]), F.cross_entropy(logits, given["label"][partner])
    loss = objective(given, STEP)
    torch.testing.assert_close(loss.value, own * one + (1 - own) * two)
    objective.eval()
    torch.testing.assert_close(
        objective(given, STEP).value, F.cross_entropy(objective.logits(given), given["label"])
    )


def test_a_mixed_row_hits_by_the_share_of_the_label():
    objective = Classify(Pixels(), 3, mixing=Mixing(mixup=0.8))
    objective.train()
    given = pictures()
    _, partner, own = objective.mixing.of(given, STEP)
    objective._logits = lambda mixed: F.one_hot(given["label"], 3).float()  # all labels, no partner's
    alike = (given["label"] == given["label"][partner]).float().mean().item()
    assert alike < 1
    assert objective(given, STEP).parts["accuracy"].item() == pytest.approx(own + (1 - own) * alike)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels():
    given, shares = pictures(), []
    for number in range(20):
        mixed, partner, own = Mixing(cutmix=1.0).of(given, STEP.at(number))
        pasted = (mixed["pixels"] != given["pixels"])[:, 0]
        assert torch.equal(mixed["pixels"][0, 0][pasted[0]], given["pixels"][partner][0, 0][pasted[0]])
        count = int(pasted[0].sum())
        rows, columns = pasted[0].any(1).sum(), pasted[0].any(0).sum()
        assert count == rows * columns and own == pytest.approx(1 - count / 64)
        shares.append(own)
    assert 0.3 < sum(shares) / 20 < 0.9 and min(shares) < 0.5
    assert torch.equal(given["pixels"], pictures()["pixels"])


def kinds(mixing, steps=40):
    """How often nothing, a rectangle, everything was changed."""
    found = {"none": 0, "cut": 0, "blend": 0}
    for number in range(steps):
        given = pictures(2)
        changed = mixing.of(given, STEP.at(number))[0]["pixels"] != given["pixels"]
        found["none" if not changed.any() else "blend" if changed.all() else "cut"] += 1
    return found


def test_a_coin_decides_between_both_and_probability_mixes_fewer_batches():
    both = kinds(Mixing(mixup=1.0, cutmix=1.0))
    assert both["blend"] >= 10 and both["cut"] >= 10
    half = kinds(Mixing(mixup=1.0, probability=0.5))
    assert 10 <= half["none"] <= 30 and half["cut"] == 0
    assert not Mixing(mixup=1.0, probability=0.0).is_on and not Mixing().is_on and Mixing(cutmix=0.1).is_on


def test_mixing_needs_pixels():
    objective = Classify(SmallNetwork(), 3, mixing=Mixing(mixup=1.0))
    with pytest.raises(UserError) as error:
        objective.train()(batch(), STEP)
    assert str(error.value) == (
        "mixup and cutmix mix pixels, and this encoder reads none\n"
        "  where: objective:classify, settings mixup and cutmix\n"
        "  why:   the batch holds label, rows, vector\n"
        "  do:    mixup=0 cutmix=0"
    )


def test_mixing_needs_the_whole_batch(isolated_catalogue: IsolatedCatalogue):
    isolated_catalogue.add(torch_toy_params, "toys", "toys")
    isolated_catalogue.add(plugin, "torch", "maskwright-torch")
    settings = {"encoder": torch_toy_params.CellEncoder(), "classes": 2}
    assert ClassifyParams(**settings, cutmix=0.5).tags() == {"whole-batch"}
    assert ClassifyParams(**settings, cutmix=0.5, mix_probability=0.0).tags() == set()
    assert ClassifyParams(**settings).tags() == set()
    data = torch_toy_params.Waves()
    with pytest.raises(RecipeError, match="compares the rows of a batch with each other: accumulate = 1"):
        Train(data=data, objective=ClassifyParams(**settings, mixup=0.8), steps=1, accumulate=2).build()


# -- layers --------------------------------------------------------------------------------------------------


def test_rates_fall_from_the_head_down_to_the_input():
    objective = Classify(SmallNetwork(depth=3), 3, layer_decay=0.65)
    optimiser = make_optimiser("adamw", objective, lr=1.0, betas=(0.9, 0.999), momentum=0, decay=0.05)
    set_lr(optimiser, 2.0)
    names = {id(p): name for name, p in objective.named_parameters()}
    rates = {names[id(p)]: group["lr"] / 2.0 for group in optimiser.param_groups for p in group["params"]}
    decayed = {names[id(p)] for g in optimiser.param_groups if g["weight_decay"] for p in g["params"]}
    assert rates.keys() == dict(objective.named_parameters()).keys()
    assert rates["encoder.embed.weight"] == pytest.approx(0.65**4)
    for block in range(3):
        assert rates[f"encoder.blocks.{block}.weight"] == pytest.approx(0.65 ** (3 - block))
    top = ("encoder.norm.weight", "norm.weight", "head.weight", "head.bias")
    assert [rates[name] for name in top] == [1.0] * 4
    assert "head.weight" in decayed and not {"head.bias", "norm.weight"} & decayed


def test_without_layer_decay_all_rates_are_alike():
    groups = Classify(SmallNetwork(), 3).groups(0.05)
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0] and not any(
        "lr_scale" in g for g in groups
    )


def trained_names(objective):
    return {name for name, p in objective.named_parameters() if p.requires_grad}


def test_the_head_alone():
    objective = Classify(SmallNetwork(), 3, trained_blocks=0)
    assert trained_names(objective) == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    set_training(objective)
    assert not objective.encoder.training and objective.head.training


def test_the_last_blocks():
    objective = Classify(SmallNetwork(depth=3), 3, trained_blocks=1)
    names = trained_names(objective)
    own = {name.removeprefix("encoder.") for name in names if name.startswith("encoder.")}
    assert own == {"blocks.2.weight", "blocks.2.bias", "norm.weight", "norm.bias"}
    set_training(objective)
    assert [block.training for block in objective.encoder.blocks] == [False, False, True]
    saved = state_of(objective)[0]
    assert "encoder.blocks.2.weight" in saved and "encoder.blocks.1.weight" not in saved
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
        Classify(HeavierHalf(), 2, **settings)
    assert message in str(error.value)


def test_more_blocks_than_there_are():
    with pytest.raises(
        UserError, match="3 blocks are to be trained, the encoder has 2\n.*\n  do:    at most 2"
    ):
        Classify(SmallNetwork(), 2, trained_blocks=3)


def test_a_head_alone_has_no_layers(isolated_catalogue: IsolatedCatalogue):
    isolated_catalogue.add(plugin, "torch", "maskwright-torch")
    with pytest.raises(RecipeError, match="the head alone is trained"):
        ClassifyParams(encoder=SmallNetwork(), classes=2, trained_blocks=0, layer_decay=0.5).build()


# -- put to work ---------------------------------------------------------------------------------------------


def test_the_pipeline_gives_the_likeliest_class():
    objective = Classify(HeavierHalf(), 2, norm=False)
    with torch.no_grad():
        objective.head.weight.copy_(torch.eye(2))
    items = example_items()["test"]
    made = list(Labeller(objective, 4)(items, STEP))
    assert [item["predicted"] for item in made] == [0, 1, 0, 1, 0, 1]
    assert made[0]["probability"] == pytest.approx(math.e / (1 + math.e)) and made[0]["id"] == "test-00"


def test_files_are_read_by_the_encoder():
    objective = Classify(HeavierHalf(), 2)
    with pytest.raises(UserError, match="this encoder reads no files\n  do:    give items as JSON lines"):
        Labeller(objective, 4).read("a.txt")
    objective.encoder.read = lambda argument: iter([{"id": argument}])
    assert list(Labeller(objective, 4).read("a.txt")) == [{"id": "a.txt"}]


def test_an_objective_that_reads_no_files_labels_items():
    class Constant(torch.nn.Module):
        def prepare(self, items, step):
            return {}

        def logits(self, batch):
            return torch.tensor([[1.0, 2.0]]).expand(len(batch["rows"]), -1)

    labeller = Labeller(Constant(), 4)
    assert [item["predicted"] for item in labeller([{"id": "a"}, {"id": "b"}], STEP)] == [1, 1]
    assert not hasattr(labeller, "read")
