"""objective:mlm — predict hidden tokens (BERT, arXiv:1810.04805), under any masker and any schedule of the ratio.

`B` batch, `T` tokens, `K` most hidden tokens of a row, `n` hidden tokens of the batch, `V` vocabulary. Only the n
hidden tokens get logits, and the last block of encoder:text computes no others.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.step import Step
from maskwright_text.reading import read_texts
from maskwright_text.token_masking import TokenMasking
from maskwright_text.upos import UPOS
from maskwright_torch.contracts import ROWS, Batch, Filled, Loss
from maskwright_torch.masking import ratios
from maskwright_torch.part import inside

CHOICES = 5

SO_FAR = "hidden_tokens_so_far"
"""In the log: hidden tokens of the whole run, so that arms can be compared by how much they have predicted."""


@dataclass(frozen=True, eq=False)
class FilledText(Filled):
    """With the likeliest tokens of each hidden one."""

    choices: Tensor | None = None
    """int64 (B, T, CHOICES), likeliest first."""
    chances: Tensor | None = None
    """(B, T, CHOICES)"""


class Mlm(TokenMasking):
    """Encoder, and a head over the vocabulary at hidden tokens."""

    def __init__(self, encoder: Any, masker: Any, ratio: Any, **settings: Any) -> None:
        """`settings` are those of TokenMasking."""
        super().__init__(encoder, masker, ratio, **settings)
        self.prepare = encoder.prepare
        self.head = encoder.make_head()

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same objective over an encoder of another length."""
        encoder = self.encoder.adapt(inside(state, "encoder")) if hasattr(self.encoder, "adapt") else {}
        return state | {f"encoder.{name}": tensor for name, tensor in encoder.items()}

    # -- training --------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, step: Step) -> Loss:
        return self.loss(batch, self.choose(batch, step), step)

    def loss(self, batch: Batch, hidden: Tensor, step: Step) -> Loss:
        """The loss of given masks, bool (B, T). A batch with nothing hidden has the sum 0 and the count 0."""
        truth = self.encoder.targets(batch)
        seen, masked = self.corrupted(batch, hidden, step)
        logits = self.logits(seen, masked, hidden)
        losses = F.cross_entropy(logits.float(), truth[hidden], reduction="none")
        self.show_masker(batch, hidden, losses)
        if not len(losses):
            warnings.warn("a whole batch has nothing hidden: its loss is 0, it teaches nothing", stacklevel=2)
        count = losses.new_tensor(float(len(losses)))
        return Loss.of(
            losses.sum(), count, self._parts(batch, hidden, step), totals={SO_FAR: hidden.sum().double()}
        )

    def show_masker(self, batch: Batch, hidden: Tensor, losses: Tensor) -> None:
        """The losses (n,) of the hidden tokens, for a masker that goes by them."""
        if self.training and hasattr(self.masker, "observe"):
            classes = {name: batch[name][hidden] for name in self.masker.features}
            self.masker.observe(classes, losses.detach())

    def logits(self, seen: Batch, masked: Tensor, wanted: Tensor) -> Tensor:
        """(n, V): predictions at `wanted`, bool (B, T), in rising order row by row."""
        index, real = packed(wanted)
        states = self.encoder.states_at(seen, masked, index)
        return self.head(states[real], self.encoder.table)

    def _parts(self, batch: Batch, hidden: Tensor, step: Step) -> dict[str, Tensor]:
        """For the log, means over rows: the ratio asked for, share and number of hidden tokens, rows without any,
        those of each known class; then what the masker goes by."""
        valid = self.encoder.units(batch).valid
        number = hidden.sum(dim=1).double()
        parts = {
            "ratio": ratios(self.ratio, step, batch[ROWS]).mean(),
            "hidden": (number / valid.sum(dim=1).clamp(min=1)).mean(),
            "hidden_tokens": number.mean(),
            "without_hidden": (number == 0).double().mean(),
        }
        if "cut" in batch:
            parts["cut_tokens"] = batch["cut"].double().mean()
        if "tag" in batch:
            tags = batch["tag"][hidden]
            counted = torch.bincount(tags[tags >= 0], minlength=len(UPOS)).double() / len(hidden)
            parts |= {f"hidden/{name}": share for name, share in zip(UPOS, counted, strict=True)}
        return parts | (self.masker.for_log() if hasattr(self.masker, "for_log") else {})

    # -- what was learned, put to work -------------------------------------------------------------------------

    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> FilledText:
        """The likeliest token where hidden, never a special one; `score` is its probability."""
        own = self.encoder.targets(batch)
        if not bool(hidden.any()):
            return FilledText(own, torch.ones(own.shape, device=own.device))
        logits = self.logits(batch, hidden, hidden).float()
        lowest = torch.full_like(logits, -torch.inf)
        usual = self.usual()
        chances = lowest.index_copy(1, usual, logits[:, usual]).softmax(dim=1)
        best = chances.topk(min(CHOICES, chances.shape[1]), dim=1)
        values, score = own.clone(), torch.ones(own.shape, dtype=chances.dtype, device=own.device)
        values[hidden], score[hidden] = best.indices[:, 0], best.values[:, 0]
        choices = own[..., None].repeat(1, 1, best.indices.shape[1])
        all_chances = torch.ones(choices.shape, dtype=chances.dtype, device=own.device)
        choices[hidden], all_chances[hidden] = best.indices, best.values
        return FilledText(values, score, choices, all_chances)

    def read(self, argument: str) -> Iterator[Mapping[str, Any]]:
        """Items from a .txt file, a text a line, or as everywhere."""
        return read_texts(argument)

    def asked(self, batch: Batch) -> Tensor:
        """bool (B, T): mask tokens that stand in the text itself."""
        return batch["tokens"] == self.encoder.space.mask_id

    def fields(
        self, item: Mapping[str, Any], batch: Batch, row: int, filled: Filled, hidden: Tensor
    ) -> dict[str, Any]:
        """What pipeline:fill adds: the text `filled`, and for each `hidden` token what it is likely to be."""
        codec = self.encoder.codec
        real = batch["real"][row]
        found: list[dict[str, Any]] = []
        for place in hidden[row].nonzero()[:, 0].tolist():
            entry: dict[str, Any] = {"token": place, "filled": codec.decode([int(filled.values[row, place])])}
            if isinstance(filled, FilledText) and filled.choices is not None and filled.chances is not None:
                words = [codec.decode([number]) for number in filled.choices[row, place].tolist()]
                chances = [round(chance, 4) for chance in filled.chances[row, place].tolist()]
                entry["choices"] = dict(zip(words, chances, strict=True))
            found.append(entry)
        return {"filled": codec.decode(filled.values[row][real].tolist()), "hidden": found}


def packed(mask: Tensor) -> tuple[Tensor, Tensor]:
    """int64 (B, K): where each row is True, in rising order, then other places; bool (B, K): which are real."""
    counts = mask.sum(dim=1)
    most = int(counts.max()) if len(counts) else 0
    index = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    return index, torch.arange(most, device=mask.device) < counts[:, None]
