"""Fine-tuning of vision transformers: layer-wise rates, last blocks, mixing, labels of pictures, raw pixels beside."""

import pytest
import torch

import maskwright as mw
from maskwright.step import Step
from maskwright_samples.params_images import Digits
from maskwright_testing.listed_data import ListedData
from maskwright_torch.classify import Classify, Labeller
from maskwright_torch.mixing import Mixing
from maskwright_torch.noise import uniform
from maskwright_torch.optim import make_optimiser, set_lr
from maskwright_torch.params_classify import Classify as ClassifyParams
from maskwright_torch.params_evaluators import FineTune, LinearProbe
from maskwright_torch.params_train import Train
from maskwright_torch.part import digest, set_training, state_of
from maskwright_vision.example_pictures import SideOfTheLight, shaded_pictures
from maskwright_vision.params_models import Vit

STEP = Step(seed=4, number=3, total=10)


def vit(depth=2, **changes):
    return Vit(image=8, patch=4, width=16, depth=depth, heads=2, **changes).build()


def batch(rows=6):
    pixels = uniform(STEP.stream("pixels"), torch.arange(rows), 64).float().view(rows, 1, 8, 8)
    return {"pixels": pixels, "label": torch.arange(rows) % 3, "rows": torch.arange(rows) + 100}


def pictures():
    return ListedData(shaded_pictures(), {"classes": ["left", "right"]})


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


def trained_names(objective):
    return {name for name, p in objective.named_parameters() if p.requires_grad}


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


def test_a_mixed_batch_goes_through_the_encoder():
    objective = Classify(vit(), 3, head_std=1.0, mixing=Mixing(mixup=0.8))
    objective.train()
    given = batch()
    mixed, partner, own = objective.mixing.of(given, STEP)
    plain = Classify(objective.encoder, 3)
    plain.norm, plain.head = objective.norm, objective.head
    one, two = (
        plain(mixed | {"label": label}, STEP).value for label in (given["label"], given["label"][partner])
    )
    torch.testing.assert_close(objective(given, STEP).value, own * one + (1 - own) * two)


def test_pictures_are_read_and_labelled(tmp_path):
    from PIL import Image

    objective = Classify(SideOfTheLight(), 2, norm=False)
    with torch.no_grad():
        objective.head.weight.copy_(torch.eye(2))
    objective.encoder.read = vit().read
    for name, item in zip("ab", shaded_pictures()["test"], strict=False):
        Image.fromarray(item["pixels"][..., 0]).save(tmp_path / f"{name}.png")
    labeller = Labeller(objective, 4)
    assert [item["predicted"] for item in labeller(labeller.read(str(tmp_path)), STEP)] == [0, 1]


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


def test_both_arms_learn_and_the_subject_stays_as_it_is():
    encoder = vit(drop_path=0.1)
    before, state = digest(encoder), torch.get_rng_state()
    found = FineTune(steps=30, shots=5, lr=3e-3, layer_decay=0.9).build().evaluate(encoder, pictures(), STEP)
    assert found.values["accuracy"] == found.values["scratch_accuracy"] == 1.0 and found.values["gain"] == 0.0
    assert digest(encoder) == before and torch.equal(torch.get_rng_state(), state)
    ((_, table),) = found.tables.items()
    assert [row["arm"] for row in table] == [
        "fine-tuned", "from scratch, same steps", "logistic regression on raw pixels", "always left",
    ]  # fmt: skip
    assert found.values["raw_pixels_accuracy"] == 1.0
