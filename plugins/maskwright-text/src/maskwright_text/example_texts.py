"""Small models and texts by which evaluators of text are shown at work, in contract checks and tests."""

from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_text.params_models import Mlm, Subwords, TextEncoder
from maskwright_torch.contracts import Batch

SURE = 1e4
"""A logit so far above all others that the loss is exactly 0."""
PAIRS = (
    ("the dog sleeps", "the dog sleep", "agreement"),
    ("a fox runs fast", "a fox run fast", "agreement"),
    ("the lazy dog sleeps", "the lazy dog dog sleep", "order"),
)


def pair_items() -> dict[str, list[dict[str, str]]]:
    """Pairs of sentences, the bad ones with a verb of the wrong form; in both splits."""
    items = [
        {"id": str(number), "text": good, "other": bad, "phenomenon": group}
        for number, (good, bad, group) in enumerate(PAIRS)
    ]
    return {"train": items, "test": items}


def example_model(data: Any, **changes: Any) -> Any:
    """A tiny masked language model whose tokenizer is trained on the data; `changes` are settings of objective:mlm."""
    codec = Subwords.example().build()
    codec.fit(data, Step())
    encoder = attrs.evolve(TextEncoder.example(), codec=codec)
    return attrs.evolve(Mlm.example(), encoder=encoder, **changes).build(1)


class AllKnowing(nn.Module):
    """Predicts each hidden token with certainty, but for the tokens of some words, of which it knows nothing."""

    def __init__(self, model: Any, unknown: Sequence[str] = ()) -> None:
        super().__init__()
        self.encoder, self.prepare = model.encoder, model.prepare
        encoded = model.encoder.codec.encode(list(unknown))
        ids = {number for found in encoded for number in found.ids} - set(model.encoder.space.specials)
        self.unknown = torch.tensor(sorted(ids), dtype=torch.int64)

    def logits(self, seen: Batch, masked: Tensor, wanted: Tensor) -> Tensor:
        """(n, V)"""
        truth = seen["tokens"][wanted]
        sure = torch.where(torch.isin(truth, self.unknown), 0.0, SURE)
        return torch.zeros(len(truth), self.encoder.space.vocabulary).scatter(
            1, truth[:, None], sure[:, None]
        )

    def corrupted(self, batch: Batch, hidden: Tensor, step: Step) -> tuple[Batch, Tensor]:
        """Hidden tokens are seen as mask tokens."""
        return batch, hidden
