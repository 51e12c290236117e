"""Each check of the tag `prunable` passes on a good encoder and fails on one with the fault it is for."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
import torch
from kit_toys import toy
from tensor_toys import ENCODER, Words, built
from torch import Tensor, nn

from maskwright.params import setting
from maskwright_testing.registry import checks_in
from maskwright_torch.blocks import Block
from maskwright_torch.contracts import Encoded, Group
from maskwright_torch.part import seeded
from maskwright_torch.prunable import Kept, PrunableBlocks

ABOUT: dict[str, Any] = {**ENCODER, "provides": {*ENCODER["provides"], "prunable"}}
Indices = Sequence[Tensor]


def shaped(part: Callable[[], Any], obeys: bool = True) -> type:
    """Its Params class, with the setting `shape`."""

    def build(self: Any, seed: int) -> Any:
        made = seeded(seed, part)
        return made.with_shape(self.shape) if self.shape and obeys else made

    return toy(
        part,
        build=build,
        annotations={"shape": list[list[int]]},
        shape=setting([], ge=0, help="of a compact one"),
        example_data=built(Words).example_data,
    )


class Blocks(Words, PrunableBlocks):
    """Words that are read by two blocks."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(4, 2, mlp_ratio=1.5) for _ in range(2))
        self.whole = self.shape

    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        for block in self.blocks:
            states = block(states, valid[:, None, None])
        return super().encoded(states, index, valid)


class NeuronsFirst(Blocks):
    def prunable(self) -> list[Group]:
        groups = super().prunable()
        return [groups[1], groups[0], *groups[2:]]


class OneBlockOnly(Blocks):
    def prunable(self) -> list[Group]:
        return super().prunable()[:2]


class OtherSize(Blocks):
    def prunable(self) -> list[Group]:
        return [attrs.evolve(group, size=1) for group in super().prunable()]


class OtherShape(Blocks):
    @property
    def shape(self) -> list[list[int]]:
        return [[1, 1], [1, 1]]


class TheFirstOnes(Blocks):
    def compact(self, kept: Indices) -> Any:
        return super().compact([torch.arange(len(units)) for units in kept])


class LosesABias(Blocks):
    def compact(self, kept: Indices) -> Any:
        made = super().compact(kept)
        nn.init.zeros_(made.blocks[0].attn.proj.bias)
        return made


class KeepsAll(Blocks):
    def compact(self, kept: Indices) -> Any:
        return copy.deepcopy(self)


class ZerosInPlace(Blocks):
    def compact(self, kept: Indices) -> Any:
        return super().compact(kept).widened()


class TakesHooksAlong(Blocks):
    def _copied(self) -> Any:
        return copy.deepcopy(self)


class HasMore(Blocks):
    def compact(self, kept: Indices) -> Any:
        made = super().compact(kept)
        made.more = nn.Parameter(torch.ones(1))
        return made


class LearnsLess(Blocks):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states if self.kept is None else states.detach(), index, valid)


class TurnedRound(Blocks):
    def remove_others(self, kept: Indices) -> None:
        super().remove_others([units.flip(0) for units in kept])


class ForgetsWhich(Blocks):
    def kept_units(self) -> list[Tensor]:
        return [torch.arange(group.count) for group in self.prunable()]


class InPlace(Blocks):
    def compact(self, kept: Indices) -> Any:
        self.remove_others(kept)
        return self


class TheFirstOnesNextTime(Blocks):
    def compact(self, kept: Indices) -> Any:
        if self.kept is not None:
            kept = [torch.arange(len(units)) for units in kept]
        return super().compact(kept)


class OfWhatIsThere(Blocks):
    """Numbers of the last removal, where those from before any are wanted."""

    def remove_others(self, kept: Indices) -> None:
        groups = self.prunable()
        super().remove_others(kept)
        self.kept = Kept(groups, kept)


class NotSaved(Blocks):
    """What the weights do not tell is kept beside them."""

    numbers: Any = None

    def remove_others(self, kept: Indices) -> None:
        super().remove_others(kept)
        self.numbers, self.kept = self.kept_units(), None

    def kept_units(self) -> list[Tensor]:
        return super().kept_units() if self.numbers is None else self.numbers


class NotSavedButUsed(Blocks):
    scale = 1.0

    def compact(self, kept: Indices) -> Any:
        made = super().compact(kept)
        made.scale = 1.0 + float(kept[1].sum())
        return made

    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states * self.scale, index, valid)


class StaysCompact(Blocks):
    def widened(self) -> Any:
        return copy.deepcopy(self)


class WidenedAtTheEnd(Blocks):
    """Zeros after what is left."""

    def widened(self) -> Any:
        made = copy.deepcopy(self)
        made.kept = None
        return Blocks.widened(made)


class LouderWhenWidened(NotSavedButUsed):
    def compact(self, kept: Indices) -> Any:
        return Blocks.compact(self, kept)

    def widened(self) -> Any:
        made = super().widened()
        made.scale = 2.0
        return made


FAULTS = [
    ("check_prunable_groups", shaped(NeuronsFirst), "wanted are heads and neurons of each block, in order"),
    ("check_prunable_groups", shaped(OneBlockOnly), "there are 2 groups for 2 blocks"),
    (
        "check_prunable_groups",
        shaped(OtherSize),
        "heads of block 0: blocks.0.attn.qkv is (12, 4), where its axis 0 should be 6",
    ),
    ("check_prunable_groups", shaped(OtherShape), "its shape is [[1, 1], [1, 1]], its groups count"),
    ("check_prunable_zeros", shaped(TheFirstOnes), "apart from what the whole gives with zeros"),
    ("check_prunable_zeros", shaped(LosesABias), "apart from what the whole gives with zeros"),
    (
        "check_prunable_zeros",
        shaped(KeepsAll),
        "of [1, 3, 1, 3] units that were to stay, it has [2, 6, 2, 6]",
    ),
    ("check_prunable_zeros", shaped(TakesHooksAlong), "must match the size of tensor"),
    ("check_prunable_gradients", shaped(HasMore), "its parameters are not those of the whole: ['more']"),
    ("check_prunable_gradients", shaped(LearnsLess), "the gradient of embed.weight is"),
    ("check_prunable_gradients", shaped(ZerosInPlace), "has the shape (12, 4), (6, 4) is wanted"),
    ("check_prunable_order", shaped(TurnedRound), "the weights of the units that stay, and of the compact"),
    ("check_prunable_order", shaped(ForgetsWhich), "the units that were to stay, and kept_units()"),
    ("check_prunable_leaves_the_whole", shaped(InPlace), "after compact(): the result has the keys"),
    (
        "check_prunable_again",
        shaped(TheFirstOnesNextTime),
        "made smaller at once and in two turns: ['states']",
    ),
    ("check_prunable_again", shaped(OfWhatIsThere), "kept_units() of one made smaller at once"),
    ("check_prunable_shape", shaped(Blocks, obeys=False), "the saved weights do not fit the part"),
    ("check_prunable_shape", shaped(NotSaved), "after loading, kept_units()"),
    ("check_prunable_shape", shaped(NotSavedButUsed), "after loading, ['states'] holds other values"),
    ("check_prunable_widened", shaped(StaysCompact), "its shape is [[1, 3], [1, 3]], before it was"),
    ("check_prunable_widened", shaped(WidenedAtTheEnd), "the weights with zeros for what was removed"),
    ("check_prunable_widened", shaped(LouderWhenWidened), "widened states is"),
]


def test_every_check_has_a_fault():
    assert {check for check, _, _ in FAULTS} == {name for name, _ in checks_in("prunable_checks")}


@pytest.mark.parametrize(("check", "fault", "reason"), FAULTS)
def test_fault_is_found(says: Callable[..., str], check: str, fault: type, reason: str):
    assert reason in says(check, "encoder", fault, **ABOUT)


CHECKS = [name for name, _ in checks_in("prunable_checks")]
assert len(CHECKS) == 8


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_encoder_keeps_it(says: Callable[..., str], check: str):
    assert says(check, "encoder", shaped(Blocks), **ABOUT) == ""
