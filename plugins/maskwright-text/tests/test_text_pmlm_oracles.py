"""What must hold exactly of the single pass of PMLM, in float64: it equals the passes it replaces; nothing leaks."""

import itertools
from collections.abc import Sequence

import attrs
import pytest
import torch
from text_foreign_models import saved, their_model
from text_pmlm_cases import BLOCKS, FIRST, blocks_of, disturb, extended, model, texts
from torch import Tensor

from maskwright import Step
from maskwright_text.params_foreign import HfText
from maskwright_text.params_pmlm import Pmlm
from maskwright_text.pmlm import Pmlm as Built
from maskwright_text.pseudo_layout import CONTEXT, ORIGINAL, PADDING, PSEUDO, PseudoLayout, pseudo_layout
from maskwright_torch.noise import uniform

STEP = Step(seed=1, number=2, total=10)


@pytest.fixture(params=["text", "relative", "hf-bert"])
def built(request: pytest.FixtureRequest, tmp_path) -> Built:  # type: ignore[no-untyped-def]
    if request.param != "hf-bert":
        return model(8 if request.param == "relative" else 0)
    made = Pmlm(encoder=HfText(path=saved(their_model("bert"), tmp_path / "bert"), length=12)).build(seed=3)
    return disturb(made)


def predicted(built: Built, batch: dict[str, Tensor], blocks: Tensor) -> tuple[PseudoLayout, Tensor]:
    layout, tokens = extended(built, batch, blocks)
    return layout, built.predictions(tokens, layout, batch["segment"])


def columns(layout: PseudoLayout, kept: Tensor) -> PseudoLayout:
    """The layout with these columns alone, bool (M,)."""
    some = {name: getattr(layout, name)[:, kept] for name in ("place", "kind", "block")}
    return attrs.evolve(layout, **some)


def test_ae_is_the_loss_of_a_masked_language_model(built: Built):
    batch = texts()
    blocks = blocks_of(BLOCKS, 10)
    layout, logits = predicted(built, batch, blocks)
    ahead = layout.kind[layout.predicts] == PSEUDO
    with torch.no_grad():
        alone = built.logits(batch, blocks >= 0, blocks >= 0)
    assert torch.allclose(logits[~ahead], alone, rtol=0, atol=1e-11)


def test_par_is_what_a_pass_for_each_block_gives(built: Built):
    batch = texts()
    blocks = blocks_of([BLOCKS[0]] * 3, 10)  # the same in all rows, so that a pass has a rectangle of tokens
    layout, logits = predicted(built, batch, blocks)
    kind, block = layout.kind[0], layout.block[0]
    checked = 0
    for number in range(3):
        kept = (kind == CONTEXT) | (block == number) & (kind == PSEUDO)
        kept |= (block < number) & (kind == ORIGINAL)
        part = columns(layout, kept)
        alone = built.predictions(built.extended(batch, batch, blocks >= 0, part), part, batch["segment"])
        mine = ((layout.kind == PSEUDO) & (layout.block == number))[layout.predicts]
        its = ((part.kind == PSEUDO) & (part.block == number))[part.predicts]
        assert torch.allclose(logits[mine], alone[its], rtol=0, atol=1e-11)
        checked += int(mine.sum())
    assert checked == 3 * 5


def test_the_order_of_the_appendix_does_not_matter(built: Built):
    batch = texts()
    layout, tokens = extended(built, batch, blocks_of(BLOCKS, 10))
    appended = layout.place.shape[1] - 10
    shuffle = uniform(4, torch.zeros(1, dtype=torch.int64), appended)[0].argsort() + 10
    order = torch.cat([torch.arange(10), shuffle])
    assert order.tolist() != list(range(10 + appended))
    segment = batch["segment"].gather(1, layout.place)

    def states(columns: Tensor) -> Tensor:
        attend = layout.attend()[:, columns][:, :, columns]
        return built.encoder.attended(
            tokens[:, columns], layout.place[:, columns], attend, segment=segment[:, columns], context=10
        )

    straight = torch.arange(10 + appended)
    assert torch.allclose(states(straight)[:, order], states(order), rtol=0, atol=1e-11)


def of_block(layout: PseudoLayout, number: int) -> Tensor:
    """bool (n,): predictions by pseudo masks of a block, among all."""
    return ((layout.kind == PSEUDO) & (layout.block == number))[layout.predicts]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_other_originals_of_a_block_or_later_ones_change_no_bit(built: Built, number: int):
    batch = texts()
    layout, tokens = extended(built, batch, blocks_of(BLOCKS, 10))
    later = (layout.kind == ORIGINAL) & (layout.block >= number)
    other = torch.where(later, FIRST + (tokens + 7) % 20, tokens)
    first, second = (built.predictions(t, layout, batch["segment"]) for t in (tokens, other))
    for known in range(number + 1):
        mine = of_block(layout, known)
        assert bool(mine.any())
        assert torch.equal(first[mine], second[mine])
    text = (layout.kind == CONTEXT)[layout.predicts]
    assert torch.equal(first[text], second[text])
    if number < 2:  # the originals of the last block are not there at all
        after = of_block(layout, number + 1)
        row = layout.predicts.nonzero()[:, 0][after][0]
        assert bool(later[row].any())
        assert not torch.equal(first[after], second[after])


def test_the_gradient_of_what_may_not_be_read_is_exactly_zero(built: Built):
    batch = texts()
    layout, tokens = extended(built, batch, blocks_of(BLOCKS, 10))
    seen: list[Tensor] = []

    def keep(module: object, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    table = next(m for m in built.encoder.modules() if getattr(m, "weight", None) is built.encoder.table)
    handle = table.register_forward_hook(keep)
    for number in (-1, 0, 1, 2):  # -1: predictions in the text itself
        seen.clear()
        logits = built.predictions(tokens, layout, batch["segment"])
        wanted = of_block(layout, number) if number >= 0 else (layout.kind == CONTEXT)[layout.predicts]
        weights = uniform(5, torch.arange(int(wanted.sum())), logits.shape[1])
        (logits[wanted] * weights).sum().backward()
        gradient = seen[0].grad
        assert gradient is not None
        size = gradient.abs().sum(dim=-1)
        known = (layout.kind == ORIGINAL) & (layout.block < number)
        own = (layout.kind == PSEUDO) & (layout.block == number)
        reads = (layout.kind == CONTEXT) | known | own
        assert float(size[~reads].max()) == 0.0
        rows = torch.zeros(3, dtype=torch.bool)
        rows[layout.predicts.nonzero()[:, 0][wanted]] = True
        assert float(size[reads & rows[:, None]].min()) > 0.0
    handle.remove()


def test_originals_of_the_last_block_change_nothing(built: Built):
    batch = texts()
    blocks = blocks_of(BLOCKS, 10)
    _, without = predicted(built, batch, blocks)
    layout = pseudo_layout(blocks, batch["real"], keep_last=True)
    tokens = built.extended(batch, batch, blocks >= 0, layout)
    assert int((layout.kind == ORIGINAL).sum()) == 5 + 2 + 3
    assert torch.allclose(built.predictions(tokens, layout, batch["segment"]), without, rtol=0, atol=1e-11)


def test_padding_changes_nothing(built: Built):
    short, long = texts((10, 9, 8)), texts((10, 9, 8), padding=2)
    rows = ([[3, 4], [1]], [[6], [2]], [[5, 6]])
    _, wanted = predicted(built, short, blocks_of(rows, 10))
    layout, found = predicted(built, long, blocks_of(rows, 12))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-11)
    assert bool((layout.kind[:, 12:] == PADDING).any()), "rows differ in what is appended"


def test_a_row_of_padding_alone_is_finite(built: Built):
    batch = texts((10, 9, 10))
    batch["real"][1], batch["special"][1] = False, True
    blocks = blocks_of(([[3, 4], [1]], [], [[5, 6]]), 10)
    layout, tokens = extended(built, batch, blocks)
    states = built.encoder.attended(tokens, layout.place, layout.attend(), context=10)
    assert bool(states.isfinite().all())
    found = built.predictions(tokens, layout, batch["segment"]).sum()
    found.backward()
    assert all(bool(p.grad.isfinite().all()) for p in built.parameters() if p.grad is not None)


def test_the_context_hint_changes_no_result(built: Built):
    batch = texts((10, 9, 10))
    layout, tokens = extended(built, batch, blocks_of(BLOCKS, 10))
    for real in (batch["real"], torch.ones_like(batch["real"])):  # with and without a mask in the text
        found = pseudo_layout(blocks_of(BLOCKS, 10), real)
        attend = found.attend()
        hinted = built.encoder.attended(tokens, layout.place, attend, context=10)
        assert torch.allclose(
            hinted, built.encoder.attended(tokens, layout.place, attend), rtol=0, atol=1e-11
        )


@pytest.mark.parametrize("blocks", [[[1], [2], [3]], [[3], [1], [2]]])
def test_chances_of_all_fillings_add_up_to_one(blocks: Sequence[Sequence[int]]):
    """Block by block with single tokens is the chain rule: over 3 values at 3 places, exp(-PAR) sums to 1."""
    values, built = 3, model()
    usual = torch.arange(FIRST, FIRST + values)
    fillings = torch.tensor(list(itertools.product(usual.tolist(), repeat=3)))
    assert len(fillings) == 27
    batch = {name: entry[:1].repeat(27, 1) for name, entry in texts((6,)).items() if name != "rows"}
    batch["tokens"][:, 1:4] = fillings
    layout, logits = predicted(built, batch, blocks_of([blocks] * 27, 6))
    pseudo = layout.kind[layout.predicts] == PSEUDO
    chances = logits[pseudo][:, usual].log_softmax(dim=1)  # the head over three values
    truth = batch["tokens"].gather(1, layout.place)[layout.predicts][pseudo] - FIRST
    per_text = chances.gather(1, truth[:, None]).view(27, 3).sum(dim=1).detach()
    assert float(per_text.exp().sum()) == pytest.approx(1.0, abs=1e-12)
    assert float(per_text.exp().std()) > 1e-4, "fillings differ"
