"""Optimisers, their groups of parameters, and their state as named tensors."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.errors import UserError

Name = Literal["adamw", "sgd", "lars"]


def split_by_decay(parameters: Iterable[tuple[str, nn.Parameter]], decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and norms (one dimension) do not. Class and mask tokens have three, so they do."""
    trained = [p for _, p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def layer_decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], depth_of: Any, depth: int, rate: float, decay: float
) -> list[dict[str, Any]]:
    """Groups whose learning rate is scaled by rate^(depth + 1 - layer), as fine-tuning of ViTs does.

    `depth_of(name)` gives the layer: 0 for what comes before the blocks, k + 1 for block k, depth + 1 for what
    comes after.
    """
    layers: dict[int, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in named:
        layers.setdefault(depth_of(name), []).append((name, parameter))
    groups = []
    for layer, members in sorted(layers.items()):
        scale = rate ** (depth + 1 - layer)
        groups += [{**group, "lr_scale": scale} for group in split_by_decay(members, decay)]
    return groups


class Lars(torch.optim.Optimizer):
    """SGD with momentum whose step is scaled to each weight's own norm (You et al., arXiv:1708.03888).

    As in MAE's linear probe: one-dimensional parameters are neither scaled nor decayed.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad
                if p.ndim > 1:
                    update = update.add(p, alpha=group["weight_decay"])
                    weight, size = p.norm(), update.norm()
                    scale = torch.where((weight > 0) & (size > 0), group["trust"] * weight / size, 1.0)
                    update = update * scale
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                state["momentum_buffer"].mul_(group["momentum"]).add_(update)
                p.add_(state["momentum_buffer"], alpha=-group["lr"])


def make_optimiser(
    name: Name, objective: Any, *, lr: float, betas: tuple[float, float], momentum: float, decay: float
) -> torch.optim.Optimizer:
    """An optimiser over the groups that the objective asks for, or the usual two."""
    groups = (
        objective.groups(decay)
        if hasattr(objective, "groups")
        else split_by_decay(objective.named_parameters(), decay)
    )
    if not any(group["params"] for group in groups):
        raise UserError("nothing is left to train", where="objective", cure="freeze less, or steps=0")
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=betas, weight_decay=decay, fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=decay)
    return Lars(groups, lr=lr, momentum=momentum, weight_decay=decay)


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of this step; groups may scale it."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def optimiser_tensors(optimiser: torch.optim.Optimizer, objective: nn.Module) -> dict[str, Tensor]:
    """`parameter/key` -> tensor of everything that the optimiser remembers."""
    names = {id(p): name for name, p in objective.named_parameters()}
    return {
        f"{names[id(p)]}/{key}": value.detach().cpu().contiguous().clone()
        for p, state in optimiser.state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def load_optimiser(
    optimiser: torch.optim.Optimizer, objective: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimiser back what it remembered."""
    parameters = dict(objective.named_parameters())
    for key, tensor in tensors.items():
        name, _, word = key.rpartition("/")
        if name not in parameters:
            raise UserError(
                f'the optimiser remembers "{name}", which the objective does not have',
                cure="resume with the recipe that the run was begun with",
            )
        parameter = parameters[name]
        # The step counter stays a single float of its own kind.
        kind = tensor.dtype if word == "step" else parameter.dtype
        optimiser.state[parameter][word] = tensor.to(parameter.device, kind)
