"""Encoders on words, good ones and ones with a single fault."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from kit_toys import toy
from tensor_toys import ENCODER, Lengths, Words, built
from torch import Tensor, nn

from maskwright import Step
from maskwright_torch.contracts import Baseline, Batch, Encoded, Space, Units

REPLACE = {**ENCODER, "provides": {"torch", "pooled", "hides:replace"}}


class WithWeights(Lengths):
    def __init__(self) -> None:
        self.embed = nn.Linear(60, 60)


class Unpicklable(Lengths):
    def __init__(self) -> None:
        self.order = lambda words: words


class OneTooMany(Lengths):
    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        return {**super().__call__(items, step), "scale": torch.ones(1)}


class WithIdentities(Lengths):
    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        return {**super().__call__(items, step), "rows": torch.arange(len(items))}


class Jitters(Lengths):
    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        batch = super().__call__(items, step)
        return {**batch, "values": batch["values"] + torch.empty(1).uniform_()}


class OfItsInstance(Lengths):
    made = 0

    def __init__(self) -> None:
        OfItsInstance.made += 1
        self.number = OfItsInstance.made

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        batch = super().__call__(items, step)
        return {**batch, "values": batch["values"] * self.number}


def prepared(prepare: Callable[[], Any]) -> type:
    """An encoder with another `prepare`."""

    def made() -> Words:
        encoder = Words()
        encoder.prepare = prepare()
        return encoder

    return built(made)


class WholeNumbers(Words):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(units.valid.long(), units.grid, units.position, units.rows)


class OtherRows(Words):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(units.valid, units.grid, units.position, units.rows + 1)


class NothingValid(Words):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(units.valid & (units.rows != 1)[:, None], units.grid, units.position, units.rows)


class NegativePlaces(Words):
    def units(self, batch: Batch) -> Units:
        units = super().units(batch)
        return Units(units.valid, units.grid, units.position - 1, units.rows)


class NoSpace(Words):
    space = Space(())


class OneValueFewer(Words):
    def targets(self, batch: Batch) -> Tensor:
        return super().targets(batch)[..., :1]


class InfiniteTargets(Words):
    def targets(self, batch: Batch) -> Tensor:
        return super().targets(batch) / 0


class Tokens(Words):
    """Its targets are tokens: half of the lengths of the words."""

    space = Space((), vocabulary=6, mask_id=0, specials=(1,))

    def targets(self, batch: Batch) -> Tensor:
        return (batch["values"][..., 0] * 4).long().clamp(max=5)

    def with_values(self, batch: Batch, values: Tensor) -> Batch:
        second = batch["values"][..., 1]
        return {**batch, "values": torch.stack([values / 4, second], dim=-1)}


class BeyondTheVocabulary(Tokens):
    def targets(self, batch: Batch) -> Tensor:
        return super().targets(batch) + 1


class Tuples(Words):
    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Any:
        return tuple(vars(super().forward(batch, hidden)).values())


class Wider(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        found = super().encoded(states, index, valid)
        return Encoded(found.states.repeat(1, 1, 2), index, valid, found.pooled, found.prefix)


class Pooler(Words):
    pooled_width = 3


class SmallIndex(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        found = super().encoded(states, index, valid)
        return Encoded(found.states, index.int(), valid, found.pooled, found.prefix)


class Infinite(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states / 0, index, valid)


class TwoOfOnePlace(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states, index.clamp(min=1), valid)


class LeavesOneOut(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states[:, 1:], index[:, 1:], valid[:, 1:])


class Replaces(Words):
    """Hidden words enter as a learned one."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.full((4,), 0.5))

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        valid = batch["valid"]
        states = self.entering(self.embed(batch["values"]), hidden)
        index = torch.arange(valid.shape[1]).expand(valid.shape)
        return self.encoded(states.tanh(), index, valid)

    def entering(self, states: Tensor, hidden: Tensor | None) -> Tensor:
        return states if hidden is None else torch.where(hidden[..., None], self.mask, states)


class TooManyStates(Words):
    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        every, seen = super().forward(batch), super().forward(batch, hidden)
        return Encoded(every.states, seen.index, seen.valid, seen.pooled, seen.prefix)


class Peeks(Replaces):
    def entering(self, states: Tensor, hidden: Tensor | None) -> Tensor:
        return super().entering(states, hidden) + 1e-6 * states


class PeeksAndDrops(Words):
    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        found = super().forward(batch, hidden)
        return Encoded(
            found.states, found.index, found.valid, batch["values"].mean(1).repeat(1, 2), found.prefix
        )


class Blind(Words):
    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        return super().forward({**batch, "values": torch.ones_like(batch["values"])}, hidden)


class Overlapping(Words):
    """A unit's targets hold its own length, and the first letters of itself and the word before."""

    def targets(self, batch: Batch) -> Tensor:
        length, letter = batch["values"].unbind(dim=-1)
        return torch.stack([length, letter + letter.roll(1, dims=1)], dim=-1)


class Undifferentiable(Words):
    def targets(self, batch: Batch) -> Tensor:
        return batch["values"].detach()


class FillsVisible(Words):
    def with_values(self, batch: Batch, values: Tensor) -> Batch:
        return {**batch, "values": values + 1}


class FillsNothing(Words):
    def with_values(self, batch: Batch, values: Tensor) -> Batch:
        return batch


class SeesPadding(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        found = super().encoded(states, index, torch.ones_like(valid))
        return Encoded(found.states, index, valid, found.pooled, found.prefix)


class SeesNeighbours(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        found = super().encoded(states, index, valid)
        return Encoded(found.states, index, valid, found.pooled - found.pooled.mean(dim=0), found.prefix)


class DropsAlways(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(nn.functional.dropout(states, 0.5, training=True), index, valid)


class Counts(Words):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        self.passes += 1
        return super().forward(batch, hidden)


class HiddenState(Words):
    """What it multiplies with is no part of its state."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        HiddenState.made += 1
        self.scale = HiddenState.made

    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(states * self.scale, index, valid)


class OneDerivative(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, states: Tensor) -> Tensor:
        return states * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


class Once(Words):
    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        return super().encoded(OneDerivative.apply(states), index, valid)


class LosesTheSecond(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, states: Tensor) -> Tensor:
        return states * 2

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient.detach() * 2


class Loses(nn.Module):
    def forward(self, states: Tensor) -> Tensor:
        return LosesTheSecond.apply(states)


class Detached(Words):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(self.embed, Loses())


class SteepAtZero(Words):
    """The third power of a root: at 0 its slope is 0, and the slope of that is not finite."""

    def encoded(self, states: Tensor, index: Tensor, valid: Tensor) -> Encoded:
        zero = states - states.detach()
        return super().encoded(states + zero.abs().pow(1.5), index, valid)


class OfItsNumber(Words):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        OfItsNumber.made += 1
        nn.init.constant_(self.embed.weight, OfItsNumber.made)


def unseeded() -> type:
    return toy(Words, example_data=built(Words).example_data)


def fixed_weights() -> Words:
    encoder = Words()
    nn.init.ones_(encoder.embed.weight)
    nn.init.ones_(encoder.embed.bias)
    return encoder


def comparing(change: Callable[[Baseline], Any]) -> type[Words]:
    """An encoder that gives something else to be compared with."""

    class Compares(Words):
        def baseline(self, known: Sequence[Any], asked: Sequence[Any], step: Step) -> Any:
            return change(super().baseline(known, asked, step))

    return Compares
