"""Heads and neurons in networks of transformers, which has no way of its own to remove them.

Its attention modules count their heads by the width of what they are handed, so it is enough to make maps narrower;
only of no heads at all they cannot make anything.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from maskwright_text.foreign_config import Layers
from maskwright_torch.contracts import Group
from maskwright_torch.prunable import take_out

_COUNTS = ("num_attention_heads", "n_heads")
"""What an attention calls the number of its heads, where it keeps it at all."""


def groups_of(network: Any, layers: Layers, prefix: str = "") -> list[Group]:
    """Heads and neurons of each block; `prefix`: begins the paths, where they are read from above the network."""
    size = network.config.hidden_size // network.config.num_attention_heads
    found = []
    for number in range(network.config.num_hidden_layers):

        def at(*paths: str, block: str = f"{layers.blocks}.{number}.") -> tuple[str, ...]:
            return tuple(f"{prefix}{block}{path}" for path in paths)

        def width(path: str, block: str = f"{layers.blocks}.{number}.") -> int:
            return network.get_submodule(block + path).in_features

        heads = Group(
            "heads", number, width(layers.heads_read) // size, size, at(layers.heads_read)[0],
            at(*layers.heads_made), fused=3 // len(layers.heads_made),
        )  # fmt: skip
        neurons = Group(
            "neurons", number, width(layers.neurons_read), 1, at(layers.neurons_read)[0],
            at(layers.neurons_made), fused=2 if layers.gated else 1,
        )  # fmt: skip
        found += [heads, neurons]
    return found


def set_heads(network: nn.Module, layers: Layers, number: int, heads: int) -> None:
    """The attention of a block has so many heads now."""
    above, _, name = f"{layers.blocks}.{number}.{layers.attention}".rpartition(".")
    holder = network.get_submodule(above)
    attention: Any = getattr(holder, name)
    if heads == 0 and not isinstance(attention, NoHeads):
        setattr(holder, name, NoHeads(attention, layers.within))
    elif heads and isinstance(attention, NoHeads):
        setattr(holder, name, attention.replaced[0].train(attention.training))
    attention = getattr(holder, name)
    for count in _COUNTS:
        if hasattr(attention, count):
            setattr(attention, count, heads)
    if hasattr(attention, "all_head_size"):
        attention.all_head_size = heads * attention.attention_head_size


def remove_others(network: Any, layers: Layers, kept: Sequence[Tensor]) -> None:
    """In place, all units but these, for each group."""
    for group, own in zip(groups_of(network, layers), kept, strict=True):
        take_out(network, group, own)
        if group.kind == "heads":
            set_heads(network, layers, group.layer, len(own))


class NoHeads(nn.Module):
    """Stands in for an attention that has no heads left; its maps keep their names, and have no rows."""

    def __init__(self, attention: nn.Module, within: Sequence[str]) -> None:
        super().__init__()
        # In a list, so that torch does not count its weights twice.
        self.replaced = [attention]
        self.within = within
        for name, part in attention.named_children():
            self.add_module(name, part)

    def forward(self, states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        made = states.new_zeros(*states.shape[:-1], 0)
        for name in self.within:
            made = getattr(self, name)(made)
        return made, None
