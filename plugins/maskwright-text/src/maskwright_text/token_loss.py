"""evaluator:mlm-loss — how well hidden tokens are predicted, under masks that never change.

Tokens are hidden at random, or words whole, whatever masker and schedule the model was trained with; the masks are a
function of the items' ids alone: arms of an experiment, moments of a run and seeds see the same ones. Beside the model
stands what needs no model: how frequent each token is in the train split.

A model that has only ever seen whole words hidden takes each mask for a whole word. Asked for a piece beside the rest
of its word it is wrong, and sure of it: such a model is judged with `whole_words`, and a note says so where it was not.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.contracts import Dataset, Findings
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.maskers import WholeWordMasker
from maskwright_text.text_subjects import (
    Item,
    first_items,
    nothing_to_hide,
    refuse_other_parts,
    unknown_tokens,
)
from maskwright_text.upos import UPOS
from maskwright_text.usual_tokens import UsualTokens
from maskwright_text.word_groups import fill_budget, groups_of
from maskwright_torch.contracts import ROWS, Batch
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.masking import counts_of, hide_lowest, units_of
from maskwright_torch.noise import uniform

WHERE = "evaluator:mlm-loss"
MOST_COUNTED = 5000
"""Texts of the train split whose tokens are counted, evenly picked: enough for frequencies."""
LARGEST = 700.0
"""Beyond it, exp(loss) is no finite number."""


@attrs.frozen
class Predictions:
    """One entry for each hidden token, (n,) each, on the CPU."""

    item: Tensor
    """int64: place of its text among the items."""
    token: Tensor
    """int64: the right one."""
    tag: Tensor
    """int64: its part of speech, -1 where that is not known."""
    loss: Tensor
    """float64, nats."""
    right: Tensor
    """bool: the likeliest token is the right one."""

    @classmethod
    def joined(cls, parts: Sequence["Predictions"]) -> "Predictions":
        names = [field.name for field in attrs.fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def scores(self, unigram: Tensor | None, where: Tensor | None = None) -> dict[str, Any]:
        """Number, loss and accuracy of all predictions, or of some; the loss of frequencies beside it."""
        chosen = torch.ones_like(self.right) if where is None else where
        found = {"tokens": int(chosen.sum()), "loss": _mean(self.loss[chosen])}
        if unigram is not None:
            found["by frequency"] = _mean(unigram[self.token[chosen]])
        return found | {"accuracy": _mean(self.right[chosen])}


class TokenLoss:
    """Loss, perplexity and accuracy at a fixed ratio, and the loss with a single hidden token in each text."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "loss": "min",
        "perplexity": "min",
        "accuracy": "max",
        "one_mask_loss": "min",
        "unigram_*": "min",
        "loss/*": "min",
    }

    def __init__(
        self,
        ratio: float,
        corrupt: bool,
        seed: int,
        split: str,
        most: int,
        batch: int,
        whole_words: bool = False,
    ) -> None:
        self.ratio, self.corrupt, self.seed, self.whole_words = ratio, corrupt, seed, whole_words
        self.split, self.most, self.batch = split, most, batch
        self._counted: tuple[Any, Any, Tensor] | None = None

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        refuse_other_parts(subject, WHERE, "logits", "corrupted")
        items = first_items(data, self.split, self.most, step, WHERE)
        masks = Step(self.seed, 1, 1).fork("mlm-loss")
        many, one, cut, unknown, pieces = [], [], 0, 0, 0
        with in_use(subject):
            first = 0
            for piece, batch in in_batches(subject, subject.encoder.prepare, items, step, self.batch):
                valid = subject.encoder.units(batch).valid
                ratio = torch.full((len(valid),), self.ratio, dtype=torch.float64, device=valid.device)
                counts = counts_of(ratio, valid).clamp(min=1)  # no more than a row has
                hidden = self._hidden(subject, batch, counts, masks)
                many.append(self._judge(subject, batch, hidden, masks, first))
                hidden = self._hidden(subject, batch, None, masks.fork("one"))
                one.append(self._judge(subject, batch, hidden, masks.fork("one"), first))
                cut += int(batch["cut"].sum()) if "cut" in batch else 0
                unknown += int(unknown_tokens(batch).sum())
                pieces += _more_pieces(batch)
                first += len(piece)
        found, single = Predictions.joined(many), Predictions.joined(one)
        _refuse_useless(found, single, len(items))
        unigram = self._unigram(subject, data, step)
        own = found.scores(unigram)
        values = {
            "loss": own["loss"],
            "perplexity": math.exp(min(own["loss"], LARGEST)),
            "accuracy": own["accuracy"],
            "one_mask_loss": _mean(single.loss),
        }
        if unigram is not None:
            values["unigram_loss"] = own["by frequency"]
        classes = [
            {"class": name, **found.scores(unigram, found.tag == number)}
            for number, name in enumerate(UPOS)
            if bool((found.tag == number).any())
        ]
        values |= {f"loss/{row['class']}": row["loss"] for row in classes}
        what = "tokens, whole words," if self.whole_words else "tokens"
        title = f"{self.ratio:.0%} of the {what} hidden in {len(items)} texts"
        unit = "word" if self.whole_words else "token"
        tables: dict[str, Any] = {title: _predictors(found, single, unigram, unit)}
        if classes:
            tables["by part of speech"] = classes
        rows = list(_rows(items, found))
        notes = list(_notes(values, cut, unknown, len(items) - len(rows)))
        if (
            pieces
            and not self.whole_words
            and "word" in getattr(getattr(subject, "masker", None), "features", ())
        ):
            notes.append(
                "the model was trained on whole words that are hidden, and is judged on pieces of words, too: "
                "whole_words = true judges it as it was trained"
            )
        return Findings(values, rows, tables, notes=notes)

    def _hidden(self, subject: Any, batch: Batch, counts: Tensor | None, masks: Step) -> Tensor:
        """bool (B, T): `counts` (B,) tokens, or whole words of so many; without a number one token, or one word."""
        valid = subject.encoder.units(batch).valid
        one = torch.ones(len(valid), dtype=torch.int64, device=valid.device)
        if not self.whole_words:
            noise = uniform(masks.stream("mask"), batch[ROWS], valid.shape[1])
            return hide_lowest(noise, valid, one if counts is None else counts)
        groups = groups_of(units_of(subject.encoder, WholeWordMasker(), batch), whole_words=True)
        noise = uniform(masks.stream("mask"), batch[ROWS], groups.sizes.shape[1])
        if counts is None:
            return groups.tokens(hide_lowest(noise, groups.sizes > 0, one))
        return groups.tokens(fill_budget(noise, groups.sizes, counts))

    def _judge(self, subject: Any, batch: Batch, hidden: Tensor, masks: Step, first: int) -> Predictions:
        seen, masked = subject.corrupted(batch, hidden, masks) if self.corrupt else (batch, hidden)
        token = subject.encoder.targets(batch)[hidden]
        logits = subject.logits(seen, masked, hidden).float()
        tag = batch["tag"][hidden] if "tag" in batch else torch.full_like(token, -1)
        return Predictions(
            item=(hidden.nonzero()[:, 0] + first).cpu(),
            token=token.cpu(),
            tag=tag.cpu(),
            loss=F.cross_entropy(logits, token, reduction="none").double().cpu(),
            right=(logits.argmax(dim=1) == token).cpu(),
        )

    def _unigram(self, subject: Any, data: Dataset, step: Step) -> Tensor | None:
        """float64 (V,): -log of each token's share of the train split, one more of each; None without that split.

        Special tokens, and numbers for which the tokenizer has no token, take no share.
        """
        encoder = subject.encoder
        if "train" not in data.splits() or not data.length("train"):
            return None
        if self._counted is None or self._counted[0] is not data or self._counted[1] is not encoder.prepare:
            stride = -(-data.length("train") // MOST_COUNTED)
            texts = (data.item("train", i, step) for i in range(0, data.length("train"), stride))
            bare = ({name: item[name] for name in ("id", "text", "other") if name in item} for item in texts)
            counts = torch.zeros(encoder.space.vocabulary, dtype=torch.float64)
            with in_use(subject):
                for _, batch in in_batches(subject, encoder.prepare, bare, step, self.batch):
                    tokens = encoder.targets(batch)[encoder.units(batch).valid].cpu()
                    counts += torch.bincount(tokens, minlength=len(counts))
            usual = UsualTokens(encoder.space, getattr(encoder, "codec", None))()
            share = (counts + 1) / (counts + 1)[usual].sum()
            self._counted = data, encoder.prepare, -share.log()
        return self._counted[2]


def _more_pieces(batch: Batch) -> int:
    """Tokens that go on with the word of the token before them."""
    word = batch.get("word")
    return 0 if word is None else int(((word[:, 1:] == word[:, :-1]) & (word[:, 1:] >= 0)).sum())


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _refuse_useless(found: Predictions, single: Predictions, texts: int) -> None:
    if not len(found.loss):
        raise nothing_to_hide(texts, WHERE)
    if not bool(torch.cat([found.loss, single.loss]).isfinite().all()):
        raise UserError(
            "the model predicts tokens with a loss that is infinite or no number",
            where=WHERE,
            why="its weights are finite, what it computes from these texts is not",
            cure="an earlier checkpoint: at = STEP of from-run",
        )


def _predictors(
    found: Predictions, single: Predictions, unigram: Tensor | None, unit: str
) -> list[dict[str, Any]]:
    """The model, with one hidden token or word a text too, beside the frequencies of tokens."""
    rows = [
        ("this model", found.scores(None)),
        (f"this model, one hidden {unit} a text", single.scores(None)),
    ]
    table = [
        {"prediction": words, **scores, "perplexity": math.exp(min(scores["loss"], LARGEST))}
        for words, scores in rows
    ]
    if unigram is not None:
        commonest = int(unigram.argmin())
        loss = _mean(unigram[found.token])
        by_frequency = {
            "tokens": len(found.token), "loss": loss, "accuracy": _mean(found.token == commonest),
            "perplexity": math.exp(loss),
        }  # fmt: skip
        table.append({"prediction": "how frequent a token is in the train split", **by_frequency})
    return table


def _rows(items: Sequence[Item], found: Predictions) -> Iterator[dict[str, Any]]:
    """The mean loss of each text that has a hidden token."""
    counts = torch.bincount(found.item, minlength=len(items))
    sums = torch.zeros(len(items), dtype=torch.float64).index_add_(0, found.item, found.loss)
    for item, count, total in zip(items, counts.tolist(), sums.tolist(), strict=True):
        if count:
            yield {"id": str(item["id"]), "loss": total / count, "tokens": count}


def _notes(values: Mapping[str, float], cut: int, unknown: int, empty: int) -> Iterator[str]:
    if "unigram_loss" not in values:
        yield "no loss by frequency: the data has no train split to count tokens in"
    elif values["loss"] >= values["unigram_loss"]:
        yield "the model predicts no better than how frequent tokens are: it has not learned from their context yet"
    if cut:
        yield f"{cut} tokens did not fit into the encoder's length and were not judged"
    if unknown:
        yield (
            f"{unknown} tokens stand for words that the tokenizer does not know: they are never hidden, so nothing is "
            "said of how well those words are predicted"
        )
    if empty:
        yield f"{empty} texts have no token that could be hidden and were left out"
