"""Inner rates: one number, or numbers that are learned with everything else (Meta-SGD, arXiv:1707.09835)."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Per = Literal["one", "layer", "parameter"]


class LearnedRates(nn.Module):
    """A rate for all, for each module that holds parameters, or for each number of each parameter."""

    def __init__(self, adapted: Mapping[str, Tensor], start: float, per: Per) -> None:
        super().__init__()
        self._place: dict[str, int] = {}
        groups: dict[str, Tensor] = {}
        for name, tensor in adapted.items():
            group = {"one": "", "layer": name.rpartition(".")[0], "parameter": name}[per]
            groups.setdefault(group, tensor if per == "parameter" else tensor.new_zeros(()))
            self._place[name] = list(groups).index(group)
        self.values = nn.ParameterList(
            nn.Parameter(torch.full_like(like, start, requires_grad=True)) for like in groups.values()
        )

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def forward(self, name: str) -> Tensor:
        return self.values[self._place[name]]
