"""A module with other tensors than its own: what learning through inner steps needs.

A module may be held under two names (an encoder that several tasks share), and a tensor too (a head tied to its table).
`torch.func.functional_call` puts tensors in name by name: under the second name it takes the borrowed tensor for the
module's own and leaves it there afterwards. Here each place that holds a tensor is visited once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from maskwright.errors import did_you_mean


def named(module: nn.Module) -> dict[str, nn.Parameter]:
    """First name -> parameter, each parameter once."""
    return dict(module.named_parameters())


def call(module: nn.Module, tensors: Mapping[str, Tensor], *args: Any, **options: Any) -> Any:
    """`module(*args)` as it would be with these tensors in place of its own.

    `tensors`: any of the parameters by the names of `named`, or buffers by theirs. What is not named stays. A parameter
    that is held in several places is replaced in all of them. The module itself is as before afterwards.
    """
    return torch.func.functional_call(  # noqa: TID251
        module, _everywhere(module, tensors), args, options, tie_weights=False
    )


def _everywhere(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One name of each place that holds one of the tensors to be replaced -> what goes there."""
    first: dict[int, str] = {}
    places = {}
    for name, own in _held(module):
        known = first.setdefault(id(own), name)
        if known in tensors:
            places[name] = tensors[known]
    if unknown := sorted(tensors.keys() - set(first.values())):
        hint = did_you_mean(unknown[0], first.values())
        raise KeyError(f"the module has no parameter or buffer of the name {unknown[0]}{hint}")
    return places


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every place: modules once each, the tensors of each under all of their names."""
    for prefix, inner in module.named_modules():
        for own in (inner._parameters, inner._buffers):
            for name, tensor in own.items():
                if tensor is not None:
                    yield f"{prefix}.{name}" if prefix else name, tensor
