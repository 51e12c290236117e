"""From states to the vocabulary: the head of a masked language model, tied to the encoder's table of tokens."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]


def initial_std(width: int) -> float:
    """Deviation of new weights: BERT's 0.02 at its width of 768. With 0.02 a narrow network hardly starts to learn."""
    return 0.02 * (768 / width) ** 0.5


class VocabularyHead(nn.Module):
    """A linear map, an activation and a norm; then the product with the table of tokens, which stays the encoder's.

    BERT, RoBERTa, ELECTRA and ModernBERT all have this shape.
    """

    def __init__(
        self,
        width: int,
        table_width: int,
        vocabulary: int,
        *,
        eps: float,
        activation: Activation = F.gelu,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(width, table_width, bias=bias)
        self.norm = nn.LayerNorm(table_width, eps=eps, bias=bias)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.activation = activation
        nn.init.normal_(self.dense.weight, std=initial_std(width))
        if self.dense.bias is not None:
            nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """States (…, D) and the table (V, E) -> logits (…, V)."""
        return F.linear(self.norm(self.activation(self.dense(states))), table, self.bias)
