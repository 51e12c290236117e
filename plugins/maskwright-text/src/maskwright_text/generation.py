"""evaluator:generation and evaluator:infill — what a model writes, and how likely it takes the right text to be.

Both judge the test split, and put the model beside what needs none: the first sentence of the text, the item's name,
and the same model without the source.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from maskwright.contracts import Dataset, Findings, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.answer_scores import answer_scores
from maskwright_text.decoding_settings import Decoding
from maskwright_text.seq2seq_batches import source_of, target_of
from maskwright_text.text_metrics import METRICS, first_sentence, require_metrics, score, words_of_name
from maskwright_torch.noise import identities, uniform

Item = Mapping[str, Any]

SHOWN = 240
"""Characters of a text in the table of examples."""


class Generation:
    """ROUGE, BLEU and exact matches of what is written."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        **METRICS,
        "complete": "max",
        "*_rougeL": "max",
        "answer_*": "max",
    }
    """`complete`: share of texts with an end; `first_sentence_rougeL`, and `name_rougeL` where items have names;
    `answer_exact` and `answer_f1`, as SQuAD judges them, where items have `answers`."""

    def __init__(self, decoding: Decoding, most: int, examples: int) -> None:
        require_metrics("evaluator:generation")
        self.decoding, self.most, self.examples = decoding, most, examples

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        items = drawn_items(data, self.most, step, "evaluator:generation")
        step = Step(step.seed).fork("generation")  # the same texts are drawn whenever one asks
        found = [texts[0] for texts in subject.generate(items, step, self.decoding)]
        right = [target_of(item) for item in items]
        own = score([each.text for each in found], right)
        values = {**own.values, "complete": sum(each.complete for each in found) / len(found)}
        rows = [
            {"id": str(item["id"]), "generated": each.text, "complete": each.complete, **measured}
            for item, each, measured in zip(items, found, own.rows, strict=True)
        ]
        if all("answers" in item for item in items):
            for row, item in zip(rows, items, strict=True):
                row |= answer_scores(row["generated"], item["answers"])
            for name in ("answer_exact", "answer_f1"):
                values[name] = sum(row[name] for row in rows) / len(rows)
        table = [{"text": "this model", **own.values}]
        for name, words, texts in _controls(items):
            control = score(texts, right).values
            table.append({"text": words, **control})
            values[f"{name}_rougeL"] = control["rougeL"]
        shown = zip(items[: self.examples], found, strict=False)
        examples = [
            {
                "id": str(item["id"]),
                "text": _short(source_of(item)),
                "right": target_of(item),
                "written": each.text,
            }
            for item, each in shown
        ]
        tables = {f"{len(items)} texts": table}
        if examples:
            tables[f"{len(examples)} examples, not picked"] = examples
        return Findings(values=values, rows=rows, tables=tables, notes=list(_notes(table, found)))


def _controls(items: Sequence[Item]) -> Iterator[tuple[str, str, list[str]]]:
    """(name of the metric, words, a text for each item) of answers that need no model."""
    yield (
        "first_sentence",
        "the first sentence of the text",
        [first_sentence(source_of(item)) for item in items],
    )
    if all("name" in item for item in items):
        yield "name", "the item's name", [words_of_name(item["name"]) for item in items]


def _notes(table: Sequence[Mapping[str, Any]], found: Sequence[Any]) -> Iterator[str]:
    own = table[0]["rougeL"]
    for row in table[1:]:
        if row["rougeL"] >= own:
            yield (
                f"{row['text']} reaches a ROUGE-L of {row['rougeL']:.3f}, this model {own:.3f}: "
                "it writes no better than that"
            )
    ended = sum(each.complete for each in found)
    if ended < len(found):
        yield f"{len(found) - ended} of {len(found)} texts were cut at the greatest length"
    cut = sum(each.cut > 0 for each in found)
    if cut:
        yield f"{cut} of {len(found)} sources did not fit and were read in part"


def _short(text: str) -> str:
    """On one line, its beginning."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


class Infill:
    """The negative log-likelihood of target tokens, each given the source and the tokens before it."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "nll": "min",
        "perplexity": "min",
        "no_source_nll": "min",
    }
    """`nll` in nats, the mean over tokens; `no_source_nll`: the same with empty sources."""

    def __init__(self, most: int) -> None:
        self.most = most

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        items = drawn_items(data, self.most, step, "evaluator:infill")
        blind = [{**item, "text": ""} for item in items]
        own, without = (subject.target_losses(side, step) for side in (items, blind))
        count = sum(len(losses) for losses in own)
        nll, no_source = (sum(float(x.double().sum()) for x in side) / count for side in (own, without))
        rows = [
            {"id": str(item["id"]), "nll": float(losses.double().mean()), "tokens": len(losses)}
            for item, losses in zip(items, own, strict=True)
        ]
        table = [
            {"given": "the source and the tokens before", "nll": nll, "perplexity": _perplexity(nll)},
            {"given": "the tokens before alone", "nll": no_source, "perplexity": _perplexity(no_source)},
        ]
        notes = [] if nll < no_source else ["the source does not help: targets are as likely without it"]
        return Findings(
            values={"nll": nll, "perplexity": _perplexity(nll), "no_source_nll": no_source},
            rows=rows,
            tables={f"{count} target tokens of {len(items)} texts": table},
            notes=notes,
        )


def _perplexity(nll: float) -> float:
    """An untrained model may be arbitrarily wrong; the number stays finite."""
    return math.exp(min(nll, 700.0))


def drawn_items(data: Dataset, most: int, step: Step, where: str) -> list[Item]:
    """At most so many test items, in an order by a hash of their ids, so that nobody picks them; 0: all."""
    items = list(items_of(data, "test", step)) if "test" in data.splits() else []
    if not items:
        raise UserError(
            "there are no test items",
            where=where,
            why=f"the data has the splits {', '.join(data.splits())}",
            cure='data with a test split, or the name of another one: split = "…" in the evaluator\'s entry',
        )
    key = Step(0).fork("generation").stream("items")
    order = uniform(key, identities([str(item["id"]) for item in items]), 1)[:, 0].argsort(stable=True)
    return [items[number] for number in order.tolist()[: most or None]]
