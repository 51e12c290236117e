"""The training loop: batch -> loss -> gradient -> step -> after_step -> log -> evaluate -> checkpoint."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch import nn

from maskwright.build import Evaluation
from maskwright.errors import UserError
from maskwright.runs import Run
from maskwright.step import Step
from maskwright_torch import checkpoint
from maskwright_torch.batches import Batches, walk
from maskwright_torch.best import Best
from maskwright_torch.device import Compute
from maskwright_torch.gradients import Worth, backward
from maskwright_torch.interrupts import interrupts
from maskwright_torch.optim import set_lr
from maskwright_torch.part import set_training
from maskwright_torch.ranks import Ranks
from maskwright_torch.visit import Visit


@attrs.define
class Window:
    """What is logged: means since the last line, sums since the run began. Part of the state, so that resuming logs
    the same numbers."""

    sums: dict[str, list[float]] = attrs.field(factory=dict)
    """Name -> [sum, count]: a part may be logged in some steps only."""
    totals: dict[str, float] = attrs.field(factory=dict)

    def add(self, values: dict[str, float], totals: dict[str, float]) -> None:
        for name, value in values.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = [total + value, count + 1]
        for name, value in totals.items():
            self.totals[name] = self.totals.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means | self.totals


@attrs.define
class Trainer:
    """Everything that a step touches. The recipe puts it together; `train` walks it through the steps."""

    run: Run
    settings: Any
    """The Params of recipe:train."""
    objective: nn.Module
    call: Any
    """The objective, or its data-parallel wrapper."""
    optimiser: torch.optim.Optimizer
    batches: Batches
    compute: Compute
    ranks: Ranks
    lr: Callable[[float], float]
    """Share of the run -> learning rate."""
    evaluations: Sequence[Evaluation]
    data: Any
    best: Best
    frozen: dict[str, str] = attrs.field(factory=dict)
    """Hashes of frozen parts, which do not change."""
    window: Window = attrs.field(factory=Window)

    def save(self, number: int, *, passing: bool = False) -> None:
        """A checkpoint after `number` finished steps; a passing one makes way for the next."""
        if not self.ranks.is_first:
            return
        state = {
            "window": self.window.sums,
            "totals": self.window.totals,
            "best": self.best.state(),
            "frozen": self.frozen,
            "settings": checkpoint.settings_of(self.run),
        }
        files = checkpoint.files_of(self.objective, self.optimiser, state, self.settings.keep_frozen)
        self.run.checkpoint(number, files, self.settings.keep, self.best.spare(), passing=passing)


def train(trainer: Trainer, start: int) -> None:
    """Steps `start` to the run's total, then the last checkpoint and every evaluator."""
    run, settings, objective = trainer.run, trainer.settings, trainer.objective
    total = trainer.batches.step.total
    run.progress.begin(total, start, "training")
    after: list[Any] = [m for m in reversed(list(objective.modules())) if hasattr(m, "after_step")]
    set_training(objective)
    with interrupts() as interrupted:
        pin = trainer.compute.device.type == "cuda"
        visit = visit_of(trainer) if hasattr(objective, "before_step") else None
        for number, pieces in enumerate(walk(trainer.batches, start, settings.workers, pin), start=start):
            step = run.step(number, total)
            lr = trainer.lr(step.progress)
            set_lr(trainer.optimiser, lr)
            if visit is not None:
                objective.before_step(visit, step)  # type: ignore[operator]
            trainer.optimiser.zero_grad()
            worth = backward(trainer.call, objective, pieces, step, trainer.compute, trainer.ranks)
            norm = clip(objective, settings.clip)
            if not (math.isfinite(worth.loss) and math.isfinite(norm)):
                stop_at_non_finite(trainer, number, lr, worth)
            trainer.optimiser.step()
            for module in after:
                module.after_step(step)
            done = number + 1
            trainer.window.add(logged(worth, lr, norm), worth.totals)
            if done % settings.log_every == 0 or done == total:
                run.log(done, {f"train/{name}": value for name, value in trainer.window.take().items()})
            run.progress.advance(done)
            improved = evaluate(trainer, due(trainer, done)) if done < total else False
            regular = improved or done % settings.checkpoint_every == 0 or done == total
            stopped = trainer.ranks.any(interrupted.is_set())
            if regular or stopped:
                trainer.save(done, passing=not regular)
            if stopped:
                raise KeyboardInterrupt
    if total == 0:
        trainer.save(total)
    evaluate(trainer, (Step(run.seed, total, total), trainer.evaluations))


def visit_of(trainer: Trainer) -> Visit:
    batches = trainer.batches
    return Visit(
        batches.data, batches.split, batches.prepare, batches.step, trainer.compute, trainer.ranks,
        trainer.run.folder, min(trainer.settings.batch, batches.data.length(batches.split)),
    )  # fmt: skip


def logged(worth: Worth, lr: float, norm: float) -> dict[str, float]:
    """Names and values of one step; single terms only where there are several."""
    terms = worth.terms if len(worth.terms) > 1 else {}
    return {"loss": worth.loss, **terms, **worth.parts, "grad_norm": norm, "lr": lr}


def clip(objective: nn.Module, limit: float) -> float:
    """The norm of the whole gradient before clipping; a limit of 0 clips nothing."""
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    if not gradients:
        return 0.0
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit:
        torch.nn.utils.clip_grads_with_norm_(
            [p for p in objective.parameters() if p.grad is not None], limit, norm
        )
    return float(norm)


def due(trainer: Trainer, done: int) -> tuple[Step, list[Evaluation]]:
    """The evaluators whose turn it is after `done` steps; an entry's own `every` wins."""
    usual = trainer.settings.evaluate_every
    turn = [e for e in trainer.evaluations if (every := e.every or usual) and done % every == 0]
    return Step(trainer.run.seed, done, trainer.batches.step.total), turn


def evaluate(trainer: Trainer, turn: tuple[Step, Sequence[Evaluation]]) -> bool:
    """Ask evaluators on rank 0 while the others wait; whether the metric of `best` has never been better."""
    step, entries = turn
    if not entries:
        return False
    improved = False
    if trainer.ranks.is_first:
        trainer.objective.eval()
        found = trainer.run.evaluate(entries, trainer.data, step)
        improved = trainer.best.note(step.number, found)
        set_training(trainer.objective)
    trainer.ranks.wait()
    return improved


def stop_at_non_finite(trainer: Trainer, number: int, lr: float, worth: Worth) -> None:
    """Keep the state before this step, and say which number went wrong first."""
    bad = [name for name, value in worth.terms.items() if not math.isfinite(value)]
    if bad:
        values = ", ".join(f"{name} = {worth.terms[name]}" for name in bad)
        what = f"the loss became {worth.terms[bad[0]]} at step {number + 1}"
        why = f"terms: {values}; learning rate {lr:.3g}"
    else:
        found = [
            name
            for name, p in trainer.objective.named_parameters()
            if p.grad is not None and not bool(p.grad.isfinite().all())
        ]
        what = f"the gradient became infinite or no number at step {number + 1}"
        why = (
            f"in {', '.join(found[:3]) or 'its norm'}; the loss was {worth.loss:.4g}, learning rate {lr:.3g}"
        )
    # What the forward pass has put into buffers (running means of a batch norm) may be no numbers already.
    sound = all(bool(b.isfinite().all()) for b in trainer.objective.buffers() if b.is_floating_point())
    latest = trainer.run.latest()
    kept = latest.number if latest is not None else None
    if sound and kept != number:
        trainer.save(number, passing=True)
        kept = number
    raise UserError(
        what,
        where=f"{trainer.run.folder}, step {number + 1} of {trainer.batches.step.total}",
        why=f"{why}. "
        + ("No checkpoint was made yet" if kept is None else f"Kept is checkpoints/{kept:08d}"),
        cure="lower lr, clip=1, precision=fp32; go on from the kept state with a from-run part in a new recipe",
    )
