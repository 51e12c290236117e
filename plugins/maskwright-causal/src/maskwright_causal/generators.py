"""Draw K linear structural equation models that share one causal order, and rows from them.

`weights[k, i, j]` is the effect of variable i on variable j in task k, so column j lists the parents of j.
Each purpose (graphs, weights, noise of one task) has a stream of its own: adding rows or tasks does not
change those already there.
"""

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright.step import Step

Noise = Literal["equal", "unequal", "unit-variance"]
Law = Literal["gaussian", "laplace", "uniform", "exponential"]
Cap = Literal["out", "in"]

_ATTEMPTS = 10_000  # redraws of one task's edges, or of everything, before giving up: the paper's own limit
_FEWEST_DRAWN = 16  # below, the paper's sparsity (union = 3 x own edges) is as good as never covered


@attrs.frozen(eq=False)
class Models:
    """K linear models: x = x G + w, with independent noise w."""

    weights: np.ndarray  # (K, p, p)
    noise_variance: np.ndarray  # (K, p)
    order: np.ndarray  # (p,) column numbers, causes first; every task obeys it
    numbers: Sequence[int]  # (K,) number of each task among all drawn: what its noise depends on
    law: Law = "gaussian"

    @property
    def support(self) -> np.ndarray:
        """Bool (K, p, p): where the edges are."""
        return self.weights != 0

    def covariance(self, task: int) -> np.ndarray:
        """(p, p) covariance of the rows of a task: (I-G)^-T Omega (I-G)^-1."""
        inverse = np.linalg.inv(np.eye(len(self.order)) - self.weights[task])
        return inverse.T @ (self.noise_variance[task][:, None] * inverse)

    def rows(self, task: int, number: int, step: Step, stream: str = "rows") -> np.ndarray:
        """(number, p) rows of a task. The first n rows are the same whatever `number` is."""
        generator = random(step.fork(stream, self.numbers[task]), self.law)
        noise = standard_noise(generator, self.law, (number, len(self.order)))
        return propagate(noise * np.sqrt(self.noise_variance[task]), self.weights[task], self.order)


def random(step: Step, purpose: str) -> np.random.Generator:
    """The generator of one purpose: a counter-based stream keyed by the step."""
    return np.random.Generator(np.random.Philox(key=step.stream(purpose)))


def propagate(noise: np.ndarray, weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows (n, p) of the model with this noise (n, p): each variable after its causes."""
    rows = noise.copy()
    for node in order:
        for parent in np.flatnonzero(weights[:, node]):
            # One parent at a time: a matrix product would round differently with other row counts and libraries.
            rows[:, node] += rows[:, parent] * weights[parent, node]
    return rows


def standard_noise(generator: np.random.Generator, law: Law, shape: tuple[int, int]) -> np.ndarray:
    """Independent draws of mean 0 and variance 1."""
    if law == "gaussian":
        return generator.standard_normal(shape)
    if law == "laplace":
        return generator.laplace(scale=np.sqrt(0.5), size=shape)
    if law == "uniform":
        return generator.uniform(-np.sqrt(3), np.sqrt(3), size=shape)
    return generator.exponential(size=shape) - 1


# ---- graphs ----------------------------------------------------------------------------------------------


def paper_sizes(variables: int) -> tuple[int, int, int]:
    """(edges s0, union s, degree d) of the paper for p = 32 ... 1024, and the same formulas for any other p.

    s0 = p log2(p) / 4, s = 3 s0, d = log2(p); p = 32 gives 40, 120, 5.
    """
    logarithm = np.log2(variables)
    possible = variables * (variables - 1) // 2
    edges = min(possible, max(1, round(variables * logarithm / 4)))
    return edges, min(possible, 3 * edges), int(np.ceil(logarithm))


def check_sizes(variables: int, drawn: int, edges: int, union: int, cover: bool) -> None:
    """UserError when no, or hardly any, draw can satisfy the sizes."""
    possible = variables * (variables - 1) // 2
    if not edges <= union <= possible:
        raise UserError(
            f"{edges} edges per task, {union} in the union and {possible} possible pairs do not fit together",
            where="settings edges, union, variables",
            why="each task takes its edges from the union, and the union from the pairs that an order allows",
            cure=f"choose edges <= union <= {possible}",
        )
    if not cover:
        return
    if drawn * edges < union:
        raise UserError(
            f"{drawn} tasks with {edges} edges each cannot cover a union of {union} edges",
            where="settings drawn, edges, union",
            why=f"at most {drawn * edges} different edges are drawn, and cover asks that each edge is used",
            cure=f"draw at least {-(-union // edges)} tasks, lower union, or set cover=false",
        )
    if drawn < _FEWEST_DRAWN and union >= 3 * edges:
        missed = union * (1 - edges / union) ** drawn
        raise UserError(
            f"{drawn} drawn tasks will hardly ever cover a union three times as large as a task's edges",
            where="settings drawn, cover",
            why=f"about {missed:.1f} of the {union} union edges stay unused each time: a new draw",
            cure=f"draw {_FEWEST_DRAWN} or more tasks (drawn=32), keep a group of them; or set cover=false",
        )


def union_supports(
    variables: int, drawn: int, edges: int, union: int, degree: int, cap: Cap, cover: bool, step: Step
) -> tuple[np.ndarray, np.ndarray]:
    """The paper's random graphs: bool (drawn, p, p) edges, and the common order (p,), causes first.

    `union` of the pairs that the order allows are chosen uniformly; each task takes `edges` of them, drawn
    again until no variable has more than `degree` children (`cap="out"`, what the official code bounds: row
    sums) or parents (`cap="in"`, what its comment says); all is drawn again until the tasks together use
    the whole union.
    """
    check_sizes(variables, drawn, edges, union, cover)
    generator = random(step, "graphs")
    causes, effects = np.triu_indices(variables, k=1)  # positions in the order, not yet column numbers
    for _ in range(_ATTEMPTS):
        chosen = generator.choice(len(causes), size=union, replace=False)
        capped = causes[chosen] if cap == "out" else effects[chosen]
        taken = np.stack([_task_edges(capped, edges, degree, generator) for _ in range(drawn)])
        if not cover or len(np.unique(taken)) == union:
            break
    else:
        raise UserError(
            f"no draw of {drawn} tasks covered the union of {union} edges in {_ATTEMPTS:,} attempts",
            where="settings drawn, union",
            cure="draw more tasks, lower union, or set cover=false",
        )
    order = generator.permutation(variables)
    support = np.zeros((drawn, variables, variables), dtype=bool)
    for task, own in enumerate(taken):
        support[task, order[causes[chosen[own]]], order[effects[chosen[own]]]] = True
    return support, order


def _task_edges(capped: np.ndarray, edges: int, degree: int, generator: np.random.Generator) -> np.ndarray:
    """The union edges that one task takes: `edges` of them, no node of `capped` more than `degree` times."""
    for _ in range(_ATTEMPTS):
        own = generator.permutation(len(capped))[:edges]
        if np.bincount(capped[own]).max() <= degree:
            return own
    raise UserError(
        f"no choice of {edges} edges kept every variable at {degree} or fewer in {_ATTEMPTS:,} attempts",
        where="setting degree",
        why="the union leaves too few ways to respect the bound",
        cure="raise degree, or lower edges",
    )


def erdos_renyi_supports(
    variables: int, tasks: int, degree: float, share: float, step: Step
) -> tuple[np.ndarray, np.ndarray]:
    """ERd graphs: each allowed pair is a union edge with equal chance, `degree` edges per variable on
    average.

    Each task takes round(share * union) of the union's edges.
    """
    generator = random(step, "graphs")
    pairs = variables * (variables - 1) / 2
    present = np.triu(generator.random((variables, variables)) < degree * variables / pairs, k=1)
    return _shared(present, tasks, share, generator)


def scale_free_supports(
    variables: int, tasks: int, degree: int, hubs: Literal["effects", "causes"], share: float, step: Step
) -> tuple[np.ndarray, np.ndarray]:
    """SFd graphs (Barabasi-Albert): each variable comes with `degree` edges to older ones, often to the
    popular.

    `hubs="effects"`: edges point from new to old, so hubs have many parents; `"causes"`: the other way.
    """
    import networkx as nx

    if degree >= variables:
        raise UserError(
            f"each variable cannot bring {degree} edges among {variables} variables",
            where="setting degree",
            cure=f"choose degree < {variables}",
        )
    generator = random(step, "graphs")
    grown = nx.barabasi_albert_graph(variables, degree, seed=generator)
    present = np.triu(nx.to_numpy_array(grown, nodelist=range(variables)) != 0, k=1)  # old -> new
    if hubs == "effects":
        present = present[::-1, ::-1].T  # age reversed: new -> old, still upper triangular
    return _shared(present, tasks, share, generator)


def _shared(
    present: np.ndarray, tasks: int, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give each task its share of the union `present` (p, p), upper triangular in the order."""
    variables = len(present)
    order = generator.permutation(variables)
    causes, effects = np.nonzero(present)
    own = round(share * len(causes))
    support = np.zeros((tasks, variables, variables), dtype=bool)
    for task in range(tasks):
        taken = generator.permutation(len(causes))[:own]
        support[task, order[causes[taken]], order[effects[taken]]] = True
    return support, order


# ---- weights and noise -----------------------------------------------------------------------------------


def random_models(
    support: np.ndarray,
    order: np.ndarray,
    step: Step,
    *,
    noise: Noise = "equal",
    numbers: Sequence[int] | None = None,
    unit_variance_tasks: int = 0,
    explained: float = 0.6,
    law: Law = "gaussian",
    smallest: float = 0.5,
    largest: float = 2.0,
) -> Models:
    """Give edges (K, p, p) independent weights of size Uniform(smallest, largest) and random sign, and noise.

    equal: variance 1 everywhere, which makes the order identifiable. unequal: Uniform(0.5, 2) for each
    variable and task. unit-variance: weights are rescaled so that every variable has variance 1, of which
    the parents of a non-root explain the share `explained`: no variance betrays the order, and it is not
    identifiable from one Gaussian task. The first `unit_variance_tasks` tasks are of this kind whatever
    `noise` says. `numbers`: what the tasks are called among all drawn ones (default 0 ... K-1), so that a task is
    the same in every group.
    """
    tasks, variables, _ = support.shape
    numbers = range(tasks) if numbers is None else numbers
    weights = np.zeros(support.shape)
    variance = np.ones((tasks, variables))
    for task in range(tasks):
        generator = random(step.fork("weights", numbers[task]), "sizes")
        size = generator.uniform(smallest, largest, size=(variables, variables))
        sign = np.where(generator.random((variables, variables)) < 0.5, -1.0, 1.0)
        weights[task] = np.where(support[task], size * sign, 0.0)
        if noise == "unit-variance" or task < unit_variance_tasks:
            weights[task], variance[task] = unit_variances(weights[task], order, explained)
        elif noise == "unequal":
            variance[task] = generator.uniform(0.5, 2.0, size=variables)
    return Models(weights, variance, order, numbers, law)


def unit_variances(weights: np.ndarray, order: np.ndarray, explained: float) -> tuple[np.ndarray, np.ndarray]:
    """Rescale the weights into each variable so that all variances are 1: weights (p, p), noise (p,)."""
    weights, variables = weights.copy(), len(order)
    covariance, noise = np.eye(variables), np.ones(variables)
    for node in order:
        parents = np.flatnonzero(weights[:, node])
        if len(parents) == 0:
            continue
        raw = weights[parents, node]
        # Variance of the parents' sum; never 0, because each parent carries noise of its own.
        weights[parents, node] = raw * np.sqrt(explained / (raw @ covariance[np.ix_(parents, parents)] @ raw))
        noise[node] = 1 - explained
        covariance[node] = covariance[:, node] = covariance[:, parents] @ weights[parents, node]
        covariance[node, node] = 1.0
    return weights, noise


def group(drawn: int, size: int, number: int) -> range:
    """Tasks number*size ... (number+1)*size - 1: the paper draws 32 tasks once and cuts them into groups."""
    start = number * size
    if start + size > drawn:
        raise UserError(
            f"group {number} of {size} tasks needs {start + size} drawn tasks, not {drawn}",
            where="settings tasks, group, drawn",
            cure=f"draw at least {start + size} tasks, or choose a smaller group number",
        )
    return range(start, start + size)
