"""evaluator:minimal-pairs — does the model find the good sentence of a pair likelier than the bad one?

A sentence's score is its pseudo-log-likelihood (Salazar et al., arXiv:1910.14659): each token is hidden in turn, and
the log-probabilities of the right ones are summed. `pll-word-l2r` (Kauf & Ivanova, arXiv:2305.10588) hides the later
tokens of the same word too, so that a rare word's pieces do not give each other away.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import torch
from torch import Tensor

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.text_subjects import Item, first_items, refuse_other_parts, unknown_tokens
from maskwright_torch.contracts import Batch
from maskwright_torch.features import some_places
from maskwright_torch.inference import in_batches, in_use

WHERE = "evaluator:minimal-pairs"
Score = Literal["pll", "pll-word-l2r"]
TIE = 1e-5
"""Nats. Equal sentences differ by rounding where they are computed beside other ones."""


@attrs.frozen
class Scored:
    """A sentence: its pseudo-log-likelihood in nats, how many tokens were hidden in turn, how many did not fit.

    `unknown`: tokens that stand for no text, [UNK] for the most part. Nobody is trained to predict them, so they have
    no score; leaving them out of the sum would make a sentence likelier for words that the tokenizer does not know.
    """

    score: float
    tokens: int
    cut: int
    unknown: int

    @property
    def judged(self) -> bool:
        return bool(self.tokens) and not self.unknown  # the score of nothing is 0, the best there is


class MinimalPairs:
    """Share of pairs whose `text` has a higher score than `other`; a tie counts half.

    With `most`, pairs are drawn from the whole split: files list one phenomenon after the other, so that the first ones
    would be of one kind.
    """

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"accuracy": "max", "accuracy/*": "max"}

    def __init__(self, score: Score, by: str, split: str, most: int, batch: int) -> None:
        self.score, self.by, self.split, self.most, self.batch = score, by, split, most, batch

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        refuse_other_parts(subject, WHERE, "logits")
        everything = first_items(data, self.split, 0, step, WHERE)
        pairs = [everything[place] for place in some_places(everything, self.most, step)]
        groups = self._groups(pairs, data.about(self.split).get("classes", ()))
        # One text each: as a pair they would be encoded into one row.
        texts = [
            {"id": str(item["id"]), "text": _side(item, side)} for item in pairs for side in ("text", "other")
        ]
        scored = self.scored(subject, texts, step)
        rows: list[dict[str, Any]] = []
        for item, group, good, bad in zip(pairs, groups, scored[::2], scored[1::2], strict=True):
            if good.judged and bad.judged:
                rows.append(
                    {"id": str(item["id"]), **_compared(good, bad), **({"group": group} if group else {})}
                )
        unknown = sum(
            bool(good.unknown or bad.unknown) for good, bad in zip(scored[::2], scored[1::2], strict=True)
        )
        if not rows:
            raise UserError(
                f"none of {len(pairs)} pairs can be judged",
                where=WHERE,
                why=f"{unknown} have words that the tokenizer does not know, {len(pairs) - unknown} an empty sentence",
                cure="pairs of sentences in the fields text and other, and a tokenizer that knows their words, "
                "such as codec:subwords with model = bpe",
            )
        values = {"accuracy": _share(rows)}
        by_group: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_group[row.get("group", "")].append(row)
        named = {name: by_group[name] for name in sorted(by_group) if name}
        values |= {f"accuracy/{name}": _share(found) for name, found in named.items()}
        table = [_line("all pairs", rows)] + [_line(name, found) for name, found in named.items()]
        return Findings(
            values, rows, {f"{len(rows)} pairs; chance is 0.5": table},
            notes=list(_notes(rows, len(pairs) - len(rows), unknown, sum(entry.cut for entry in scored))),
        )  # fmt: skip

    def scored(self, subject: Any, texts: Sequence[Item], step: Step) -> list[Scored]:
        """The score of each text, in their order; texts of like length share a batch."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]["text"]))
        ordered: list[Scored] = []
        with in_use(subject):
            for piece, batch in in_batches(
                subject, subject.encoder.prepare, (texts[number] for number in order), step
            ):
                valid = subject.encoder.units(batch).valid
                sums = self._sums(subject, batch, valid)
                cut = batch["cut"].tolist() if "cut" in batch else [0] * len(piece)
                unknown = unknown_tokens(batch).sum(dim=1).tolist()
                ordered += map(Scored, sums.tolist(), valid.sum(dim=1).tolist(), cut, unknown)
        if not all(math.isfinite(entry.score) for entry in ordered):
            raise UserError(
                "the model gives scores that are infinite or no numbers",
                where=WHERE,
                why="its weights are finite, what it computes from these texts is not",
                cure="an earlier checkpoint: at = STEP of from-run",
            )
        found = dict(zip(order, ordered, strict=True))
        return [found[number] for number in range(len(texts))]

    def _sums(self, subject: Any, batch: Batch, valid: Tensor) -> Tensor:
        """float64 (B,): the score of each row; one row of a pass for each of its tokens."""
        truth = subject.encoder.targets(batch)
        sums = torch.zeros(len(valid), dtype=torch.float64, device=valid.device)
        position = torch.arange(valid.shape[1], device=valid.device)
        for places in valid.nonzero().split(self.batch):
            row, place = places[:, 0], places[:, 1]
            copies = {name: tensor[row] for name, tensor in batch.items()}
            wanted = position == place[:, None]
            hidden = wanted
            if self.score == "pll-word-l2r":
                word = copies["word"]
                same = word == word.gather(1, place[:, None])
                hidden = wanted | (same & (position > place[:, None]) & valid[row])
            chances = subject.logits(copies, hidden, wanted).float().log_softmax(dim=1)
            found = chances.gather(1, truth[row, place][:, None])[:, 0]
            sums.index_add_(0, row, found.double())
        return sums

    def _groups(self, pairs: Sequence[Item], classes: Sequence[str]) -> list[str]:
        """What each pair is counted under beside the whole, empty for none."""
        lacking = [str(item["id"]) for item in pairs if self.by not in item]
        if len(lacking) == len(pairs) and self.by == "label":
            return [""] * len(pairs)
        if lacking:
            raise UserError(
                f'{len(lacking)} of {len(pairs)} pairs have no field "{self.by}" to be grouped by',
                where=f'{WHERE}, setting by, item "{lacking[0]}"',
                cure=f"one of {', '.join(sorted(map(str, pairs[0].keys() - {'id', 'text', 'other'}))) or 'none'}, "
                "or leave by out",
            )
        return [
            str(classes[item[self.by]]) if self.by == "label" and classes else str(item[self.by])
            for item in pairs
        ]


def _side(item: Item, side: str) -> str:
    text = item.get(side)
    if not isinstance(text, str):
        raise UserError(
            f'the item "{item.get("id", "")}" has no {side}',
            where=WHERE,
            why=f"it has {', '.join(sorted(map(str, item)))}",
            cure="the good sentence in the field text, the bad one in other: "
            'dataset:json-lines with fields = { text = "sentence_good", other = "sentence_bad", label = "UID" }',
        )
    return text


def _compared(good: Scored, bad: Scored) -> dict[str, Any]:
    margin = good.score - bad.score
    correct = 0.5 if abs(margin) <= TIE else float(margin > 0)
    return {
        "good": good.score, "bad": bad.score, "correct": correct,
        "good_tokens": good.tokens, "bad_tokens": bad.tokens,
    }  # fmt: skip


def _share(rows: Sequence[Mapping[str, Any]]) -> float:
    return sum(row["correct"] for row in rows) / len(rows)


def _as_long(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["good_tokens"] == row["bad_tokens"]]


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    alike = _as_long(rows)
    return {
        "group": name, "pairs": len(rows), "accuracy": _share(rows),
        "of equal length": len(alike), "accuracy of these": _share(alike) if alike else None,
    }  # fmt: skip


def _notes(rows: Sequence[Mapping[str, Any]], left_out: int, unknown: int, cut: int) -> Iterator[str]:
    differ = len(rows) - len(_as_long(rows))
    if differ:
        yield (
            f"in {differ} of {len(rows)} pairs the sentences have different numbers of tokens: each further token "
            "makes a score lower, so these pairs favour the shorter sentence"
        )
    if unknown:
        yield f"{unknown} pairs with words that the tokenizer does not know were left out: [UNK] has no likelihood"
    if left_out - unknown:
        yield f"{left_out - unknown} pairs with an empty sentence were left out"
    if cut:
        yield f"{cut} tokens did not fit into the encoder's length and were not judged"
