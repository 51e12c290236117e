"""Tiny models of transformers with weights that are nowhere zero, in folders with a tokenizer."""

import json
import math
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_text.codecs import Subwords
from maskwright_text.exporting import write_tokenizer
from maskwright_text.foreign_folders import quiet
from maskwright_torch.noise import identity, uniform
from maskwright_torch.part import seeded

TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "a lazy dog sleeps",
    "every good dog likes a long walk in the park and the fox likes it too and so does the lazy dog",
)
LONGEST = 24
"""Tokens that fit into the models."""

_SIZES: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": LONGEST,
}  # fmt: skip
_ROBERTA = {"max_position_embeddings": LONGEST + 2, "pad_token_id": 1, "type_vocab_size": 1}
_MODERN = {
    "max_position_embeddings": LONGEST, "local_attention": 4, "num_hidden_layers": 4, "pad_token_id": 0,
    "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3,
}  # fmt: skip

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {}),
    "roberta": ("Roberta", _ROBERTA),
    "roberta-prelayernorm": ("RobertaPreLayerNorm", {**_ROBERTA, "type_vocab_size": 2}),
    "xlm-roberta": ("XLMRoberta", _ROBERTA),
    "camembert": ("Camembert", _ROBERTA),
    "distilbert": ("DistilBert", {"hidden_dim": 24}),
    "electra": ("Electra", {"embedding_size": 12}),
    "modernbert": ("ModernBert", _MODERN),
}
"""Model type -> how its classes begin, and settings."""


class Texts:
    """A data set of the three texts."""

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        return len(TEXTS)

    def item(self, split: str, index: int, step: Step) -> dict[str, Any]:
        return {"id": str(index), "text": TEXTS[index]}


def numbers(name: str, *shape: int) -> Tensor:
    """float32 in [-0.5, 0.5), another one for each name."""
    drawn = uniform(7, torch.tensor([identity(name)]), math.prod(shape))
    return (drawn[0] - 0.5).float().reshape(shape)


def stirred(model: Any) -> Any:
    """Every weight moved away from where it starts: fresh norms are the identity and would hide a mistake."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.4 * numbers(name, *parameter.shape))
    return model.eval()


def their_model(kind: str, suffix: str = "ForMaskedLM", **more: Any) -> Any:
    """A model of a type, always with the same weights; `suffix` names the class."""
    words, settings = KINDS[kind]
    config = getattr(transformers, f"{words}Config")(**{**_SIZES, **settings, **more})
    return stirred(seeded(11, lambda: getattr(transformers, f"{words}{suffix}")(config)))


def tokenizer(vocabulary: int = 40, model: Any = "words") -> Subwords:
    """Trained on the three texts: 22 words and 5 special tokens."""
    codec = Subwords(vocabulary, model, False, "train")
    codec.fit(Texts(), Step())
    return codec


def saved(model: nn.Module, folder: Path, codec: Subwords | None = None) -> Path:
    """A folder as save_pretrained writes it, with a tokenizer."""
    with quiet():
        model.save_pretrained(folder)  # type: ignore[operator]
    segmented = getattr(model.config, "type_vocab_size", 1) > 1
    write_tokenizer(codec or tokenizer(), folder, LONGEST, segmented)
    return folder


def their_batch(folder: Path, texts: Any = TEXTS) -> dict[str, Tensor]:
    """What their own tokenizer makes of the texts, padded."""
    made = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return dict(made(list(texts), padding=True, truncation=True, return_tensors="pt"))


def our_batch(part: Any, texts: Any = TEXTS) -> dict[str, Tensor]:
    items = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    return {**part.prepare(items, Step()), "rows": torch.arange(len(items))}


def changed(path: Path, **keys: Any) -> None:
    """A JSON file with other values; None takes a key out."""
    table = {**json.loads(path.read_text()), **keys}
    path.write_text(json.dumps({key: value for key, value in table.items() if value is not None}))
