"""Optimisers of the inner steps, written as functions of tensors so that a gradient can go through them.

Their state begins empty in every episode. A tensor without gradient in a step is left alone, and so is its state.
"""

from typing import Literal

import attrs
import torch
from torch import Tensor

Name = Literal["sgd", "momentum", "adam"]
Rate = float | Tensor

MOMENTUM = 0.9
BETAS = (0.9, 0.999)
EPS = 1e-8
ROOT_EPS = 1e-16
"""Added below the root of Adam: the slope of a root at 0 is infinite, and would make the meta-gradient no number."""


@attrs.define
class InnerOptimiser:
    """The optimiser of one episode: remembers what it needs by the names of the tensors."""

    name: Name = "sgd"
    means: dict[str, Tensor] = attrs.field(factory=dict)
    squares: dict[str, Tensor] = attrs.field(factory=dict)
    counts: dict[str, int] = attrs.field(factory=dict)
    """Steps that each tensor has had."""

    def stepped(self, name: str, value: Tensor, gradient: Tensor, rate: Rate) -> Tensor:
        """The tensor `name` after a step; `rate` is a number, or a tensor that fits the value."""
        return value - rate * self._direction(name, gradient)

    def _direction(self, name: str, gradient: Tensor) -> Tensor:
        if self.name == "sgd":
            return gradient
        if self.name == "momentum":
            before = self.means.get(name)
            self.means[name] = gradient if before is None else MOMENTUM * before + gradient
            return self.means[name]
        count = self.counts[name] = self.counts.get(name, 0) + 1
        zero = torch.zeros_like(gradient)
        first, second = BETAS
        self.means[name] = first * self.means.get(name, zero) + (1 - first) * gradient
        self.squares[name] = second * self.squares.get(name, zero) + (1 - second) * gradient.square()
        mean = self.means[name] / (1 - first**count)
        square = self.squares[name] / (1 - second**count)
        return mean / ((square + ROOT_EPS).sqrt() + EPS)
