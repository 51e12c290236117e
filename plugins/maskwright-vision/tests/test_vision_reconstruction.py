"""Reconstruction in pixels beside what needs no model, and what refuses to be judged."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from maskwright.errors import UserError
from maskwright.schedules import Curve
from maskwright.step import Step
from maskwright_testing.listed_data import ListedData
from maskwright_torch.contracts import Filled
from maskwright_torch.part import digest
from maskwright_vision.example_pictures import SideOfTheLight, shaded_pictures
from maskwright_vision.params_evaluators import Reconstruction
from maskwright_vision.params_models import Mae, Vit
from maskwright_vision.reconstruction import psnr

STEP = Step(seed=4)


def mae(channels=1, **changes):
    settings = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2, "ratio": 0.5, "target": "pixels"}
    encoder = Vit(image=8, patch=4, width=16, depth=1, heads=2, channels=channels)
    return Mae(encoder=encoder, **{**settings, **changes}).build()


def pictures(count=6):
    return ListedData(shaded_pictures(test=count))


def filling(objective, change):
    """The objective, predicting what `change(true patches)` gives, as normalised pixels (B, N, P)."""

    def fill(batch, hidden, step):
        own = objective.encoder.targets(batch)
        return Filled(torch.where(hidden[..., None], change(own), own))

    objective.fill = fill
    return objective


def judged(objective, data=None, **settings):
    return Reconstruction(**settings).build().evaluate(objective, data or pictures(), STEP)


def test_the_truth_itself_reaches_the_end_of_the_scale():
    found = judged(filling(mae(), lambda own: own))
    assert found.values["psnr"] == 100.0 and found.values["mse"] == found.values["mse_not_constant"] == 0.0
    assert [row["id"] for row in found.rows] == [f"test-{n:02d}" for n in range(6)]
    assert not any("needs no model" in note for note in found.notes)


def test_errors_are_those_of_pixels_between_0_and_1():
    """An offset of 0.1 is one of 0.2 for a model that sees pixels divided by 0.5."""
    found = judged(filling(mae(), lambda own: own + 0.2 * (own < 0) - 0.2 * (own >= 0)))
    assert found.values["mse"] == pytest.approx(0.01, rel=1e-4)
    assert found.values["psnr"] == pytest.approx(20.0, rel=1e-4) == found.rows[3]["psnr"]
    assert psnr(0.001) == pytest.approx(30.0)


def test_predictions_are_clipped_as_their_pictures_are():
    found = judged(filling(mae(), lambda own: torch.full_like(own, 9.0)))
    clipped = judged(filling(mae(), lambda own: torch.full_like(own, 1.0)))  # white
    assert found.values == clipped.values


def test_the_mean_of_what_is_visible_stands_beside_the_model():
    """In colour: a model that predicts the mean visible colour gets exactly the values of that row."""
    items = shaded_pictures()
    for entries in items.values():
        for item in entries:
            item["pixels"] = np.concatenate(
                [item["pixels"], item["pixels"] // 2, 255 - item["pixels"]], axis=2
            )
    objective = mae(channels=3)

    def fill(batch, hidden, step):
        own = objective.encoder.targets(batch)
        colours = own.unflatten(2, (-1, 3))
        means = torch.stack([c[~h].mean(dim=(0, 1)) for c, h in zip(colours, hidden, strict=True)])
        return Filled(torch.where(hidden[..., None], means.repeat(1, 16)[:, None], own))

    objective.fill = fill
    found = judged(objective, ListedData(items))
    ((title, table),) = found.tables.items()
    assert title == "2 of 4 patches hidden in each of 6 pictures"
    assert [row["prediction"] for row in table] == ["this model", "mean colour of the visible patches"]
    assert table[0]["mse"] == pytest.approx(table[1]["mse"], rel=1e-5)
    assert (
        found.values["visible_mean_psnr"] == table[1]["psnr"] == pytest.approx(found.values["psnr"], rel=1e-5)
    )


def test_zeros_for_a_normalised_target_are_each_patches_own_mean_and_said_to_be_trivial():
    objective = mae(target="normalised")
    torch.nn.init.zeros_(objective.decoder_pred.weight)
    found = judged(objective)
    own = found.tables["2 of 4 patches hidden in each of 6 pictures"][2]
    assert own["prediction"] == "each hidden patch's own mean (what predicting zeros gives)"
    # The mean variance inside patches, with n and not n - 1.
    assert found.values["mse"] == pytest.approx(own["mse"], rel=1e-4)
    first, second = found.tables["training loss"]
    assert second == {"prediction": "zeros: (P-1)/P with P = 16", "loss": 15 / 16}
    assert first["loss"] == pytest.approx(15 / 16, rel=1e-3)
    assert found.notes[0].startswith("brightness and contrast of each patch are those of the hidden original")
    assert any(
        note.startswith("the model predicts no better than what needs no model") for note in found.notes
    )


def test_own_mean_is_the_variance_inside_patches():
    found = judged(mae(target="normalised"), ratio=Curve(lambda x: 0.75, (0.75, 0.75)))
    by_patch = []
    for item in shaded_pictures()["test"]:
        patches = item["pixels"].reshape(2, 4, 2, 4).transpose(0, 2, 1, 3).reshape(4, 16) / 255
        by_patch.append(patches.var(axis=1))
    table = found.tables["3 of 4 patches hidden in each of 6 pictures"]
    # All four patches of one ramp have nearly the same variance, whichever is hidden.
    assert table[2]["mse"] == pytest.approx(np.mean(by_patch), rel=0.02)


def test_patches_of_one_colour_are_counted_apart():
    items = shaded_pictures()
    for item in items["test"]:
        item["pixels"][:4] = 60  # the upper two of four patches
    found = judged(
        filling(mae(ratio=0.75), lambda own: own + 0.2 * (own.var(dim=2, keepdim=True) > 1e-6)),
        ListedData(items),
    )
    assert found.values["mse_not_constant"] == pytest.approx(0.01, rel=0.2) and found.values["mse"] < 0.008
    assert any("of 18 hidden patches have a single colour" in note for note in found.notes)
    for item in items["test"]:
        item["pixels"][:] = 60
    blank = judged(filling(mae(), lambda own: own + 0.2), ListedData(items)).values
    assert blank["mse_not_constant"] == blank["mse"] == pytest.approx(0.01, rel=1e-4)


def test_what_is_hidden_is_that_of_the_end_of_training_each_time():
    rising = Curve(lambda x: 0.25 + 0.5 * x, (0.25, 0.75))
    objective = mae()
    objective.ratio = rising
    before = digest(objective)
    evaluator = Reconstruction().build()
    early = evaluator.evaluate(objective, pictures(), Step(4, 10, 100))
    late = evaluator.evaluate(objective, pictures(), Step(4, 70, 100).fork("evaluate", "other"))
    assert list(early.tables) == ["3 of 4 patches hidden in each of 6 pictures"]
    assert early.values == late.values and digest(objective) == before
    assert early.values != evaluator.evaluate(objective, pictures(), Step(5, 10, 100)).values


def test_a_ratio_of_its_own_and_fewer_items():
    found = judged(mae(), ratio=0.25, most=2)
    assert list(found.tables) == ["1 of 4 patches hidden in each of 2 pictures"] and len(found.rows) == 2


@pytest.mark.parametrize(("target", "says"), [("normalised", True), ("pixels", False)])
def test_pictures_say_where_brightness_comes_from(target, says):
    found = judged(mae(target=target), pictures(70), pictures=66)
    (one,), (two,) = found.figures(), found.figures()
    assert one.data == two.data and one.media == "image/png"
    assert ("Brightness and contrast of each patch are those of the hidden original" in one.caption) is says
    picture = Image.open(io.BytesIO(one.data))
    rows = (picture.height - 24) // 168  # 20 * 8 pixels and a gap of 8 for each
    assert rows == 66 and picture.width == 3 * 160 + 4 * 8


# -- refusals ------------------------------------------------------------------------------------------------


def broken():
    objective = mae()
    torch.nn.init.constant_(objective.mask_token, math.nan)
    return objective


@pytest.mark.parametrize(
    ("subject", "settings", "message"),
    [
        (SideOfTheLight(), {}, "SideOfTheLight has no decoder that fills hidden patches\n"
         "  where: evaluator:reconstruction\n  why:   an encoder alone predicts no pixels"),
        (broken(), {}, "1 weights hold infinite or missing numbers\n"
         "  where: evaluator:reconstruction, mask_token\n  do:    an earlier checkpoint"),
        (mae(target="pca", components=4), {}, "the target of this objective was never fitted\n"
         "  where: evaluator:reconstruction, target"),
        (mae(target="tokens", vocabulary=4), {}, "the target of this objective was never fitted"),
        (mae(), {"ratio": 0.0}, "no patch of 4 is hidden, so there is nothing to judge\n"
         "  where: evaluator:reconstruction, ratio"),
        (mae(), {"ratio": 1.0}, "every patch of 4 is hidden"),
        (mae(), {"ratio": {"use": "cosine-of-uniform"}}, "pictures of one batch have different numbers of hidden "
         "patches\n  where: evaluator:reconstruction, ratio\n  do:    a ratio that is the same"),
        (filling(mae(), lambda own: own * math.nan), {}, "the model predicts pixels that are infinite or no numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(subject, settings, message):
    with pytest.raises(UserError) as error:
        judged(subject, **settings)
    assert message in str(error.value)


def test_an_empty_split():
    with pytest.raises(UserError, match='the split "test" is empty\n  where: evaluator:reconstruction'):
        judged(mae(), pictures(0))


def test_a_fitted_target_is_judged():
    objective = mae(target="pca", components=4)
    objective.fit(pictures(), STEP)
    found = judged(objective)
    assert math.isfinite(found.values["psnr"]) and found.notes[0].startswith("the model predicts no better")
