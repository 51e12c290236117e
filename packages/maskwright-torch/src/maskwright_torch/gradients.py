"""From pieces of a batch to the gradient of the whole: sums are back-propagated, counts divide."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import ROWS, Batch, Loss
from maskwright_torch.device import Compute
from maskwright_torch.ranks import Ranks


@attrs.frozen
class Worth:
    """What a step's batch is worth, over all pieces and ranks."""

    loss: float
    terms: dict[str, float]
    """Mean of each term, without its weight."""
    parts: dict[str, float]
    totals: dict[str, float] = attrs.field(factory=dict)
    """What this step adds to sums over the whole run."""


class _Tally:
    """Sums of everything that is logged: one tensor, so that ranks exchange it in one go."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.weights: dict[str, float] = {}

    def add(self, loss: Loss, rows: int) -> None:
        for name, term in loss.terms.items():
            self.weights[name] = term.weight
            self._add(f"sum {name}", term.sum.detach())
            self._add(f"count {name}", term.count.detach())
        for name, value in loss.parts.items():
            self._add(f"part {name}", value.detach() * rows)
        for name, value in loss.totals.items():
            self._add(f"total {name}", value.detach())
        self._add("rows", next(iter(loss.terms.values())).sum.new_tensor(float(rows)))

    def _add(self, name: str, value: Tensor) -> None:
        value = value.double()
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def worth(self, ranks: Ranks) -> Worth:
        names = list(self.sums)
        total = dict(zip(names, ranks.sum(torch.stack(list(self.sums.values()))).tolist(), strict=True))
        terms = {name: _mean(total[f"sum {name}"], total[f"count {name}"]) for name in self.weights}
        parts = {
            name.removeprefix("part "): value / total["rows"]
            for name, value in total.items()
            if name.startswith("part ")
        }
        totals = {
            name.removeprefix("total "): value for name, value in total.items() if name.startswith("total ")
        }
        return Worth(sum(self.weights[name] * value for name, value in terms.items()), terms, parts, totals)


def _mean(total: float, count: float) -> float:
    if not count:  # a batch in which there was nothing to predict
        return 0.0 if total == 0 else float("nan")
    return total / count


def backward(
    call: Any, objective: nn.Module, pieces: Sequence[Batch], step: Step, compute: Compute, ranks: Ranks
) -> Worth:
    """Leave the whole batch's gradient in the parameters. `call` is the objective, or its data-parallel wrapper."""
    tally = _Tally()
    alone = len(pieces) == 1 and ranks.size == 1
    divisor: Tensor | None = None
    totals: Mapping[str, Tensor] | None = None
    for place, piece in enumerate(pieces):
        seed_modules(step, ranks.rank, place)
        last = place == len(pieces) - 1
        waits = not last and hasattr(call, "no_sync")
        with call.no_sync() if waits else contextlib.nullcontext():
            batch = compute.put(piece)
            with compute.autocast():
                loss: Loss = call(batch, step)
            tally.add(loss, len(piece[ROWS]))
            if alone:
                loss.value.backward()
            elif len(loss.terms) == 1:
                ((_, term),) = loss.terms.items()
                (term.weight * term.sum).backward()
                divisor = term.count.detach() if divisor is None else divisor + term.count.detach()
            else:
                if totals is None:
                    totals = _totals(objective, pieces, loss, step, compute, ranks)
                torch.stack(
                    [t.weight * t.sum / (totals[n] + (totals[n] == 0)) for n, t in loss.terms.items()]
                ).sum().backward()
    if not alone:
        _finish(call, objective, ranks.sum(divisor.clone()) if divisor is not None else None, ranks)
    return tally.worth(ranks)


def seed_modules(step: Step, rank: int = 0, piece: int = 0) -> None:
    """Dropout and the like draw from the default generators: seeded for each piece of each step."""
    seed = step.fork(rank, piece).stream("modules") % (1 << 63)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


def _totals(
    objective: Any, pieces: Sequence[Batch], first: Loss, step: Step, compute: Compute, ranks: Ranks
) -> dict[str, Tensor]:
    """Count of each term over all pieces and ranks, which has to be known before the first backward pass."""
    counts = {name: term.count.detach() for name, term in first.terms.items()}
    if len(pieces) > 1:
        if not hasattr(objective, "counts"):
            raise UserError(
                f"this objective has the losses {', '.join(first.terms)} and cannot tell their counts beforehand",
                where="accumulate",
                why="with several losses the counts of all pieces are needed before the first is back-propagated",
                cure="accumulate=1, or an objective with counts(batch, step)",
            )
        for piece in pieces[1:]:
            found = objective.counts(compute.put(piece), step)
            counts = {name: count + found[name] for name, count in counts.items()}
    summed = ranks.sum(torch.stack([count.double() for count in counts.values()]))
    return dict(zip(counts, summed, strict=True))


def _finish(call: Any, objective: nn.Module, divisor: Tensor | None, ranks: Ranks) -> None:
    """Sum the gradients over ranks and divide them, once."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    if ranks.size > 1 and not hasattr(call, "no_sync"):
        _reduce(trained, ranks)
    scale = 1.0 if divisor is None else 1.0 / (float(divisor) or 1.0)  # of no items the sum is 0
    if hasattr(call, "no_sync"):
        scale *= ranks.size  # the wrapper has averaged
    gradients = [p.grad for p in trained if p.grad is not None]
    if scale != 1.0 and gradients:
        torch._foreach_mul_(gradients, scale)


def _reduce(trained: Sequence[nn.Parameter], ranks: Ranks) -> None:
    """One flat sum. A parameter without gradient on every rank keeps none, so that it is not decayed either."""
    used = torch.tensor([float(p.grad is not None) for p in trained], device=trained[0].device)
    flat = torch.cat(
        [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in trained]
        + [used.to(trained[0].dtype)]
    )
    ranks.sum(flat)
    used = flat[-len(trained) :]
    place = 0
    for p, count in zip(trained, used.tolist(), strict=True):
        if count:
            p.grad = flat[place : place + p.numel()].view_as(p)
        place += p.numel()
