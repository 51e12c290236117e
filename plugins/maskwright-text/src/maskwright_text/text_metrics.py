"""How near written texts are to right ones: ROUGE, BLEU, and whether they are the same."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from maskwright.errors import UserError

METRICS: Mapping[str, Literal["max", "min"]] = {
    "rouge1": "max",
    "rouge2": "max",
    "rougeL": "max",
    "rougeLsum": "max",
    "bleu": "max",
    "exact": "max",
}
"""ROUGE is the F-measure; all between 0 and 1, BLEU between 0 and 100. rougeLsum goes sentence by sentence."""

_ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)
"""Letters and digits of any script; Chinese and Japanese, which have no spaces, by the character."""
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\b[A-Za-z]\.)(?<!\betc\.)(?<!\bcf\.)(?<!\bvs\.)\s")
"""Not after a single letter, as in e.g., i.e. and initials, nor after etc., cf. and vs."""
_IN_NAMES = re.compile(r"[._]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@attrs.frozen
class Scores:
    """Of a list of texts."""

    values: dict[str, float]
    rows: list[dict[str, float]]
    """ROUGE and exact match of each; BLEU is one of the whole."""


def require_metrics(where: str) -> None:
    """UserError with the pip line where the libraries are missing."""
    lacking = [name for name in ("rouge_score", "sacrebleu") if importlib.util.find_spec(name) is None]
    if lacking:
        raise UserError(
            f"{' and '.join(lacking)} cannot be found",
            where=where,
            why="ROUGE and BLEU are computed by their usual libraries",
            cure='pip install "maskwright-text[metrics]"',
        )


def score(written: Sequence[str], right: Sequence[str]) -> Scores:
    """Each text against the right one at the same place. English words are compared without their endings."""
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(_ROUGE), tokenizer=_Words())
    rows = []
    for text, truth in zip(written, right, strict=True):
        found = scorer.score(_by_sentence(truth), _by_sentence(text))
        rows.append(
            {name: float(found[name].fmeasure) for name in _ROUGE} | {"exact": float(_same(text, truth))}
        )
    values = {name: sum(row[name] for row in rows) / len(rows) for name in (*_ROUGE, "exact")}
    # The data set as a whole: BLEU is no mean over texts.
    values["bleu"] = float(sacrebleu.corpus_bleu(list(written), [list(right)]).score)
    return Scores({name: values[name] for name in METRICS}, rows)


class _Words:
    """The words of a text; those in ASCII as rouge-score has them, which knows no others."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self.usual = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        words = _WORD.findall(text.lower())
        return [
            token for word in words for token in (self.usual.tokenize(word) if word.isascii() else [word])
        ]


def _by_sentence(text: str) -> str:
    """A sentence a line, as rougeLsum reads it."""
    return "\n".join(_SENTENCE_END.split(text.strip()))


def _same(text: str, truth: str) -> bool:
    """But for white space."""
    return text.split() == truth.split()


def first_sentence(text: str) -> str:
    """Up to the first full stop, question or exclamation mark before white space that ends no abbreviation."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def words_of_name(name: str) -> str:
    """`package.HTTPServer.send_all` -> `package HTTP Server send all`."""
    return " ".join(_IN_NAMES.sub(" ", name).split())
