"""Block-parallel writing: the masks of a block are filled together, in rounds that keep the surest tokens first.

It saves turns: a block of k tokens takes `passes` of them. PMLM pre-trains so: masks of a block read
each other. Fine-tuning in mode v2 never lets them, so a fine-tuned model may well write worse texts this way.
"""

import torch

from maskwright_text.choosing import Rules, Written, finished
from maskwright_text.decoding_settings import Decoding
from maskwright_text.writers import Writer


def several_at_once(writer: Writer, rules: Rules, decoding: Decoding, limit: int) -> list[Written]:
    """A text for each row of the writer. What stands behind the first end token is thrown away."""
    rows, device = len(writer.source), writer.source.device
    texts = torch.zeros(rows, limit, dtype=torch.int64, device=device)
    gained = torch.zeros(rows, limit, dtype=torch.float64, device=device)
    fresh = torch.zeros(rows, 0, dtype=torch.int64, device=device)  # places filled since the last turn
    for start in range(0, limit, decoding.block):
        blanks = torch.arange(start, min(start + decoding.block, limit), device=device).expand(rows, -1)
        passes = min(decoding.passes, blanks.shape[1])
        for number in range(passes):
            log_probs = writer.ask(texts.gather(1, fresh), fresh, blanks)
            best, token = _allowed(log_probs, blanks, rules).max(dim=2)
            count = -(-blanks.shape[1] // (passes - number))
            order = best.argsort(dim=1, descending=True, stable=True)
            # In the order of the text, as far as the order matters to rounding.
            kept, left = order[:, :count].sort(dim=1).values, order[:, count:].sort(dim=1).values
            fresh = blanks.gather(1, kept)
            texts.scatter_(1, fresh, token.gather(1, kept))
            gained.scatter_(1, fresh, best.double().gather(1, kept))
            blanks = blanks.gather(1, left)
        if bool((texts[:, : start + decoding.block] == rules.sep).any(dim=1).all()):
            break
    pairs = zip(texts.tolist(), gained.tolist(), strict=True)
    return [finished(text, gains, rules.sep, decoding.length_penalty) for text, gains in pairs]


def _allowed(log_probs: torch.Tensor, blanks: torch.Tensor, rules: Rules) -> torch.Tensor:
    """(R, K, V) with minus infinity where a token may not stand."""
    allowed = log_probs.clone()
    allowed[:, :, rules.never] = -torch.inf
    allowed[:, :, rules.sep] = allowed[:, :, rules.sep].masked_fill(blanks < rules.min_length, -torch.inf)
    return allowed
