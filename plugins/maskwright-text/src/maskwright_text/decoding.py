"""Writing texts with a trained model: the likeliest token, drawn tokens, a beam, or several tokens at once."""

from typing import Any

import torch

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.beam import beam_search
from maskwright_text.choosing import Rules, Written, one_by_one
from maskwright_text.decoding_settings import Decoding
from maskwright_text.several_at_once import several_at_once
from maskwright_text.writers import writer_for
from maskwright_torch.contracts import ROWS, Batch
from maskwright_torch.noise import uniform

WHERE = "decoding"


def decode(
    model: Any, batch: Batch, decoding: Decoding, step: Step, rules: Rules | None = None
) -> list[list[Written]]:
    """For each row of a batch of sources the texts that were written, best first.

    `rules` of this model and decoding, where there are several batches: making them goes through the vocabulary.
    """
    rules = rules or Rules(model.encoder, decoding)
    limit = _checked(model, decoding, rules)
    rows = batch[ROWS]
    with torch.no_grad():
        writer = writer_for(model, batch, decoding.cache)
        if decoding.block > 1:
            return [[text] for text in several_at_once(writer, rules, decoding, limit)]
        if decoding.beam > 1:
            found = beam_search(writer, rules, decoding.beam, decoding.length_penalty, limit)
            return [texts[: decoding.candidates] for texts in found]
        size = decoding.candidates
        draws = [uniform(step.fork("write", n).stream("token"), rows, limit) for n in range(size)]
        writer.select(torch.arange(len(rows), device=rows.device).repeat_interleave(size))
        texts = one_by_one(writer, rules, decoding, limit, torch.stack(draws, dim=1).flatten(0, 1))
    grouped = (texts[i : i + size] for i in range(0, len(texts), size))
    return [sorted(group, key=lambda text: -text.score) for group in grouped]


def _checked(model: Any, decoding: Decoding, rules: Rules) -> int:
    """The greatest length; UserError where settings and model do not fit."""
    for name, why, cure in decoding.mistakes():
        raise UserError(
            "settings of how to write do not go together",
            where=f"{WHERE}, setting {name}",
            why=why,
            cure=cure,
        )
    limit = decoding.max_length or model.target_length
    if limit > model.target_length:
        raise UserError(
            f"texts of {limit} tokens are asked for, the model has written {model.target_length} at most",
            where=f"{WHERE}, setting max_length",
            why="the other positions of its encoder are the source's",
            cure=f"max_length={model.target_length} or less, or training with a greater target_length",
        )
    if decoding.min_length >= limit:
        raise UserError(
            f"a text of {decoding.min_length} tokens and its end do not fit into {limit}",
            where=f"{WHERE}, settings min_length and max_length",
            cure="a smaller min_length",
        )
    if decoding.beam > rules.possible:
        raise UserError(
            f"a beam of {decoding.beam} is more than the {rules.possible} tokens that can be written",
            where=f"{WHERE}, setting beam",
            cure=f"beam={rules.possible} or less; 4 to 8 are usual",
        )
    if decoding.block > 1 and model.mode == "v0":
        raise UserError(
            "a model of mode v0 writes one token after the other",
            where=f"{WHERE}, setting block",
            why="it has no masks, of which several could be filled at once",
            cure="block=1, or training with mode v2",
        )
    return limit
