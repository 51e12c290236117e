"""Each check of `tokens`, `vocabulary` and `takes:attention` passes on a good encoder and fails on a faulty one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from tensor_toys import built
from torch import Tensor, nn

from maskwright import Step
from maskwright_testing.registry import checks_in
from maskwright_torch.contracts import ROWS, Batch, Encoded, Space, Units
from maskwright_torch.masking import take
from maskwright_torch.part import Part

ABOUT: dict[str, Any] = {
    "provides": {"torch", "tokens", "vocabulary", "takes:attention", "pooled", "hides:replace"},
    "consumes": {"text"},
}
MASK, LETTERS = 1, 28


class Letters:
    """One token for each first letter of a word; 0 is padding, 1 the mask token."""

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        words = [item["text"].split() for item in items]
        tokens = torch.zeros(len(items), max(map(len, words)), dtype=torch.int64)
        for row, found in enumerate(words):
            tokens[row, : len(found)] = torch.tensor([ord(word[0]) - ord("a") + 2 for word in found])
        real = tokens > 0
        word = torch.arange(tokens.shape[1]).expand(tokens.shape)
        return {"tokens": tokens, "real": real, "special": ~real, "word": torch.where(real, word, -1)}


class Reader(Part):
    """One layer of attention over letters and their places."""

    width = pooled_width = 4
    space = Space((5,), vocabulary=LETTERS, mask_id=MASK, specials=(0, MASK))

    def __init__(self) -> None:
        super().__init__()
        self.prepare = Letters()
        self.letters = nn.Embedding(LETTERS, 4)

    @property
    def table(self) -> Tensor:
        return self.letters.weight

    def make_head(self) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda states, table: states @ table.T

    def targets(self, batch: Batch) -> Tensor:
        return batch["tokens"]

    def with_values(self, batch: Batch, values: Tensor) -> dict[str, Tensor]:
        return {**batch, "tokens": values}

    def units(self, batch: Batch) -> Units:
        count = batch["tokens"].shape[1]
        return Units(batch["real"] & ~batch["special"], (count,), torch.arange(count), batch[ROWS])

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        tokens = batch["tokens"] if hidden is None else torch.where(hidden, MASK, batch["tokens"])
        position = torch.arange(tokens.shape[1]).expand(tokens.shape)
        attend = batch["real"][:, None].expand(-1, tokens.shape[1], -1)
        states = self.read_letters(tokens, position, attend)
        return Encoded(states, position, batch["real"], states[:, 0], states[:, :0])

    def states_at(self, batch: Batch, hidden: Tensor | None, index: Tensor) -> Tensor:
        return take(self(batch, hidden).states, index)

    def attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, *, index: Tensor | None = None
    ) -> Tensor:
        states = self.read_letters(tokens, position, attend)
        return states if index is None else take(states, index)

    def read_letters(self, tokens: Tensor, position: Tensor, attend: Tensor) -> Tensor:
        x = self.letters(tokens) + torch.sin(position[..., None] * torch.arange(1, 5))
        scores = (x @ x.transpose(1, 2)).masked_fill(~attend, torch.finfo(x.dtype).min)
        return scores.softmax(dim=-1) @ x + x


class NoWords(Letters):
    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        batch = super().__call__(items, step)
        del batch["word"]
        return batch


class WordsFromOne(Letters):
    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        batch = super().__call__(items, step)
        return {**batch, "word": torch.where(batch["real"], batch["word"] + 1, -1)}


def prepared(prepare: type) -> type:
    def made() -> Reader:
        encoder = Reader()
        encoder.prepare = prepare()
        return encoder

    return built(made)


class HidesPadding(Reader):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(torch.ones_like(units.valid), units.grid, units.position, units.rows)


class UsualMask(Reader):
    space = Space((5,), vocabulary=LETTERS, mask_id=MASK, specials=(0,))


class ShortTable(Reader):
    @property
    def table(self) -> Tensor:
        return self.letters.weight[1:]


class FlatHead(Reader):
    def make_head(self) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda states, table: states


class ForgetsHidden(Reader):
    def states_at(self, batch: Batch, hidden: Tensor | None, index: Tensor) -> Tensor:
        return super().states_at(batch, None, index)


class ReadsAll(Reader):
    def attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, *, index: Tensor | None = None
    ) -> Tensor:
        return super().attended(tokens, position, torch.ones_like(attend), index=index)


class Deaf(Reader):
    def attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, *, index: Tensor | None = None
    ) -> Tensor:
        return super().attended(torch.zeros_like(tokens), position, attend, index=index)


class ByPlace(Reader):
    def attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, *, index: Tensor | None = None
    ) -> Tensor:
        place = torch.arange(tokens.shape[1]).expand(tokens.shape)
        return super().attended(tokens, place, attend, index=index)


class FirstOnes(Reader):
    def attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, *, index: Tensor | None = None
    ) -> Tensor:
        states = super().attended(tokens, position, attend)
        return states if index is None else states[:, : index.shape[1]]


FAULTS = [
    ("check_tokens_batch", prepared(NoWords), 'the batch must have "word"'),
    ("check_tokens_batch", prepared(WordsFromOne), "the words of row 0 are [1, 2, 3, 4, -1]"),
    ("check_tokens_batch", built(HidesPadding), "units.valid says otherwise"),
    ("check_tokens_batch", built(UsualMask), "space.mask_id must be one of the special tokens"),
    ("check_vocabulary_logits", built(ShortTable), "the table has the shape (27, 4) for 28 tokens"),
    ("check_vocabulary_logits", built(FlatHead), "the logits have the shape (5, 5, 4), (5, 5, 28)"),
    ("check_vocabulary_states_at", built(ForgetsHidden), "the states of a whole pass, and of states_at"),
    ("check_attention_everything", built(ReadsAll), "with everything to be read: ['states']"),
    ("check_attention_no_leak", built(ReadsAll), "tokens that may not be read have other values: ['states']"),
    ("check_attention_no_leak", built(Deaf), "other tokens change nothing even where they may be read"),
    ("check_attention_positions", built(ByPlace), "tokens in another order with the same positions"),
    ("check_attention_positions", built(FirstOnes), "the states of all rows, and of some by index"),
]
CHECKS = [name for name, _ in checks_in("vocabulary_checks")]
assert len(CHECKS) == 6


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == set(CHECKS)


@pytest.mark.parametrize(("check", "fault", "reason"), FAULTS)
def test_fault_is_found(says: Callable[..., str], check: str, fault: type, reason: str):
    assert reason in says(check, "encoder", fault, **ABOUT)


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_encoder_keeps_it(says: Callable[..., str], check: str):
    assert says(check, "encoder", built(Reader), **ABOUT) == ""


def test_tags_that_are_absent_are_not_checked(says: Callable[..., str]):
    tokens = {**ABOUT, "provides": {"torch", "tokens"}}
    assert says("check_vocabulary_logits", "encoder", built(Reader), **tokens) == (
        "skipped: it lacks the tag vocabulary"
    )
    assert says("check_attention_no_leak", "encoder", built(Reader), **tokens) == (
        "skipped: it lacks the tag takes:attention"
    )
