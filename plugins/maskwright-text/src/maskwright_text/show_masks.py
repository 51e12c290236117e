"""pipeline:show-masks — a text under a masker and a schedule, without any run: what would be hidden, and when."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.mask_drawing import Panel, write_drawing
from maskwright_text.mask_report import curve_of, steps_of, title_of
from maskwright_text.text_batches import TextPrepare, tags_of_tokens
from maskwright_text.text_subjects import Item, Span, hidden_spans
from maskwright_text.token_masking import TokenMasking
from maskwright_text.token_units import TokenUnits
from maskwright_text.word_offsets import word_offsets
from maskwright_torch.contracts import ROWS, Space
from maskwright_torch.masking import ratios
from maskwright_torch.noise import identities


@attrs.frozen
class Words:
    """A text as words and marks of punctuation, in the shape of what a tokenizer gives."""

    offsets: Sequence[Span]

    @property
    def sequence_ids(self) -> list[int]:
        return [0] * len(self.offsets)


class ShowMasks:
    """Items with `text` -> the same with `masks`: an entry for each moment."""

    def __init__(
        self, masker: Any, ratio: Any, codec: Any, moments: int, steps: Sequence[int], total: int, shown: int,
        **settings: Any,
    ) -> None:  # fmt: skip
        """`settings` are those of TokenMasking, so that what is shown is what objective:mlm hides."""
        self.codec, self.moments, self.steps, self.total, self.shown = codec, moments, steps, total, shown
        units = TokenUnits(Space((0,), vocabulary=getattr(codec, "vocabulary", 0)))
        self.masking = TokenMasking(units, masker, ratio, **settings)

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        for item in items:
            yield {**item, "masks": self.masks(item, step)}

    def masks(self, item: Item, step: Step) -> list[dict[str, Any]]:
        """For each moment the ratio asked and realised, and the text with hidden tokens in brackets."""
        text = item.get("text")
        if not isinstance(text, str):
            raise UserError(
                f'the item "{item.get("id", "")}" has no text',
                where="pipeline:show-masks",
                cure='a text file, literal text, or JSON lines with "text"',
            )
        batch, spans = self._by_codec(item, text) if self.codec is not None else _by_words(item, text)
        batch[ROWS] = identities([str(item["id"])])
        count = int(self.masking.encoder.units(batch).valid.sum())
        if not count:
            raise UserError(
                f'the text of the item "{item["id"]}" has no word in it',
                where="pipeline:show-masks",
                cure="a text with words",
            )
        found = []
        for moment in self._moments(step.fork("show-masks")):
            hidden = self.masking.choose(batch, moment)[0]
            covered = [span for span in hidden_spans(spans, hidden.tolist()) if span[0] < self.shown]
            asked = float(ratios(self.masking.ratio, moment, batch[ROWS])[0])
            found.append(
                {
                    "progress": moment.progress, "ratio": asked, "realised": int(hidden.sum()) / count,
                    "hidden": int(hidden.sum()), "tokens": count,
                    "text": bracketed(text[: self.shown], covered), "spans": [list(span) for span in covered],
                }
            )  # fmt: skip
        return found

    def write(self, item: Mapping[str, Any], path: Path) -> None:
        """A picture: a panel for each moment, then the schedule."""
        panels = [
            Panel(
                title_of(entry["progress"], entry["ratio"], entry["hidden"], entry["tokens"]),
                [(start, end) for start, end in entry["spans"]],
            )
            for entry in item["masks"]
        ]
        write_drawing(str(item["text"])[: self.shown], panels, path, curve_of(self.masking.ratio))

    def _moments(self, step: Step) -> list[Step]:
        if not self.steps:
            return steps_of(step, self.moments)
        return [attrs.evolve(step, number=number, total=self.total) for number in self.steps]

    def _by_codec(self, item: Item, text: str) -> tuple[dict[str, Tensor], list[Span]]:
        alone = {name: item[name] for name in ("id", "text", "tags") if name in item}
        batch = TextPrepare(self.codec, 0)([alone], Step())
        return batch, self.codec.encode([text])[0].offsets


def _by_words(item: Item, text: str) -> tuple[dict[str, Tensor], list[Span]]:
    """Each word is a token; equal words have equal numbers, in the order in which they come."""
    spans = word_offsets(text)
    words = [text[start:end] for start, end in spans]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    batch = {
        "tokens": torch.tensor([[numbers[word] for word in words]], dtype=torch.int64),
        "real": torch.ones(1, len(words), dtype=torch.bool),
        "special": torch.zeros(1, len(words), dtype=torch.bool),
        "word": torch.arange(len(words))[None],
    }
    if "tags" in item:
        tags = tags_of_tokens(Words(spans), item["tags"], text)  # type: ignore[arg-type]
        batch["tag"] = torch.from_numpy(tags)[None]
    return batch, spans


def bracketed(text: str, spans: Sequence[Span]) -> str:
    """The text with each hidden token in square brackets."""
    parts, place = [], 0
    for start, end in spans:
        if start < place:  # a letter of several bytes may be several tokens
            continue
        parts += [text[place:start], "[", text[start:end], "]"]
        place = end
    return "".join([*parts, text[place:]])
