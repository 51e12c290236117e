"""Few-shot fine-tuning of what is judged: on a handful of labelled items, by plain steps, without changing it.

`B` items, `C` classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.episode_order import family_of
from maskwright_meta.inner_optimisers import InnerOptimiser, Name, Rate
from maskwright_meta.prototypes import with_prototypes
from maskwright_torch.classify import Classify
from maskwright_torch.contracts import Batch
from maskwright_torch.functional import call, named
from maskwright_torch.part import seeded

Head = Literal["own", "fresh", "prototypes"]
HEAD_STD = 0.02

WHERE = "evaluator:adaptation-curve"


class Scores(nn.Module):
    """The scores of an objective as a module, so that they can be asked with other weights in it."""

    def __init__(self, objective: Any) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        return self.objective.logits(batch)


def encoder_of(subject: Any) -> Any:
    """The encoder that is judged: the subject, or what it holds."""
    if hasattr(subject, "tasks"):
        return encoder_of(next(iter(subject.tasks.values())))
    return getattr(subject, "encoder", subject)


def objective_for(subject: Any, task: str, classes: int, head: Head, step: Step) -> Any:
    """What is fine-tuned on a task: the subject's own objective for it, or its encoder under a new head."""
    if head == "own":
        found = _own(subject, task)
        if found.classes < classes:
            raise UserError(
                f"the task {task} has {classes} classes, and the head of its objective {found.classes}",
                where=WHERE,
                cure="head=fresh, or head=prototypes",
            )
        return found
    encoder = encoder_of(subject)
    if not hasattr(encoder, "pooled_width"):
        raise UserError(
            f"{type(encoder).__name__} is no encoder, and no objective around one",
            where=WHERE,
            cure='judge an encoder: on = "objective.tasks.NAME.encoder"',
        )
    like = next(encoder.parameters(), torch.zeros(()))
    made = seeded(
        step.stream("head"), lambda: Classify(encoder, max(classes, 2), norm=False, head_std=HEAD_STD)
    )
    return made.to(like.device, like.dtype)


def _own(subject: Any, task: str) -> Any:
    tasks: Mapping[str, Any] = dict(subject.tasks.items()) if hasattr(subject, "tasks") else {"": subject}
    found = tasks.get(family_of(task), next(iter(tasks.values())) if len(tasks) == 1 else None)
    if found is None or not hasattr(found, "logits"):
        why = "it gives no scores" if found is not None else f"there are {', '.join(tasks)}"
        raise UserError(
            f"there is no objective that could be fine-tuned on the task {task}",
            where=WHERE,
            why=why,
            cure="head=fresh, or head=prototypes: a new head on the encoder",
        )
    return found


@attrs.frozen
class Budget:
    """How a task is learned: full-batch steps."""

    steps: Sequence[int]
    """Rising numbers of steps after which it is judged."""
    rate: float | Literal["learned"]
    optimiser: Name = "sgd"


def rates_for(subject: Any, objective: nn.Module, rate: float | Literal["learned"]) -> dict[str, Rate]:
    """Name of each weight that is fine-tuned -> its rate; UserError where there is none.

    That is what was trained; at learned rates, what inner steps changed.
    """
    weights = {name: p for name, p in named(objective).items() if p.requires_grad}
    if rate != "learned":
        found: dict[str, Rate] = dict.fromkeys(weights, rate)
    elif hasattr(subject, "rates"):
        keys = {id(p): key for key, p in named(subject.tasks).items()}
        own = {name: keys.get(id(p), "") for name, p in weights.items()}
        found = {name: subject.rates(key).detach() for name, key in own.items() if key in subject.rates}
    else:
        raise UserError(
            f"{type(subject).__name__} has no learned rates",
            where=f"{WHERE}, rate",
            cure="rate=0.1, or judge an objective:meta with learn_rate = true",
        )
    if not found:
        raise UserError(
            "there is no weight to fine-tune: all of them are frozen",
            where=WHERE,
            cure="head=fresh or head=prototypes: a new head is always learned",
        )
    return found


def fine_tuned(
    objective: Any,
    support: Batch,
    query: Batch,
    budget: Budget,
    rates: Mapping[str, Rate],
    head: Head,
    step: Step,
) -> list[Tensor]:
    """int64 (B,): the labels predicted for the query after each number of steps. The objective stays as it was.

    `rates`: of the weights that are learned; the others stay.
    """
    scores = Scores(objective)
    theta: dict[str, Tensor] = {name: p.detach().clone() for name, p in named(objective).items()}
    if head == "prototypes":
        own = {name: name for name in theta}
        with torch.no_grad():
            theta = with_prototypes(objective, theta, own, support, step)
    theta = {name: tensor.detach().requires_grad_(name in rates) for name, tensor in theta.items()}
    optimiser = InnerOptimiser(budget.optimiser)
    found = []
    for number in range(budget.steps[-1] + 1):
        if number in budget.steps:
            with torch.no_grad():
                outer = {f"objective.{name}": tensor for name, tensor in theta.items()}
                found.append(call(scores, outer, query).argmax(dim=1).cpu())
        if number < budget.steps[-1]:
            theta = _stepped(objective, theta, support, optimiser, rates, step)
    return found


def _stepped(
    objective: Any,
    theta: Mapping[str, Tensor],
    batch: Batch,
    optimiser: InnerOptimiser,
    rates: Mapping[str, Rate],
    step: Step,
) -> dict[str, Tensor]:
    copies = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    with torch.enable_grad():
        loss = call(objective, {**theta, **copies}, batch, step).value
        gradients = torch.autograd.grad(loss, [theta[name] for name in rates], allow_unused=True)
    with torch.no_grad():
        changed = {
            name: optimiser.stepped(name, theta[name], gradient, rate).requires_grad_()
            for (name, rate), gradient in zip(rates.items(), gradients, strict=True)
            if gradient is not None
        }
    return {**theta, **changed}
