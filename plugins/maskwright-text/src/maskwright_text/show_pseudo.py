"""pipeline:show-pseudo — the extended input of PMLM for a text, and who reads whom. Needs no run and no tokenizer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.pmlm import SHORTEST, Ordered
from maskwright_text.pmlm_blocks import Order
from maskwright_text.pseudo_drawing import write_matrix
from maskwright_text.pseudo_layout import PSEUDO, PseudoLayout, check_blocks, numbered, pseudo_layout
from maskwright_text.text_subjects import Item
from maskwright_text.token_units import TokenUnits
from maskwright_text.word_groups import NONE
from maskwright_torch.contracts import ROWS, Space
from maskwright_torch.masking import choose
from maskwright_torch.noise import identities

KINDS = ("text", "pseudo mask", "original")
"""What CONTEXT, PSEUDO and ORIGINAL are called."""

READS, READS_NOT = "#", "."


class ShowPseudo:
    """Items with `text` -> the same with `layout`, an entry for each token, and `matrix`, a line for each reader."""

    def __init__(self, masker: Any, ratio: Any, order: Order, blocks: Sequence[Sequence[int]]) -> None:
        self.masker, self.ratio, self.given = Ordered(masker, order), ratio, blocks
        self.units = TokenUnits(Space((0,)))

    def __call__(self, items: Iterable[Item], step: Step) -> Iterator[Item]:
        for item in items:
            words = _words(item)
            real = torch.ones(1, len(words), dtype=torch.bool)
            blocks = numbered(self.given, len(words)) if self.given else self._drawn(item, real, step)
            layout = pseudo_layout(blocks, real)
            yield {**item, "layout": entries(layout, words), "matrix": lines(layout.attend()[0])}

    def write(self, item: Mapping[str, Any], path: Path) -> None:
        """A picture of the matrix, with the tokens beside it."""
        write_matrix(item["layout"], item["matrix"], path)

    def _drawn(self, item: Item, real: Tensor, step: Step) -> Tensor:
        place = torch.arange(real.shape[1])[None]
        batch = {
            "tokens": place, "real": real, "special": ~real, "word": place,
            ROWS: identities([str(item.get("id", item["text"]))]),
        }  # fmt: skip
        blocks = choose(self.units, self.masker, self.ratio, batch, step.fork("show-pseudo"))  # type: ignore[arg-type]
        check_blocks(blocks, real)
        return blocks


def _words(item: Item) -> list[str]:
    text = item.get("text", "")
    if not isinstance(text, str):
        raise UserError(
            f'the text of the item "{item.get("id", "")}" is {text!r:.40}',
            where="pipeline:show-pseudo",
            cure="a text of two words or more",
        )
    words = text.split()
    if len(words) < SHORTEST:
        raise UserError(
            f'the text of the item "{item.get("id", "")}" has {len(words)} {"word" if len(words) == 1 else "words"}',
            where="pipeline:show-pseudo",
            why="with one word hidden, another has to be left to predict it from",
            cure="a text of two words or more",
        )
    return words


def entries(layout: PseudoLayout, words: Sequence[str]) -> list[dict[str, Any]]:
    """For each token of the extended input: what enters the model, at which position, of what kind, in which block."""
    found = []
    columns = (layout.place[0], layout.kind[0], layout.block[0])
    for place, kind, block in zip(*(column.tolist() for column in columns), strict=True):
        masked = block != NONE and kind != PSEUDO and len(found) < layout.context
        token = "[P]" if kind == PSEUDO else "[M]" if masked else words[place]
        entry = {"token": token, "position": place, "kind": KINDS[kind]}
        found.append(entry | ({} if block == NONE else {"block": block, "word": words[place]}))
    return found


def lines(attend: Tensor) -> list[str]:
    """bool (M, M) -> a line for each reader, with READS for each token that it reads."""
    return ["".join(READS if reads else READS_NOT for reads in row) for row in attend.tolist()]
