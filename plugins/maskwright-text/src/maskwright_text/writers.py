"""Asking a model what comes next while a text grows: with keys and values kept, or by encoding everything again.

At each turn the model is handed the tokens that were chosen since the last one, and masks at the places to be filled.
What it computed for a mask is never kept: there the chosen token is read in the next turn. `R` texts, `S` source
tokens, `F` new tokens, `K` masks. Places are counted from the start of the text.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.errors import UserError
from maskwright_text.seq2seq_batches import SOURCE, TARGET, appended_to
from maskwright_torch.blocks import Cache
from maskwright_torch.contracts import Batch


class Writer:
    """What both ways have in common. `real` are the tokens of the source, bool (R, S)."""

    def __init__(self, model: Any, batch: Batch) -> None:
        self.encoder, self.head = model.encoder, model.head
        self.shifted = model.mode == "v0"
        self.mask, self.start = model.encoder.space.mask_id, model.encoder.codec.specials.sep
        self.source, self.real = batch["tokens"], batch["real"]

    def next(self, texts: Tensor) -> Tensor:
        """Log-probabilities (R, V) of what follows `texts`, int64 (R, F), which have grown by one since last time."""
        rows, count = texts.shape
        if self.shifted:
            last = texts[:, -1:] if count else texts.new_full((rows, 1), self.start)
            return self.ask(last, self._places(rows, count, 1), self._places(rows, 0, 0))[:, 0]
        fresh = min(count, 1)
        places = self._places(rows, count - fresh, fresh)
        return self.ask(texts[:, count - fresh :], places, self._places(rows, count, 1))[:, 0]

    def ask(self, tokens: Tensor, places: Tensor, blanks: Tensor) -> Tensor:
        """Log-probabilities (R, K, V) at masks in the places `blanks` (R, K); without any, at the last new token.

        `tokens` and `places` (R, F) are new. They read the source, each other and what was there before; masks read
        all of that, and each other.
        """
        masks = torch.full_like(blanks, self.mask)
        states = self._states(
            torch.cat([tokens, masks], dim=1), torch.cat([places, blanks], dim=1), blanks.shape[1]
        )
        log_probs = log_softmax(self.head(states, self.encoder.table))
        if not bool(log_probs.isfinite().all()):
            raise UserError(
                "the model gives no probabilities: its numbers are not finite",
                where="decoding",
                why="its weights are not, or they are too large for its precision",
                cure="an earlier checkpoint (at = STEP of from-run), or training anew with a lower lr, or clip = 1",
            )
        return log_probs

    def select(self, rows: Tensor) -> None:
        """Go on with these texts, int64 (R',); one may be taken several times."""
        self.source, self.real = self.source[rows], self.real[rows]

    def _states(self, tokens: Tensor, places: Tensor, masks: int) -> Tensor:
        """States of the last `masks` tokens, or the last one."""
        raise NotImplementedError

    def _places(self, rows: int, first: int, count: int) -> Tensor:
        """int64 (R, count)"""
        return torch.arange(first, first + count, device=self.source.device).expand(rows, -1)


class CachedWriter(Writer):
    """Through the encoder's `extend`: each token is computed once."""

    def __init__(self, model: Any, batch: Batch) -> None:
        super().__init__(model, batch)
        rows, count = self.source.shape
        self.cache = Cache()
        self.position = torch.arange(count, device=self.source.device).expand(rows, -1)
        self.readable = self.real
        attend = self.real[:, None, :].expand(-1, count, -1)
        segment = torch.full_like(self.source, SOURCE)
        self.encoder.extend(self.cache, self.source, self.position, attend, self.position, segment)

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        self.cache.select(rows)
        self.position, self.readable = self.position[rows], self.readable[rows]

    def _states(self, tokens: Tensor, places: Tensor, masks: int) -> Tensor:
        rows, count = tokens.shape
        new = count - masks
        own = torch.ones(rows, count, count, dtype=torch.bool, device=tokens.device)
        own[:, :new, new:] = False
        attend = torch.cat([self.readable[:, None, :].expand(-1, count, -1), own], dim=2)
        position = self.real.sum(dim=1, keepdim=True) + places
        seen = torch.cat([self.position, position], dim=1)
        segment = torch.full_like(tokens, TARGET)
        states = self.encoder.extend(self.cache, tokens, position, attend, seen, segment)
        self.cache.drop_last(masks)
        self.position = seen[:, : seen.shape[1] - masks]
        self.readable = torch.cat([self.readable, own[:, -1, :new]], dim=1)
        return states[:, -max(masks, 1) :]


class ReencodingWriter(Writer):
    """Through the encoder's `attended`: the source and the whole text at every turn."""

    def __init__(self, model: Any, batch: Batch) -> None:
        super().__init__(model, batch)
        self.tokens = self.places = self.source[:, :0]
        self.turns: list[int] = []
        """Of each token written so far: the turn in which it was new."""

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        self.tokens, self.places = self.tokens[rows], self.places[rows]

    def _states(self, tokens: Tensor, places: Tensor, masks: int) -> Tensor:
        new = tokens.shape[1] - masks
        now = self.turns[-1] + 1 if self.turns else 0
        tokens, places = torch.cat([self.tokens, tokens], dim=1), torch.cat([self.places, places], dim=1)
        self.turns += [now] * new
        turn = torch.tensor([*self.turns, *[now + 1] * masks], device=tokens.device)
        source = {"tokens": self.source, "real": self.real}
        asked = tokens.shape[1] - max(masks, 1)
        layout = appended_to(source, tokens, places, turn <= turn[:, None], first=asked)
        states = self.encoder.attended(
            layout.tokens,
            layout.position,
            layout.attend,
            segment=layout.segment,
            context=layout.context,
            index=layout.index,
        )
        written = tokens.shape[1] - masks
        self.tokens, self.places = tokens[:, :written], places[:, :written]
        return states


def writer_for(model: Any, batch: Batch, cache: bool) -> Writer:
    """With a cache where it is wanted and the encoder can extend one."""
    return (
        CachedWriter(model, batch)
        if cache and hasattr(model.encoder, "extend")
        else ReencodingWriter(model, batch)
    )


def log_softmax(logits: Tensor) -> Tensor:
    """In float32 at least."""
    return F.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)
