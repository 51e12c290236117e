"""What is measured of a pruned part: the encoder as it was beside what is left of it."""

from typing import Any

import attrs
import torch
from safetensors.torch import save
from torch import nn

from maskwright.errors import UserError
from maskwright_cap.cap import Cap
from maskwright_cap.masks import Mask
from maskwright_cap.teachers import encoder_inside
from maskwright_torch.part import State


@attrs.frozen(eq=False)
class Sides:
    """A dense encoder and its pruned form."""

    dense: Any
    small: Any
    """Of masked weights the dense encoder itself: it has no smaller shape."""
    masks: tuple[Mask, ...] = ()
    paths: tuple[str, ...] = ()
    """Of the maps under the masks."""
    beside: int = 0
    """Parameters of the whole model that are not in the encoder, such as a head."""

    @property
    def has_shape(self) -> bool:
        return not self.masks


def sides_of(subject: Any, where: str) -> Sides:
    """Of an objective that prunes, of a compact encoder, or of an objective around one."""
    encoder = encoder_inside(subject)
    whole = subject.inner if isinstance(subject, Cap) else subject
    beside = count_of(whole) - count_of(encoder)
    if isinstance(subject, Cap):
        if subject.gates is None:
            assert subject.masks is not None
            masks, paths = tuple(subject.masks.masks), tuple(subject.masks.paths)
            return Sides(encoder, encoder, masks, paths, beside)  # type: ignore[arg-type]
        return Sides(_without_gates(encoder), subject.compacted(), beside=beside)
    if hasattr(encoder, "widened"):
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


def dense_bytes(encoder: nn.Module) -> int:
    """Size of its weights as a file."""
    return len(save(plain_state(encoder)))


def plain_state(module: nn.Module) -> State:
    """Its tensors on the CPU, none a view of another."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
