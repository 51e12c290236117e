"""Contracts of encoders over tokens: the tags `tokens`, `vocabulary` and `takes:attention`."""

from typing import Any

import torch
from torch import Tensor

from maskwright_testing.cases import Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import MIDDLE, half_hidden, module_and_batch
from maskwright_torch.contracts import ROWS
from maskwright_torch.inference import in_use
from maskwright_torch.masking import take
from maskwright_torch.noise import uniform

ENTRIES = {"tokens": torch.int64, "real": torch.bool, "special": torch.bool, "word": torch.int64}
"""What a batch of texts holds, (rows, tokens) each."""


def _need(case: Case, tag: str) -> None:
    if tag not in case.tags():
        raise Skipped(f"it lacks the tag {tag}")


def _few_places(encoder: Any, batch: dict[str, Tensor]) -> Tensor:
    """int64 (rows, 2): two units of each row, the later one first."""
    valid = encoder.units(batch).valid
    last_first = valid.long().cumsum(dim=1).masked_fill(~valid, 0).argsort(dim=1, descending=True)
    return last_first[:, :2]


def check_tokens_batch(case: Case) -> None:
    """With `tokens`, a batch has tokens, real, special and word; words rise by one, special tokens have none."""
    _need(case, "tokens")
    encoder, batch = module_and_batch(case)
    for name, kind in ENTRIES.items():
        if name not in batch or batch[name].dtype != kind or batch[name].shape != batch["tokens"].shape:
            fail(f'the batch must have "{name}", {kind} (rows, tokens); it has {", ".join(sorted(batch))}')
    if not torch.equal(encoder.units(batch).valid, batch["real"] & ~batch["special"]):
        fail("what may be hidden is real and not special: units.valid says otherwise")
    for row, (words, special) in enumerate(zip(batch["word"], batch["special"], strict=True)):
        own = words[~special]
        if bool((own < 0).any()) or not set(own.diff().tolist()) <= {0, 1} or int(own[0]) != 0:
            fail(f"the words of row {row} are {words.tolist()}: they must count 0, 0, 1, 2 …")
    space = encoder.space
    if (
        space.mask_id is None
        or not 0 <= space.mask_id < space.vocabulary
        or space.mask_id not in space.specials
    ):
        fail(f"space.mask_id must be one of the special tokens, found {space}")


def check_vocabulary_logits(case: Case) -> None:
    """With `vocabulary`, make_head() turns states and the table into finite logits over the whole vocabulary."""
    _need(case, "vocabulary")
    encoder, batch = module_and_batch(case)
    head = encoder.make_head()
    if encoder.table.shape[0] != encoder.space.vocabulary:
        fail(f"the table has the shape {tuple(encoder.table.shape)} for {encoder.space.vocabulary} tokens")
    with in_use(encoder):
        logits = head(encoder(batch).states, encoder.table)
    wanted = (*batch["tokens"].shape, encoder.space.vocabulary)
    if tuple(logits.shape) != wanted or not bool(logits.isfinite().all()):
        fail(f"the logits have the shape {tuple(logits.shape)}, {wanted} finite numbers are wanted")


def check_vocabulary_states_at(case: Case) -> None:
    """With `vocabulary`, states_at gives the states of some positions as a whole pass does, hidden units or none."""
    _need(case, "vocabulary")
    encoder, batch = module_and_batch(case)
    index = _few_places(encoder, batch)
    with in_use(encoder):
        for hidden in (None, half_hidden(encoder.units(batch))):
            whole = take(encoder(batch, hidden).states, index)
            some = encoder.states_at(batch, hidden, index)
            if found := difference({"states": whole}, {"states": some}, exact=False):
                fail(f"the states of a whole pass, and of states_at: {found}")


def _attended(encoder: Any, batch: dict[str, Tensor], attend: Tensor, tokens: Tensor | None = None) -> Tensor:
    position = torch.arange(attend.shape[1]).expand(attend.shape[:2])
    return encoder.attended(batch["tokens"] if tokens is None else tokens, position, attend)


def check_attention_everything(case: Case) -> None:
    """With `takes:attention`, a matrix that lets all read all real tokens gives what the encoder gives."""
    _need(case, "takes:attention")
    encoder, batch = module_and_batch(case)
    real = batch["real"]
    attend = real[:, None, :].expand(-1, real.shape[1], -1)
    with in_use(encoder):
        whole, some = encoder(batch).states, _attended(encoder, batch, attend)
    if found := difference({"states": whole[real]}, {"states": some[real]}, exact=False):
        fail(f"the states of a pass, and with everything to be read: {found}")


def check_attention_no_leak(case: Case) -> None:
    """With `takes:attention`, a token that a row may not read changes nothing there, to the last bit."""
    _need(case, "takes:attention")
    encoder, batch = module_and_batch(case)
    count = batch["tokens"].shape[1]
    attend = torch.ones(count, count, dtype=torch.bool).tril().expand(len(batch[ROWS]), -1, -1)
    usual = [n for n in range(encoder.space.vocabulary) if n not in encoder.space.specials]
    noise = uniform(MIDDLE.stream("leak"), batch[ROWS], count)
    other = torch.tensor(usual)[(noise * len(usual)).long()]
    middle = count // 2
    later = torch.arange(count) >= middle
    changed = torch.where(later, other, batch["tokens"])
    with in_use(encoder):
        one, two = _attended(encoder, batch, attend), _attended(encoder, batch, attend, changed)
        if torch.equal(one[:, middle:], two[:, middle:]):
            fail("other tokens change nothing even where they may be read")
        if found := difference({"states": one[:, :middle]}, {"states": two[:, :middle]}):
            fail(f"tokens that may not be read have other values: {found}")


def check_attention_positions(case: Case) -> None:
    """With `takes:attention`, tokens go by their positions, not by where they stand in the row."""
    _need(case, "takes:attention")
    encoder, batch = module_and_batch(case)
    tokens, count = batch["tokens"], batch["tokens"].shape[1]
    attend = torch.ones(len(tokens), count, count, dtype=torch.bool)
    position = torch.arange(count).expand(tokens.shape)
    with in_use(encoder):
        forward = encoder.attended(tokens, position, attend)
        turned = encoder.attended(tokens.flip(1), position.flip(1), attend).flip(1)
        index = _few_places(encoder, batch)
        some = encoder.attended(tokens, position, attend, index=index)
    if found := difference({"states": forward}, {"states": turned}, exact=False):
        fail(f"tokens in another order with the same positions: {found}")
    if found := difference({"states": take(forward, index)}, {"states": some}, exact=False):
        fail(f"the states of all rows, and of some by index: {found}")
