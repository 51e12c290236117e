"""What evaluators of masked language models ask of the part they judge, and how a text is known again."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from torch import Tensor

from maskwright.contracts import Dataset, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Batch

Item = Mapping[str, Any]
Span = tuple[int, int]
"""Characters (start, end) of a text."""


def refuse_other_parts(subject: Any, where: str, *wanted: str) -> None:
    """UserError for a part without an encoder of tokens or one of `wanted`, or with weights that are no numbers."""
    encoder = getattr(subject, "encoder", None)
    lacking = [name for name in wanted if not hasattr(subject, name)]
    if lacking or not getattr(getattr(encoder, "space", None), "vocabulary", 0):
        raise UserError(
            f"{type(subject).__name__} is no masked language model",
            where=where,
            why=f"it has no {', '.join(lacking)}" if lacking else "its encoder knows no vocabulary of tokens",
            cure="judge the whole objective of an mlm run; of an encoder, linear-probe or knn",
        )
    bad = [name for name, p in subject.named_parameters() if not bool(p.isfinite().all())]
    if bad:
        raise UserError(
            f"{len(bad)} weights hold infinite or missing numbers",
            where=f"{where}, {', '.join(bad[:3])}",
            cure="an earlier checkpoint: at = STEP of from-run",
        )


def first_items(data: Dataset, split: str, most: int, step: Step, where: str) -> list[Item]:
    """The first items of a split, 0: all; UserError where there are none."""
    if split not in data.splits():
        raise UserError(
            f'the data has no split "{split}"', where=where, cure=f"one of {', '.join(data.splits())}"
        )
    items = list(islice(items_of(data, split, step), most or None))
    if not items:
        raise UserError(f'the split "{split}" is empty', where=where, cure="another split")
    return items


def nothing_to_hide(texts: int, where: str) -> UserError:
    return UserError(
        f"none of {texts} texts has a token that could be hidden",
        where=where,
        why="they are empty, or hold special tokens only",
        cure="another split, or data with text in it",
    )


def unknown_tokens(batch: Batch) -> Tensor:
    """bool (B, T): tokens within a text that stand for none of it, such as [UNK], or a mask that was written there."""
    return batch["special"] & (batch["word"] >= 0)


def text_and_spans(encoder: Any, item: Item, paired: bool) -> tuple[str, list[Span]]:
    """The text of a row, the second one of a pair on a line of its own; and for each token, special ones too, the
    characters it stands for, (0, 0) where it stands for none."""
    text, other = str(item["text"]), [str(item["other"])] if paired else None
    (found,) = encoder.codec.encode([text], other, length=encoder.space.grid[0])
    begins = (0, len(text) + 1)
    spans = [
        (0, 0) if side is None else (begins[side] + start, begins[side] + end)
        for (start, end), side in zip(found.offsets, found.sequence_ids, strict=True)
    ]
    return "\n".join([text, *(other or ())]), spans


def hidden_spans(spans: Sequence[Span], hidden: Sequence[bool]) -> list[Span]:
    """The characters of hidden tokens; `hidden` may be longer, by padding."""
    return [span for span, covered in zip(spans, hidden, strict=False) if covered and span[1] > span[0]]
