"""What is known beforehand: forbidden and required edges, and tiers of variables in time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from maskwright.errors import UserError, did_you_mean

Edge = tuple[str, str]


@dataclass(frozen=True)
class Knowledge:
    """Background knowledge over p variables as matrices; entry (i, j) speaks of the edge i -> j."""

    possible: np.ndarray  # bool (p, p), diagonal False
    required: np.ndarray  # bool (p, p), these edges are not penalised
    before: np.ndarray  # bool (p, p), i has to come ahead of j in the order; acyclic

    def factors(self) -> np.ndarray | None:
        """Penalty factor of every edge: 0 for a required one; None when there is none."""
        return np.where(self.required, 0.0, 1.0) if self.required.any() else None


def read_knowledge(
    variables: Sequence[str],
    forbidden: Iterable[Edge] | None = None,
    required: Iterable[Edge] | None = None,
    tiers: Sequence[Sequence[str]] | None = None,
) -> Knowledge:
    """Check the three against each other and the variables, and turn them into matrices.

    Tiers run from causes to effects: nothing in a later tier may cause something in an earlier one. Variables
    in no tier are free.
    """
    place = {name: i for i, name in enumerate(variables)}
    p = len(place)
    possible = ~np.eye(p, dtype=bool)
    needed = np.zeros((p, p), dtype=bool)
    tiered = np.zeros((p, p), dtype=bool)

    for cause, effect in _edges(forbidden, "forbidden", place):
        possible[place[cause], place[effect]] = False
    for cause, effect in _edges(required, "required", place):
        if cause == effect:
            raise UserError(f"{cause!r} cannot be its own cause", where="required", cure="remove that pair")
        needed[place[cause], place[effect]] = True
    seen: dict[str, int] = {}
    for number, tier in enumerate(tiers or ()):
        for name in tier:
            _known(name, place, "tiers")
            if name in seen:
                raise UserError(
                    f"{name!r} stands in tier {seen[name]} and in tier {number}",
                    where="tiers",
                    cure="keep it in one tier",
                )
            seen[name] = number
    for earlier, first in seen.items():
        for later, second in seen.items():
            if first < second:
                tiered[place[earlier], place[later]] = True
                possible[place[later], place[earlier]] = False

    clash = np.argwhere(needed & ~possible)
    if len(clash):
        cause, effect = (list(variables)[i] for i in clash[0])
        tiers_say_so = seen.get(cause, -1) > seen.get(effect, -1) >= 0
        raise UserError(
            f"the edge {cause} -> {effect} is required and {'against the tiers' if tiers_say_so else 'forbidden'}",
            where="required",
            cure=f"remove it from required, or {'move one of the variables' if tiers_say_so else 'from forbidden'}",
        )
    before = needed | tiered
    names = list(variables)
    graph = nx.DiGraph([(names[i], names[j]) for i, j in np.argwhere(before)])
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise UserError(
            f"required edges and tiers form a cycle: {' -> '.join([*cycle, cycle[0]])}",
            where="required",
            why="no order puts every cause ahead of its effect",
            cure="remove one of these edges",
        )
    return Knowledge(possible, needed, before)


def read_order(order: Sequence[str] | Sequence[Sequence[str]], variables: Sequence[str]) -> list[list[int]]:
    """A full order (names) or a partial one (lists of names, causes first) as layers of indices."""
    place = {name: i for i, name in enumerate(variables)}
    layers = [[item] if isinstance(item, str) else list(item) for item in order]
    names = [name for layer in layers for name in layer]
    for name in names:
        _known(name, place, "order")
    missing = [name for name in variables if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing or twice:
        wrong = [f"missing {', '.join(missing)}"] if missing else []
        wrong += [f"named twice {', '.join(twice)}"] if twice else []
        raise UserError(
            f"the order is not a permutation of the variables: {'; '.join(wrong)}",
            where="order",
            cure="name every variable exactly once, causes first",
        )
    return [[place[name] for name in layer] for layer in layers]


def check_order(layers: Sequence[Sequence[int]], knowledge: Knowledge, variables: Sequence[str]) -> None:
    """A given order must leave room for every required edge and tier."""
    place = {node: number for number, layer in enumerate(layers) for node in layer}
    for i, j in np.argwhere(knowledge.required):
        if place[i] >= place[j]:
            raise UserError(
                f"the order does not put {variables[i]} ahead of {variables[j]}, but that edge is required",
                where="order",
                cure="change the order, or remove the edge from required",
            )


def _edges(edges: Iterable[Edge] | None, where: str, place: dict[str, int]) -> list[Edge]:
    pairs = []
    for edge in edges or ():
        if isinstance(edge, str) or len(edge) != 2:
            raise UserError(
                f"{edge!r} is not an edge",
                where=where,
                cure='write a pair (cause, effect), such as ("age", "dose")',
            )
        pairs.append((_known(edge[0], place, where), _known(edge[1], place, where)))
    return pairs


def _known(name: str, place: dict[str, int], where: str) -> str:
    if name not in place:
        raise UserError(
            f"there is no variable {name!r}{did_you_mean(name, place)}",
            where=where,
            cure=f"the variables are {', '.join(list(place)[:12])}{', ...' if len(place) > 12 else ''}",
        )
    return name
