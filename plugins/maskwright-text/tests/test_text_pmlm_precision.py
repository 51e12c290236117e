"""The single pass of PMLM in bfloat16: what may not be read stays unread to the last bit, and nothing is infinite."""

import pytest
import torch
from text_pmlm_cases import BLOCKS, FIRST, blocks_of, extended, model, texts
from torch import Tensor

from maskwright_text.pmlm import Pmlm
from maskwright_text.pseudo_layout import CONTEXT, ORIGINAL, PADDING, PSEUDO, PseudoLayout


def half(built: Pmlm, way: str) -> Pmlm:
    return built.bfloat16() if way == "weights" else built.float()


def predicted(built: Pmlm, tokens: Tensor, layout: PseudoLayout, segment: Tensor, way: str) -> Tensor:
    """By weights in bfloat16, or by weights in float32 under autocast."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        return built.predictions(tokens, layout, segment)


@pytest.mark.parametrize("way", ["weights", "autocast"])
@pytest.mark.parametrize("relative", [0, 8])
def test_what_may_not_be_read_changes_no_bit(way: str, relative: int):
    built, batch = half(model(relative), way), texts((10, 9, 8))
    layout, tokens = extended(built, batch, blocks_of(([[3, 4], [1]], [[6], [2]], [[5, 6]]), 10))
    known = (layout.kind == CONTEXT)[layout.predicts]
    first = (layout.kind == PSEUDO)[layout.predicts] & (layout.block == 0)[layout.predicts]
    changed = (layout.kind == ORIGINAL) | (layout.kind == PADDING)
    other = torch.where(changed, FIRST + (tokens + 7) % 20, tokens)
    one, two = (predicted(built, t, layout, batch["segment"], way) for t in (tokens, other))
    assert torch.equal(one[known], two[known]) and torch.equal(one[first], two[first])
    assert not torch.equal(one, two)  # a second block reads the originals of the first


@pytest.mark.parametrize("way", ["weights", "autocast"])
@pytest.mark.parametrize("relative", [0, 8])
def test_it_is_near_float32_and_finite_for_a_row_of_padding(way: str, relative: int):
    built, batch = model(relative).float(), texts((10, 9, 10))
    batch["real"][1], batch["special"][1] = False, True
    layout, tokens = extended(built, batch, blocks_of(([[3, 4], [1]], [], [[5, 6]]), 10))
    with torch.no_grad():
        exact = built.predictions(tokens, layout, batch["segment"])
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
            states = half(built, way).encoder.attended(tokens, layout.place, layout.attend(), context=10)
            none = built.encoder(batch).states
    assert bool(states.isfinite().all()) and bool(none.isfinite().all())
    found = predicted(built, tokens, layout, batch["segment"], way).float()
    assert float((found - exact).abs().max()) < 0.05 * float(exact.abs().max())
    assert float((found - exact).abs().max()) > 0


def test_what_forbids_is_finite_in_bfloat16_too():
    """Autocast casts it for the kernel: the lowest float32 is minus infinity there, of which a row has no softmax."""
    encoder, place = model(8).encoder.float(), torch.arange(3)[None]
    with torch.no_grad():
        bias = encoder._bias(torch.zeros(1, 1, 3, 3, dtype=torch.bool), place, place, torch.float32)
    assert float(bias.max()) < -1e38 and bool(bias.bfloat16().isfinite().all())


def test_shared_positions_cost_one_relative_bias_for_all_rows(monkeypatch: pytest.MonkeyPatch):
    """The text's own part is the largest by far; a row of other positions gets its own."""
    built, batch = model(8), texts()
    relative, asked = built.encoder.relative, []
    usual = relative.forward
    monkeypatch.setattr(
        relative, "forward", lambda q, k: asked.append((tuple(q.shape), tuple(k.shape))) or usual(q, k)
    )
    layout, tokens = extended(built, batch, blocks_of(BLOCKS, 10))
    count = tokens.shape[1]
    predicted(built, tokens, layout, batch["segment"], "")
    most = int(layout.predicts.sum(dim=1).max())
    assert asked == [((1, 10), (1, 10)), ((3, count - 10), (3, count)), ((3, most), (3, count))]
    asked.clear()
    moved = layout.place.clone()
    moved[1, :10] += 1
    with torch.no_grad():
        built.encoder.attended(tokens, moved, layout.attend(), context=10)
    assert asked[0] == ((3, 10), (3, 10))
