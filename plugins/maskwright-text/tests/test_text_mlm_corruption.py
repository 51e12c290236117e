"""objective:mlm: what is never hidden, what the encoder sees in place of hidden tokens, and the loss by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from text_models import batch_of, many_tokens, model, sentences

from maskwright import Step
from maskwright.contracts import items_of
from maskwright_torch.contracts import ROWS
from maskwright_torch.masking import ratios

STEP = Step(seed=2, number=3, total=10)


def texts(subject):
    return batch_of(subject, list(items_of(sentences(), "test", STEP)))


@pytest.mark.parametrize(
    "masker",
    [
        "random",
        {"use": "tokens", "sampling": "bernoulli"},
        {"use": "tokens", "sampling": "upstream"},
        "whole-word",
        "spans",
        {"use": "weighted", "source": "pos-loss"},
        {"use": "weighted", "source": "token-loss", "mode": "paper"},
    ],
)
def test_special_tokens_and_padding_are_never_hidden(masker):
    subject = model(masker=masker, ratio=0.9)
    batch = texts(subject)
    for number in range(20):
        hidden = subject.choose(batch, STEP.at(number))
        assert not bool((hidden & (batch["special"] | ~batch["real"])).any())
        assert bool(hidden.any(dim=1).all())


def test_corruption_changes_hidden_tokens_alone_and_draws_no_special_token():
    subject = model(ratio=0.5, mask_share=0.3, random_share=0.6)
    batch = many_tokens(subject, rows=200, length=50)
    hidden = subject.choose(batch, STEP)
    seen, masked = subject.corrupted(batch, hidden, STEP)
    assert torch.equal(seen["tokens"][~hidden], batch["tokens"][~hidden])
    assert not bool((masked & ~hidden).any())
    replaced = hidden & ~masked & (seen["tokens"] != batch["tokens"])
    assert not set(seen["tokens"][replaced].tolist()) & set(subject.encoder.space.specials)
    usual = subject.encoder.codec.known - len(subject.encoder.space.specials)
    assert len(seen["tokens"][replaced].unique()) == usual, "every other known token may come"


def test_shares_of_the_corruption():
    """Within 4 standard errors, over 10^5 hidden tokens. A random token may be the right one by chance."""
    subject = model(ratio=0.95)
    batch = many_tokens(subject, rows=1100, length=100)
    hidden = subject.choose(batch, STEP)
    count = int(hidden.sum())
    assert count > 100_000
    seen, masked = subject.corrupted(batch, hidden, STEP)
    same = hidden & ~masked & (seen["tokens"] == batch["tokens"])
    usual = subject.encoder.codec.known - len(subject.encoder.space.specials)
    for found, share in (
        (masked, 0.8),
        (same, 0.1 + 0.1 / usual),
        (hidden & ~masked & ~same, 0.1 - 0.1 / usual),
    ):
        error = math.sqrt(share * (1 - share) / count)
        assert int(found.sum()) / count == pytest.approx(share, abs=4 * error)


def test_the_loss_is_the_mean_over_hidden_tokens_of_what_was_there():
    subject = model(ratio=0.4).eval().requires_grad_(False)
    batch = texts(subject)
    hidden = subject.choose(batch, STEP)
    seen, masked = subject.corrupted(batch, hidden, STEP)
    states = subject.encoder(seen, masked).states
    logits = subject.head(states, subject.encoder.table)
    labels = batch["tokens"].masked_fill(~hidden, -100)
    wanted = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    loss = subject(batch, STEP)
    assert float(loss.value) == pytest.approx(float(wanted), abs=1e-6)
    assert loss.terms["loss"].count == int(hidden.sum())
    assert loss.parts["hidden_tokens"] == int(hidden.sum()) / 6


def test_pieces_of_a_batch_add_up_to_the_batch():
    subject = model(ratio=0.4).eval().requires_grad_(False)
    batch = texts(subject)
    whole = subject(batch, STEP).terms["loss"]
    pieces = [
        subject({name: tensor[part] for name, tensor in batch.items()}, STEP).terms["loss"]
        for part in (slice(0, 2), slice(2, 6))
    ]
    assert pieces[0].count != pieces[1].count
    assert float(sum(p.count for p in pieces)) == float(whole.count)
    assert float(sum(p.sum for p in pieces)) == pytest.approx(float(whole.sum), rel=1e-6)
    by_count = sum(float(p.sum / p.count) * float(p.count) for p in pieces) / float(whole.count)
    assert by_count == pytest.approx(float(whole.sum / whole.count), rel=1e-6)


def test_masks_belong_to_rows_and_steps():
    subject = model(ratio=0.4)
    batch = texts(subject)
    hidden = subject.choose(batch, STEP)
    turned = {name: tensor.flip(0) for name, tensor in batch.items()}
    assert torch.equal(subject.choose(turned, STEP).flip(0), hidden)
    other = {**batch, ROWS: batch[ROWS] + 1}
    assert not torch.equal(subject.choose(other, STEP), hidden)
    assert not torch.equal(subject.choose(batch, STEP.at(4)), hidden)


def test_what_is_hidden_is_logged_by_part_of_speech():
    subject = model(ratio=0.4)
    batch = texts(subject)
    parts = subject(batch, STEP).parts
    shares = {name: float(value) for name, value in parts.items() if name.startswith("hidden/")}
    assert len(shares) == 17
    assert sum(shares.values()) == pytest.approx(float(parts["hidden_tokens"]))
    hidden = subject.choose(batch, STEP)
    assert shares["hidden/NOUN"] == pytest.approx(int((batch["tag"][hidden] == 7).sum()) / 6)


def test_the_ratio_asked_for_is_logged_beside_what_is_hidden():
    falling = model(ratio={"use": "mrd-linear", "p": 0.25}, floor=0.1)
    found = [falling(texts(falling), STEP.at(number)).parts["ratio"] for number in (0, STEP.total)]
    assert [float(value) for value in found] == pytest.approx([0.5, 0.1])
    drawn = model(ratio="cosine-of-uniform")
    batch = texts(drawn)
    asked = ratios(drawn.ratio, STEP, batch[ROWS])
    assert len(asked.unique()) == 6
    assert float(drawn(batch, STEP).parts["ratio"]) == pytest.approx(float(asked.mean()))


def test_hidden_tokens_are_counted_over_the_whole_run():
    subject = model(ratio=0.4)
    batch = texts(subject)
    totals = subject(batch, STEP).totals
    assert {name: float(value) for name, value in totals.items()} == {
        "hidden_tokens_so_far": float(subject.choose(batch, STEP).sum())
    }
