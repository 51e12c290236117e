"""How a trained model writes: the settings, and which of them go together. Imports nothing heavy."""

from collections.abc import Iterator

import attrs

PASSES = 2
EXEMPT = (".",)


@attrs.frozen
class Decoding:
    """How tokens are chosen."""

    beam: int = 1
    """Texts that are kept at each step; 1: the likeliest token is taken."""
    length_penalty: float = 0.0
    """Exponent a of ((5 + tokens) / 6)^a, which scores are divided by."""
    temperature: float = 0.0
    """Above 0: tokens are drawn."""
    top_k: int = 0
    top_p: float = 1.0
    candidates: int = 1
    min_length: int = 0
    """Tokens before the end token."""
    max_length: int = 0
    """Tokens with the end token; 0: as long as targets were in training."""
    block_ngrams: int = 0
    """No run of so many tokens twice; 0: anything may be said again."""
    exempt: tuple[str, ...] = EXEMPT
    """Words that a run may hold and still be said again."""
    block: int = 1
    """Tokens that are written at once."""
    passes: int = PASSES
    """Rounds over a block of several; in each the surest tokens are kept."""
    cache: bool = True
    rows: int = 64
    """Items that are written for at a time."""

    def mistakes(self) -> Iterator[tuple[str, str, str]]:
        """Settings that could not all be followed: (setting, why, cure)."""
        if self.max_length and self.min_length >= self.max_length:
            yield (
                "min_length",
                f"{self.min_length} tokens and the end token do not fit into max_length = {self.max_length}",
                "a smaller min_length",
            )
        if self.beam > 1 and self.temperature:
            yield "temperature", "a beam takes the likeliest tokens", "temperature = 0, or beam = 1"
        if (self.top_k or self.top_p < 1) and not self.temperature:
            yield "temperature", "top_k and top_p are about tokens that are drawn", "temperature = 1"
        alone = self.beam > 1 or self.temperature or self.block_ngrams or self.candidates > 1
        if self.block > 1 and alone:
            yield (
                "block",
                "several tokens at once go without beam, temperature, block_ngrams and candidates",
                "block = 1",
            )
        elif self.candidates > 1 and not self.temperature and self.beam < self.candidates:
            yield (
                "candidates",
                f"there are no {self.candidates} likeliest texts with beam = {self.beam}",
                f"beam = {self.candidates} at least, or a temperature",
            )
        if self.passes != PASSES and self.block == 1:
            yield (
                "passes",
                "rounds are over a block of several tokens, here one is written at a time",
                "block = 4, or leave passes out",
            )
        if self.exempt != EXEMPT and not self.block_ngrams:
            yield (
                "exempt",
                "the words are exempt from block_ngrams, which is 0",
                "block_ngrams = 3, or leave exempt out",
            )
