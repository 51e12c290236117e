"""A small masked language model and sentences with parts of speech, for tests of objectives and evaluators."""

from collections.abc import Sequence
from typing import Any

import torch

from maskwright import Step
from maskwright_testing.listed_data import ListedData
from maskwright_text.params_models import Mlm, Subwords, TextEncoder
from maskwright_torch.batches import collate
from maskwright_torch.contracts import Batch
from maskwright_torch.noise import uniform

TAGS = {
    "the": "DET", "a": "DET", "dog": "NOUN", "fox": "NOUN", "park": "NOUN", "walk": "NOUN", "sleeps": "VERB",
    "runs": "VERB", "likes": "VERB", "lazy": "ADJ", "quick": "ADJ", "in": "ADP", "over": "ADP", ".": "PUNCT",
}  # fmt: skip
SENTENCES = (
    "the quick fox runs over the lazy dog .",
    "a lazy dog sleeps in the park while the fox runs .",
    "the dog likes a walk in the park .",
    "a quick fox likes the dog .",
    "the fox sleeps .",
    "a dog runs over a fox in the park , over the dog , and sleeps in the lazy park with the quick fox .",
)


def tagged(number: int, text: str) -> dict[str, Any]:
    """An item with the part of speech of each word."""
    tags, place = [], 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        tags.append((start, place, TAGS.get(word, "X")))
    return {"id": f"s{number}", "text": text, "tags": tags}


def sentences(texts: Sequence[str] = SENTENCES, with_tags: bool = True) -> ListedData:
    """The same items as train and test split; a repeated text in the train split alone."""
    items = [tagged(number, text) for number, text in enumerate(texts)]
    if not with_tags:
        items = [{name: item[name] for name in ("id", "text")} for item in items]
    again = [{**item, "id": f"{item['id']}-again"} for item in items[:1]]
    return ListedData({"train": [*items, *again], "test": items})


def model(
    data: Any = None, *, seed: int = 1, kind: str = "words", vocabulary: int = 60, **settings: Any
) -> Any:
    """objective:mlm over a two-block encoder; its tokenizer is trained on the data."""
    codec = Subwords(vocabulary=vocabulary, model=kind).build()
    codec.fit(sentences() if data is None else data, Step())
    encoder = TextEncoder(codec=codec, length=48, width=16, depth=2, heads=2)
    return Mlm(**{"encoder": encoder, **settings}).build(seed)


def batch_of(built: Any, items: Sequence[Any]) -> Batch:
    """The items as rows 100, 101, …"""
    return collate(items, range(100, 100 + len(items)), built.prepare, Step())


def many_tokens(built: Any, rows: int, length: int) -> Batch:
    """Rows of `length` known tokens that are not special, between two special ones."""
    specials = built.encoder.space.specials
    usual = torch.tensor([n for n in range(built.encoder.codec.known) if n not in specials])
    identities = torch.arange(rows)
    tokens = usual[(uniform(Step().stream("tokens"), identities, length) * len(usual)).long()]
    tokens[:, 0], tokens[:, -1] = specials[2], specials[3]
    special = torch.zeros(rows, length, dtype=torch.bool)
    special[:, 0] = special[:, -1] = True
    word = torch.arange(length).expand(rows, -1).masked_fill(special, -1)
    real = torch.ones_like(special)
    return {"tokens": tokens, "real": real, "special": special, "word": word, "rows": identities}
