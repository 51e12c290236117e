"""Effective rank against closed forms, and the alarm for collapse."""

import math

import numpy as np
import pytest
import torch

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_testing.listed_data import ListedData
from maskwright_torch.example_parts import HeavierHalf, example_encoder, example_items
from maskwright_torch.feature_rank import spread_of
from maskwright_torch.noise import uniform
from maskwright_torch.params_evaluators import FeatureRank

STEP = Step(seed=1)
CORNERS = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # orthogonal columns with mean 0


def test_equal_directions_count_each():
    found = spread_of(CORNERS)
    assert found.effective_rank == pytest.approx(3.0)
    assert found.min_std == found.median_std == 1.0 and found.dead_share == 0.0
    np.testing.assert_allclose(found.spectrum, [2.0, 2.0, 2.0])


def test_unequal_directions_count_by_their_entropy():
    found = spread_of(CORNERS * [3.0, 1.0, 0.0] + [0.0, 5.0, 7.0])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found.effective_rank == pytest.approx(math.exp(entropy))
    assert found.dead_share == pytest.approx(1 / 3) and found.min_std == 0.0 and found.median_std == 1.0


def test_the_scale_of_vectors_does_not_matter():
    for scale in (1e-12, 1e12):
        found = spread_of(CORNERS * scale)
        assert found.effective_rank == pytest.approx(3.0) and found.dead_share == 0.0


def test_the_same_vector_for_everything_has_rank_0():
    rounding = uniform(STEP.stream("rounding"), torch.arange(50), 8).numpy() * 1e-7
    for vectors in (np.ones((50, 8)), np.zeros((50, 8)), 1.0 + rounding):
        found = spread_of(vectors)
        assert found.effective_rank == 0.0 and found.dead_share == 1.0


def judged(subject, **settings):
    return FeatureRank(**settings).build().evaluate(subject, ListedData(example_items()), STEP)


def test_a_collapsed_encoder_raises_the_alarm():
    encoder = example_encoder()
    torch.nn.init.zeros_(encoder.norm.weight)
    torch.nn.init.ones_(encoder.norm.bias)
    found = judged(encoder)
    assert found.values == {"effective_rank": 0.0, "min_std": 0.0, "median_std": 0.0, "dead_share": 1.0}
    assert found.notes[1].startswith(
        "collapse is likely: effective rank 0.0 (alarm below 2), 100% of the dimensions"
    )


def test_a_single_direction_raises_the_alarm_though_nothing_is_dead():
    class Ray(HeavierHalf):
        def forward(self, batch, hidden=None):
            encoded = super().forward(batch, hidden)
            encoded.pooled.set_(batch["vector"].mean(dim=1)[:, None] * torch.tensor([1.0, 2.0, -1.0]))
            return encoded

    found = judged(Ray())
    assert (
        found.values["effective_rank"] == pytest.approx(1.0, abs=1e-3) and found.values["dead_share"] == 0.0
    )
    assert found.notes[1].startswith("collapse is likely: effective rank 1.0")


def test_many_dead_dimensions_raise_the_alarm_too():
    class Padded(HeavierHalf):
        def forward(self, batch, hidden=None):
            encoded = super().forward(batch, hidden)
            corners = torch.tensor(CORNERS[: len(batch["vector"])], dtype=torch.float32)
            wide = torch.cat([corners, torch.ones(len(corners), 4)], dim=1)
            encoded.pooled.set_(wide)
            return encoded

    found = judged(Padded(), split="train", most=4)
    assert found.values["dead_share"] == pytest.approx(4 / 7)
    assert found.values["effective_rank"] == pytest.approx(3.0)
    assert found.notes[1].startswith(
        "collapse is likely: effective rank 3.0 (alarm below 2), 57% of the dimensions"
    )


def test_a_healthy_encoder_does_not():
    class Corners(HeavierHalf):
        def forward(self, batch, hidden=None):
            encoded = super().forward(batch, hidden)
            encoded.pooled.set_(torch.tensor(CORNERS[: len(batch["vector"])], dtype=torch.float32))
            return encoded

    found = judged(Corners(), split="train", most=4)
    assert found.values["effective_rank"] == pytest.approx(3.0)
    assert found.notes == ["an effective rank of 3 at most is possible: 3 numbers, 4 items"]
    assert list(found.tables) == ["vectors of 4 items"]


def test_the_spectrum_is_drawn():
    found = judged(example_encoder())
    (one,), (two,) = found.figures(), found.figures()
    assert one.data == two.data and one.data.startswith(b"<svg") and one.name == "spectrum"


def test_one_item_is_too_few():
    data = ListedData({"test": example_items()["test"][:1]})
    with pytest.raises(
        UserError, match='the split "test" has 1 items\n  where: evaluator:feature-rank, setting split'
    ):
        FeatureRank().build().evaluate(HeavierHalf(), data, STEP)
