"""objective:pmlm: what it hides, what it counts, what it shows its encoder, and what it refuses."""

import itertools

import pytest
import torch
from text_foreign_models import saved, their_model
from text_pmlm_cases import BLOCKS, FIRST, blocks_of, extended, model, texts
from torch import Tensor, nn

import maskwright as mw
from maskwright import Step, UserError
from maskwright.params import SlotSpec, fields_of
from maskwright.step import Step as CoreStep
from maskwright_text.params_maskers import Tokens
from maskwright_text.params_pmlm import Pmlm
from maskwright_text.pmlm import Pmlm as Built
from maskwright_text.pseudo_layout import CONTEXT, ORIGINAL, PSEUDO
from maskwright_text.token_pairs import PairMasker
from maskwright_torch.contracts import Units
from maskwright_torch.gradients import backward

STEP = Step(seed=1, number=2, total=10)


class Given(nn.Module):
    """A masker whose blocks were made by hand."""

    features = ("word",)

    def __init__(self, blocks: Tensor) -> None:
        super().__init__()
        self.made = blocks
        self.heard: list[tuple[dict[str, Tensor], Tensor]] = []

    def forward(self, units: Units, ratio: Tensor, step: CoreStep) -> Tensor:
        return self.made >= 0

    def blocks(self, units: Units, ratio: Tensor, step: CoreStep) -> Tensor:
        return self.made

    def observe(self, classes: dict[str, Tensor], losses: Tensor) -> None:
        self.heard.append((classes, losses))


def with_blocks(built: Built, blocks: Tensor) -> Built:
    built.masker = built.ordered.masker = Given(blocks)
    return built


def test_both_losses_by_hand():
    built, batch = model(ae=0.5, par=2.0, mask_share=1.0, random_share=0.0), texts()
    blocks = blocks_of(BLOCKS, 10)
    layout, tokens = extended(built, batch, blocks)
    logits = built.predictions(tokens, layout, batch["segment"]).float().log_softmax(dim=1)
    truth = batch["tokens"].gather(1, layout.place)[layout.predicts]
    losses = -logits.gather(1, truth[:, None])[:, 0]
    ahead = layout.kind[layout.predicts] == PSEUDO
    found = with_blocks(built, blocks)(batch, STEP)
    assert list(found.terms) == ["ae", "par"]
    assert float(found.terms["ae"].count) == float(found.terms["par"].count) == 5 + 2 + 3
    for name, chosen, weight in (("ae", ~ahead, 0.5), ("par", ahead, 2.0)):
        assert torch.allclose(found.terms[name].sum, losses[chosen].sum(), atol=1e-5)
        assert found.terms[name].weight == weight
    assert not torch.allclose(found.terms["ae"].sum, found.terms["par"].sum, atol=0.1)
    assert float(found.parts["blocks"]) == 2.0
    assert float(found.parts["hidden_tokens"]) == 10 / 3


def test_pseudo_masks_are_mask_tokens_and_originals_true_whatever_the_text_shows():
    built, batch = model(mask_share=0.5, random_share=0.5), texts((12,) * 40)
    blocks = built.blocks(batch, STEP)
    seen, masked = built.corrupted(batch, blocks >= 0, STEP)
    layout, _ = extended(built, batch, blocks)
    tokens = built.extended(batch, seen, masked, layout)
    at_pseudo = tokens[layout.kind == PSEUDO]
    assert bool((at_pseudo == built.encoder.space.mask_id).all())
    originals = layout.kind == ORIGINAL
    assert torch.equal(tokens[originals], batch["tokens"].gather(1, layout.place)[originals])
    hidden = (layout.kind == CONTEXT) & (layout.block >= 0)
    shares = (tokens[hidden] == built.encoder.space.mask_id).double().mean()
    assert 0.3 < float(shares) < 0.7
    assert torch.equal(tokens[:, :12][blocks < 0], batch["tokens"][blocks < 0])


def test_segments_go_with_their_places():
    built, batch = model(), texts()
    blocks = blocks_of(BLOCKS, 10)
    layout, tokens = extended(built, batch, blocks)
    none = torch.zeros_like(batch["segment"])
    with torch.no_grad():
        before, after = (built.predictions(tokens, layout, s) for s in (none, batch["segment"]))
        built.encoder.segments.weight[1] = built.encoder.segments.weight[0]
        same = built.predictions(tokens, layout, batch["segment"])
    assert not torch.allclose(before, after)
    assert torch.allclose(before, same, atol=1e-12)


def test_a_text_with_fewer_than_two_tokens_to_hide_is_skipped_and_counted():
    built, batch = model(), texts((10, 3, 2, 4))
    blocks = built.blocks(batch, STEP)
    assert (blocks >= 0).any(dim=1).tolist() == [True, False, False, True]
    assert torch.equal(built.choose(batch, STEP), blocks >= 0)
    assert float(built(batch, STEP).parts["skipped"]) == 0.5


def test_nothing_to_hide_at_all_is_an_empty_sum():
    built, batch = model(), texts((3, 2))
    with pytest.warns(UserWarning, match="a whole batch has nothing hidden"):
        found = built(batch, STEP)
    assert [float(t.sum.detach()) for t in found.terms.values()] == [0.0, 0.0]
    assert [float(t.count) for t in found.terms.values()] == [0.0, 0.0]


@pytest.mark.parametrize(("order", "blocks"), [("single", 1.0), ("left-to-right", 3.0), ("random", 3.0)])
def test_a_masker_without_blocks_is_put_in_order(order: str, blocks: float):
    built, batch = model(order=order, masker=Tokens(), ratio=0.5), texts((12,) * 30)
    found = built.blocks(batch, STEP)
    hidden = found >= 0
    assert hidden.sum(dim=1).tolist() == [5] * 30
    starts = hidden.clone()
    starts[:, 1:] &= ~hidden[:, :-1]
    if order == "single":
        assert int(found.max()) == 0
        return
    assert torch.equal(found.amax(dim=1) + 1, starts.sum(dim=1))
    in_order = all(bool((row[row >= 0].diff() >= 0).all()) for row in found)
    assert in_order == (order == "left-to-right")
    assert abs(float(starts.sum(dim=1).double().mean()) - blocks) < 0.5


def test_at_least_one_is_a_setting():
    batch = texts((12,) * 4)
    tiny = {"masker": Tokens(), "ratio": 0.02, "floor": 0.02}
    assert (model(**tiny).blocks(batch, STEP) >= 0).sum(dim=1).tolist() == [1] * 4
    assert not bool((model(at_least_one=False, **tiny).blocks(batch, STEP) >= 0).any())


def test_a_masker_that_learns_hears_of_each_hidden_token_once_in_training_only():
    built, batch = with_blocks(model(), blocks_of(BLOCKS, 10)), texts()
    built(batch, STEP)
    assert built.masker.heard == []
    built.train()
    ae = built(batch, STEP).terms["ae"]
    ((classes, losses),) = built.masker.heard
    assert torch.equal(classes["word"], batch["word"][blocks_of(BLOCKS, 10) >= 0])
    assert torch.equal(losses.sum(), ae.sum.detach())
    built.counts(batch, STEP)
    assert built.masker.training, "counting leaves the masker as it was"


class CountsCalls(nn.Module):
    """A masker that remembers in training, as one by frequency does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, units: Units, ratio: Tensor, step: CoreStep) -> Tensor:
        self.calls += self.training
        return units.valid


def test_counts_are_known_before_the_loss_and_unnoticed_by_the_masker():
    built, batch = model(), texts((10, 3, 12))
    built.masker = built.ordered.masker = CountsCalls()
    built.train()
    found = built.counts(batch, STEP)
    assert built.masker.calls == 0
    loss = built(batch, STEP)
    assert {name: float(n) for name, n in found.items()} == {n: float(t.count) for n, t in loss.terms.items()}


def test_pieces_of_a_batch_give_the_gradient_of_the_whole():
    """Through the engine, which needs the counts of all pieces first."""
    from maskwright_torch.device import Compute
    from maskwright_torch.ranks import Ranks

    batch = texts((12, 4, 10, 12))
    gradients = []
    for cuts in ((0, 4), (0, 1, 4)):
        built = model(ratio=0.4)
        pieces = [
            {name: entry[start:end] for name, entry in batch.items()}
            for start, end in itertools.pairwise(cuts)
        ]
        backward(built, built, pieces, STEP, Compute("cpu", "fp64"), Ranks())
        gradients.append([p.grad for p in built.parameters()])
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*gradients, strict=True))


def test_filling_in_is_that_of_a_masked_language_model():
    built, batch = model(), texts()
    hidden = blocks_of(BLOCKS, 10) >= 0
    filled = built.fill(batch, hidden, STEP)
    logits = built.logits(batch, hidden, hidden).index_fill(1, torch.arange(FIRST), -torch.inf)
    assert torch.equal(filled.values[hidden], logits.argmax(dim=1))
    assert torch.equal(filled.values[~hidden], batch["tokens"][~hidden])


# -- pairs -----------------------------------------------------------------------------------------------------


def test_pairs_are_as_far_apart_as_said_and_each_a_block():
    rows, count = 400, 9
    valid = torch.ones(rows, count, dtype=torch.bool)
    valid[:, 0] = valid[:, -1] = False
    units = Units(valid, (count,), torch.arange(count), torch.arange(rows))
    blocks = PairMasker(4).blocks(units, torch.full((rows,), 0.15, dtype=torch.float64), STEP)
    places = (blocks >= 0).nonzero()[:, 1].view(rows, 2)
    assert set((places[:, 1] - places[:, 0]).tolist()) == {4}
    assert set(places[:, 0].tolist()) == {1, 2, 3}
    assert blocks.sum(dim=1).tolist() == [1 - (count - 2)] * rows, "one block 0, one block 1, the rest -1"
    first = blocks.gather(1, places[:, :1])[:, 0].double().mean()
    assert abs(float(first) - 0.5) < 4 * 0.5 / rows**0.5


@pytest.mark.parametrize("distance", [7, 8, 9, 20])
def test_a_text_too_short_for_a_pair_has_none(distance: int):
    valid = torch.tensor([[False] + [True] * 7 + [False]])
    units = Units(valid, (9,), torch.arange(9), torch.arange(1))
    assert PairMasker(distance).blocks(units, torch.ones(1), STEP).tolist() == [[-1] * 9]


# -- what is refused -------------------------------------------------------------------------------------------


def test_blocks_of_a_masker_are_looked_at():
    built, batch = model(), texts()
    with pytest.raises(UserError, match="block 1 is empty"):
        with_blocks(built, blocks_of(([[3], [], [4]], [[6]], [[5]]), 10))(batch, STEP)
    with pytest.raises(UserError, match="block 0 holds token 9, which may not be hidden"):
        with_blocks(built, blocks_of(([[9]], [[6]], [[5]]), 10))(batch, STEP)


def test_a_position_beyond_the_table_is_refused():
    built, batch = model(), texts((14,))
    with pytest.raises(UserError) as caught:
        built(batch, STEP)
    assert caught.value.what == "position 13 for an encoder with 12 positions"
    assert "the table of a saved encoder is repeated to fit" in caught.value.cure


def mistakes(**settings: object) -> dict[str, str]:
    planned = mw.plan(
        {"use": "train", "steps": 1, "data": {"use": "tied-words"}, "objective": {"use": "pmlm", **settings}}
    )
    return {mistake.path: mistake.message for mistake in planned.mistakes}


def test_a_foreign_encoder_fits_and_one_that_takes_no_attention_would_not(tmp_path):  # type: ignore[no-untyped-def]
    folder = saved(their_model("bert"), tmp_path / "bert")
    encoder = {"use": "hf-text", "path": str(folder), "length": 12}
    assert mistakes(encoder=encoder) == {}
    spec = fields_of(Pmlm)["encoder"].spec
    assert isinstance(spec, SlotSpec) and "takes:attention" in spec.needs


def test_settings_that_cannot_be_meant():
    assert mistakes(ae=0.0, par=0.0) == {"objective.ae": "both weights are 0: nothing would be learned"}
    assert mistakes(mask_share=0.9, random_share=0.2) == {
        "objective.random_share": "0.9 + 0.2 is more than 1"
    }
    assert mistakes(floor=0.9, cap=0.5) == {"objective.floor": "0.9 is above the cap 0.5"}
    assert mistakes() == {}
