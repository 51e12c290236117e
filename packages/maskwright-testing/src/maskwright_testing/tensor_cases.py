"""Tensors for the checks of maskers, encoders and objectives. Imports torch, so only those modules import it."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maskwright.contracts import Dataset
from maskwright_testing.cases import STEP, Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_torch.batches import collate
from maskwright_torch.contracts import ROWS, Batch, Encoded, Prepare, Space, Units
from maskwright_torch.device import Compute
from maskwright_torch.masking import hide_lowest
from maskwright_torch.noise import uniform

MIDDLE = attrs.evolve(STEP, number=1, total=2)
"""Half-way through a run, where a schedule that begins or ends at 0 or 1 has left it."""

DOUBLE = Compute(torch.device("cpu"), "fp64")
"""Sums taken in another order are compared in float64: what differs then differs by more than rounding."""

MOST_BYTES = 10_000
"""Of a pickled `prepare`: it travels to every loader process."""

FEWEST_ITEMS = 2


def known_items(case: Case, data: Dataset) -> list[Mapping[str, Any]]:
    """Items to work on; Skipped where there are too few, which one check reports."""
    items = case.items(data)
    if len(items) < FEWEST_ITEMS:
        raise Skipped(f"there are too few items, see check_{case.listed.kind}_example_data")
    return items


def require_items(case: Case) -> None:
    """Fails where there are no data for the component, or too few of them."""
    try:
        data = case.data()
    except Skipped as reason:
        fail(str(reason))
    else:
        if len(case.items(data)) < FEWEST_ITEMS:
            wanted = ", ".join(sorted(case.listed.component.consumes)) or "no field"
            fail(f"no split of example_data() has {FEWEST_ITEMS} items with what it reads ({wanted})")


def module_and_batch(case: Case, seed: int = 0) -> tuple[Any, dict[str, Tensor]]:
    """A new built part, fitted where it or something in it has to be, and a batch of its items."""
    part, data = case.working(seed)
    items = known_items(case, data)
    return part, collate(items, range(len(items)), part.prepare, MIDDLE)


def rows_of(batch: Batch, rows: Any) -> dict[str, Tensor]:
    """Some rows of a batch: a slice, or indices in a new order."""
    return {name: tensor[rows] for name, tensor in batch.items()}


def in_double(module: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Makes the module compute in float64; the batch for it."""
    DOUBLE.place(module)
    return DOUBLE.put(batch)


def half_hidden(units: Units) -> Tensor:
    """bool (B, N): half of the units of the row that has fewest, in every row as many."""
    least = int(units.valid.sum(dim=1).min())
    if least < 2:
        raise Skipped(f"an item of the example data has {least} units, too few to hide one and keep one")
    noise = uniform(MIDDLE.stream("hidden"), units.rows, units.valid.shape[1])
    return hide_lowest(noise, units.valid, torch.full_like(units.rows, least // 2))


def like(mask: Tensor, values: Tensor) -> Tensor:
    """A mask (B, N) that fits values (B, N) or (B, N, P)."""
    return mask if values.ndim == mask.ndim else mask[..., None]


def encoded_values(encoded: Encoded) -> dict[str, Tensor]:
    """The tensors of an encoder's result by name, ready to be compared."""
    return {name: tensor.detach() for name, tensor in vars(encoded).items()}


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    """Copies of everything a module remembers beside its parameters."""
    return {name: buffer.detach().clone() for name, buffer in module.named_buffers()}


def forget_draws(seed: int) -> None:
    """Put the default generator elsewhere: whoever draws from it without seeding it first gives other numbers."""
    torch.default_generator.manual_seed(seed)


def require_prepare(case: Case) -> None:
    """Fails unless `prepare` is small, can be pickled, and gives the same batch for the same items and step."""
    part, data = case.working()
    items = known_items(case, data)
    size = _pickled(part.prepare)
    if size > MOST_BYTES:
        fail(f"prepare takes {size:,} bytes to pickle, {MOST_BYTES:,} are allowed: it must not hold weights")
    batch = part.prepare(items, MIDDLE)
    for name, tensor in batch.items():
        if not isinstance(tensor, Tensor) or tensor.shape[:1] != (len(items),):
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            fail(f'"{name}" of the batch is {shape}; the first axis must be the {len(items)} items')
    if ROWS in batch:
        fail(f'prepare gives "{ROWS}", which is for the engine to add')
    forget_draws(1)
    if found := difference(dict(batch), dict(part.prepare(items, MIDDLE))):
        fail(f"the same items and step give another batch: {found}")
    if found := difference(dict(batch), dict(case.working(1)[0].prepare(items, MIDDLE))):
        fail(f"another instance gives another batch: {found}")


def _pickled(prepare: Prepare) -> int:
    """Bytes of a pickled object, tensors included: pickling for another process would leave those out."""
    buffer = io.BytesIO()
    try:
        torch.save(prepare, buffer)
    except Exception as error:
        fail(f"prepare cannot be pickled for a loader process: {type(error).__name__}: {error}")
    return len(buffer.getvalue())


def other_content(encoder: Any, batch: Batch, hidden: Tensor) -> dict[str, Tensor]:
    """The batch with other content in hidden units: by the encoder's `with_values`, or by what its targets read."""
    truth = encoder.targets(batch)
    if hasattr(encoder, "with_values"):
        values = torch.where(like(hidden, truth), _another(truth, encoder.space), truth)
        made = dict(encoder.with_values(batch, values))
    else:
        made = _where_targets_look(encoder.targets, batch, hidden)
    now = encoder.targets(made)
    if not torch.equal(truth[~hidden], now[~hidden]):
        fail("other content in hidden units changes the targets of visible ones")
    if torch.equal(truth[hidden], now[hidden]):
        fail("other content in hidden units does not change their targets")
    return made


def _another(values: Tensor, space: Space) -> Tensor:
    """For each value another one that is allowed."""
    if values.is_floating_point():
        return values + 1
    usual = [n for n in range(space.vocabulary) if n not in space.specials and n != space.mask_id][:2]
    return torch.where(values == usual[0], usual[-1], usual[0])


def _where_targets_look(
    targets: Callable[[Batch], Tensor], batch: Batch, hidden: Tensor
) -> dict[str, Tensor]:
    """Adds 1 to each number of the batch that only the targets of hidden units depend on."""
    leaves = {name: t.clone().requires_grad_() for name, t in batch.items() if t.is_floating_point()}
    with torch.enable_grad():
        found = targets({**batch, **leaves})
        # Weighted, so that the influences of a number on several values do not cancel.
        weights = 0.5 + uniform(0, batch[ROWS], found[0].numel()).view_as(found)
        weighted = weights * found
    if not found.requires_grad:
        fail(
            "what hidden units hold cannot be changed: its targets are no differentiable function of the batch; "
            "give it with_values(batch, values) -> batch"
        )

    def influence(units: Tensor) -> Sequence[Tensor | None]:
        with torch.enable_grad():
            total = weighted[units].sum()
        return torch.autograd.grad(total, list(leaves.values()), retain_graph=True, allow_unused=True)

    made = dict(batch)
    for name, inside, outside in zip(leaves, influence(hidden), influence(~hidden), strict=True):
        if inside is not None:
            free = inside != 0 if outside is None else (inside != 0) & (outside == 0)
            made[name] = torch.where(free, batch[name] + 1, batch[name])
    return made


def require_second_derivatives(module: nn.Module, value: Callable[[], Tensor]) -> None:
    """Fails where the gradient of `value()` cannot be differentiated by the parameters once more."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise Skipped("nothing in it is trained")
    try:
        # torch's other attention kernels have no second derivative; wrappers that need one choose this one too.
        with sdpa_kernel(SDPBackend.MATH):
            first = torch.autograd.grad(value(), trained, create_graph=True, allow_unused=True)
            norms = [gradient.square().sum() for gradient in first if gradient is not None]
            depending = [norm for norm in norms if norm.requires_grad]
            if not depending:
                fail("second derivatives are lost: the gradient does not depend on the parameters")
            # backward(), because grad() walks past a node that refuses to be differentiated again.
            torch.stack(depending).sum().backward()
    except RuntimeError as error:
        fail(f"second derivatives fail: {str(error).strip().splitlines()[0]}")
    if not all(bool(p.grad.isfinite().all()) for p in trained if p.grad is not None):
        fail("second derivatives are not finite")
