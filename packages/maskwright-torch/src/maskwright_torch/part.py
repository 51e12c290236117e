"""A part with weights: seeded at build, saved and loaded as safetensors, frozen where it is only used.

Files of a saved part: `model.safetensors`, and `aliases.json` for tensors that are held under several names. Loading
never runs code from data.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maskwright.errors import UserError

State = dict[str, Tensor]
WEIGHTS, ALIASES = "model.safetensors", "aliases.json"

M = TypeVar("M", bound=nn.Module)


class Part(nn.Module):
    """Base of encoders and objectives: can be saved to a folder and loaded from one.

    A part keeps what fills its slots under the names of the slots, so that the path of a part in the recipe is the path
    of its tensors too.
    """

    def save(self, folder: Path) -> None:
        """Write all weights, frozen ones too."""
        write_state(folder, *state_of(self, keep_frozen=True))

    def load(self, folder: Path) -> None:
        """Read weights back."""
        self.load_inner(folder, "")

    def load_inner(self, folder: Path, inner: str) -> None:
        """Read the weights of the part called `inner` inside what was saved there."""
        load_state(self, inside(read_state(folder), inner), str(folder))


def seeded(seed: int, make: Callable[[], M]) -> M:
    """Build a module with its own stream of initial weights, whatever was drawn before."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        return make()
    finally:
        torch.set_rng_state(before)


def freeze(module: nn.Module) -> None:
    """Use a part without training it: no gradients, evaluation mode, left out of checkpoints."""
    module.requires_grad_(False)
    module.is_frozen = True  # type: ignore[assignment]
    module.eval()


def frozen_prefixes(module: nn.Module) -> list[str]:
    """Names of the outermost frozen sub-modules, every name of a shared one; the empty name is the module itself."""
    found: list[str] = []
    for name, inner in module.named_modules(remove_duplicate=False):
        if getattr(inner, "is_frozen", False) and not any(_holds(outer, name) for outer in found):
            found.append(name)
    return found


def set_training(module: nn.Module) -> None:
    """Training mode, but for frozen parts, which stay as they are used."""
    module.train()
    for name in frozen_prefixes(module):
        module.get_submodule(name).eval()


def _holds(outer: str, inner: str) -> bool:
    return outer == "" or inner == outer or inner.startswith(f"{outer}.")


def state_of(module: nn.Module, *, keep_frozen: bool = False) -> tuple[State, dict[str, str]]:
    """(name -> tensor, alias -> name): each tensor once, tied or shared ones by alias, frozen parts left out."""
    left_out = [] if keep_frozen else frozen_prefixes(module)
    tensors: State = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[int, ...], str] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if any(_holds(prefix, name) for prefix in left_out):
            continue
        key = (tensor.data_ptr(), tensor.storage_offset(), *tensor.shape, *tensor.stride())
        if tensor.numel() and key in first:
            aliases[name] = first[key]
            continue
        first[key] = name
        # A view of a larger storage is written as a tensor of its own.
        tensors[name] = tensor.detach().cpu().contiguous()
    return tensors, aliases


def frozen_digests(module: nn.Module) -> dict[str, str]:
    """Path of each frozen part -> sha256 of its tensors, to recognise it when a run goes on."""
    return {name: digest(module.get_submodule(name)) for name in frozen_prefixes(module)}


def digest(module: nn.Module) -> str:
    """sha256 over names, shapes and values of a module's tensors."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def write_state(folder: Path, tensors: State, aliases: Mapping[str, str]) -> None:
    save_file(tensors, str(folder / WEIGHTS))
    if aliases:
        (folder / ALIASES).write_text(json.dumps(aliases, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_tensors(path: Path) -> State:
    """A safetensors file; UserError when it is missing or damaged."""
    try:
        return load_file(str(path))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing", where=str(path), cure="check the folder, or save the part again"
        ) from None
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is no sound safetensors file",
            where=str(path),
            why=str(error),
            cure="copy or save it again",
        ) from None


def read_state(folder: Path) -> State:
    """All tensors of a saved part, aliases too."""
    tensors = read_tensors(folder / WEIGHTS)
    path = folder / ALIASES
    return with_aliases(tensors, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})


def with_aliases(tensors: Mapping[str, Tensor], aliases: Mapping[str, str]) -> State:
    return {**tensors, **{alias: tensors[name] for alias, name in aliases.items()}}


def inside(state: Mapping[str, Tensor], path: str) -> State:
    """The tensors of the part at `path`, by the names they have in it."""
    prefix = f"{path}." if path else ""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def differences(module: nn.Module, state: Mapping[str, Tensor], left_out: list[str]) -> Iterator[str]:
    """What keeps `state` from being loaded, a line each."""
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in state:
            if not any(_holds(prefix, name) for prefix in left_out):
                yield f"{name}: missing"
        elif tensor.shape != state[name].shape:
            yield f"{name}: {tuple(state[name].shape)} where {tuple(tensor.shape)} is wanted"
    for name in state.keys() - own.keys():
        yield f"{name}: not known here"


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], where: str, *, may_lack_frozen: bool = False
) -> None:
    """Put tensors into a module, all of them; UserError with both shapes of each one that does not fit.

    A module may have `adapt(state) -> state`, which fits what its settings say may differ: a table of positions to
    another picture size.
    """
    if hasattr(module, "adapt"):
        state = module.adapt(dict(state))  # type: ignore[operator]
    wrong = list(differences(module, state, frozen_prefixes(module) if may_lack_frozen else []))
    if wrong:
        shown = "; ".join(wrong[:6]) + (f"; and {len(wrong) - 6} more" if len(wrong) > 6 else "")
        raise UserError(
            "the saved weights do not fit the part",
            where=where,
            why=shown,
            cure="build the part with the settings it was saved with",
        )
    module.load_state_dict(dict(state), strict=False)
