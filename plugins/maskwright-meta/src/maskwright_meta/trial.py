"""What is tried once, before the first step: room for the graphs, and a second derivative of every part.

A run that cannot be made fails at once or not at all. A trial leaves no trace: neither draws nor what counts passes.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.memory import check_room, held_bytes, tensors_in
from maskwright_meta.recompute import default_draws, put_draws
from maskwright_torch.contracts import ROWS, Batch

LACKING = ("is not implemented", "derivative for", "once_differentiable")
"""What torch says of a kernel or function that cannot be differentiated twice. Any other error is somebody else's."""


def try_memory(meta: Any, batch: Batch, step: Step) -> None:
    """An episode of one inner step tells what the greatest depth will hold."""
    through = meta.inner.through(meta.episodes.layout.deepest)
    if through:
        episodes = len(list(meta.episodes_in(batch)))
        check_room(bytes_of_one_step(meta, batch, step), through, episodes, batch[ROWS].device)


def bytes_of_one_step(meta: Any, batch: Batch, step: Step) -> int:
    """Without the weights and the batch, which all episodes share."""
    shared = [*meta.parameters(), *tensors_in(batch)]
    with _leaving_no_trace(meta, batch):
        return held_bytes(lambda: meta.trial(batch, 1, step), shared)


def try_deepest(meta: Any, batch: Batch, step: Step) -> None:
    """An episode at the greatest depth, where the schedule begins below it."""
    with _leaving_no_trace(meta, batch):
        try_second_derivatives(meta, meta.trial(batch, meta.episodes.layout.deepest, step), batch, step)


@contextlib.contextmanager
def _leaving_no_trace(meta: nn.Module, batch: Batch) -> Iterator[None]:
    draws = default_draws(batch[ROWS])
    before = [(buffer, buffer.clone()) for buffer in meta.buffers()]
    yield
    put_draws(draws)
    with torch.no_grad():
        for buffer, value in before:
            buffer.copy_(value)


def try_second_derivatives(meta: Any, total: Tensor, batch: Batch, step: Step) -> None:
    """A kernel without second derivative is found only on the way back."""
    if meta.has_tried or not total.requires_grad:
        return
    before = {parameter: parameter.grad for parameter in meta.parameters()}
    try:
        # Not autograd.grad, which walks past a node that refuses to be differentiated again.
        total.backward(retain_graph=True)
    except RuntimeError as error:
        if not _is_lacking(error):
            raise
        encoders = dict.fromkeys(
            type(getattr(task, "encoder", task)).__name__ for task in meta.tasks.values()
        )
        part = _part_at_fault(meta, batch, step) or f"a part of {' or '.join(encoders)}"
        raise UserError(
            f'order = "{meta.inner.order}" needs second derivatives, and {part} has none',
            where="objective:meta, tasks",
            why=str(error).strip().splitlines()[0],
            cure='objective.order=first, or an encoder with attention in plain torch ("eager")',
        ) from error
    finally:
        for parameter, gradient in before.items():
            parameter.grad = gradient
    meta.has_tried = True


def _is_lacking(error: RuntimeError) -> bool:
    return any(words in str(error) for words in LACKING)


def _part_at_fault(meta: Any, batch: Batch, step: Step) -> str | None:
    """The first module whose output cannot be differentiated twice; inner ones come before those that hold them."""
    found: list[str] = []
    trained = [p for p in meta.parameters() if p.requires_grad]

    def watched(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _goes_twice(_squares(output), trained):
                found.append(f"{path} ({type(module).__name__})")

        return hook

    hooks = [
        module.register_forward_hook(watched(path)) for path, module in meta.tasks.named_modules() if path
    ]
    inner, asked = meta.first_episode(batch)
    try:
        with _leaving_no_trace(meta, batch), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            for name, own in [*inner, *asked]:
                meta.tasks[name](own, step)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _squares(output: Any) -> Tensor:
    """The sum of the squares of all numbers that a gradient goes back from: a loss that is curved by each of them."""
    if isinstance(output, Tensor):
        return output.square().sum() if output.requires_grad else torch.zeros(())
    if dataclasses.is_dataclass(output):  # Encoded, Loss
        output = [getattr(output, field.name) for field in dataclasses.fields(output)]
    inside = list(output.values()) if isinstance(output, dict) else output
    parts = [_squares(one) for one in inside] if isinstance(inside, list | tuple) else []
    return torch.stack([part.cpu().double() for part in parts]).sum() if parts else torch.zeros(())


def _goes_twice(total: Tensor, parameters: list[Tensor]) -> bool:
    if not total.requires_grad:
        return True
    once = torch.autograd.grad(total, parameters, create_graph=True, allow_unused=True)
    squares = [g.square().sum() for g in once if g is not None and g.requires_grad]
    try:
        if squares:
            torch.stack(squares).sum().backward(retain_graph=True)
    except RuntimeError as error:
        return not _is_lacking(error)
    return True
