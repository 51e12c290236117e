"""Masks on single weights: gradients of scores, exact counts, thresholds, plain names in the state."""

import copy
from typing import Any

import pytest
import torch
from torch.nn.utils import prune

from maskwright import Step
from maskwright.schedules import cubic
from maskwright_cap.choosing import Lowest, share_of_true
from maskwright_cap.example_parts import SmallBlocks, example_encoder
from maskwright_cap.masks import Masks
from maskwright_torch.noise import uniform
from maskwright_torch.part import load_state, state_of

ROWS = torch.arange(4)
BATCH = {"rows": ROWS, "vector": (uniform(9, ROWS, 8) - 0.5).float()}


def masked(scored: bool) -> tuple[SmallBlocks, Masks]:
    encoder = example_encoder().eval()
    return encoder, Masks(encoder, scored)


def set_scores(masks: Masks) -> None:
    for number, score in enumerate(masks.scores):
        drawn = uniform(100 + number, torch.arange(score.shape[0]), score.shape[1]) - 0.5
        score.data.copy_(drawn)


def loss(encoder: SmallBlocks) -> torch.Tensor:
    return (encoder(BATCH).pooled * uniform(5, ROWS, 16).float()).sum()


def test_every_matrix_of_the_blocks_has_a_mask_and_nothing_else():
    _, masks = masked(False)
    assert masks.paths == [
        f"blocks.{n}.{at}" for n in range(2) for at in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    assert not masks.scores and len(list(masks.buffers())) == 8


@torch.no_grad()
@pytest.mark.parametrize("scored", [False, True])
def test_keeping_all_changes_no_bit(scored: bool):
    plain, (encoder, masks) = example_encoder().eval(), masked(scored)
    assert torch.equal(plain(BATCH).pooled, encoder(BATCH).pooled)
    masks.keep_best(encoder, 1.0, "matrix", Lowest(), Step())
    assert share_of_true(masks.kept) == 1.0
    assert torch.equal(plain(BATCH).pooled, encoder(BATCH).pooled)


def test_a_score_has_the_gradient_of_its_masked_weight_times_the_weight():
    encoder, masks = masked(True)
    set_scores(masks)
    masks.keep_best(encoder, 0.4, "matrix", Lowest(), Step())
    loss(encoder).backward()
    layer: Any = encoder.blocks[0].mlp.fc1
    weight, mask = layer.parametrizations.weight.original, masks.masks[2]
    plain = example_encoder().eval()
    with torch.no_grad():
        for path, own in zip(masks.paths, masks.masks, strict=True):
            plain.get_submodule(path).weight.mul_(own.keep)
    loss(plain).backward()
    by_value = plain.blocks[0].mlp.fc1.weight.grad
    torch.testing.assert_close(mask.score.grad, by_value * weight.detach())
    torch.testing.assert_close(weight.grad, by_value * mask.keep)
    assert float(mask.score.grad[~mask.keep].abs().max()) > 0, "what is gone may come back"


@pytest.mark.parametrize("kept", [0.03, 0.1, 0.5, 0.97])
def test_exactly_so_many_weights_of_each_matrix_are_kept(kept: float):
    encoder, masks = masked(True)
    set_scores(masks)
    masks.keep_best(encoder, kept, "matrix", Lowest(), Step())
    for mask in masks.masks:
        assert int(mask.keep.sum()) == int(kept * mask.keep.numel() + 1e-6)
        assert mask.score[mask.keep].min().item() > mask.score[~mask.keep].max().item()
    masks.keep_best(encoder, kept, "all", Lowest(), Step())
    total = sum(mask.keep.numel() for mask in masks.masks)
    assert sum(int(mask.keep.sum()) for mask in masks.masks) == int(kept * total + 1e-6)
    kept_ones = torch.cat([mask.score[mask.keep] for mask in masks.masks])
    others = torch.cat([mask.score[~mask.keep] for mask in masks.masks])
    assert float(kept_ones.min().detach()) > float(others.max().detach()), "all matrices are compared"


def test_magnitude_keeps_what_torch_keeps():
    encoder, masks = masked(False)
    masks.keep_best(encoder, 0.3, "matrix", Lowest(), Step())
    for path, mask in zip(masks.paths, masks.masks, strict=True):
        linear = copy.deepcopy(example_encoder().get_submodule(path))
        prune.l1_unstructured(linear, "weight", mask.keep.numel() - int(mask.keep.sum()))
        assert torch.equal(linear.weight_mask.bool(), mask.keep)


def test_soft_movement_keeps_what_is_above_the_threshold_and_never_nothing():
    _, masks = masked(True)
    set_scores(masks)
    masks.keep_above(0.55)
    mask: Any = masks.masks[0]
    assert torch.equal(mask.keep, mask.score.sigmoid() > 0.55)
    masks.keep_above(0.99)
    for one in masks.masks:
        kept = int(one.keep.sum())
        assert kept == max(int(0.005 * one.keep.numel() + 1e-6), 1)
        assert one.score[one.keep].min().item() == one.score.flatten().topk(kept).values[-1].item()
    total = sum(s.sigmoid().sum().item() for s in masks.scores) / sum(s.numel() for s in masks.scores)
    assert float(masks.penalty()) == pytest.approx(total)
    masks.penalty().backward()
    assert float(masks.scores[0].grad.abs().min()) > 0


def test_the_state_has_plain_names_and_loads_with_and_without_masks():
    encoder, masks = masked(True)
    set_scores(masks)
    masks.keep_best(encoder, 0.5, "matrix", Lowest(), Step())
    tensors, _ = state_of(encoder)
    assert set(tensors) == set(example_encoder().state_dict())
    other, others = masked(True)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    load_state(other, tensors, "here")
    others.load_state_dict(masks.state_dict())
    assert torch.equal(other(BATCH).pooled, encoder(BATCH).pooled)
    plain = example_encoder().eval()
    load_state(plain, tensors, "here")
    assert not torch.equal(plain(BATCH).pooled, encoder(BATCH).pooled)
    before = encoder(BATCH).pooled
    masks.multiply(encoder)
    load_state(plain, state_of(encoder)[0], "here")
    torch.testing.assert_close(plain(BATCH).pooled, before, rtol=0, atol=1e-6)


def test_copies_have_masks_of_their_own():
    encoder, masks = masked(True)
    both = torch.nn.ModuleList([encoder, masks])
    copied: Any = copy.deepcopy(both)
    copied[1].masks[0].keep.fill_(False)
    assert float(copied[0].blocks[0].attn.qkv.weight.abs().max()) == 0.0
    assert float(encoder.blocks[0].attn.qkv.weight.abs().max()) > 0


def test_the_cubic_schedule_of_movement_pruning():
    kept = cubic(1.0, 0.1, 0.1, 0.2)
    assert (kept(0.0), kept(0.1), kept(0.8), kept(1.0)) == (1.0, 1.0, pytest.approx(0.1), pytest.approx(0.1))
    assert kept(0.45) == pytest.approx(0.1 + (1.0 - 0.1) / 8)
    values = [kept(x / 50) for x in range(51)]
    assert values == sorted(values, reverse=True)
