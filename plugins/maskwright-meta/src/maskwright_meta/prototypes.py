"""Heads that begin as class prototypes of an episode's first chunk (Triantafillou et al., arXiv:1903.03096).

With the mean vector mu_c of class c the head begins as w_c = 2 mu_c, b_c = -|mu_c|^2: the squared distance to mu_c but
for a term that all classes share. So it is there for any number of classes and any order of them, without training.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Batch
from maskwright_torch.functional import call


def prototypes_of(vectors: Tensor, label: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(w (C, D), b (C,)) of vectors (B, D) with labels (B,). A class without items has the mean of all as prototype."""
    members = nn.functional.one_hot(label, classes).to(vectors.dtype)
    counts = members.sum(dim=0)
    means = members.T @ vectors / counts.clamp(min=1)[:, None]
    means = torch.where(counts[:, None] > 0, means, vectors.mean(dim=0))
    return 2 * means, -means.square().sum(dim=1)


def classifies(objective: nn.Module) -> bool:
    """Whether an objective has classes, and so prototypes of them."""
    return hasattr(objective, "classes")


def head_of(objective: nn.Module) -> nn.Linear:
    """The linear head of an objective that classifies; UserError where it has none."""
    head = getattr(objective, "head", None)
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise UserError(
            f"{type(objective).__name__} has no linear head that prototypes could be put into",
            where='objective:meta, heads = "prototypes"',
            cure='heads = "own", or tasks of objective:classify',
        )
    return head


def with_prototypes(
    objective: nn.Module, theta: Mapping[str, Tensor], keys: Mapping[str, str], batch: Batch, step: Step
) -> dict[str, Tensor]:
    """`theta` with prototypes of this batch in the head; the gradient goes through them to the encoder.

    The others are handed on as views: a gradient by them must not go the way through the prototypes too. Buffers that
    the pass would change are copies. Under a frozen encoder the head hangs on nothing, and is adapted all the same.
    """
    head = head_of(objective)
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    own = {name: theta[key] for name, key in keys.items() if key in theta}
    copies = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    try:
        call(objective, {**own, **copies}, batch, step)
    finally:
        hook.remove()
    # A head has the bits of its weights, whatever autocast computes in.
    with torch.autocast(seen[0].device.type, enabled=False):
        w, b = prototypes_of(seen[0].to(head.weight.dtype), batch["label"], head.out_features)
    if not w.requires_grad:
        w, b = w.requires_grad_(), b.requires_grad_()
    made: dict[str, Any] = {key: tensor.view_as(tensor) for key, tensor in theta.items()}
    return made | {keys["head.weight"]: w, keys["head.bias"]: b}
