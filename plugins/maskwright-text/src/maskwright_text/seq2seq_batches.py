"""Pairs of a source and a target as tensors, and the ways to lay them out for one pass with a loss at target tokens.

The source is `[CLS] text [SEP]` and comes first; the target is `summary [SEP]` and goes by the positions that follow
the true end of the source, whatever the padding. `B` rows, `S` source and `T` target tokens, `M` tokens of a layout.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import attrs
import numpy as np
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.codecs import TextCodec
from maskwright_text.columns import join_pieces
from maskwright_text.text_batches import Item, TextPrepare, padded
from maskwright_torch.contracts import Batch

SOURCE, TARGET = 0, 1
"""Segments."""

OnLong = Literal["cut", "error"]
"""What happens to texts that do not fit."""


@attrs.frozen
class SourcePrepare:
    """Items with `text`, or `src` as in s2s-ft -> `tokens`, `real`, `special` (B, S) and `cut` (B,).

    `special` is for who pools the source (pruning compares its vectors). `cut` is the number of tokens of each that did
    not fit.
    """

    codec: TextCodec
    length: int
    on_long: OnLong = "cut"

    def __call__(self, items: Sequence[Item], step: Step) -> dict[str, Tensor]:
        texts = [{"text": source_of(item)} for item in items]
        with as_text(self.codec):
            batch = TextPrepare(self.codec, self.length)(texts, step)
        if self.on_long == "error":
            refuse_cut(items, batch["cut"].tolist(), "text", self.length, "a greater length of the encoder")
        return {name: batch[name] for name in ("tokens", "real", "special", "cut")}

    def whole_lengths(self, items: Sequence[Item]) -> list[int]:
        """Tokens of each, whether they fit or not."""
        with as_text(self.codec):
            return [len(found.ids) for found in self.codec.encode([source_of(item) for item in items])]


@attrs.frozen
class PairPrepare:
    """Items with `text` and `summary`, or `src` and `tgt` -> `target`, `target_real` (B, T) and `target_cut` (B,).

    They stand beside what SourcePrepare makes of the source.
    """

    codec: TextCodec
    source_length: int
    target_length: int
    on_long: OnLong = "cut"

    def __call__(self, items: Sequence[Item], step: Step) -> dict[str, Tensor]:
        batch = SourcePrepare(self.codec, self.source_length, self.on_long)(items, step)
        targets = self._targets(items)
        # A target that is cut has no [SEP]: a model must not learn to end in the middle of a sentence.
        kept = [target[: self.target_length] for target in targets]
        batch["target"] = padded(kept, self.codec.specials.pad)
        batch["target_real"] = padded([np.ones(len(target), np.int64) for target in kept], 0).bool()
        cut = [max(len(target) - self.target_length, 0) for target in targets]
        if self.on_long == "error":
            refuse_cut(items, cut, "summary", self.target_length, "a greater target_length")
        batch["target_cut"] = torch.tensor(cut)
        return batch

    def _targets(self, items: Sequence[Item]) -> list[np.ndarray]:
        """int64 tokens of each summary with [SEP], not cut."""
        with as_text(self.codec):
            encodings = self.codec.encode([target_of(item) for item in items])
        found = []
        for item, encoding in zip(items, encodings, strict=True):
            marks = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
            words = [token for token, special in marks if not special]
            if not words:
                raise UserError(
                    f'the summary of the item "{item.get("id", "")}" is empty',
                    where="objective:seq2seq",
                    why="there would be nothing to learn to write",
                    cure="leave the item out, or give it a summary",
                )
            found.append(np.array([*words, self.codec.specials.sep], np.int64))
        return found


@contextmanager
def as_text(codec: TextCodec) -> Iterator[None]:
    """While it lasts, "[SEP]" and the like in a text are words of it: an end would stand in its middle else."""
    tokenizer = codec.tokenizer
    before, tokenizer.encode_special_tokens = tokenizer.encode_special_tokens, True
    try:
        yield
    finally:
        tokenizer.encode_special_tokens = before


def refuse_cut(
    items: Sequence[Item],
    cut: Sequence[int],
    name: str,
    limit: int,
    cure: str,
    where: str = "objective:seq2seq",
) -> None:
    """UserError that names the first item of whose field `name` tokens were cut; `limit` is how many fit."""
    for item, lost in zip(items, cut, strict=True):
        if lost:
            raise UserError(
                f'the {name} of the item "{item.get("id", "")}" has {limit + lost} tokens, {limit} fit',
                where=where,
                why='on_long is "error", so that no text is cut',
                cure=f'a shorter text, or {cure}; on_long = "cut" reads the first {limit} tokens and counts the rest',
            )


def source_of(item: Item) -> str:
    """What is written from."""
    return _field(item, "text", "src", "the source of what is written")


def target_of(item: Item) -> str:
    """What is to be written."""
    return _field(item, "summary", "tgt", "what a model learns to write")


def _field(item: Item, name: str, other: str, role: str) -> str:
    """A text by our name, or by that of s2s-ft, where it may be a list of pieces."""
    found = name if name in item or other not in item else other
    value = item.get(found)
    if isinstance(value, list | tuple) and value and all(isinstance(piece, str) for piece in value):
        return join_pieces(value)
    if not isinstance(value, str):
        there = f"{found} is {value!r:.40}, neither a text nor a list of its pieces"
        raise UserError(
            f'the item "{item.get("id", "")}" has no {name}',
            where="objective:seq2seq",
            why=(there if found in item else f"it has {', '.join(sorted(map(str, item)))}")
            + f"; {name} is {role}",
            cure=f'JSON lines with a text as "{name}", or as "{other}"; or data that reads it from another column, '
            f'fields = {{ {name} = "COLUMN" }}',
        )
    return value


@attrs.frozen(eq=False)
class Layout:
    """One pass through the encoder: what enters, who reads whom, and where which token is to be predicted."""

    tokens: Tensor
    """int64 (B, M)"""
    position: Tensor
    """int64 (B, M)"""
    segment: Tensor
    """int64 (B, M)"""
    attend: Tensor
    """bool (B, M, M): row reads column."""
    context: int
    """S: the source, which reads nothing but itself."""
    index: Tensor
    """int64 (B, T): where each target token is predicted."""


def pseudo_masks(batch: Batch, seen: Tensor, pseudo: Tensor) -> Layout:
    """Source, target, and a pseudo mask for each target token, which reads the source, what is before, and itself.

    `seen` int64 (B, T): the target as later tokens read it; `pseudo` int64 (B, T): what stands in the pseudo masks.
    """
    count = seen.shape[1]
    before = torch.ones(count, count, dtype=torch.bool, device=seen.device).tril()
    itself = torch.eye(count, dtype=torch.bool, device=seen.device)
    tokens_read = torch.cat([before, torch.zeros_like(itself)], dim=1)
    masks_read = torch.cat([before & ~itself, itself], dim=1)
    inside = torch.cat([tokens_read, masks_read])
    places = torch.arange(count, device=seen.device)
    return appended_to(batch, torch.cat([seen, pseudo], dim=1), places.repeat(2), inside, first=count)


def in_place(batch: Batch, seen: Tensor) -> Layout:
    """Source and target, each token reads what is before and itself: right where masks stand in `seen` (B, T).

    With the start token before it and the last one left out, the target is shifted, and predicts the next token.
    """
    count = seen.shape[1]
    before = torch.ones(count, count, dtype=torch.bool, device=seen.device).tril()
    return appended_to(batch, seen, torch.arange(count, device=seen.device), before, first=0)


def appended_to(batch: Batch, appended: Tensor, places: Tensor, inside: Tensor, first: int) -> Layout:
    """`appended` (B, A) behind the source, reading each other as `inside` (A, A) says.

    `places` of the target are (A,), or (B, A) where they are not those of all rows.

    Predictions are those of `appended` from `first` on.
    """
    source, real = batch["tokens"], batch["real"]
    rows, context = source.shape
    total = context + appended.shape[1]
    attend = torch.zeros(rows, total, total, dtype=torch.bool, device=source.device)
    attend[:, :, :context] = real[:, None, :]
    attend[:, context:, context:] = inside
    sources = torch.arange(context, device=source.device).expand(rows, -1)
    segment = torch.full((total,), TARGET, device=source.device)
    segment[:context] = SOURCE
    index = torch.arange(context + first, total, device=source.device)
    return Layout(
        tokens=torch.cat([source, appended], dim=1),
        position=torch.cat([sources, real.sum(dim=1, keepdim=True) + places], dim=1),
        segment=segment.expand(rows, -1),
        attend=attend,
        context=context,
        index=index.expand(rows, -1),
    )
