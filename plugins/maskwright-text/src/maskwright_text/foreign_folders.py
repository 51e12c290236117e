"""Folders of transformers opened as masked language models, whole, in float32; nothing in them is ever run as code."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright_text.codecs import Loaded
from maskwright_text.foreign_config import FolderConfig, read_folder
from maskwright_text.new_tokens import grown, rows_with
from maskwright_text.notices import note
from maskwright_text.pruned_heads import open_whole
from maskwright_torch.part import seeded

Attention = Literal["sdpa", "eager"]

FUSED = "qkv_linear"
"""In names of UniLM 2, which has BERT's other names."""

HeadWeights = dict[str, Tensor]
"""Weights of a VocabularyHead by their names in it."""


@attrs.frozen(eq=False)
class Opened:
    """A folder's model and tokenizer."""

    config: FolderConfig
    model: Any
    """transformers' …ForMaskedLM; its `base_model` is the network without the head."""
    codec: Loaded
    head: HeadWeights | None
    """None where the folder has no head for masked tokens."""


def open_folder(
    folder: Path,
    attention: Attention = "sdpa",
    *,
    new_rows: bool = False,
    add_tokens: Sequence[str] = (),
) -> Opened:
    """Model and tokenizer of a folder; UserError where one is missing, damaged, or does not fit the other."""
    config = read_folder(folder)
    model, missing, unexpected = _opened(config, attention)
    head = config.architecture.head
    if lacking := sorted(name for name in missing if not head.holds(name)):
        raise UserError(
            f"{folder} lacks weights of its model",
            where=str(folder),
            why=", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else ""),
            cure=f"it has queries, keys and values in one map, as UniLM 2: maskwright import {folder} --from unilm"
            if any(FUSED in name for name in unexpected)
            else "save the model again with save_pretrained",
        )
    cure = "save the tokenizer into the folder of the model, with save_pretrained"
    codec = Loaded(folder, cure, add_tokens)
    weights = _head_of(config, model, missing)
    before = model.get_input_embeddings().weight.shape[0]
    rows = rows_with(codec, before, new_rows, str(folder))
    if rows > before:
        _grow(model, rows)
        weights = weights and {**weights, "bias": grown(weights["bias"], rows)}
    return Opened(config, model, codec, weights)


def _grow(model: Any, rows: int) -> None:
    """Give the network's table so many rows. Its own head is not looked at again."""
    network = model.base_model
    table = network.get_input_embeddings().weight.detach().clone()
    with quiet():  # what it draws for the new rows is replaced, and must not move other draws
        seeded(0, lambda: network.resize_token_embeddings(rows, mean_resizing=False))
    network.get_input_embeddings().weight.data.copy_(grown(table, rows))


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "transformers cannot be imported", why=str(error), cure="pip install transformers"
        ) from None
    return transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and tables of keys: what matters is said in our words."""
    log = _transformers().utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _opened(config: FolderConfig, attention: Attention) -> tuple[Any, set[str], set[str]]:
    """The model in evaluation mode, and names of tensors: those that the folder lacks, and those it has beside."""

    settings = {"dtype": torch.float32, "attn_implementation": attention, "output_loading_info": True}

    def load() -> Any:
        auto = _transformers().AutoModelForMaskedLM
        if config.pruned_heads:
            return open_whole(config, **settings)
        return auto.from_pretrained(config.folder, local_files_only=True, trust_remote_code=False, **settings)

    try:
        with quiet():
            model, told = seeded(0, load)  # what is missing is drawn, and must not move other draws
    except UserError:
        raise
    except Exception as error:  # transformers raises many kinds
        raise UserError(
            f"the model in {config.folder} cannot be opened",
            where=str(config.folder),
            why=next(
                (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
            )[:300],
            cure=f"save it again with save_pretrained: config.json of a {config.model_type} and its weights, "
            "model.safetensors",
        ) from None
    return model.eval(), set(told["missing_keys"]), set(told["unexpected_keys"])


def _head_of(config: FolderConfig, model: nn.Module, missing: set[str]) -> HeadWeights | None:
    """The weights of the folder's own head, or None where a new one has to be trained."""
    head = config.architecture.head
    lacking = [name for name in missing if head.holds(name)]
    state = model.state_dict()
    tied = torch.equal(state[head.table], model.get_input_embeddings().weight)  # type: ignore[operator]
    if lacking or not tied:
        why = "has no head for masked tokens" if lacking else "has a head with a table of tokens of its own"
        note(f"the model in {config.folder} {why}: an objective that needs one starts with a new head")
        return None
    parts = {
        "dense.weight": f"{head.dense}.weight", "dense.bias": f"{head.dense}.bias",
        "norm.weight": f"{head.norm}.weight", "norm.bias": f"{head.norm}.bias", "bias": head.bias,
    }  # fmt: skip
    return {ours: state[theirs].clone() for ours, theirs in parts.items() if theirs in state}
