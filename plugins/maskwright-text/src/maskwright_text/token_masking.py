"""Which tokens are hidden at a step, and what is seen in their place: in training, in loops of others, in pictures.

`B` batch, `T` tokens.
"""

from typing import Any

import attrs
import torch
from torch import Tensor

from maskwright.schedules import clamped
from maskwright.step import Step
from maskwright_text.usual_tokens import UsualTokens
from maskwright_torch.contracts import ROWS, Batch
from maskwright_torch.masking import choose, hide_lowest, units_of
from maskwright_torch.noise import uniform
from maskwright_torch.part import Part


@attrs.frozen
class Corruption:
    """What the encoder sees in place of hidden tokens: the mask token, a random token, or the token itself."""

    mask: float = 0.8
    random: float = 0.1


class TokenMasking(Part):
    """A masker, and how much it hides as training goes on; `floor` and `cap` hold the ratio.

    `encoder` is whatever has tokens as units: TokenUnits, where nothing is computed from them.
    """

    def __init__(
        self,
        encoder: Any,
        masker: Any,
        ratio: Any,
        *,
        corruption: Corruption | None = None,
        at_least_one: bool = True,
        floor: float = 0.0,
        cap: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.masker, self.ratio = encoder, masker, clamped(ratio, floor, cap)
        self.corruption = corruption or Corruption()
        self.at_least_one = at_least_one
        self.usual = UsualTokens(encoder.space, getattr(encoder, "codec", None))
        if hasattr(masker, "set_vocabulary"):  # one that weighs tokens has a number for each
            masker.set_vocabulary(encoder.space.vocabulary)

    def choose(self, batch: Batch, step: Step) -> Tensor:
        """bool (B, T): what is hidden at this step; with `at_least_one` something of every row that has any."""
        hidden = choose(self.encoder, self.masker, self.ratio, batch, step)
        return hidden | self.one_if_none(batch, hidden, step) if self.at_least_one else hidden

    def one_if_none(self, batch: Batch, hidden: Tensor, step: Step) -> Tensor:
        """bool (B, T): what the masker hides of one token's worth, in rows of which nothing is hidden so far.

        The masker is asked, so that words stay whole and hard ones stay preferred. One that hides nothing all the same,
        because it draws how much, leaves it to chance alone.
        """
        units = units_of(self.encoder, self.masker, batch)
        lacking = ~hidden.any(dim=1) & units.valid.any(dim=1)
        if not bool(lacking.any()):
            return torch.zeros_like(hidden)
        step = step.fork("at-least-one")
        one = torch.where(lacking, 1 / units.valid.sum(dim=1).clamp(min=1), 0.0).double()
        before = self.masker.training
        self.masker.eval()  # one that counts what it sees has seen this batch
        found = self.masker(units, one, step) & lacking[:, None]
        self.masker.train(before)
        still = (lacking & ~found.any(dim=1)).long()
        noise = uniform(step.stream("mask"), batch[ROWS], hidden.shape[1])
        return found | hide_lowest(noise, units.valid, still)

    def corrupted(self, batch: Batch, hidden: Tensor, step: Step) -> tuple[Batch, Tensor]:
        """The batch with random tokens in place of some hidden ones; bool (B, T): where the mask token is."""
        if self.corruption.mask == 1.0:
            return batch, hidden
        step = step.fork("corrupt")
        truth = self.encoder.targets(batch)
        count = hidden.shape[1]
        draw = uniform(step.stream("how"), batch[ROWS], count)
        masked = hidden & (draw < self.corruption.mask)
        replaced = hidden & ~masked & (draw < self.corruption.mask + self.corruption.random)
        which = uniform(step.stream("token"), batch[ROWS], count)
        usual = self.usual()
        other = usual[(which * len(usual)).long()]
        return self.encoder.with_values(batch, torch.where(replaced, other, truth)), masked
