"""Small models that write, by which evaluators are shown at work, in contract checks and tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright.step import Step
from maskwright_text.decoding_settings import Decoding
from maskwright_text.params_seq2seq import Seq2Seq
from maskwright_torch.contracts import Generated

Item = Mapping[str, Any]


def example_writer(data: Any, **changes: Any) -> Any:
    """A tiny untrained model whose tokenizer is trained on the data; `changes` are settings of objective:seq2seq."""
    params = Seq2Seq.example()
    for name, value in changes.items():
        setattr(params, name, value)
    model = params.build(1)
    model.encoder.codec.fit(data, Step())
    return model


class Parrot:
    """Knows the right texts and is sure of them."""

    def generate(
        self, items: Sequence[Item], step: Step, decoding: Decoding | None = None
    ) -> list[list[Generated]]:
        return [[Generated(item["summary"], True, 0.0)] for item in items]

    def target_losses(self, items: Sequence[Item], step: Step) -> list[Tensor]:
        return [torch.zeros(len(item["summary"].split()) + 1) for item in items]
