"""evaluator:mask-report — what is hidden as training goes on: how much, of what, and where in a text.

The masks are drawn by the objective's own masker, at moments of its own schedule. A masker that follows the losses
draws them with the weights it has now, at every moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import torch
from torch import Tensor

from maskwright.charts import Series, line_chart
from maskwright.contracts import Dataset, Figure, Findings
from maskwright.step import Step
from maskwright_text.mask_drawing import Panel, drawn
from maskwright_text.text_batches import are_pairs
from maskwright_text.text_subjects import (
    Span,
    first_items,
    hidden_spans,
    nothing_to_hide,
    refuse_other_parts,
    text_and_spans,
)
from maskwright_text.upos import UPOS
from maskwright_torch.contracts import ROWS, Batch
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.masking import choose, ratios

WHERE = "evaluator:mask-report"
WORTH_DRAWING = 20
"""Tokens: in a shorter text there is little to see."""
CURVE_POINTS = 100
MOST_WEIGHTS = 30
"""Lines of the table of a masker's weights: tokens can be thousands."""


@attrs.define
class Moment:
    """What is hidden at one moment, summed over texts."""

    step: Step
    asked: float = 0.0
    """Sum over texts of the ratio that the schedule gives."""
    tokens: int = 0
    """Tokens that could be hidden."""
    hidden: int = 0
    nothing: int = 0
    """Texts with nothing hidden."""
    tags: Tensor = attrs.field(factory=lambda: torch.zeros(len(UPOS), dtype=torch.int64))
    """Hidden tokens of each part of speech."""

    @property
    def percent(self) -> str:
        return f"{100 * self.step.progress:g}"


class MaskReport:
    """Ratio asked and realised at some moments, shares by part of speech, a masker's weights; and pictures."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"hidden/*": "max"}

    def __init__(self, moments: int, split: str, most: int, pictures: int) -> None:
        self.moments, self.split, self.most, self.pictures = moments, split, most, pictures

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        refuse_other_parts(subject, WHERE, "masker", "ratio")
        items = first_items(data, self.split, self.most, step, WHERE)
        moments = [Moment(at) for at in steps_of(step.fork("mask-report"), self.moments)]
        there = torch.zeros(len(UPOS), dtype=torch.int64)
        drawings: list[tuple[str, list[Panel]]] = []
        with in_use(subject):
            for piece, batch in in_batches(subject, subject.encoder.prepare, items, step):
                valid = subject.encoder.units(batch).valid
                masks = [_hidden(subject, batch, valid, moment) for moment in moments]
                if "tag" in batch:
                    there += _by_tag(batch["tag"], valid)
                for row, item in enumerate(piece):
                    if len(drawings) < self.pictures and int(valid[row].sum()) >= WORTH_DRAWING:
                        text, spans = text_and_spans(subject.encoder, item, are_pairs(piece))
                        drawings.append((text, _panels(subject, batch, spans, row, moments, masks)))
        if not moments[0].tokens:
            raise nothing_to_hide(len(items), WHERE)
        table = [_line(moment, len(items)) for moment in moments]
        tables: dict[str, Any] = {f"what is hidden in {len(items)} texts": table}
        if bool(there.any()):
            tables["by part of speech: share of all tokens, and of the hidden ones"] = _shares(there, moments)
        weights = _weights(subject)
        if weights:
            # Without a number of steps: who judges a run from outside is not told how long it trained.
            tables["weights of the masker as it was judged, the largest first"] = weights
        return Findings(
            values={f"hidden/{row['% of the run']}": row["ratio realised"] for row in table},
            tables=tables,
            figures=lambda: _figures(subject.ratio, table, drawings),
            notes=list(_notes(table, drawings)),
        )


def _hidden(subject: Any, batch: Batch, valid: Tensor, moment: Moment) -> Tensor:
    """bool (B, T): what is hidden at this moment, which is told of it."""
    if hasattr(subject, "choose"):
        hidden = subject.choose(batch, moment.step)
    else:
        hidden = choose(subject.encoder, subject.masker, subject.ratio, batch, moment.step)
    moment.asked += float(ratios(subject.ratio, moment.step, batch[ROWS]).sum())
    moment.tokens += int(valid.sum())
    moment.hidden += int(hidden.sum())
    moment.nothing += int((~hidden.any(dim=1)).sum())
    if "tag" in batch:
        moment.tags += _by_tag(batch["tag"], hidden)
    return hidden


def _panels(
    subject: Any,
    batch: Batch,
    spans: Sequence[Span],
    row: int,
    moments: Sequence[Moment],
    masks: Sequence[Tensor],
) -> list[Panel]:
    """A text at each moment."""
    count = int(subject.encoder.units(batch).valid[row].sum())
    found = []
    for moment, mask in zip(moments, masks, strict=True):
        asked = float(ratios(subject.ratio, moment.step, batch[ROWS][row : row + 1])[0])
        title = title_of(moment.step.progress, asked, int(mask[row].sum()), count)
        found.append(Panel(title, hidden_spans(spans, mask[row].tolist())))
    return found


def steps_of(step: Step, moments: int) -> list[Step]:
    """Evenly spread over a run, from its beginning to its end; two or more."""
    return [attrs.evolve(step, number=number, total=moments - 1) for number in range(moments)]


def title_of(progress: float, ratio: float, hidden: int, count: int) -> str:
    return f"{100 * progress:.3g}% of the run · ratio {ratio:.3g} · {hidden} of {count} tokens hidden"


def curve_of(schedule: Any) -> list[tuple[float, float]]:
    """(share of the run, ratio); of a schedule that draws for each row, the middle one."""
    return [(k / CURVE_POINTS, float(schedule(k / CURVE_POINTS, 0.5))) for k in range(CURVE_POINTS + 1)]


def _by_tag(tags: Tensor, where: Tensor) -> Tensor:
    """int64 (17,): how many tokens of each part of speech there are `where`."""
    chosen = tags[where]
    return torch.bincount(chosen[chosen >= 0], minlength=len(UPOS)).cpu()


def _line(moment: Moment, texts: int) -> dict[str, Any]:
    return {
        "% of the run": moment.percent,
        "ratio asked": moment.asked / texts,
        "ratio realised": moment.hidden / moment.tokens,
        "hidden tokens": moment.hidden,
        "texts with none": moment.nothing,
    }


def _shares(there: Tensor, moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """A line for each part of speech that occurs: its share of all tokens, then of those hidden at each moment."""
    found = []
    for number, name in enumerate(UPOS):
        if int(there[number]):
            line: dict[str, Any] = {"class": name, "all": int(there[number]) / int(there.sum())}
            for moment in moments:
                total = int(moment.tags.sum())
                line[f"at {moment.percent} %"] = int(moment.tags[number]) / total if total else None
            found.append(line)
    return found


def _weights(subject: Any) -> list[dict[str, Any]]:
    """What a masker says of its classes, the largest weight first; tokens by their text."""
    if not hasattr(subject.masker, "table"):
        return []
    return [
        {**row, "class": subject.encoder.codec.tokenizer.id_to_token(row["class"])}
        if isinstance(row["class"], int)
        else row
        for row in subject.masker.table(MOST_WEIGHTS)
    ]


def _figures(schedule: Any, table: Sequence[Mapping[str, Any]], drawings: Any) -> Iterator[Figure]:
    asked = Series("asked", [(x, y, 0.0) for x, y in curve_of(schedule)])
    realised = Series("realised", [(float(r["% of the run"]) / 100, r["ratio realised"], 0.0) for r in table])
    yield Figure(
        "schedule",
        "The ratio that the schedule asks for, and what was hidden at the moments of the table.",
        line_chart([asked, realised], "share of the run", "ratio").encode(),
    )
    for number, (text, panels) in enumerate(drawings):
        yield Figure(
            f"masks-{number + 1}",
            "What is hidden of one text as training goes on. Each box is a token.",
            drawn(text, panels),
            "image/png",
        )


def _notes(table: Sequence[Mapping[str, Any]], drawings: Any) -> Iterator[str]:
    if not drawings:
        yield f"no picture of masks: no text has {WORTH_DRAWING} tokens"
    none = max(row["texts with none"] for row in table)
    if none:
        yield f"up to {none} texts have nothing hidden at a moment and bring no loss then"
