"""One episode: inner steps on the losses of objectives, and the loss of others at the weights where they end."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maskwright.step import Step
from maskwright_meta.adapted import Adapted, adapted_keys, keys_of
from maskwright_meta.inner_optimisers import Rate
from maskwright_meta.prototypes import classifies, with_prototypes
from maskwright_meta.rates import Per
from maskwright_meta.unroll import Inner, Parameters, Task, meta_loss
from maskwright_torch.contracts import ROWS, Batch, Loss
from maskwright_torch.functional import call, named


@attrs.frozen
class Adaptation:
    """What inner steps do beside what `Inner` says."""

    rate: float = 1e-3
    per: Per = "one"
    learned: bool = False
    adapted: Adapted = "all"
    last: int = 1
    evaluation_mode: bool = False
    """Without dropout."""
    prototypes: bool = False
    """In tasks that classify; others, such as masked words, keep their own heads."""
    on_explosion: Literal["stop", "skip"] = "stop"


class Simulation:
    """Objectives by name, and how inner steps on them are made."""

    def __init__(
        self, tasks: nn.ModuleDict, inner: Inner, adaptation: Adaptation, rate: Callable[[str], Rate]
    ) -> None:
        self.tasks, self.inner, self.adaptation, self.rate = tasks, inner, adaptation, rate
        self.keys = keys_of(tasks)
        self.adapted = adapted_keys(tasks, adaptation.adapted, adaptation.last)

    def episode(
        self, steps: Sequence[tuple[str, Batch]], asked: Sequence[tuple[str, Batch]], step: Step
    ) -> tuple[Tensor, list[Tensor]]:
        """J, and the losses before the inner steps. `steps`, `asked`: (task, rows of it); J is the mean over rows."""
        theta: dict[str, Tensor] = {key: p for key, p in named(self.tasks).items() if p.requires_grad}
        if self.adaptation.prototypes and classifies(self.tasks[steps[0][0]]):
            name, own = steps[0]
            # Inner steps need gradients where the caller wants none.
            with torch.enable_grad(), self._mode(self.tasks[name]):
                theta = with_prototypes(
                    self.tasks[name], theta, self.keys[name], own, step.fork("prototypes")
                )
        made = [
            Task(
                self._inner_loss(name, own, step.fork("inner", number)),
                [key for key in self.keys[name].values() if key in self.adapted],
                name,
            )
            for number, (name, own) in enumerate(steps)
        ]
        rows = sum(len(own[ROWS]) for _, own in asked)

        def query(end: Parameters) -> Tensor:
            losses = [
                self._called(name, end, own, step).value * (len(own[ROWS]) / rows) for name, own in asked
            ]
            return torch.stack(losses).sum()

        value, path = meta_loss(made, query, theta, self.inner, self.rate)
        return value, path.losses

    def _inner_loss(self, name: str, batch: Batch, step: Step) -> Callable[[Parameters], Tensor]:
        """The loss of an inner step. Buffers that the pass would change are copies."""
        objective = self.tasks[name]

        def loss(theta: Parameters) -> Tensor:
            copies = {key: buffer.clone() for key, buffer in objective.named_buffers()}
            with self._attention(), self._mode(objective):
                return self._called(name, theta, batch, step, copies).value

        return loss

    def _called(
        self,
        name: str,
        theta: Parameters,
        batch: Batch,
        step: Step,
        buffers: Mapping[str, Tensor] | None = None,
    ) -> Loss:
        own = {inner: theta[key] for inner, key in self.keys[name].items() if key in theta}
        return call(self.tasks[name], {**own, **(buffers or {})}, batch, step)

    def _attention(self) -> contextlib.AbstractContextManager[Any]:
        """torch's other attention kernels have no second derivative."""
        return (
            sdpa_kernel(SDPBackend.MATH) if self.inner.takes_second_derivatives else contextlib.nullcontext()
        )

    @contextlib.contextmanager
    def _mode(self, objective: nn.Module) -> Iterator[None]:
        if not self.adaptation.evaluation_mode:
            yield
            return
        before = {inner: inner.training for inner in objective.modules()}
        objective.eval()
        try:
            yield
        finally:
            for inner, mode in before.items():
                inner.training = mode
