"""Simulated fine-tuning: a few inner steps, a loss after them, and the gradient of that loss at the start.

    theta_0 = theta
    theta_i = theta_{i-1} - alpha * grad L_i(theta_{i-1}; B_i),  i = 1..k
    J(theta) = L'(theta_k; B')

Parameters are a mapping of names to tensors, a loss is a function of such a mapping. By the chain rule the exact
gradient of J is (I - alpha H_1) ... (I - alpha H_k) grad L'(theta_k): Hessian-vector products that autograd forms.

    second      exact
    truncated   exact through the last r steps; the Hessians of earlier ones count as 0
    first       all of them do: grad L'(theta_k) (FOMAML)
    reptile     theta_0 - theta_k; the loss after the steps is only reported
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from maskwright_meta.inner_optimisers import InnerOptimiser, Name, Rate
from maskwright_meta.recompute import recomputed

Order = Literal["second", "first", "reptile", "truncated"]
Parameters = Mapping[str, Tensor]
LossFn = Callable[[Parameters], Tensor]


@attrs.frozen
class Task:
    """A loss, and the names of the parameters that a step on it may change."""

    loss: LossFn
    names: Sequence[str]
    label: str = ""
    """What messages call it."""


class Exploded(Exception):
    """Inner steps ended in numbers that are none."""

    def __init__(self, label: str, number: int, loss: float) -> None:
        self.label, self.number, self.loss = label, number, loss
        super().__init__(f"inner step {number} on {label or 'its task'}: the loss was {loss}")


@attrs.frozen
class Inner:
    """How inner steps are made."""

    order: Order = "second"
    optimiser: Name = "sgd"
    truncation: int = 1
    """r of order = truncated."""
    recompute: bool = False
    """Keep one graph at a time, and compute each step again on the way back."""

    def is_differentiable(self, number: int, depth: int) -> bool:
        """Whether the gradient goes through inner step `number` (from 0) of `depth`."""
        return self.order == "second" or (self.order == "truncated" and number >= depth - self.truncation)

    def through(self, depth: int) -> int:
        """Inner steps of `depth` that the gradient goes through."""
        return sum(self.is_differentiable(number, depth) for number in range(depth))

    def passes(self, depth: int) -> int:
        """Backward passes of an episode: one for each inner step, another for each that the gradient goes through, and
        a third for those that are computed again on the way; one for the loss after them, which reptile only reports.

        The last one counts as one, however many chunks are left for it; at depth 0 that is the whole episode.
        """
        last = 0 if self.order == "reptile" and depth else 1
        return depth + last + self.through(depth) * (2 if self.recompute else 1)

    @property
    def takes_second_derivatives(self) -> bool:
        return self.order == "second" or (self.order == "truncated" and self.truncation > 0)


@attrs.frozen
class Path:
    """Where inner steps led."""

    end: dict[str, Tensor]
    """theta_k. Back-propagated to the start, a loss of it has the gradient that `Inner.order` says; with reptile it
    hangs on nothing."""
    losses: list[Tensor]
    """Before each step."""
    touched: set[str]
    """Names that a step has changed."""


def unroll(tasks: Sequence[Task], theta: Parameters, inner: Inner, rate: Callable[[str], Rate]) -> Path:
    """A step on each of the tasks. `rate(name)` is the inner rate of a tensor."""
    apart = inner.order == "reptile"
    now = {name: _cut(tensor) if apart else tensor for name, tensor in theta.items()}
    optimiser = InnerOptimiser(inner.optimiser)
    path = Path(now, [], set())
    for number, task in enumerate(tasks):
        names = [name for name in task.names if now[name].requires_grad]
        exact = inner.is_differentiable(number, len(tasks))
        step = partial(recomputed, one_step) if exact and inner.recompute else one_step
        changed, loss = step(task, now, names, optimiser, rate, exact)
        if not _is_finite(loss, changed):
            raise Exploded(task.label, number + 1, float(loss))
        now.update({name: _cut(tensor) if apart else tensor for name, tensor in changed.items()})
        path.losses.append(loss)
        path.touched.update(changed)
    return path


def _cut(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def one_step(
    task: Task,
    now: Parameters,
    names: Sequence[str],
    optimiser: InnerOptimiser,
    rate: Callable[[str], Rate],
    exact: bool,
) -> tuple[dict[str, Tensor], Tensor]:
    """What one inner step changes, and the loss before it. `exact`: gradients can be taken of the gradient."""
    with torch.enable_grad():
        loss = task.loss(now)
        gradients = torch.autograd.grad(
            loss, [now[name] for name in names], create_graph=exact, allow_unused=True
        )
        changed = {
            name: optimiser.stepped(name, now[name], gradient, rate(name))
            for name, gradient in zip(names, gradients, strict=True)
            if gradient is not None
        }
    return changed, loss.detach()


def _is_finite(loss: Tensor, changed: Parameters) -> bool:
    """One question to the device: a sum is no number where one of its terms is none."""
    with torch.no_grad():
        sums = torch.stack([loss, *(tensor.sum() for tensor in changed.values())])
    return math.isfinite(sum(sums.tolist()))


def meta_loss(
    tasks: Sequence[Task],
    query: LossFn,
    theta: Parameters,
    inner: Inner,
    rate: Callable[[str], Rate],
) -> tuple[Tensor, Path]:
    """J, to be back-propagated, and the way there."""
    path = unroll(tasks, theta, inner, rate)
    if inner.order != "reptile":
        return query(path.end), path
    with torch.no_grad():
        value = query(path.end)
    return _surrogate(value, theta, path), path


def _surrogate(value: Tensor, theta: Parameters, path: Path) -> Tensor:
    """`value`, with the gradient theta - theta_k: a step of gradient descent at rate 1 goes all the way to theta_k."""
    total = value.detach()
    for name in sorted(path.touched):
        tensor = theta[name]
        total = total + ((tensor - tensor.detach()) * (tensor - path.end[name]).detach()).sum()
    return total


def meta_gradient(
    loss_fns: Callable[[Parameters, Any], Tensor] | Sequence[Callable[[Parameters, Any], Tensor]],
    params: Parameters,
    batches: Sequence[Any],
    alpha: Rate,
    order: Order = "second",
    *,
    optimiser: Name = "sgd",
    truncation: int = 1,
    recompute: bool = False,
    adapted: Sequence[str] | None = None,
) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    """The gradient of J at `params`, and what was seen on the way.

    `batches`: k for the inner steps, then that of J. `loss_fns`: (parameters, batch) -> loss, one for all batches or
    one for each. `adapted`: names that inner steps change; None: all. A parameter that J does not depend on has the
    gradient None. `info` holds `loss`, `inner_losses` and `depth`. Nothing that is handed in is changed.
    """
    depth = len(batches) - 1
    functions = [loss_fns] * len(batches) if callable(loss_fns) else list(loss_fns)
    if depth < 0 or len(functions) != len(batches):
        raise ValueError(f"{len(functions)} losses for {len(batches)} batches: k + 1 of each are wanted")
    theta = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
    names = list(theta) if adapted is None else list(adapted)
    bound = [_bound(function, batch) for function, batch in zip(functions, batches, strict=True)]
    inner = Inner(order, optimiser, truncation, recompute)
    with torch.enable_grad():
        value, path = meta_loss(
            [Task(loss, names) for loss in bound[:-1]], bound[-1], theta, inner, lambda name: alpha
        )
        found = torch.autograd.grad(value, list(theta.values()), allow_unused=True)
    info = {"loss": value.detach(), "inner_losses": path.losses, "depth": depth}
    return dict(zip(theta, found, strict=True)), info


def _bound(function: Callable[[Parameters, Any], Tensor], batch: Any) -> LossFn:
    return lambda parameters: function(parameters, batch)
