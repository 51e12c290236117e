"""An inner step that keeps no graph: it is computed once more when its derivative is wanted.

k second-order steps hold the graphs of k losses and of their gradients. Recomputed, they hold k copies of the
parameters and one graph at a time, at the price of a further forward and backward pass a step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright_meta.inner_optimisers import InnerOptimiser, Rate

Place = tuple[str, str]
"""("theta", "means", "squares" or "rates"; name of the tensor)"""


def recomputed(
    one_step: Callable[..., tuple[dict[str, Tensor], Tensor]],
    task: Any,
    now: Mapping[str, Tensor],
    names: Sequence[str],
    optimiser: InnerOptimiser,
    rate: Callable[[str], Rate],
    exact: bool,
) -> tuple[dict[str, Tensor], Tensor]:
    """What `one_step` gives. Everything that it depends on is shown to autograd tensor by tensor."""
    rates = {name: rate(name) for name in names}
    learned = {name: value for name, value in rates.items() if isinstance(value, Tensor)}
    given: dict[str, Any] = {
        "theta": now, "means": optimiser.means, "squares": optimiser.squares, "rates": learned,
    }  # fmt: skip
    inputs = {(group, name): tensor for group, members in given.items() for name, tensor in members.items()}
    kind, counts = optimiser.name, dict(optimiser.counts)

    def replay(tensors: Sequence[Tensor]) -> tuple[dict[Place, Tensor], Tensor, InnerOptimiser]:
        found: dict[str, dict[str, Tensor]] = {group: {} for group in given}
        for (group, name), tensor in zip(inputs, tensors, strict=True):
            found[group][name] = tensor
        own = InnerOptimiser(kind, found["means"], found["squares"], dict(counts))
        changed, loss = one_step(
            task, found["theta"], names, own, {**rates, **found["rates"]}.__getitem__, exact
        )
        made = {"theta": changed, "means": own.means, "squares": own.squares}
        results = {(group, name): t for group, members in made.items() for name, t in members.items()}
        return results, loss, own

    kept = _Kept()
    with torch.enable_grad():  # the next step asks for gradients, also where the caller wants none
        results = _Step.apply(replay, kept, *inputs.values())
    changed = {}
    for (group, name), tensor in zip(kept.places, results, strict=True):
        if group == "theta":
            changed[name] = tensor
        else:
            given[group][name] = tensor
    optimiser.counts = kept.counts
    return changed, kept.loss


class _Kept:
    """What a step gives beside tensors with a gradient."""

    places: Sequence[Place]
    loss: Tensor
    counts: dict[str, int]


class _Step(torch.autograd.Function):
    """A step as one function of many tensors; on the way back dropout draws the same, in the same precision."""

    @staticmethod
    def forward(ctx: Any, replay: Callable[..., Any], kept: _Kept, *inputs: Tensor) -> Any:
        ctx.replay, ctx.draws, ctx.precision = replay, default_draws(*inputs), _precision(inputs[0])
        ctx.save_for_backward(*inputs)
        results, kept.loss, optimiser = replay(_leaves(inputs))
        kept.places, kept.counts = list(results), optimiser.counts
        return tuple(result.detach() for result in results.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        inputs = _leaves(ctx.saved_tensors)
        after = default_draws(*inputs)
        put_draws(ctx.draws)
        # The engine goes back outside of autocast.
        with torch.autocast(**ctx.precision):
            results, _, _ = ctx.replay(inputs)
        put_draws(after)
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        pairs = [(r, u) for r, u in zip(results.values(), upstream, strict=True) if r.requires_grad]
        found = iter(
            torch.autograd.grad([r for r, _ in pairs], wanted, [u for _, u in pairs], allow_unused=True)
        )
        return None, None, *(next(found) if tensor.requires_grad else None for tensor in inputs)


def _leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]


def _precision(tensor: Tensor) -> dict[str, Any]:
    """What autocast does now, where `tensor` is."""
    device = tensor.device.type
    return {
        "device_type": device,
        "dtype": torch.get_autocast_dtype(device),
        "enabled": torch.is_autocast_enabled(device),
    }


def default_draws(*tensors: Tensor) -> tuple[Tensor, Tensor | None]:
    """Where the default generators are that parts on the device of `tensors` draw from."""
    on_gpu = any(tensor.is_cuda for tensor in tensors)
    return torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else None


def put_draws(draws: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(draws[0])
    if draws[1] is not None:
        torch.cuda.set_rng_state(draws[1])
