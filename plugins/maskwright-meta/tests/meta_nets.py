"""Losses as functions of named tensors, and batches for them, in float64."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maskwright_torch.noise import uniform

Parameters = Mapping[str, Tensor]


def numbers(key: int, *shape: int) -> Tensor:
    """float64 in [-1, 1)"""
    rows = torch.arange(shape[0])
    rest = torch.tensor(shape[1:]).prod().int().item() if len(shape) > 1 else 1
    return (2 * uniform(key, rows, int(rest)) - 1).reshape(shape)


def net(key: int = 0) -> dict[str, Tensor]:
    """Weights of a 5-16-3 network."""
    return {"w1": numbers(key, 5, 16), "b1": numbers(key + 1, 16), "w2": 0.5 * numbers(key + 2, 16, 3)}


def loss(parameters: Parameters, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, label = batch
    scores = (x @ parameters["w1"] + parameters["b1"]).tanh() @ parameters["w2"]
    return torch.nn.functional.cross_entropy(scores, label)


def batches(count: int, key: int = 10) -> list[tuple[Tensor, Tensor]]:
    return [
        (numbers(key + n, 8, 5), (3 * uniform(key + n, torch.arange(8), 1)[:, 0]).long())
        for n in range(count)
    ]


def distance(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Relative distance of two gradients as wholes; None counts as 0."""
    names = sorted(first)
    zero = {
        name: next(g for g in (first[name], second[name], torch.zeros(())) if g is not None) for name in names
    }

    def flat(gradients: Mapping[str, Any]) -> Tensor:
        return torch.cat(
            [
                (gradients[n] if gradients[n] is not None else torch.zeros_like(zero[n])).flatten()
                for n in names
            ]
        )

    return float(((flat(first) - flat(second)).norm() / flat(second).norm()).detach())


def dot(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    return float(sum((first[name] * second[name]).sum() for name in first))
