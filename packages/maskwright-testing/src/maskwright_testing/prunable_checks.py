"""Contracts of encoders with the tag `prunable`: what is left of them computes what the whole did with zeros.

In float64, so that a result that is not the same differs by more than rounding.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maskwright_testing.cases import Case, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import encoded_values, half_hidden, in_double, module_and_batch
from maskwright_torch.contracts import Batch, Encoded, Group
from maskwright_torch.inference import in_use
from maskwright_torch.noise import uniform
from maskwright_torch.part import load_state, read_state, state_of, write_state

NEAR, NEAR_GRADIENTS = 1e-12, 1e-10
"""Allowed of the largest value, or of 1 where that is smaller."""


def check_prunable_groups(case: Case) -> None:
    """Its groups are the heads and neurons of each block, in order, with the widths of the maps that they name."""
    encoder, _ = module_and_batch(case)
    groups: list[Group] = encoder.prunable()
    found = [(group.kind, group.layer) for group in groups]
    if not groups or found != [(kind, n) for n in range(len(groups) // 2) for kind in ("heads", "neurons")]:
        fail(f"the groups are {found}; wanted are heads and neurons of each block, in order")
    if hasattr(encoder, "depth") and len(groups) != 2 * encoder.depth:
        fail(f"there are {len(groups)} groups for {encoder.depth} blocks")
    for group in groups:
        width = group.count * group.size
        maps = [(path, 0, width * group.fused) for path in group.inputs] + [(group.output, 1, width)]
        for path, axis, wanted in maps:
            shape = tuple(encoder.get_submodule(path).weight.shape)
            if shape[axis] != wanted:
                fail(f"{_name(group)}: {path} is {shape}, where its axis {axis} should be {wanted}")
    counts = [[groups[at].count, groups[at + 1].count] for at in range(0, len(groups), 2)]
    if encoder.shape != counts:
        fail(f"its shape is {encoder.shape}, its groups count {counts}")


def check_prunable_zeros(case: Case) -> None:
    """A compact encoder gives what the whole gives with zeros for what was removed, be it all of a block's units."""
    encoder, batch = module_and_batch(case)
    batch = in_double(encoder, batch)
    hidden = half_hidden(encoder.units(batch))
    for kept in _choices(encoder):
        with _fed_zeros(encoder, kept):  # hooks of the whole must not come along
            made = encoder.compact(kept)
        _require_counts(made, kept)
        for hides in (None, hidden):
            with in_use(encoder), in_use(made), _fed_zeros(encoder, kept):
                _require_near(_real(encoder(batch, hides)), _real(made(batch, hides)), NEAR, "compact")


def check_prunable_gradients(case: Case) -> None:
    """What is left of the parameters, under their old names, has the gradients that it has in the whole."""
    encoder, batch = module_and_batch(case)
    batch = in_double(encoder, batch)
    for kept in _choices(encoder):
        made = encoder.compact(kept)
        with _fed_zeros(encoder, kept):
            whole = _gradients(encoder, batch)
        own = _gradients(made, batch)
        if set(own) != set(whole):
            fail(f"its parameters are not those of the whole: {sorted(set(own) ^ set(whole))[:4]}")
        _require_near(_left_of(whole, encoder.prunable(), kept), own, NEAR_GRADIENTS, "the gradient of")


def check_prunable_order(case: Case) -> None:
    """The units that stay keep their order and their weights, and kept_units() knows which they were."""
    encoder, _ = module_and_batch(case)
    groups = encoder.prunable()
    before = {name: tensor.detach() for name, tensor in encoder.named_parameters()}
    for kept in _choices(encoder):
        made = encoder.compact(kept)
        own = {name: tensor.detach() for name, tensor in made.named_parameters()}
        if found := difference(_left_of(before, groups, kept), own):
            fail(f"the weights of the units that stay, and of the compact encoder: {found}")
        if found := difference(list(kept), list(made.kept_units())):
            fail(f"the units that were to stay, and kept_units(): {found}")


def check_prunable_leaves_the_whole(case: Case) -> None:
    """Making a compact encoder and changing its weights leaves the one that it was made of as it is."""
    encoder, _ = module_and_batch(case)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    made = encoder.compact(_choices(encoder)[0])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(1)
    if found := difference(before, dict(encoder.state_dict())):
        fail(f"after compact(): {found}")


def check_prunable_again(case: Case) -> None:
    """A compact encoder can be made smaller still: indices are then of what is there, and the result is the same."""
    encoder, batch = module_and_batch(case)
    first = _choices(encoder)[0]
    made = encoder.compact(first)
    second = _choices(made)[1]
    twice, once = made.compact(second), encoder.compact([a[b] for a, b in zip(first, second, strict=True)])
    with in_use(twice), in_use(once):
        if found := difference(encoded_values(once(batch)), encoded_values(twice(batch))):
            fail(f"made smaller at once and in two turns: {found}")
    if found := difference(list(once.kept_units()), list(twice.kept_units())):
        fail(f"kept_units() of one made smaller at once and in two turns: {found}")


def check_prunable_shape(case: Case) -> None:
    """Built with the setting `shape`, an encoder takes the saved weights of a compact one and gives the same."""
    encoder, batch = module_and_batch(case)
    for number, kept in enumerate(_choices(encoder)):
        made = encoder.compact(kept)
        other = case.working(1, shape=made.shape)[0]
        folder = case.folder / f"compact-{number}"
        folder.mkdir()
        write_state(folder, *state_of(made, keep_frozen=True))
        load_state(other, read_state(folder), str(folder))
        if found := difference(list(made.kept_units()), list(other.kept_units())):
            fail(f"after loading, kept_units(): {found}")
        with in_use(made), in_use(other):
            if found := difference(encoded_values(made(batch)), encoded_values(other(batch))):
                fail(f"after loading, {found}")


def check_prunable_widened(case: Case) -> None:
    """widened() has the shape from before, the same results, and zeros in the places of what was removed."""
    encoder, batch = module_and_batch(case)
    batch = in_double(encoder, batch)
    groups = encoder.prunable()
    for kept in _choices(encoder):
        made = encoder.compact(kept)
        wide = made.widened()
        if wide.shape != encoder.shape:
            fail(f"its shape is {wide.shape}, before it was {encoder.shape}")
        wanted = {name: tensor.detach().clone() for name, tensor in encoder.named_parameters()}
        for name, axis, places in _places(groups, kept, wanted):
            gone = torch.ones(wanted[name].shape[axis], dtype=torch.bool)
            gone[places] = False
            wanted[name].index_fill_(axis, gone.nonzero().flatten(), 0)
        found = {name: tensor.detach() for name, tensor in wide.named_parameters()}
        if text := difference(wanted, found):
            fail(f"the weights with zeros for what was removed, and of widened(): {text}")
        with in_use(made), in_use(wide):
            _require_near(_real(made(batch)), _real(wide(batch)), NEAR, "widened")


def _choices(encoder: Any) -> list[list[Tensor]]:
    """Units that stay: every other one, up to the last; then also no heads in block 0, no neurons in the last one."""
    half = [torch.arange(group.count - 1, -1, -2).flip(0) for group in encoder.prunable()]
    nothing = half[0][:0]
    return [half, [nothing, *half[1:-1], nothing]]


@contextlib.contextmanager
def _fed_zeros(encoder: nn.Module, kept: Sequence[Tensor]) -> Iterator[None]:
    """The maps that read the units find zeros for all but these."""
    hooks = []
    for group, units in zip(encoder.prunable(), kept, strict=True):  # type: ignore[operator]
        stays = torch.zeros(group.count, dtype=torch.float64)
        stays[units] = 1
        gate = stays.repeat_interleave(group.size)
        hooks.append(
            encoder.get_submodule(group.output).register_forward_pre_hook(
                lambda module, given, gate=gate: (given[0] * gate, *given[1:])
            )
        )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _places(
    groups: Sequence[Group], kept: Sequence[Tensor], parameters: Mapping[str, Tensor]
) -> Iterator[tuple[str, int, Tensor]]:
    """(parameter, axis, places that stay along it), for each that has rows or columns for units."""
    for group, units in zip(groups, kept, strict=True):
        own = (units[:, None] * group.size + torch.arange(group.size)).flatten()
        rows = torch.cat([own + part * group.count * group.size for part in range(group.fused)])
        for path in group.inputs:
            yield f"{path}.weight", 0, rows
            if f"{path}.bias" in parameters:
                yield f"{path}.bias", 0, rows
        yield f"{group.output}.weight", 1, own


def _left_of(
    whole: Mapping[str, Tensor], groups: Sequence[Group], kept: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Tensors by names of parameters, without rows and columns of units that go."""
    made = dict(whole)
    for name, axis, places in _places(groups, kept, whole):
        made[name] = made[name].index_select(axis, places)
    return made


def _gradients(encoder: Any, batch: Batch) -> dict[str, Tensor]:
    """Of a sum over all that it gives, weighted so that errors do not cancel; in evaluation mode."""
    encoder.eval()
    found = _real(encoder(batch))
    weights = {name: 0.5 + uniform(1, torch.tensor([0]), t.numel()).view_as(t) for name, t in found.items()}
    total = torch.stack([(weights[name] * tensor).sum() for name, tensor in found.items()]).sum()
    named = {name: tensor for name, tensor in encoder.named_parameters() if tensor.requires_grad}
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(tensor) if gradient is None else gradient
        for (name, tensor), gradient in zip(named.items(), gradients, strict=True)
    }


def _real(encoded: Encoded) -> dict[str, Tensor]:
    """What counts of a result: not the states of padding."""
    return {"states": encoded.states[encoded.valid], "pooled": encoded.pooled, "prefix": encoded.prefix}


def _require_counts(made: Any, kept: Sequence[Tensor]) -> None:
    counts = [group.count for group in made.prunable()]
    if counts != [len(units) for units in kept]:
        fail(f"of {[len(units) for units in kept]} units that were to stay, it has {counts}")


def _require_near(one: Mapping[str, Tensor], two: Mapping[str, Tensor], near: float, what: str) -> None:
    for name, values in one.items():
        other = two[name]
        if values.shape != other.shape:
            fail(f"{what} {name} has the shape {tuple(other.shape)}, {tuple(values.shape)} is wanted")
        if values.numel():
            apart, size = float((values - other).detach().abs().max()), float(values.detach().abs().max())
            if not apart <= near * max(size, 1.0):
                fail(f"{what} {name} is {apart:.3g} apart from what the whole gives with zeros")


def _name(group: Group) -> str:
    return f"{group.kind} of block {group.layer}"
