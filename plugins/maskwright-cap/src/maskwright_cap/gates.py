"""Gates: switches on the heads and neurons of an encoder, and what their gradients say about each.

A unit is closed by feeding zeros in its place to the linear map that reads it (`Group.output`), through a hook before
that map: any attention kernel stays in use, and the encoder is not changed. Once a unit is closed its column of that
map is kept at zero too, so that the weights alone give what the gated encoder gives.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_cap.choosing import next_open
from maskwright_cap.layers import share_of
from maskwright_torch.contracts import Group
from maskwright_torch.inference import in_use

Per = Literal["batch", "example"]


class Gate(nn.Module):
    """The switches of one group of units."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group
        self.register_buffer("open", torch.ones(group.count, dtype=torch.bool))
        self.watched: Tensor | None = None
        """Ones (count,) or (B, count) whose gradient is wanted; None but while importance is measured."""

    def hook(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Before the map that reads the units: x (B, …, count * size)."""
        x = args[0]
        gate = self.open.to(x.dtype)
        if self.watched is not None:
            gate = gate * self.watched.to(x.dtype)
        gate = gate.repeat_interleave(self.group.size, dim=-1)
        if gate.ndim == 2:
            if len(x) != len(gate):
                raise UserError(
                    f"{self.group.output} reads {len(x)} rows where the batch has {len(gate)}",
                    where="objective:cap, setting per",
                    why="the encoder does not keep its rows apart there",
                    cure="per=batch",
                )
            gate = gate.view(len(gate), *[1] * (x.ndim - 2), -1)
        return (x * gate, *args[1:])

    @property
    def columns(self) -> Tensor:
        """bool (count * size,): inputs of the map whose unit is open."""
        return self.open.repeat_interleave(self.group.size)


class Gates(nn.Module):
    """A gate for each group of the given kinds, in the order of the encoder's groups."""

    def __init__(self, encoder: Any, kinds: Sequence[str]) -> None:
        super().__init__()
        self.all_groups: list[Group] = list(encoder.prunable())
        self.gates = nn.ModuleList(Gate(group) for group in self.all_groups if group.kind in kinds)
        for gate in self.gates:
            encoder.get_submodule(gate.group.output).register_forward_pre_hook(gate.hook)

    def of_kind(self, kind: str) -> list[Gate]:
        return [gate for gate in self.gates if gate.group.kind == kind]

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(gate.group.kind for gate in self.gates))

    @property
    def opened(self) -> list[Tensor]:
        """For each gate bool (count,)."""
        return [gate.open for gate in self.gates]  # type: ignore[misc]

    def closed_at(self, share: float) -> dict[str, int]:
        """Units of each kind that are closed at a share."""
        return {
            kind: share_of(sum(gate.group.count for gate in self.of_kind(kind)), share) for kind in self.kinds
        }

    def changes(self, before: float, share: float) -> bool:
        """Whether another share asks for another number of units."""
        return self.closed_at(before) != self.closed_at(share)

    @torch.no_grad()
    def prune(self, share: float, scores: list[Tensor], chooser: Any, floor: int, step: Step) -> int:
        """Close the units that the chooser takes by `scores`, for each gate (count,); how many the floor held back."""
        held_back = 0
        for kind, closed in self.closed_at(share).items():
            pairs = [(g, s) for g, s in zip(self.gates, scores, strict=True) if g.group.kind == kind]
            own, opened = [normalised(score) for _, score in pairs], [gate.open for gate, _ in pairs]
            least = floor if kind == "heads" else 0
            now, lacking = next_open(chooser, own, opened, closed, least, step.fork(kind))
            held_back += lacking
            for (gate, _), value in zip(pairs, now, strict=True):
                gate.open.copy_(value)
        return held_back

    def kept(self) -> list[Tensor]:
        """int64: for every group of the encoder the units that are open, as `compact` wants them."""
        found = {(g.group.kind, g.group.layer): g.open.nonzero()[:, 0].cpu() for g in self.gates}
        return [found.get((g.kind, g.layer), torch.arange(g.count)) for g in self.all_groups]

    def compacted(self, encoder: Any) -> Any:
        """A smaller encoder without what is closed; `compact` leaves hooks behind, and so gates."""
        return encoder.compact(self.kept())

    @torch.no_grad()
    def settle(self, encoder: nn.Module) -> None:
        """Keep the columns of closed units at zero: an optimiser's memory would move them."""
        for gate in self.gates:
            weight: Tensor = encoder.get_submodule(gate.group.output).weight  # type: ignore[assignment]
            weight.mul_(gate.columns.to(weight.dtype))


def importance(
    gates: Gates, module: nn.Module, loss_of: Callable[[Any, int], Tensor], batches: Iterable[Any], per: Per
) -> list[Tensor]:
    """For each gate float64 (count,): the sum over batches, or over examples, of |d loss / d gate|.

    `loss_of(batch, number)` is the mean loss of a batch; of examples it counts times the rows of the batch. `module` is
    put into evaluation mode: dropout would be noise in what is measured once for each unit.
    """
    watching: list[Gate] = list(gates.gates)  # type: ignore[arg-type]
    sums = [torch.zeros(gate.group.count, dtype=torch.float64, device=gate.open.device) for gate in watching]
    try:
        with in_use(module), torch.enable_grad():
            for number, batch in enumerate(batches):
                rows = len(batch["rows"])
                for gate in watching:
                    shape = (gate.group.count,) if per == "batch" else (rows, gate.group.count)
                    gate.watched = torch.ones(shape, dtype=torch.float64, device=gate.open.device)
                    gate.watched.requires_grad_()
                loss = loss_of(batch, number)
                if not bool(loss.isfinite()):
                    items = f"training items {batch['rows'][:3].tolist()} …"
                    raise _no_numbers(f"the loss ({float(loss.detach())})", items)
                found = torch.autograd.grad(
                    loss, [gate.watched for gate in watching if gate.watched is not None], allow_unused=True
                )
                for total, gradient in zip(sums, found, strict=True):
                    if gradient is not None:
                        own = gradient.abs() if per == "batch" else (rows * gradient).abs().sum(dim=0)
                        total += own.detach()
    finally:
        for gate in watching:
            gate.watched = None
    for gate, total in zip(watching, sums, strict=True):
        if not bool(total.isfinite().all()):
            raise _no_numbers("a gradient", f"{gate.group.kind} of block {gate.group.layer}")
    return sums


def _no_numbers(what: str, where: str) -> UserError:
    return UserError(
        f"{what} is no number while importance is measured",
        where=where,
        why="what is pruned by it would be arbitrary",
        cure="a lower lr, precision=fp32, or data without such items",
    )


def magnitudes(gates: Gates, encoder: nn.Module) -> list[Tensor]:
    """For each gate float64 (count,): the norm of the weights that read the unit."""
    found = []
    for gate in gates.gates:
        weight: Tensor = encoder.get_submodule(gate.group.output).weight  # type: ignore[assignment]
        columns = weight.detach().double().norm(dim=0)
        found.append(columns.view(gate.group.count, gate.group.size).norm(dim=1))
    return found


def normalised(scores: Tensor) -> Tensor:
    """Divided by their norm, so that layers can be compared with each other."""
    norm = scores.norm()
    return scores / norm if float(norm) else scores
