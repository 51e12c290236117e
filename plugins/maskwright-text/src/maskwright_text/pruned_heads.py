"""`pruned_heads` in config.json: transformers below 5 lists there the heads it has removed, whose rows are gone.

Later versions cannot open such a folder. We give them the model with zeros in place of what is gone, and take it out.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_text.foreign_config import CONFIG, FolderConfig, Layers
from maskwright_text.foreign_layers import remove_others
from maskwright_text.notices import note
from maskwright_torch.contracts import Group
from maskwright_torch.part import State, read_tensors
from maskwright_torch.prunable import places_of, spread

REMOVED = "pruned_heads"
WHOLE = "--to transformers-zero-filled writes the shape from before, with zeros for what was removed"
"""What to do where a format cannot hold a shape."""


def open_whole(config: FolderConfig, **settings: Any) -> Any:
    """What `from_pretrained` gives for a folder with removed heads: the model with zeros in their places."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig

    table = AutoConfig.from_pretrained(config.folder, local_files_only=True)
    require_heads(config, table.num_hidden_layers, table.num_attention_heads)
    setattr(table, REMOVED, {})
    state = _with_zeros(_weights(config), config, table)
    return MODEL_FOR_MASKED_LM_MAPPING[type(table)].from_pretrained(
        None, config=table, state_dict=state, **settings
    )


def require_heads(config: FolderConfig, depth: int, heads: int) -> None:
    """UserError where the list names blocks or heads that the model never had."""
    for block, removed in config.pruned_heads.items():
        if block >= depth or removed[-1] >= heads:
            path = config.folder / CONFIG
            raise UserError(
                f"{path}: {REMOVED} names head {removed[-1]} of block {block}",
                where=f"{path}: {REMOVED}",
                why=f"the model has {depth} blocks of {heads} heads",
                cure="mend the file, or save the model again",
            )


def kept_units(removed: Mapping[int, Sequence[int]], whole: Sequence[Sequence[int]]) -> list[Tensor]:
    """For each block the heads that are left, and all neurons: what `compact` takes."""
    kept = []
    for block, (heads, neurons) in enumerate(whole):
        left = [head for head in range(heads) if head not in removed.get(block, ())]
        kept += [torch.tensor(left, dtype=torch.int64), torch.arange(neurons)]
    return kept


def removed_heads(kept: Sequence[Tensor], whole: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """The list for config.json from the numbers of the heads and neurons that are left."""
    found = {}
    for block, (heads, _) in enumerate(whole):
        if gone := sorted(set(range(heads)) - set(kept[2 * block].tolist())):
            found[block] = gone
    return found


def shrunk(encoder: Any, make: Callable[[Any], Any]) -> Any:
    """A model by `make(config)` of the shape of a compact encoder:hf-text, as far as a config can tell it."""
    layers, whole, shape = encoder.layers, encoder.whole, encoder.shape
    neurons = {block[1] for block in shape}
    removed = removed_heads(encoder.kept_units(), whole)
    if len(neurons) > 1 or neurons == {0} or (removed and len(layers.heads_made) == 1):
        raise UserError(
            "this part cannot be written in that format",
            why=f"config.json of a {encoder.config.model_type} cannot tell [heads, neurons] of each block: {shape}",
            cure=WHOLE,
        )
    config = copy.deepcopy(encoder.model.config)
    setattr(config, layers.neurons, neurons.pop())
    model = make(config)
    if removed:
        note(
            "heads are gone: transformers below 5 and encoder:hf-text open this folder, later versions do not"
        )
        left = kept_units(removed, [[heads, shape[0][1]] for heads, _ in whole])
        remove_others(model.base_model, layers, left)
        model.config.pruned_heads = removed
    return model


def _weights(config: FolderConfig) -> State:
    """All tensors of the folder by its own names."""
    files = sorted(config.folder.glob("model*.safetensors"))
    if files:
        return {name: tensor for file in files for name, tensor in read_tensors(file).items()}
    made: State = {}
    for file in sorted(config.folder.glob("pytorch_model*.bin")):
        made |= torch.load(file, map_location="cpu", weights_only=True)
    if not made:
        raise FileNotFoundError(f"no model.safetensors and no pytorch_model.bin in {config.folder}")
    return made


def _with_zeros(state: State, config: FolderConfig, table: Any) -> State:
    layers, made = config.architecture.layers, dict(state)
    heads, size = table.num_attention_heads, table.hidden_size // table.num_attention_heads
    left = kept_units(config.pruned_heads, [[heads, 0]] * table.num_hidden_layers)
    for block in config.pruned_heads:
        for name, tensor in state.items():
            dim, fused = _axis(name, layers, block)
            if dim is not None:
                group = Group("heads", block, heads, size, "", ())
                places = places_of(group, left[2 * block], heads, fused)
                made[name] = spread(tensor, places, heads * size * fused, dim)
    return made


def _axis(name: str, layers: Layers, block: int) -> tuple[int | None, int]:
    """Along which axis of a tensor the heads of a block lie, None where they do not; and how many times."""
    inner, _, end = name.rpartition(".")
    at = f"{layers.blocks}.{block}."
    if any(f".{inner}".endswith(f".{at}{path}") for path in layers.heads_made):
        return 0, 3 // len(layers.heads_made)
    return (1, 1) if f".{inner}".endswith(f".{at}{layers.heads_read}") and end == "weight" else (None, 1)
