"""objective:mlm — predict hidden tokens (BERT, arXiv:1810.04805), under any masker and any schedule of the ratio.

`B` batch, `T` tokens, `K` most hidden tokens of a row, `n` hidden tokens of the batch, `V` vocabulary. Only the n
hidden tokens get logits, and the last block of the encoder computes no others.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.schedules import clamped
from maskwright.step import Step
from maskwright_text.reading import read_texts
from maskwright_text.upos import UPOS
from maskwright_torch.contracts import ROWS, Batch, Filled, Loss
from maskwright_torch.masking import choose, hide_lowest, ratios, units_of
from maskwright_torch.noise import uniform
from maskwright_torch.part import Part, inside

CHOICES = 5

SO_FAR = "hidden_tokens_so_far"
"""In the log: hidden tokens of the whole run, so that arms can be compared by how much they have predicted."""


@attrs.frozen
class Corruption:
    """What the encoder sees in place of hidden tokens: the mask token, a random token, or the token itself."""

    mask: float = 0.8
    random: float = 0.1


@dataclass(frozen=True, eq=False)
class FilledText(Filled):
    """With the likeliest tokens of each hidden one."""

    choices: Tensor | None = None
    """int64 (B, T, CHOICES), likeliest first."""
    chances: Tensor | None = None
    """(B, T, CHOICES)"""


class Mlm(Part):
    """Encoder, and a head over the vocabulary at hidden tokens."""

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
        self.prepare = encoder.prepare
        self.corruption = corruption or Corruption()
        self.at_least_one = at_least_one
        self.head = encoder.make_head()
        specials = set(encoder.space.specials)
        usual = [number for number in range(encoder.space.vocabulary) if number not in specials]
        self.register_buffer("usual", torch.tensor(usual), persistent=False)
        if hasattr(masker, "set_vocabulary"):  # one that weighs tokens has a number for each
            masker.set_vocabulary(encoder.space.vocabulary)

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same objective over an encoder of another length."""
        encoder = self.encoder.adapt(inside(state, "encoder")) if hasattr(self.encoder, "adapt") else {}
        return state | {f"encoder.{name}": tensor for name, tensor in encoder.items()}

    # -- training --------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, step: Step) -> Loss:
        return self.loss(batch, self.choose(batch, step), step)

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
        usual = self._usual()
        other = usual[(which * len(usual)).long()]
        return self.encoder.with_values(batch, torch.where(replaced, other, truth)), masked

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
        usual = self._usual()
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

    def _usual(self) -> Tensor:
        """int64: tokens that stand for text: no special ones, and none that the tokenizer does not have."""
        usual: Tensor = self.usual  # type: ignore[assignment]
        codec = getattr(self.encoder, "codec", None)
        return usual if codec is None else usual[usual < codec.known]


def packed(mask: Tensor) -> tuple[Tensor, Tensor]:
    """int64 (B, K): where each row is True, in rising order, then other places; bool (B, K): which are real."""
    counts = mask.sum(dim=1)
    most = int(counts.max()) if len(counts) else 0
    index = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    return index, torch.arange(most, device=mask.device) < counts[:, None]
