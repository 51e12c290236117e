"""Which token comes next: rules of what may not, and one token after the other, likeliest or drawn.

`R` texts are written at the same time, `V` tokens are known. Places are counted from the start of what is written.
`score` is the log-probability of the text with the end token.
"""

from collections.abc import Iterable
from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright_text.decoding_settings import Decoding
from maskwright_text.usual_tokens import unusual_tokens
from maskwright_text.writers import Writer


@attrs.frozen
class Written:
    """A text as tokens, without the end token."""

    tokens: list[int]
    score: float
    complete: bool
    """It has an end, and was not cut at the greatest length."""


class Rules:
    """Which tokens may not come next."""

    def __init__(self, encoder: Any, decoding: Decoding) -> None:
        codec, space = encoder.codec, encoder.space
        self.sep = codec.specials.sep
        self.never = [token for token in unusual_tokens(space, codec) if token != self.sep]
        self.possible = space.vocabulary - len(self.never)
        """Tokens that can be written, the end token among them."""
        self.min_length, self.ngrams = decoding.min_length, decoding.block_ngrams
        words = set(decoding.exempt)
        self.exempt = (
            {token for token in range(codec.known) if codec.decode([token]).strip() in words}
            if self.ngrams and words
            else set()
        )

    def __call__(self, log_probs: Tensor, place: int, texts: Tensor) -> Tensor:
        """(R, V) with minus infinity where a token may not follow `texts`, int64 (R, place).

        Where nothing may follow, the text ends.
        """
        allowed = log_probs.clone()
        allowed[:, self.never] = -torch.inf
        if place < self.min_length:
            allowed[:, self.sep] = -torch.inf
        if self.ngrams:
            for row, text in enumerate(texts.tolist()):
                if self.sep not in text:  # what follows the end is thrown away
                    allowed[row, self._said_before(text)] = -torch.inf
        stuck = ~(allowed > -torch.inf).any(dim=1)
        allowed[stuck, self.sep] = log_probs[stuck, self.sep]
        return allowed

    def _said_before(self, text: list[int]) -> list[int]:
        """Tokens that would end a run which is in the text already."""
        size = self.ngrams
        ending = text[len(text) - size + 1 :] if size > 1 else []
        if len(text) < size or self.exempt & set(ending):
            return []
        runs = (text[i : i + size] for i in range(len(text) - size + 1))
        return [run[-1] for run in runs if run[:-1] == ending and run[-1] not in self.exempt]


def one_by_one(writer: Writer, rules: Rules, decoding: Decoding, limit: int, draws: Tensor) -> list[Written]:
    """A token after the other in each of R texts: the likeliest, or by uniform draws (R, limit)."""
    texts = torch.zeros(len(draws), 0, dtype=torch.int64, device=draws.device)
    gained = torch.zeros(len(draws), 0, dtype=torch.float64, device=draws.device)
    ended = torch.zeros(len(draws), dtype=torch.bool, device=draws.device)
    for place in range(limit):
        log_probs = writer.next(texts)
        allowed = rules(log_probs, place, texts)
        if decoding.temperature:
            chosen = drawn(
                cooled(allowed, decoding.temperature), decoding.top_k, decoding.top_p, draws[:, place]
            )
        else:
            chosen = allowed.argmax(dim=1)
        texts = torch.cat([texts, chosen[:, None]], dim=1)
        gained = torch.cat([gained, log_probs.double().gather(1, chosen[:, None])], dim=1)
        ended |= chosen == rules.sep
        if bool(ended.all()):
            break
    pairs = zip(texts.tolist(), gained.tolist(), strict=True)
    return [finished(text, gains, rules.sep, decoding.length_penalty) for text, gains in pairs]


def finished(tokens: list[int], gains: Iterable[float], end: int, length_penalty: float) -> Written:
    """A text up to its first end token; `gains` are the log-probabilities of its tokens."""
    complete = end in tokens
    count = tokens.index(end) + 1 if complete else len(tokens)
    score = sum(list(gains)[:count]) / penalty(count, length_penalty)
    return Written(tokens[: count - complete], score, complete)


def penalty(count: int, exponent: float) -> float:
    """What the log-probability of `count` tokens is divided by."""
    return ((5 + count) / 6) ** exponent


def cooled(scores: Tensor, temperature: float) -> Tensor:
    """float64 (R, V): scores by a temperature, the best of a row 0, so that the lowest temperature is as good as 0."""
    return (scores.double() - scores.amax(dim=1, keepdim=True)) / temperature


def drawn(scores: Tensor, top_k: int, top_p: float, draws: Tensor) -> Tensor:
    """int64 (R,): a token of each row of scores (R, V) by a draw (R,), among the likeliest alone.

    `top_k`: at most so many, 0: all. `top_p`: the fewest whose probabilities together reach it.
    """
    chances, order = scores.double().softmax(dim=1).sort(dim=1, descending=True, stable=True)
    before = chances.cumsum(dim=1) - chances
    kept = before < top_p
    if top_k:
        kept[:, top_k:] = False
    sums = (chances * kept).cumsum(dim=1)
    rank = (sums <= draws[:, None] * sums[:, -1:]).sum(dim=1)
    # Rounding may not lead beyond the last token that is kept and possible.
    last = (kept & (chances > 0)).sum(dim=1) - 1
    return order.gather(1, torch.minimum(rank, last)[:, None])[:, 0]
