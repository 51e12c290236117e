"""Speed of writing: keys and values kept, against encoding everything again at every token; and several at once.

Section "decoding" of `python benchmarks/text.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from timing import alternate
from words import Words

from maskwright import Step
from maskwright_text.choosing import Decoding
from maskwright_text.decoding import decode
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_seq2seq import Seq2Seq
from maskwright_torch.contracts import Batch
from maskwright_torch.noise import uniform

TARGET = 48
SIZES = {
    "128 x 4, sources of 80 tokens, 16 texts": (128, 4, 4, 80, 16, 1),
    "256 x 6, sources of 200 tokens, 8 texts": (256, 6, 4, 200, 8, 1),
    "256 x 6, sources of 200 tokens, 2 texts, beam 4": (256, 6, 4, 200, 2, 4),
}
"""width, depth, heads, source tokens, texts, beam"""

WAYS = {
    "cache": {},
    "encoding again": {"cache": False},
    "blocks of 8 in 2 passes, cache": {"block": 8, "passes": 2},
}


def model_of(size: tuple[int, ...]) -> Any:
    """An untrained model: what it writes does not matter for time."""
    width, depth, heads, source, _, _ = size
    encoder = TextEncoder(
        codec=Subwords(vocabulary=4005, model="words"),
        length=source + TARGET,
        width=width,
        depth=depth,
        heads=heads,
    )
    model = Seq2Seq(encoder=encoder, target_length=TARGET).build(1)
    model.encoder.codec.fit(Words(4000), Step())
    return model.eval()


def sources(size: tuple[int, ...]) -> Batch:
    """Between half of the tokens and all of them."""
    rows, count = torch.arange(size[4]), size[3]
    lengths = count - (uniform(3, rows, 1) * count / 2).long()
    tokens = 5 + (uniform(4, rows, count) * 4000).long()
    return {"tokens": tokens, "real": torch.arange(count) < lengths, "rows": rows}


def compare(size: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Median milliseconds for all texts, each of 48 tokens; first that both ways write the same."""
    model, batch = model_of(size), sources(size)
    ways = {
        name: Decoding(min_length=TARGET - 1, beam=1 if "block" in settings else size[5], **settings)
        for name, settings in WAYS.items()
        if size[5] == 1 or "block" not in settings
    }
    written = {name: decode(model, batch, ways[name], Step()) for name in ("cache", "encoding again")}
    pairs = zip(*written.values(), strict=True)
    same = [one[0].tokens == two[0].tokens for one, two in pairs]
    assert all(len(texts[0].tokens) >= TARGET - 1 for texts in written["cache"])

    def write(decoding: Decoding) -> Callable[[], object]:
        return lambda: decode(model, batch, decoding, Step())

    times = alternate({name: write(decoding) for name, decoding in ways.items()}, repeats)
    return {
        "texts that both ways write alike": f"{sum(same)} of {len(same)}",
        "milliseconds": times,
        "over the cache": {
            name: round(value / times["cache"], 2) for name, value in times.items() if name != "cache"
        },
    }


def sections(quick: bool) -> dict[str, dict[str, Any]]:
    return {f"{TARGET} tokens, {title}": compare(size, 1 if quick else 7) for title, size in SIZES.items()}
