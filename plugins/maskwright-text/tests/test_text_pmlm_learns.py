"""What the order is good for: of two words that tell each other, predicted in order, only the first costs anything."""

import math

import torch

from maskwright import Step
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_pmlm import Pairs, Pmlm
from maskwright_text.tied_words import tied_words
from maskwright_torch.batches import collate

WORDS, STEPS, BATCH = 8, 150, 32


def test_words_that_tell_each_other_cost_half_when_predicted_in_order():
    """A random word of 8, then the same once more, both hidden. All at once each costs ln 8 nats."""
    data = tied_words(WORDS, distance=1, train=STEPS * BATCH, test=0, seed=0)
    encoder = TextEncoder(
        codec=Subwords(model="words", vocabulary=WORDS + 5), length=4, width=32, depth=1, heads=2
    )
    params = Pmlm(encoder=encoder, masker=Pairs(distance=1), mask_share=1.0, random_share=0.0)
    model = params.build(seed=1)
    model.encoder.codec.fit(data, Step())
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.98))
    sums, last = {"ae": 0.0, "par": 0.0}, STEPS // 5
    for number in range(STEPS):
        step = Step(1, number, STEPS)
        rows = range(number * BATCH, (number + 1) * BATCH)
        batch = collate([data.item("train", row, step) for row in rows], rows, model.prepare, step)
        means = {name: term.sum / term.count for name, term in model(batch, step).terms.items()}
        optimiser.zero_grad()
        sum(means.values()).backward()
        optimiser.step()
        if number >= STEPS - last:
            sums = {name: total + means[name].item() for name, total in sums.items()}
    ae, par = (sums[name] / last for name in ("ae", "par"))
    assert ae > 0.97 * math.log(WORDS)
    assert par <= 0.6 * ae
