"""What is measured of a pruned part: the encoder as it was beside what is left of it."""

from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright_cap.cap import Cap
from maskwright_cap.masks import paths_of
from maskwright_cap.teachers import encoder_inside
from maskwright_torch.part import State


@attrs.frozen(eq=False)
class Sides:
    """A dense encoder and its pruned form."""

    dense: Any
    small: Any
    """Of single weights the dense encoder itself: it has no smaller shape."""
    kept: tuple[Tensor, ...] = ()
    """Of single weights: bool, as each matrix."""
    paths: tuple[str, ...] = ()
    """Of these matrices' maps."""
    beside: int = 0
    """Parameters of the whole model that are not in the encoder, such as a head."""

    @property
    def has_shape(self) -> bool:
        return not self.kept


def sides_of(subject: Any, where: str) -> Sides:
    """Of an objective that prunes, of a compact encoder, or of an objective around one."""
    encoder = encoder_inside(subject)
    whole = subject.inner if isinstance(subject, Cap) else subject
    beside = count_of(whole) - count_of(encoder)
    if isinstance(subject, Cap):
        if subject.gates is None:
            assert subject.masks is not None
            return Sides(encoder, encoder, tuple(subject.masks.kept), tuple(subject.masks.paths), beside)
        return Sides(_without_gates(encoder), subject.compacted(), beside=beside)
    if hasattr(encoder, "widened"):
        if encoder.shape == getattr(encoder, "whole", None):
            paths = tuple(paths_of(encoder))
            kept = tuple(encoder.get_submodule(path).weight.detach() != 0 for path in paths)
            if not all(bool(one.all()) for one in kept):
                return Sides(encoder, encoder, kept, paths, beside)  # zeros that stand in its own weights
        return Sides(encoder.widened(), encoder, beside=beside)
    raise UserError(
        f"{type(encoder).__name__} does not say what was pruned of it",
        where=where,
        cure='a run of objective:cap, or its part "compact"',
    )


def _without_gates(encoder: Any) -> Any:
    """A copy, as it was before anything was removed, also in an earlier run."""
    if hasattr(encoder, "widened"):
        return encoder.widened()
    return encoder.compact([torch.arange(group.count) for group in encoder.prunable()])


def count_of(module: nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def in_blocks(encoder: Any) -> int:
    """Parameters of the blocks: without embeddings, and what follows the last one."""
    if not hasattr(encoder, "layer_of"):
        return count_of(encoder)
    return sum(
        p.numel() for name, p in encoder.named_parameters() if 1 <= encoder.layer_of(name) <= encoder.depth
    )


def plain_state(module: nn.Module) -> State:
    """Its tensors on the CPU, none a view of another."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
