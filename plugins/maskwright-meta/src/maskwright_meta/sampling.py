"""p(T): which task comes next. A draw is a function of a number in [0, 1): whoever asks brings the randomness."""

import functools
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Literal

import attrs

from maskwright.errors import UserError, did_you_mean

Sampling = Literal["size-power", "uniform", "weighted", "round-robin"]
Episode = Literal["same", "mixed", "held-out"]


@attrs.frozen
class TaskSampler:
    """Tasks by number, and how likely each is."""

    chances: tuple[float, ...]
    """They add up to 1."""
    in_turn: bool = False
    """One after the other instead."""

    @classmethod
    def of(
        cls, sampling: Sampling, sizes: Mapping[str, int], power: float, weights: Mapping[str, float]
    ) -> "TaskSampler":
        """`sizes`: items of each task; a task of power 0 is as likely as any other."""
        if sampling == "weighted":
            raw = weights_of(weights, list(sizes))
        else:
            raw = [size**power if sampling == "size-power" else 1.0 for size in sizes.values()]
        return cls(tuple(value / sum(raw) for value in raw), sampling == "round-robin")

    def draw(self, u: float, turn: int, without: Collection[int] = ()) -> int:
        """A task by the draw `u`, or the one whose turn it is; never one of `without`."""
        if not without and not self.in_turn:
            return _place(self._edges, u)
        left = [n for n, chance in enumerate(self.chances) if chance > 0 and n not in without]
        if self.in_turn:
            return left[turn % len(left)]
        return left[_place(list(accumulate(self.chances[number] for number in left)), u)]

    @functools.cached_property
    def _edges(self) -> list[float]:
        return list(accumulate(self.chances))

    def episode(self, kind: Episode, depth: int, draws: Sequence[float], turn: int) -> list[int]:
        """Tasks of the `depth` inner steps, then that of the loss after them. `draws`: depth + 1 numbers.

        In turn, the next episode begins one task later, so that every task comes to every place.
        """
        if kind == "same":
            return [self.draw(draws[-1], turn)] * (depth + 1)
        if kind == "mixed":
            return [self.draw(u, turn + place) for place, u in enumerate(draws)]
        asked = self.draw(draws[-1], turn)
        inner = [self.draw(u, turn + place, {asked}) for place, u in enumerate(draws[:-1])]
        return [*inner, asked]


def _place(edges: Sequence[float], u: float) -> int:
    """Which of the shares that end at `edges` holds the draw u in [0, 1)."""
    return min(bisect_right(edges, u * edges[-1]), len(edges) - 1)


def weights_of(weights: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """A weight for each task; UserError where one has none, or one is not known."""
    for name in weights:
        if name not in names:
            raise UserError(
                f'weights names a task "{name}" that there is not',
                where="objective:meta, weights",
                why=f"the tasks are {', '.join(names)}",
                cure=f"take it out{did_you_mean(name, names)}",
            )
    if lacking := [name for name in names if name not in weights]:
        raise UserError(
            f"no weight for {', '.join(lacking)}",
            where="objective:meta, weights",
            why='sampling = "weighted" wants one for each task; 0 leaves a task out',
            cure=f"weights.{lacking[0]}=1",
        )
    if sum(weights.values()) <= 0:
        raise UserError("all weights are 0", where="objective:meta, weights", cure="give one above 0")
    return [weights[name] for name in names]
