"""objective:pmlm — predict hidden tokens twice in one pass, all at once and block by block (UniLMv2, arXiv:2002.12804).

AE is the loss of BERT: each hidden token from the visible ones. PAR goes through the blocks in their order: the tokens
of a block from the visible ones and from the blocks before. `B` rows, `N` tokens, `M` tokens with the appendix (see
`pseudo_layout`), `n` hidden tokens of the batch, `V` vocabulary.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.step import Step
from maskwright_text.mlm import SO_FAR, Mlm, packed
from maskwright_text.pmlm_blocks import Order, order_blocks
from maskwright_text.pseudo_layout import PSEUDO, PseudoLayout, check_blocks, pseudo_layout
from maskwright_text.word_groups import NONE
from maskwright_torch.contracts import Batch, Loss, Term, Units
from maskwright_torch.masking import choose

SHORTEST = 2
"""Of a text with one token to hide, nothing would be left to predict it from."""


class Ordered:
    """A masker's blocks, int64 (B, N); those of a masker that has none are its runs of hidden tokens."""

    def __init__(self, masker: Any, order: Order) -> None:
        self.masker, self.order = masker, order
        self.features: tuple[str, ...] = getattr(masker, "features", ())
        self.if_missing: Mapping[str, str] = getattr(masker, "if_missing", {})

    def __call__(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        if hasattr(self.masker, "blocks"):
            return self.masker.blocks(units, ratio, step)
        return order_blocks(self.masker(units, ratio, step), self.order, units.rows, step)


class Pmlm(Mlm):
    """Both losses over one encoder and one head. `fill` is that of a masked language model."""

    def __init__(
        self,
        encoder: Any,
        masker: Any,
        ratio: Any,
        *,
        ae: float = 1.0,
        par: float = 1.0,
        order: Order = "random",
        **settings: Any,
    ) -> None:
        super().__init__(encoder, masker, ratio, **settings)
        self.weights = {"ae": ae, "par": par}
        self.ordered = Ordered(masker, order)

    def forward(self, batch: Batch, step: Step) -> Loss:
        return self.block_loss(batch, self.blocks(batch, step), step)

    def choose(self, batch: Batch, step: Step) -> Tensor:
        """bool (B, N): what is hidden at this step."""
        return self.blocks(batch, step) != NONE

    def blocks(self, batch: Batch, step: Step) -> Tensor:
        """int64 (B, N): blocks at this step; a text with fewer than SHORTEST tokens to hide has none."""
        blocks = choose(self.encoder, self.ordered, self.ratio, batch, step)  # type: ignore[arg-type]
        valid = self.encoder.units(batch).valid
        check_blocks(blocks, valid)
        if self.at_least_one:
            blocks = blocks.masked_fill(self.one_if_none(batch, blocks != NONE, step), 0)
        return blocks.masked_fill(_too_short(valid)[:, None], NONE)

    def counts(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Hidden tokens; both losses have one for each."""
        before = self.masker.training
        self.masker.eval()  # a masker that remembers what it sees must not see the batch twice
        count = self.choose(batch, step).sum().double()
        self.masker.train(before)
        return {"ae": count, "par": count}

    def block_loss(self, batch: Batch, blocks: Tensor, step: Step) -> Loss:
        """The losses of given blocks, int64 (B, N), from one pass."""
        hidden = blocks != NONE
        seen, masked = self.corrupted(batch, hidden, step)
        layout = pseudo_layout(blocks, batch["real"])
        logits = self.predictions(self.extended(batch, seen, masked, layout), layout, batch.get("segment"))
        predicted = layout.predicts
        truth = self.encoder.targets(batch).gather(1, layout.place)[predicted]
        losses = F.cross_entropy(logits.float(), truth, reduction="none")
        ahead = layout.kind[predicted] == PSEUDO
        found = {"ae": losses[~ahead], "par": losses[ahead]}
        self.show_masker(batch, hidden, found["ae"])
        if not len(losses):
            warnings.warn("a whole batch has nothing hidden: its loss is 0, it teaches nothing", stacklevel=2)
        count = losses.new_tensor(float(len(found["ae"])))
        terms = {name: Term(each.sum(), count, self.weights[name]) for name, each in found.items()}
        own = {
            "blocks": (blocks.amax(dim=1) + 1).double().mean(),
            "skipped": _too_short(self.encoder.units(batch).valid).double().mean(),
        }
        parts = self._parts(batch, hidden, step) | own
        return Loss(terms, parts, totals={SO_FAR: hidden.sum().double()})

    def extended(self, batch: Batch, seen: Batch, masked: Tensor, layout: PseudoLayout) -> Tensor:
        """int64 (B, M): the corrupted text, then pseudo masks, which are mask tokens, and originals."""
        mask = self.encoder.space.mask_id
        context = torch.where(masked, mask, self.encoder.targets(seen))
        places, kind = layout.place[:, layout.context :], layout.kind[:, layout.context :]
        originals = self.encoder.targets(batch).gather(1, places)
        return torch.cat([context, torch.where(kind == PSEUDO, mask, originals)], dim=1)

    def predictions(self, tokens: Tensor, layout: PseudoLayout, segment: Tensor | None = None) -> Tensor:
        """(2n, V): logits where the layout predicts, in rising order row by row. `segment` int64 (B, N)."""
        index, real = packed(layout.predicts)
        states = self.encoder.attended(
            tokens,
            layout.place,
            layout.attend(),
            segment=None if segment is None else segment.gather(1, layout.place),
            context=layout.context,
            index=index,
        )
        return self.head(states[real], self.encoder.table)


def _too_short(valid: Tensor) -> Tensor:
    """bool (B,)"""
    return valid.sum(dim=1) < SHORTEST
