"""objective:seq2seq: who reads whom, what is predicted, what stands in place of targets, and that it learns."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright import Step
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.codecs import MASK
from maskwright_text.example_writers import example_writer
from maskwright_text.params_seq2seq import Seq2Seq, example_pairs
from maskwright_text.pseudo_layout import ORIGINAL, PSEUDO, numbered, pseudo_layout
from maskwright_text.seq2seq import smoothed
from maskwright_text.seq2seq_batches import PairPrepare, SourcePrepare, in_place, pseudo_masks
from maskwright_torch.batches import collate
from maskwright_torch.noise import uniform

DATA = example_pairs(ListedData)
ITEMS = [DATA.item("train", number, Step()) for number in range(4)]


def made(**changes: object):
    model = example_writer(DATA, **changes).double()
    return model, collate(ITEMS, range(4), model.prepare, Step())


def tiny() -> dict[str, Tensor]:
    """Two sources of three and two tokens, targets of two."""
    return {
        "tokens": torch.tensor([[2, 9, 3], [2, 3, 0]]),
        "real": torch.tensor([[True, True, True], [True, True, False]]),
        "target": torch.tensor([[7, 3], [8, 3]]),
    }


def read_by(attend: Tensor) -> list[str]:
    return ["".join("x" if may else "." for may in row) for row in attend.tolist()]


# -- layouts -----------------------------------------------------------------------------------------------------


def test_pseudo_masks_read_the_source_what_is_before_and_themselves():
    batch = tiny()
    layout = pseudo_masks(batch, batch["target"], torch.full((2, 2), 4))
    # Three source tokens, two of the target, two pseudo masks.
    assert read_by(layout.attend[0]) == [
        "xxx....",
        "xxx....",
        "xxx....",
        "xxxx...",
        "xxxxx..",
        "xxx..x.",
        "xxxx..x",
    ]
    assert read_by(layout.attend[1])[3:] == ["xx.x...", "xx.xx..", "xx...x.", "xx.x..x"]
    assert layout.tokens.tolist() == [[2, 9, 3, 7, 3, 4, 4], [2, 3, 0, 8, 3, 4, 4]]
    # Targets go by the true end of their source, not by the padded one.
    assert layout.position.tolist() == [[0, 1, 2, 3, 4, 3, 4], [0, 1, 2, 2, 3, 2, 3]]
    assert layout.segment.tolist() == [[0, 0, 0, 1, 1, 1, 1]] * 2
    assert layout.index.tolist() == [[5, 6]] * 2


def test_in_place_reads_the_source_what_is_before_and_itself():
    layout = in_place(tiny(), torch.tensor([[4, 3], [8, 4]]))
    assert read_by(layout.attend[1]) == ["xx...", "xx...", "xx...", "xx.x.", "xx.xx"]
    assert layout.position.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 2, 3]]
    assert layout.tokens.tolist()[0] == [2, 9, 3, 4, 3] and layout.index.tolist() == [[3, 4]] * 2


def test_it_is_the_layout_of_pre_training_with_blocks_of_one_token_from_left_to_right():
    """With the last original kept, and the masks in the text left out, the two matrices are equal."""
    source, target = 4, 3
    blocks = numbered([[place] for place in range(source, source + target)], source + target)
    before = pseudo_layout(blocks, torch.ones_like(blocks, dtype=torch.bool), keep_last=True)
    order = [*range(source)]
    for kind in (ORIGINAL, PSEUDO):
        found = ((before.kind[0] == kind).nonzero()[:, 0]).tolist()
        order += sorted(found, key=lambda place: int(before.place[0, place]))
    batch = {"tokens": torch.zeros(1, source, dtype=torch.int64), "real": torch.ones(1, source).bool()}
    zeros = torch.zeros(1, target, dtype=torch.int64)
    layout = pseudo_masks(batch, zeros, zeros)
    assert torch.equal(layout.attend[0], before.attend()[0][order][:, order])
    assert torch.equal(layout.position[0], before.place[0][order])


def test_a_prediction_knows_nothing_of_its_token_and_of_later_ones():
    model, batch = made()
    layout = pseudo_masks(batch, batch["target"], torch.full_like(batch["target"], 4))
    entered: list[Tensor] = []

    def keep(module, inputs, output):
        output.retain_grad()
        entered.append(output)

    model.encoder.drop.register_forward_hook(keep)
    model.eval()
    count, source = batch["target"].shape[1], layout.context
    for place in range(count):
        wanted = torch.zeros_like(batch["target_real"])
        wanted[:, place] = True
        entered.clear()
        model.log_probs(layout, wanted).square().sum().backward()
        reached = (entered[0].grad != 0).any(dim=2)  # (B, M): does it depend on what stands there
        assert bool(reached[:, :source][batch["real"]].all())
        assert not bool(reached[:, :source][~batch["real"]].any())
        targets, masks = reached[:, source : source + count], reached[:, source + count :]
        assert targets.tolist() == [[other < place for other in range(count)]] * 4
        assert masks.tolist() == [[other == place for other in range(count)]] * 4


# -- what stands in place of targets ---------------------------------------------------------------------------------


def test_later_tokens_read_a_mask_in_place_of_dropped_ones():
    for drop, dropped in ((0.0, False), (1.0, True)):
        model, batch = made(word_drop=drop)
        layout, wanted = model.layout(batch, Step())
        count = batch["target"].shape[1]
        seen, pseudo = layout.tokens[:, -2 * count : -count], layout.tokens[:, -count:]
        assert bool((seen == 4).all()) if dropped else torch.equal(seen, batch["target"])
        assert bool((pseudo == 4).all()) and torch.equal(wanted, batch["target_real"])
    model, _ = made()
    assert model.noise.drop == 0.5
    batch = {
        "target": torch.full((200, 10), 7),
        "target_real": torch.ones(200, 10).bool(),
        "rows": torch.arange(200),
    }
    batch |= {"tokens": torch.full((200, 1), 2), "real": torch.ones(200, 1).bool()}
    seen = model.layout(batch, Step())[0].tokens[:, 1:11]
    assert float((seen == 4).double().mean()) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("which", ["keep", "random"])
def test_pseudo_masks_may_be_the_answer_or_any_token(which: str):
    model, batch = made(word_drop=1.0, **{f"pseudo_{which}": 1.0})
    layout, _ = model.layout(batch, Step())
    count = batch["target"].shape[1]
    seen, pseudo = layout.tokens[:, -2 * count : -count], layout.tokens[:, -count:]
    assert torch.equal(seen, pseudo)  # the target copy is replaced by the same draw
    assert torch.equal(pseudo, batch["target"]) == (which == "keep")
    assert which == "keep" or int(pseudo.min()) > 4  # never a special token


def test_v1_masks_a_share_of_each_target_and_predicts_only_that():
    model, batch = made(mode="v1", word_drop=0.7)
    layout, wanted = model.layout(batch, Step())
    lengths = batch["target_real"].sum(dim=1)
    assert lengths.tolist() == [4, 4, 5, 3]
    assert wanted.sum(dim=1).tolist() == [2, 2, 3, 2] and not bool((wanted & ~batch["target_real"]).any())
    target = layout.tokens[:, layout.context :]
    assert torch.equal(target, batch["target"].masked_fill(wanted, 4))
    assert int(model(batch, Step()).terms["loss"].count) == 9
    model, batch = made(mode="v1", word_drop=0.0)
    assert model.layout(batch, Step())[1].sum(dim=1).tolist() == [1, 1, 1, 1]  # one at least


def test_v0_predicts_the_next_token_from_the_true_ones():
    model, batch = made(mode="v0")
    assert model.noise.drop == 0.0
    layout, wanted = model.layout(batch, Step())
    target = layout.tokens[:, layout.context :]
    assert torch.equal(target[:, 1:], batch["target"][:, :-1]) and bool((target[:, 0] == 3).all())
    assert torch.equal(wanted, batch["target_real"])
    model, batch = made(mode="v0", word_drop=1.0)
    target = model.layout(batch, Step())[0].tokens[:, layout.context :]
    assert bool((target[:, 1:] == 4).all()) and bool((target[:, 0] == 3).all())


# -- the loss ------------------------------------------------------------------------------------------------------


def noise(rows: int, count: int) -> Tensor:
    return uniform(3, torch.arange(rows), count)


def test_without_smoothing_it_is_the_cross_entropy():
    logits, truth = noise(5, 7) * 4, torch.tensor([1, 6, 3, 2, 5])
    found = smoothed(logits.log_softmax(dim=1), truth, 0.0, pad=0)
    assert torch.allclose(found, F.cross_entropy(logits, truth, reduction="none"), atol=1e-12)


def test_smoothing_spreads_its_share_over_all_but_the_right_token_and_padding():
    """The KL divergence from that target is the loss less the target's entropy."""
    log_probs, truth, share, size = (
        (noise(5, 7) * 4).log_softmax(dim=1),
        torch.tensor([1, 6, 3, 2, 5]),
        0.2,
        7,
    )
    target = torch.full((5, size), share / (size - 2), dtype=torch.float64)
    target[:, 0] = 0.0
    target[torch.arange(5), truth] = 1 - share
    divergence = F.kl_div(log_probs, target, reduction="none").sum(dim=1)
    entropy = -(1 - share) * math.log(1 - share) - share * math.log(share / (size - 2))
    assert torch.allclose(smoothed(log_probs, truth, share, pad=0), divergence + entropy, atol=1e-12)


def test_a_right_token_that_serves_as_padding_too_is_counted_once():
    log_probs = (noise(1, 4) * 4).log_softmax(dim=1)
    wanted = -0.9 * log_probs[0, 3] - 0.1 * log_probs[0, :3].mean()
    assert float(smoothed(log_probs, torch.tensor([3]), 0.1, pad=3)) == pytest.approx(float(wanted))


def test_the_loss_is_summed_over_real_target_tokens():
    model, batch = made(label_smoothing=0.0, word_drop=0.0)
    model.eval()
    loss = model(batch, Step())
    each = model.target_losses(ITEMS, Step())
    assert [len(losses) for losses in each] == [4, 4, 5, 3] and int(loss.terms["loss"].count) == 16
    assert float(loss.terms["loss"].sum.detach()) == pytest.approx(float(torch.cat(each).sum()))
    assert float(loss.parts["nll"]) == pytest.approx(sum(float(losses.mean()) for losses in each) / 4)


# -- items ---------------------------------------------------------------------------------------------------------


def prepared(items: list[dict[str, object]], source: int = 16, target: int = 8) -> dict[str, Tensor]:
    codec = made()[0].encoder.codec
    return PairPrepare(codec, source, target)(items, Step())


def test_what_does_not_fit_is_cut_and_counted():
    item = {"id": "a", "text": "the lazy dog sleeps", "summary": "a fox jumps the dog", "other": "park"}
    whole = prepared([item])
    assert (
        whole["tokens"].shape == (1, 6)
        and whole["cut"].tolist() == [0]
        and whole["target_cut"].tolist() == [0]
    )
    assert whole["target"].shape == (1, 6) and int(whole["target"][0, -1]) == 3
    short = prepared([item], source=4, target=3)
    assert short["cut"].tolist() == [2] and short["target_cut"].tolist() == [3]
    # A source that is cut keeps its frame; a target that is cut has no end, for it does not end there.
    assert short["tokens"][0, [0, -1]].tolist() == [2, 3]
    assert torch.equal(short["target"], whole["target"][:, :3])


def test_source_alone_needs_no_summary():
    codec = made()[0].encoder.codec
    batch = SourcePrepare(codec, 16)([{"id": "a", "text": "the fox"}], Step())
    assert sorted(batch) == ["cut", "real", "special", "tokens"]


def test_the_names_of_s2s_ft_are_taken_where_ours_are_missing():
    ours = prepared([{"id": "a", "text": "the fox", "summary": "a fox"}])
    theirs = prepared([{"src": "the fox", "tgt": "a fox"}])
    both = prepared([{"text": "the fox", "src": "a dog", "summary": "a fox", "tgt": "a dog"}])
    for name in ("tokens", "target"):
        assert torch.equal(ours[name], theirs[name]) and torch.equal(ours[name], both[name])


def test_the_fields_that_were_found_are_named():
    with pytest.raises(UserError) as raised:
        prepared([{"id": "a", "body": "the fox"}])
    assert str(raised.value) == (
        'the item "a" has no text\n'
        "  where: objective:seq2seq\n"
        "  why:   it has body, id; text is the source of what is written\n"
        '  do:    JSON lines with a text as "text", or as "src"; or data that reads it from another column, '
        'fields = { text = "COLUMN" }'
    )


@pytest.mark.parametrize(
    ("item", "what"),
    [
        ({"id": "seven", "text": "the fox"}, 'the item "seven" has no summary'),
        ({"id": "eight", "text": "the fox", "summary": ["a", 3]}, 'the item "eight" has no summary'),
        ({"id": "nine", "text": "the fox", "summary": "  "}, 'the summary of the item "nine" is empty'),
        ({"id": "ten", "summary": "a fox"}, 'the item "ten" has no text'),
    ],
)
def test_items_that_cannot_be_learned_from_are_named(item: dict[str, object], what: str):
    with pytest.raises(UserError) as raised:
        prepared([item])
    assert raised.value.what == what


def test_a_target_that_leaves_no_room_for_the_source_is_refused():
    with pytest.raises(UserError) as raised:
        made(target_length=22)
    assert raised.value.what == "targets of 22 tokens leave 2 of the encoder's 24 positions for the source"


def test_settings_that_do_not_go_together():
    example = Seq2Seq.example()
    assert [name for name, _ in Seq2Seq().check()] == ["encoder"]
    assert [name for name, _ in Seq2Seq(encoder=example.encoder, pretrained=example).check()] == ["encoder"]
    assert not list(example.check())
    wrong = Seq2Seq(pretrained=example, pseudo_keep=0.6, pseudo_random=0.5)
    assert list(wrong.check()) == [("pseudo_random", "0.6 + 0.5 is more than 1")]
    wrong = Seq2Seq(pretrained=example, mode="v0", pseudo_keep=0.1)
    assert list(wrong.check()) == [("mode", "v0 has no pseudo masks: pseudo_keep = 0, pseudo_random = 0")]


# -- it learns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["v2", "v1", "v0"])
def test_it_learns_to_write_four_summaries(mode: str):
    model = example_writer(DATA, mode=mode)
    batch = collate(ITEMS, range(4), model.prepare, Step())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for number in range(150):
        optimiser.zero_grad()
        model(batch, Step(0, number, 150)).value.backward()
        optimiser.step()
    written = [texts[0] for texts in model.generate(ITEMS, Step())]
    assert [each.text for each in written] == [item["summary"] for item in ITEMS]
    assert all(each.complete for each in written)
    assert MASK not in " ".join(each.text for each in written)
