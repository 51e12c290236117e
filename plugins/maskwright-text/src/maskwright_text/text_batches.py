"""Raw text to tensors: `tokens real special word segment` (B, T), and what items bring beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.codecs import TextCodec
from maskwright_text.token_words import NO_WORD, words_of_tokens
from maskwright_text.upos import UPOS

Item = Mapping[str, Any]

_TAG_NUMBERS = {tag: number for number, tag in enumerate(UPOS)}


@attrs.frozen
class TextPrepare:
    """Items with `text`, or `text` and `other` as a pair -> a batch as long as its longest text.

    `tokens` int64 ids; `real` bool, False for padding; `special` bool, tokens that stand for no text; `word` int64,
    which word of the row a token belongs to, -1 for special tokens and padding; `segment` int64, 1 in the second text;
    `cut` int64 (B,), tokens that did not fit into `length`. Where all items have them: `label`, and `tag` from `tags`.
    """

    codec: TextCodec
    length: int

    def __call__(self, items: Sequence[Item], step: Step) -> dict[str, Tensor]:
        texts = [_text(item, "text") for item in items]
        others = [_text(item, "other") for item in items] if are_pairs(items) else None
        found = self.codec.encode(texts, others, length=self.length)
        batch = self._padded(found)
        sides = [texts] if others is None else [texts, others]
        words = [words_of_tokens(*each) for each in zip(found, *sides, strict=True)]
        batch["word"] = padded(words, NO_WORD)
        batch["cut"] = torch.tensor(self._lost(found, texts, others))
        if all("label" in item for item in items):
            batch["label"] = torch.tensor([int(item["label"]) for item in items])
        if all("tags" in item for item in items):
            tags = [
                tags_of_tokens(encoding, item["tags"], text)
                for encoding, item, text in zip(found, items, texts, strict=True)
            ]
            batch["tag"] = padded(tags, NO_WORD)
        return batch

    def _padded(self, found: Sequence[Encoding]) -> dict[str, Tensor]:
        specials = np.zeros(self.codec.vocabulary, bool)
        specials[list(self.codec.specials.all)] = True
        ids = [np.array(encoding.ids, np.int64) for encoding in found]
        tokens = padded(ids, self.codec.specials.pad)
        real = padded([np.ones(len(row), np.int64) for row in ids], 0).bool()
        return {
            "tokens": tokens,
            "real": real,
            "special": torch.from_numpy(specials)[tokens] | ~real,
            "segment": padded([np.array(encoding.type_ids, np.int64) for encoding in found], 0),
        }

    def _lost(
        self, found: Sequence[Encoding], texts: Sequence[str], others: Sequence[str] | None
    ) -> list[int]:
        """Tokens of each item that did not fit."""
        cut = [row for row, encoding in enumerate(found) if encoding.overflowing]
        lost = [0] * len(found)
        if cut:
            second = None if others is None else [others[row] for row in cut]
            for row, whole in zip(cut, self.codec.encode([texts[row] for row in cut], second), strict=True):
                lost[row] = len(whole.ids) - len(found[row].ids)
        return lost


def are_pairs(items: Sequence[Item]) -> bool:
    """Whether a batch of them holds `text` and `other` in each row."""
    return bool(items) and all("other" in item for item in items)


def _text(item: Item, field: str) -> str:
    text = item.get(field)
    if not isinstance(text, str):
        raise UserError(
            f'the item "{item.get("id", "")}" has no {field}',
            why=f"it has {', '.join(sorted(map(str, item)))}",
            cure=f'a data set that gives the field "{field}"',
        )
    return text


def padded(rows: Sequence[np.ndarray], fill: int) -> Tensor:
    """int64 rows of different lengths -> (B, T)"""
    made = np.full((len(rows), max((len(row) for row in rows), default=0)), fill, np.int64)
    for row, values in zip(made, rows, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(made)


def tags_of_tokens(encoding: Encoding, spans: Sequence[tuple[int, int, str]], text: str) -> np.ndarray:
    """int64 (T,): for each token the class that most of its characters have; -1 for special tokens.

    Characters outside all spans count as X, the class of what has no other.
    """
    unknown = _TAG_NUMBERS["X"]
    characters = np.full(len(text), unknown, np.int64)
    for start, end, tag in spans:
        characters[start:end] = _TAG_NUMBERS.get(tag, unknown)
    counted = np.zeros((len(text) + 1, len(UPOS)), np.int64)
    np.cumsum(np.eye(len(UPOS), dtype=np.int64)[characters], axis=0, out=counted[1:])
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2).clip(max=len(text))
    tags = (counted[offsets[:, 1]] - counted[offsets[:, 0]]).argmax(axis=1)
    first = np.array([text == 0 for text in encoding.sequence_ids], bool)
    tags = np.where(offsets[:, 1] > offsets[:, 0], tags, unknown)
    second = np.array([text == 1 for text in encoding.sequence_ids], bool)
    return np.where(first, tags, np.where(second, unknown, NO_WORD))
