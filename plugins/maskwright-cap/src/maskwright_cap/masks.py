"""Masks on single weights: a layer computes with W * M, W stays whole underneath and goes on learning.

M is 1 where a weight is kept. With movement pruning each weight has a score S whose gradient is that of W * M times W
(Sanh, Wolf & Rush, arXiv:2005.07683): M + S - S without gradient is M in value, and lets exactly that through. State
and files hold W by its plain name, so the encoder can be taken without its masks; at the end of a run they are
multiplied into it.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from maskwright.step import Step
from maskwright_cap.choosing import hidden_of
from maskwright_cap.layers import linear_at, share_of

Scope = Literal["matrix", "all"]
LEAST = 0.005
"""Share of each matrix that soft movement keeps whatever its scores say."""
STORED = "parametrizations.weight.original"


class Mask(nn.Module):
    """What is kept of one matrix, and its scores where these are learned."""

    def __init__(self, weight: Tensor, scored: bool) -> None:
        super().__init__()
        self.register_buffer("keep", torch.ones(weight.shape, dtype=torch.bool))
        self.score = nn.Parameter(torch.zeros_like(weight)) if scored else None

    @property
    def factor(self) -> Tensor:
        """M as numbers; S gets the gradient of M."""
        if self.score is None:
            return self.keep.to(torch.get_default_dtype())
        return self.keep.to(self.score.dtype) + (self.score - self.score.detach())


class _Masked(nn.Module):
    """W -> W * M. The mask belongs to the objective, so it is not registered here a second time."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.__dict__["mask"] = mask

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask.factor.to(weight.dtype)


class Masks(nn.Module):
    """A mask for every linear map of the encoder's blocks."""

    def __init__(self, encoder: Any, scored: bool) -> None:
        super().__init__()
        self.paths = paths_of(encoder)
        self.masks = nn.ModuleList()
        for path in self.paths:
            layer = linear_at(encoder, path)
            mask = Mask(layer.weight, scored)
            self.masks.append(mask)
            parametrize.register_parametrization(layer, "weight", _Masked(mask))
            layer.register_state_dict_post_hook(_plain_name)
            layer.register_load_state_dict_pre_hook(_stored_name)

    @property
    def kept(self) -> list[Tensor]:
        """For each matrix bool, as the matrix."""
        return [mask.keep for mask in self.masks]  # type: ignore[misc]

    @property
    def scores(self) -> list[nn.Parameter]:
        return [mask.score for mask in self.masks if mask.score is not None]

    def _weights(self, encoder: nn.Module) -> Iterator[tuple[Mask, Tensor]]:
        """Each mask with the whole W under it."""
        for mask, path in zip(self.masks, self.paths, strict=True):
            layer: Any = encoder.get_submodule(path)
            yield mask, layer.parametrizations.weight.original  # type: ignore[misc]

    @torch.no_grad()
    def keep_best(self, encoder: nn.Module, kept: float, scope: Scope, masker: Any, step: Step) -> None:
        """Keep a share of the weights, by learned score or else by size; of each matrix, or of all together."""
        pairs = list(self._weights(encoder))
        scores = [(w.abs() if mask.score is None else mask.score).flatten() for mask, w in pairs]
        groups = [scores] if scope == "all" else [[score] for score in scores]
        chosen: list[Tensor] = []
        for number, group in enumerate(groups):
            everything = torch.cat(group)
            count = len(everything) - share_of(len(everything), kept)
            valid = torch.ones_like(everything, dtype=torch.bool)
            hidden = hidden_of(masker, everything, valid, count, step.fork("matrix", number))
            chosen += (~hidden).split([len(score) for score in group])
        for (mask, _), keep in zip(pairs, chosen, strict=True):
            mask.keep.copy_(keep.view_as(mask.keep))

    @torch.no_grad()
    def keep_above(self, threshold: float) -> None:
        """Soft movement: keep the weights with sigmoid(S) above the threshold, and a few in any case."""
        for mask in self.masks:
            mask.keep.copy_(kept_above(mask.score.sigmoid(), threshold))

    def penalty(self) -> Tensor:
        """The mean of sigmoid(S) over all weights, float32."""
        total = sum(score.sigmoid().sum() for score in self.scores)
        return total / sum(score.numel() for score in self.scores)

    @torch.no_grad()
    def multiply(self, encoder: nn.Module) -> None:
        """Zero what is not kept: from now on the weights alone give the same results."""
        for mask, weight in self._weights(encoder):
            weight.mul_(mask.keep.to(weight.dtype))


def paths_of(encoder: Any) -> list[str]:
    """The linear maps of an encoder's blocks."""
    paths = [path for group in encoder.prunable() for path in (*group.inputs, group.output)]
    return list(dict.fromkeys(paths))


def kept_above(scores: Tensor, threshold: float) -> Tensor:
    """bool, as `scores`: those above the threshold, or the few highest where hardly any are."""
    keep = scores > threshold
    least = max(share_of(scores.numel(), LEAST), 1)
    if int(keep.sum()) < least:
        keep.view(-1)[scores.flatten().topk(least).indices] = True
    return keep


def _plain_name(layer: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
    state[f"{prefix}weight"] = state.pop(f"{prefix}{STORED}")


def _stored_name(layer: nn.Module, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    if f"{prefix}weight" in state:
        state[f"{prefix}{STORED}"] = state.pop(f"{prefix}weight")
