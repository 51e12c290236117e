"""Encoders whose attention heads and MLP neurons can be removed: the tag `prunable`.

A unit is removed by taking its rows out of the linear maps that make it and its columns out of the map that reads it.
What is left computes what the whole did with zeros in its place.
"""

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from maskwright.errors import UserError
from maskwright_torch.block_shapes import Shape, shape_mistake
from maskwright_torch.contracts import Group
from maskwright_torch.part import Part


class Kept(nn.Module):
    """The numbers that a block's heads and neurons had before any were removed; they are saved with the weights.

    A relative bias has a column for each of the heads there were, and zeros are put back at the right places.
    """

    def __init__(self, groups: Iterable[Group], numbers: Iterable[Tensor]) -> None:
        super().__init__()
        for group, own in zip(groups, numbers, strict=True):
            self.register_buffer(f"{group.kind}_{group.layer}", own)

    def heads(self, layer: int) -> Tensor:
        """int64 (H,), rising."""
        return self.get_buffer(f"heads_{layer}")

    def all(self) -> list[Tensor]:
        """For each group, in order."""
        return list(self.buffers())


class Prunable(Part):
    """Base of encoders with the tag `prunable`: they say what can be removed, and are told how many heads are left."""

    prepare: Any
    whole: list[list[int]]
    """[heads, neurons] of each block before any were removed."""

    def __init__(self) -> None:
        super().__init__()
        # None while the encoder is whole, so that its weights have the names that they always had.
        self.register_module("kept", None)

    def prunable(self) -> list[Group]:
        """Heads and neurons of each block, in order."""
        raise NotImplementedError

    def set_heads(self, layer: int, heads: int) -> None:
        """The attention of a block has so many heads now."""
        raise NotImplementedError

    @property
    def shape(self) -> list[list[int]]:
        """[heads, neurons] of each block."""
        counts = [group.count for group in self.prunable()]
        return [counts[at : at + 2] for at in range(0, len(counts), 2)]

    def kept_units(self) -> list[Tensor]:
        """For each group the numbers, int64, that its units had before any were removed."""
        if self.kept is not None:
            return self.kept.all()
        device = next(self.parameters()).device
        return [torch.arange(group.count, device=device) for group in self.prunable()]

    def compact(self, kept: Sequence[Tensor]) -> Self:
        """A smaller encoder; `kept`: for each group the rising int64 indices of the units that stay."""
        require_kept(self.prunable(), kept)
        made = self._copied()
        made.remove_others(kept)
        return made

    def with_shape(self, shape: Shape) -> Self:
        """The first units of each block: what weights of that shape can be loaded into."""
        require_shape(self.shape, shape)
        return self.compact([torch.arange(count) for block in shape for count in block])

    def widened(self) -> Self:
        """The encoder as it was before any were removed, with zeros in their places: it has the same results."""
        made = self._copied()
        counts = [count for block in self.whole for count in block]
        for group, numbers, count in zip(self.prunable(), self.kept_units(), counts, strict=True):
            put_back(made, group, numbers, count)
            if group.kind == "heads":
                made.set_heads(group.layer, count)
        made.kept = None
        return made

    def remove_others(self, kept: Sequence[Tensor]) -> None:
        """In place, all units but these."""
        groups = self.prunable()
        numbers = [before[own.to(before.device)] for before, own in zip(self.kept_units(), kept, strict=True)]
        for group, own in zip(groups, kept, strict=True):
            take_out(self, group, own)
            if group.kind == "heads":
                self.set_heads(group.layer, len(own))
        self.kept = Kept(groups, numbers) if self.shape != self.whole else None

    def _copied(self) -> Self:
        """Weights of its own; what holds none, such as a tokenizer, is shared.

        Hooks on the maps of units stay behind: those that a pruner sets are for the units that were there.
        """
        instead: dict[int, Any] = {id(part): part for part in (self.prepare, getattr(self, "codec", None))}
        for group in self.prunable():
            for path in (*group.inputs, group.output):
                linear = self.get_submodule(path)
                instead |= {
                    id(hooks): OrderedDict() for hooks in (linear._forward_hooks, linear._forward_pre_hooks)
                }
        return copy.deepcopy(self, instead)


@contextlib.contextmanager
def whole_encoder(part: Any) -> Iterator[Any]:
    """An encoder widened, or an objective with its encoder widened as long as this lasts: for formats of whole ones."""
    compact = getattr(part, "encoder", None)
    if isinstance(part, Prunable):
        yield part.widened()
    elif not isinstance(compact, Prunable):
        yield part
    else:
        part.encoder = compact.widened()
        try:
            yield part
        finally:
            part.encoder = compact


class PrunableBlocks(Prunable):
    """Those that are made of our blocks (`maskwright_torch.blocks.Block`), under the name `blocks`."""

    blocks: nn.ModuleList

    def prunable(self) -> list[Group]:
        groups = []
        blocks: Any = self.blocks
        for layer, block in enumerate(blocks):
            at, attention = f"blocks.{layer}", block.attn
            groups += [
                Group(
                    "heads", layer, attention.heads, attention.size, f"{at}.attn.proj", (f"{at}.attn.qkv",),
                    fused=3,
                ),
                Group(
                    "neurons", layer, block.mlp.fc2.in_features, 1, f"{at}.mlp.fc2", (f"{at}.mlp.fc1",)
                ),
            ]  # fmt: skip
        return groups

    def set_heads(self, layer: int, heads: int) -> None:
        self.blocks[layer].attn.heads = heads  # type: ignore[union-attr]


# -- what every encoder with the tag needs, whatever it is made of ------------------------------------------------


def take_out(root: nn.Module, group: Group, units: Tensor) -> None:
    """In place: the linear maps of a group without the rows and columns of all units but these."""

    def cut(tensor: Tensor, dim: int, fused: int) -> Tensor:
        places = places_of(group, units, group.count, fused)
        return tensor.index_select(dim, places.to(tensor.device))

    _change(root, group, cut)


def put_back(root: nn.Module, group: Group, numbers: Tensor, count: int) -> None:
    """In place: `count` units, those of the group at these numbers, and zeros for the others."""

    def widen(tensor: Tensor, dim: int, fused: int) -> Tensor:
        return spread(tensor, places_of(group, numbers, count, fused), count * group.size * fused, dim)

    _change(root, group, widen)


def places_of(group: Group, units: Tensor, count: int, fused: int = 1) -> Tensor:
    """Rows or columns of some of `count` units, in each of the `fused` parts."""
    own = (units[:, None] * group.size + torch.arange(group.size, device=units.device)).flatten()
    return torch.cat([own + part * count * group.size for part in range(fused)])


def spread(tensor: Tensor, places: Tensor, length: int, dim: int) -> Tensor:
    """Zeros along `dim`, with what the tensor holds at these places."""
    size = [length if axis == dim else old for axis, old in enumerate(tensor.shape)]
    return tensor.new_zeros(size).index_copy(dim, places.to(tensor.device), tensor)


def _change(root: nn.Module, group: Group, change: Callable[[Tensor, int, int], Tensor]) -> None:
    """Other rows for the maps that make the units, other columns for the one that reads them."""
    for path, dim, fused in [*((path, 0, group.fused) for path in group.inputs), (group.output, 1, 1)]:
        linear: Any = root.get_submodule(path)
        if parametrize.is_parametrized(linear):
            raise UserError(
                f"{path} cannot get another size: its weight is computed from others",
                where="encoder",
                why="masks on single weights, or another parametrisation, lie on it",
                cure="take the encoder out of the run by itself (part objective.inner.encoder), it has plain weights",
            )
        for name in ("weight", "bias") if dim == 0 and linear.bias is not None else ("weight",):
            old = getattr(linear, name)
            new = change(old.detach(), dim, fused)
            setattr(linear, name, nn.Parameter(new, requires_grad=old.requires_grad))
        linear.out_features, linear.in_features = linear.weight.shape


def require_kept(groups: Sequence[Group], kept: Sequence[Tensor]) -> None:
    """UserError unless there are rising int64 indices for each group."""
    if len(kept) != len(groups):
        raise _not_kept(f"indices for {len(kept)} groups, there are {len(groups)}")
    for group, units in zip(groups, kept, strict=True):
        name = f"{group.kind} of block {group.layer}"
        if units.dtype != torch.int64 or units.ndim != 1:
            raise _not_kept(f"{name}: {units.dtype} {tuple(units.shape)}, wanted is int64 with one axis")
        if bool((units.diff() <= 0).any()):
            raise _not_kept(f"{name}: {_few(units)} do not rise")
        if len(units) and not 0 <= int(units[0]) <= int(units[-1]) < group.count:
            raise _not_kept(f"{name}: {_few(units)}, there are {group.count}")


def require_shape(now: Shape, wanted: Shape) -> None:
    """UserError unless an encoder of the shape `now` can be made `wanted` by removing."""
    if why := shape_mistake(wanted, now):
        raise UserError(
            "the encoder cannot have this shape",
            where="encoder, setting shape",
            why=why,
            cure="the shape that pruning wrote down, or none",
        )


def require_plain_maps(root: nn.Module, groups: Sequence[Group], where: str) -> None:
    """UserError unless units can be taken out of the linear maps of a foreign network as `take_out` does it."""
    owner: dict[int, str] = {}
    for group in groups:
        count, name = group.count * group.size, f"{group.kind} of block {group.layer}"
        wanted = [(path, 0, count * group.fused) for path in group.inputs] + [(group.output, 1, count)]
        for path, dim, length in wanted:
            weight = getattr(root.get_submodule(path), "weight", None)
            if not isinstance(weight, Tensor) or weight.ndim != 2 or not _has_gradients(weight):
                kind = getattr(weight, "dtype", "without a weight")
                raise _not_plain(name, where, f"{path} is quantised, or no linear map: {kind}")
            if weight.shape[dim] != length:
                what = f"{weight.shape[dim]} {'columns' if dim else 'rows'}"
                raise _not_plain(
                    name, where, f"{path} has {what} where {length} are wanted: heads share them"
                )
            if isinstance(weight, nn.Parameter) and owner.setdefault(id(weight), path) != path:
                raise _not_plain(name, where, f"{path} and {owner[id(weight)]} are one tensor")


def _has_gradients(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.element_size() > 1


def _not_plain(name: str, where: str, why: str) -> UserError:
    return UserError(
        f"the {name} cannot be removed one by one",
        where=where,
        why=why,
        cure="a model whose heads have keys of their own, in floating point, with weights of its own in each block",
    )


def _not_kept(why: str) -> UserError:
    return UserError(
        "these units cannot be kept",
        where="compact(kept)",
        why=why,
        cure="for each group of prunable() the rising indices of the units that stay",
    )


def _few(units: Tensor) -> str:
    shown = ", ".join(map(str, units[:8].tolist()))
    return shown + (" …" if len(units) > 8 else "")
