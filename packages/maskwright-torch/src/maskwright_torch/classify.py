"""objective:classify — fine-tune an encoder on labels, as a whole, its last blocks, or a linear map on top of it.

As MAE fine-tunes (arXiv:2111.06377): a new norm on the pooled vector in place of the encoder's own last one, a head
that starts near zero, and learning rates that fall from the head down to the input.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Batch, Encoded, Loss
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.mixing import Mixing
from maskwright_torch.optim import layer_decay_groups, split_by_decay
from maskwright_torch.part import Part, freeze

NORM_EPS = 1e-6


class Classify(Part):
    """Encoder, norm, head; cross entropy of each row."""

    def __init__(
        self,
        encoder: Any,
        classes: int,
        *,
        norm: bool = True,
        head_std: float = 2e-5,
        label_smoothing: float = 0.0,
        mixing: Mixing | None = None,
        layer_decay: float = 1.0,
        trained_blocks: int = -1,
    ) -> None:
        super().__init__()
        self.encoder, self.prepare, self.classes = encoder, encoder.prepare, classes
        self.label_smoothing, self.mixing = label_smoothing, mixing or Mixing()
        self.layer_decay = layer_decay
        if layer_decay != 1.0 and not hasattr(encoder, "layer_of"):
            raise _no_layers("layer_decay", "layer_decay=1")
        width = encoder.pooled_width
        self.norm: nn.Module = nn.LayerNorm(width, eps=NORM_EPS) if norm else nn.Identity()
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.head.weight, std=head_std)
        nn.init.zeros_(self.head.bias)
        if trained_blocks == 0:
            freeze(encoder)
        elif trained_blocks > 0:
            freeze_below(encoder, trained_blocks)

    def forward(self, batch: Batch, step: Step) -> Loss:
        label = self._labels(batch)
        partner, own = None, 1.0
        if self.training and self.mixing.is_on:
            batch, partner, own = self.mixing.of(batch, step)
        encoded = self.encoder(batch)
        logits = self._logits(encoded)
        losses, hits = self._against(logits, label)
        if partner is not None and own < 1.0:
            other_losses, other_hits = self._against(logits, label[partner])
            losses = own * losses + (1 - own) * other_losses
            hits = own * hits + (1 - own) * other_hits
        parts = {"accuracy": hits.mean()}
        return Loss.of(losses.sum(), losses.new_tensor(float(len(losses))), parts, encoded, logits=logits)

    def logits(self, batch: Batch) -> Tensor:
        """(B, classes) in float32 at least."""
        return self._logits(self.encoder(batch))

    def _logits(self, encoded: Encoded) -> Tensor:
        logits = self.head(self.norm(encoded.pooled))
        return logits if logits.dtype == torch.float64 else logits.float()

    def _against(self, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) losses and (B,) hits."""
        losses = F.cross_entropy(logits, label, reduction="none", label_smoothing=self.label_smoothing)
        return losses, (logits.argmax(dim=1) == label).to(losses.dtype)

    def _labels(self, batch: Batch) -> Tensor:
        if "label" not in batch:
            raise UserError(
                "the items have no label, or the encoder does not pass it on",
                where="objective:classify",
                why=f"the batch holds {', '.join(sorted(batch))}",
                cure="data with the field label",
            )
        label = batch["label"]
        if bool(((label < 0) | (label >= self.classes)).any()):
            wrong = int(label.max()) if int(label.min()) >= 0 else int(label.min())
            raise UserError(
                f"an item has the label {wrong}, and there are {self.classes} classes",
                where="objective:classify, setting classes",
                why=f"labels run from 0 to {self.classes - 1}",
                cure=f"classes={wrong + 1}, or as many as the data have" if wrong > 0 else "labels from 0 on",
            )
        return label

    # -- for the optimiser -------------------------------------------------------------------------------------

    def groups(self, decay: float) -> list[dict[str, Any]]:
        """Groups of parameters; with layer_decay, rates fall by that factor from each layer to the one below."""
        named = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        if self.layer_decay == 1.0:
            return split_by_decay(named, decay)
        depth = self.encoder.depth
        return layer_decay_groups(named, self.layer_of, depth, self.layer_decay, decay)

    def layer_of(self, name: str) -> int:
        """The encoder's own layers; norm and head stand above its last block."""
        inner = name.removeprefix("encoder.")
        return self.encoder.depth + 1 if inner == name else self.encoder.layer_of(inner)

    # -- put to work -------------------------------------------------------------------------------------------

    def read(self, argument: str) -> Iterator[Mapping[str, Any]]:
        """Items from what the encoder can read, such as a file or a folder."""
        if not hasattr(self.encoder, "read"):
            raise UserError("this encoder reads no files", cure="give items as JSON lines")
        return self.encoder.read(argument)


def freeze_below(encoder: Any, blocks: int) -> None:
    """Train the last `blocks` blocks and what follows them; the rest is only used."""
    if not hasattr(encoder, "layer_of"):
        raise _no_layers("trained_blocks", "trained_blocks=-1 trains all of it, 0 the head alone")
    if blocks > encoder.depth:
        raise UserError(
            f"{blocks} blocks are to be trained, the encoder has {encoder.depth}",
            where="trained_blocks",
            cure=f"at most {encoder.depth}; -1 trains the encoder as a whole",
        )
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(encoder.layer_of(name) > encoder.depth - blocks)
    for inner in _outermost_untrained(encoder):
        freeze(inner)


def _outermost_untrained(module: nn.Module) -> Iterator[nn.Module]:
    """Sub-modules with parameters none of which is trained: dropout in them is off, checkpoints leave them out."""
    for child in module.children():
        trained = [p.requires_grad for p in child.parameters()]
        if trained and not any(trained):
            yield child
        else:
            yield from _outermost_untrained(child)


def _no_layers(setting: str, cure: str) -> UserError:
    return UserError(
        "this encoder does not say which layer a weight belongs to",
        where=setting,
        why="it has no layer_of(name) and depth",
        cure=cure,
    )


class Labeller:
    """pipeline:label — items -> the same items with `predicted` and `probability`."""

    def __init__(self, objective: Any, batch: int) -> None:
        self.objective, self.batch = objective, batch
        if hasattr(objective, "read"):
            self.read = objective.read

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]:
        with in_use(self.objective):
            for piece, batch in in_batches(self.objective, self.objective.prepare, items, step, self.batch):
                best, label = self.objective.logits(batch).softmax(dim=1).max(dim=1)
                for item, number, share in zip(piece, label.tolist(), best.tolist(), strict=True):
                    yield {**item, "predicted": number, "probability": share}
