"""Contracts of objectives: `maskwright_torch.contracts.Objective`."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_testing.cases import Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import (
    MIDDLE,
    buffers_of,
    forget_draws,
    in_double,
    module_and_batch,
    require_items,
    require_prepare,
    require_second_derivatives,
    rows_of,
)
from maskwright_torch.contracts import ROWS, Batch, Loss, Term
from maskwright_torch.gradients import seed_modules
from maskwright_torch.inference import in_use
from maskwright_torch.part import load_state, read_state, set_training, state_of, write_state

RATE = 1e-2
"""Learning rate of the few steps of plain gradient descent that are taken here."""


def _loss(objective: Any, batch: Batch, step: Step = MIDDLE) -> Loss:
    """The loss as the engine asks for it: dropout and the like are seeded from the step."""
    seed_modules(step)
    return objective(batch, step)


def _numbers(loss: Loss) -> dict[str, Tensor]:
    """Everything that a loss says, by name, ready to be compared."""
    found = {f"sum of {name}": term.sum.detach() for name, term in loss.terms.items()}
    found |= {f"count of {name}": term.count.detach() for name, term in loss.terms.items()}
    return found | {f"part {name}": value.detach() for name, value in loss.parts.items()}


def _in_double(case: Case) -> tuple[Any, dict[str, Tensor]]:
    """An objective that computes in float64, and a batch. It is in training mode unless something in it draws."""
    objective, batch = module_and_batch(case)
    batch = in_double(objective, batch)
    set_training(objective)
    said = []
    for seed in (1, 2):
        forget_draws(seed)
        said.append(_numbers(copy.deepcopy(objective)(batch, MIDDLE)))
    if difference(*said, exact=False):
        objective.eval()  # dropout may differ between the whole and its pieces, masks may not
    return objective, batch


def _gradients(objective: nn.Module, value: Tensor) -> dict[str, Tensor]:
    """Parameter -> gradient, for those that get one."""
    trained = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
    return {name: g for name, g in zip(trained, found, strict=True) if g is not None}


def _not_whole_batch(case: Case) -> None:
    if "whole-batch" in case.tags():
        raise Skipped("it has the tag whole-batch")


def check_objective_example_data(case: Case) -> None:
    """There is data with at least two items that have the fields it reads."""
    require_items(case)


def check_objective_prepare(case: Case) -> None:
    """`prepare` pickles to less than 10 kB, so without weights; the same items and step give the same batch."""
    require_prepare(case)


def check_objective_loss(case: Case) -> None:
    """It gives a Loss: each term a finite sum and a count above 0, each part a finite number."""
    objective, batch = module_and_batch(case)
    set_training(objective)
    loss: Any = _loss(objective, batch)
    if not isinstance(loss, Loss):
        fail(f"it gives a {type(loss).__name__}, not a Loss")
    if not loss.terms or not all(isinstance(term, Term) for term in loss.terms.values()):
        fail(f"the terms of the loss must be Terms by name, found {loss.terms!r}")
    for name, number in _numbers(loss).items():
        if number.numel() != 1 or number.ndim or not bool(number.isfinite()):
            fail(f"the {name} is {number.tolist()}, not one finite number")
        if name.startswith("count") and float(number) <= 0:
            fail(f"the {name} is {float(number):g}")


def check_objective_gradients(case: Case) -> None:
    """Every parameter that is trained gets a finite gradient."""
    objective, batch = module_and_batch(case)
    set_training(objective)
    trained = [name for name, p in objective.named_parameters() if p.requires_grad]
    if not trained:
        fail("nothing in it is trained")
    value = _loss(objective, batch).value
    if not value.requires_grad:
        fail("the loss does not depend on any parameter")
    found = _gradients(objective, value)
    if lacking := [name for name in trained if name not in found]:
        fail(f"without gradient: {', '.join(lacking)}; freeze what is not trained")
    if wrong := [name for name, gradient in found.items() if not bool(gradient.isfinite().all())]:
        fail(f"the gradient is not finite: {', '.join(wrong)}")


def check_objective_halves(case: Case) -> None:
    """Sums, counts and gradients of two halves add up to those of the whole batch, unless it has `whole-batch`."""
    _not_whole_batch(case)
    objective, batch = _in_double(case)
    rows = len(batch[ROWS])
    first = copy.deepcopy(objective)  # whatever a pass leaves behind does not reach the next one
    whole = _loss(first, batch)
    wanted = _gradients(first, whole.value)
    sums: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    for piece in (slice(rows // 2), slice(rows // 2, rows)):
        half, own = rows_of(batch, piece), copy.deepcopy(objective)
        loss = _loss(own, half)
        for name, number in _numbers(loss).items():
            # Parts are means over the rows of a piece.
            share = len(half[ROWS]) / rows if name.startswith("part") else 1
            sums[name] = sums.get(name, torch.zeros_like(number)) + number * share
        value = torch.stack([t.weight * t.sum / whole.terms[n].count for n, t in loss.terms.items()]).sum()
        for name, gradient in _gradients(own, value).items():
            gradients[name] = gradients.get(name, torch.zeros_like(gradient)) + gradient
    if found := difference(_numbers(whole), sums, exact=False):
        fail(f"the whole batch, then its halves together: {found}")
    if found := difference(wanted, gradients, exact=False):
        fail(f"gradients of the whole batch, then of its halves together: {found}")


def check_objective_counts(case: Case) -> None:
    """`counts(batch, step)` are the counts that the terms of the loss then have."""
    objective, batch = module_and_batch(case)
    if not hasattr(objective, "counts"):
        raise Skipped("it has no counts()")
    wanted = {name: float(term.count) for name, term in _loss(objective, batch).terms.items()}
    found = {name: float(count) for name, count in objective.counts(batch, MIDDLE).items()}
    if found != wanted:
        fail(f"counts() gives {found}, the terms have {wanted}")


def check_objective_order(case: Case) -> None:
    """The loss does not depend on the order of the rows."""
    objective, batch = _in_double(case)
    backward = torch.arange(len(batch[ROWS])).flip(0)
    forward, turned = (_loss(copy.deepcopy(objective), b) for b in (batch, rows_of(batch, backward)))
    if found := difference(_numbers(forward), _numbers(turned), exact=False):
        fail(f"the batch, then turned round: {found}")


def check_objective_one_row(case: Case) -> None:
    """A batch of one row has a finite loss, unless it has the tag `whole-batch`."""
    _not_whole_batch(case)
    objective, batch = module_and_batch(case)
    set_training(objective)
    value = _loss(objective, rows_of(batch, slice(1))).value.detach()
    if not bool(value.isfinite()):
        fail(f"the loss of one row is {float(value)}")


def check_objective_same_step(case: Case) -> None:
    """The same batch and step give the same loss bit for bit, from another instance too, unless it has `stateful`."""
    if "stateful" in case.tags():
        raise Skipped("it has the tag stateful")
    objective, batch = module_and_batch(case)
    set_training(objective)
    first = _numbers(_loss(objective, batch))
    if found := difference(first, _numbers(_loss(objective, batch))):
        fail(f"asked again: {found}")
    other, _ = module_and_batch(case)
    set_training(other)
    if found := difference(first, _numbers(_loss(other, batch))):
        fail(f"another instance: {found}")


def check_objective_evaluation_leaves_no_trace(case: Case) -> None:
    """In evaluation mode a pass draws nothing but from the step, and changes nothing that it remembers."""
    objective, batch = module_and_batch(case)
    before = buffers_of(objective)
    with in_use(objective):
        forget_draws(1)
        first = _numbers(objective(batch, MIDDLE))
        forget_draws(2)
        if found := difference(first, _numbers(objective(batch, MIDDLE))):
            fail(f"asked again in evaluation mode: {found}")
    if found := difference(before, buffers_of(objective)):
        fail(f"a pass in evaluation mode changed a buffer: {found}")


def check_objective_slots(case: Case) -> None:
    """What fills a slot is kept under the slot's name, so that a part's path is the path of its weights too."""
    parts = case.parts()
    objective = parts[""]
    for path, part in parts.items():
        if path and isinstance(part, nn.Module) and _inner(objective, path) is not part:
            fail(f"the part at {path} is not kept as .{path}")


def _inner(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def _train(objective: Any, batch: Batch, numbers: range) -> dict[str, Tensor]:
    """Take steps as the loop does; what the last loss said."""
    set_training(objective)
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    said: dict[str, Tensor] = {}
    for number in numbers:
        step = Step(MIDDLE.seed, number, 4, MIDDLE.names)
        objective.zero_grad()
        loss = _loss(objective, batch, step)
        loss.value.backward()
        torch.optim.SGD(trained, lr=RATE).step()
        for module in reversed(list(objective.modules())):
            if hasattr(module, "after_step"):
                module.after_step(step)
        said = _numbers(loss)
    return said


def _loaded(case: Case, objective: nn.Module) -> Any:
    """A new instance of another seed with the state of this one, frozen parts too."""
    write_state(case.folder, *state_of(objective, keep_frozen=True))
    other = case.working(1)[0]
    load_state(other, read_state(case.folder), str(case.folder))
    return other


def check_objective_load_gives_the_same(case: Case) -> None:
    """Saved after some steps and loaded into an instance of another seed, it has the same loss to the last bit."""
    objective, batch = module_and_batch(case)
    _train(objective, batch, range(1, 3))
    other = _loaded(case, objective)
    set_training(other)
    if found := difference(_numbers(_loss(objective, batch)), _numbers(_loss(other, batch))):
        fail(f"after loading: {found}")


def check_objective_after_step(case: Case) -> None:
    """`after_step` keeps what it needs in the state: after loading, the next steps end in the same weights."""
    objective, batch = module_and_batch(case)
    if not any(hasattr(module, "after_step") for module in objective.modules()):
        raise Skipped("no part has after_step")
    _train(objective, batch, range(2))
    other = _loaded(case, objective)
    said, again = _train(objective, batch, range(2, 4)), _train(other, batch, range(2, 4))
    if found := difference(said, again):
        fail(f"two steps after loading, the loss: {found}")
    if found := difference(dict(objective.state_dict()), dict(other.state_dict())):
        fail(f"two steps after loading, the state: {found}")


def check_objective_double_backward(case: Case) -> None:
    """Second derivatives can be taken of the loss, unless it has the tag `no-double-backward`."""
    if "no-double-backward" in case.tags():
        raise Skipped("it has the tag no-double-backward")
    objective, batch = module_and_batch(case)
    objective.eval()
    require_second_derivatives(objective, lambda: objective(batch, MIDDLE).value)
