"""The tokenizer of imported weights: kept in the run, with what models have to know of it in its settings."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from maskwright.contracts import Dataset
from maskwright.step import Step
from maskwright_text.codecs import Loaded, Specials, TextCodec

ROLES = ("pad", "unk", "cls", "sep", "mask")
"""The order in which the setting `specials` begins."""


class KeptTokenizer(TextCodec):
    """Read from `path` once; from then on it is part of the run, which needs that place no more."""

    def __init__(
        self, path: Path, vocabulary: int, specials: Sequence[int], added: Sequence[str] = ()
    ) -> None:
        super().__init__(vocabulary)
        self.path, self.added = path, tuple(added)
        named = dict(zip(ROLES, specials, strict=False))
        self.specials = Specials(**named, all=tuple(sorted(set(specials))))

    def fit(self, data: Dataset, step: Step) -> None:
        """Nothing is trained: the tokenizer is read from where it came from."""
        self.read()

    def read(self) -> None:
        self.tokenizer = Loaded(self.path, add=self.added).tokenizer


def specials_setting(codec: TextCodec, rows: int) -> list[int]:
    """The setting `specials` for a codec whose model has so many rows: the roles, then others.

    Rows without a token are among them: they are never drawn and never predicted.
    """
    roles = [getattr(codec.specials, role) for role in ROLES]
    others = {*codec.specials.all, *range(codec.vocabulary, rows)} - set(roles)
    return roles + sorted(others)


def plain_tokenizer(codec: TextCodec) -> Tokenizer:
    """A copy without the truncation that encoding has set."""
    made = Tokenizer.from_str(codec.tokenizer.to_str())
    made.no_truncation()
    made.no_padding()
    return made
