"""Cost of both losses of PMLM in one pass: against a masked language model alone, and against a pass for each block.

Sections "pmlm" of `python benchmarks/text.py`. A step is forward, backward and optimiser.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from timing import alternate
from torch import Tensor
from words import Words

from maskwright import Step
from maskwright_text.mlm import Mlm, packed
from maskwright_text.params_maskers import PmlmBlocks
from maskwright_text.params_models import Mlm as MlmParams
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_pmlm import Pmlm
from maskwright_text.pmlm import Pmlm as BuiltPmlm
from maskwright_text.pseudo_layout import ORIGINAL, PSEUDO, PseudoLayout, pseudo_layout
from maskwright_torch.noise import uniform

VOCABULARY = 8000
SIZES = {"256 x 4": (256, 4, 4), "768 x 2 (BERT's width)": (768, 2, 12)}
"""Width, depth, heads."""
RATIO = 0.15


def texts(rows: int, count: int) -> dict[str, Tensor]:
    """Random tokens between [CLS] and [SEP], each a word: what they say does not matter for time."""
    tokens = 5 + (uniform(1, torch.arange(rows), count) * (VOCABULARY - 5)).long()
    tokens[:, 0], tokens[:, -1] = 2, 3
    special = tokens < 5
    word = torch.arange(-1, count - 1).expand_as(tokens).masked_fill(special, -1)
    return {
        "tokens": tokens, "real": torch.ones_like(special), "special": special, "word": word,
        "segment": torch.zeros_like(tokens), "rows": torch.arange(rows),
    }  # fmt: skip


def built(params: Any, size: tuple[int, int, int], length: int) -> Any:
    width, depth, heads = size
    codec = Subwords(vocabulary=VOCABULARY, model="words")
    encoder = TextEncoder(codec=codec, length=length, width=width, depth=depth, heads=heads)
    made = params(encoder=encoder, masker=PmlmBlocks(), ratio=RATIO).build(seed=1)
    made.encoder.codec.fit(Words(VOCABULARY - 5), Step())
    return made


def trainer(model: torch.nn.Module, loss: Callable[[Step], Tensor]) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    numbers = iter(range(10**9))

    def step() -> None:
        optimiser.zero_grad()
        loss(Step(0, next(numbers), 10**9)).backward()
        optimiser.step()

    return step


# -- against a masked language model alone -------------------------------------------------------------------


def against_mlm(size: tuple[int, int, int], length: int, rows: int, repeats: int) -> dict[str, Any]:
    batch = texts(rows, length)
    mlm, pmlm = built(MlmParams, size, length), built(Pmlm, size, length)
    times = alternate(
        {
            "mlm": trainer(mlm, lambda step: mlm(batch, step).value),
            "pmlm": trainer(pmlm, lambda step: pmlm(batch, step).value),
        },
        repeats,
    )
    return {"milliseconds": times, "ratio": round(times["pmlm"] / times["mlm"], 2)}


# -- against a pass for each block ---------------------------------------------------------------------------


def of_block(layout: PseudoLayout, number: int) -> PseudoLayout:
    """What a pass for one block needs: the text, its pseudo masks, and the originals before. All rows are alike."""
    block, kind = layout.block[0], layout.kind[0]
    kept = torch.arange(len(kind)) < layout.context
    kept |= (kind == PSEUDO) & (block == number) | (kind == ORIGINAL) & (block < number)
    return PseudoLayout(layout.place[:, kept], layout.kind[:, kept], layout.block[:, kept], layout.context)


def separate_loss(model: BuiltPmlm, batch: dict[str, Tensor], blocks: Tensor, step: Step) -> Tensor:
    """The same two losses from a pass for AE and one for each block, added up."""
    hidden = blocks >= 0
    value = Mlm.loss(model, batch, hidden, step).value
    seen, masked = model.corrupted(batch, hidden, step)
    layout = pseudo_layout(blocks, batch["real"])
    count = hidden.sum()
    for number in range(int(blocks.max()) + 1):
        part = of_block(layout, number)
        index, real = packed(part.kind == PSEUDO)
        tokens = model.extended(batch, seen, masked, part)
        states = model.encoder.attended(tokens, part.place, part.attend(), context=part.context, index=index)
        truth = batch["tokens"].gather(1, part.place.gather(1, index))[real]
        logits = model.head(states[real], model.encoder.table)
        value = value + F.cross_entropy(logits, truth, reduction="sum") / count
    return value


def against_separate(size: tuple[int, int, int], length: int, rows: int, repeats: int) -> dict[str, Any]:
    batch = texts(rows, length)
    one, many = built(Pmlm, size, length), built(Pmlm, size, length)
    blocks = one.blocks(batch, Step(0, 0, 10))[:1].expand(rows, -1)
    step = Step(0, 1, 10)
    both = [
        float(one.block_loss(batch, blocks, step).value.detach()),
        float(separate_loss(many, batch, blocks, step).detach()),
    ]
    assert abs(both[0] - both[1]) < 1e-3, both
    times = alternate(
        {
            "one pass": trainer(one, lambda step: one.block_loss(batch, blocks, step).value),
            "separate": trainer(many, lambda step: separate_loss(many, batch, blocks, step)),
        },
        repeats,
    )
    passes = 2 + int(blocks.max())
    return {
        "passes": passes, "milliseconds": times, "ratio": round(times["separate"] / times["one pass"], 2),
    }  # fmt: skip


def sections(quick: bool) -> dict[str, dict[str, Any]]:
    repeats = 3 if quick else 15
    found = {}
    for label, size in list(SIZES.items())[: 1 if quick else None]:
        title = f"one pass against mlm alone, 512 tokens, batch 4, {label}"
        found[title] = against_mlm(size, 512, 4, repeats)
        title = f"one pass against separate passes, 128 tokens, batch 8, {label}"
        found[title] = against_separate(size, 128, 8, max(repeats // 3, 2))
    return found
