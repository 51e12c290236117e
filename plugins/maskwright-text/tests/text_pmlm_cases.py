"""A small pseudo-masked language model in float64, and blocks made by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskwright import Step
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_pmlm import Pmlm
from maskwright_text.pmlm import Pmlm as Built
from maskwright_text.pseudo_layout import PseudoLayout, pseudo_layout
from maskwright_torch.noise import uniform

VOCABULARY = 30
FIRST = 5
"""Tokens below are special."""


class Words:
    """Data to train the tokenizer on: every word once."""

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        return 1

    def item(self, split: str, index: int, step: Step) -> dict[str, str]:
        return {"id": "all", "text": " ".join(f"w{number}" for number in range(VOCABULARY - FIRST))}


def model(relative: int = 0, **settings: object) -> Built:
    """Two blocks, 16 numbers wide."""
    codec = Subwords(vocabulary=VOCABULARY, model="words")
    encoder = TextEncoder(codec=codec, length=12, width=16, depth=2, heads=2, relative=relative)
    built = Pmlm(encoder=encoder, **settings).build(seed=3)
    built.encoder.codec.fit(Words(), Step())
    return disturb(built)


def disturb(built: Built) -> Built:
    """Weights begin near zero; noise everywhere makes a leak visible."""
    with torch.no_grad():
        for number, parameter in enumerate(built.parameters()):
            noise = uniform(number, torch.arange(parameter.numel()), 1).view(parameter.shape)
            parameter += noise - 0.5
    return built.double().eval()


def texts(lengths: Sequence[int] = (10, 10, 10), padding: int = 0) -> dict[str, Tensor]:
    """Random words, as many as said in each row, between [CLS] and [SEP]; `padding` further columns."""
    rows, most = len(lengths), max(lengths) + padding
    place = torch.arange(most).expand(rows, -1)
    last = torch.tensor(lengths)[:, None] - 1
    drawn = FIRST + (uniform(9, torch.arange(rows), most) * (VOCABULARY - FIRST)).long()
    tokens = drawn.masked_fill(place == 0, 2).masked_fill(place == last, 3).masked_fill(place > last, 0)
    special = tokens < FIRST
    return {
        "tokens": tokens, "real": place <= last, "special": special, "word": (place - 1).masked_fill(special, -1),
        "segment": (place > 5).long(), "rows": torch.arange(rows),
    }  # fmt: skip


def blocks_of(rows: Sequence[Sequence[Sequence[int]]], count: int) -> Tensor:
    """int64 (B, count) from the places of each block, in the order of prediction."""
    made = torch.full((len(rows), count), -1)
    for row, blocks in enumerate(rows):
        for number, places in enumerate(blocks):
            made[row, list(places)] = number
    return made


BLOCKS = ([[3, 4], [1], [7, 8]], [[6], [2]], [[5, 6, 7]])
"""Three rows with different numbers of blocks and of tokens."""


def extended(built: Built, batch: dict[str, Tensor], blocks: Tensor) -> tuple[PseudoLayout, Tensor]:
    """The layout, and its tokens with the mask token at every hidden place."""
    layout = pseudo_layout(blocks, batch["real"])
    return layout, built.extended(batch, batch, blocks >= 0, layout)
