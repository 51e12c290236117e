"""Speed of writing: keys and values kept, against encoding everything again at every token; and several at once.

    python benchmarks/text_decoding.py            # about two minutes; needs maskwright-text
    python benchmarks/text_decoding.py --quick    # few repeats, to see that it works

Variants take turns in one process, two threads, medians. Seconds depend on the machine and on what else it does; ratios
hold better. Results go to benchmarks/results/text_decoding.json.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from maskwright import Step
from maskwright_text.choosing import Decoding
from maskwright_text.decoding import decode
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_seq2seq import Seq2Seq
from maskwright_torch.contracts import Batch
from maskwright_torch.noise import uniform

THREADS = 2
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


class Words:
    """A split of words, to train a tokenizer on."""

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        return 1

    def item(self, split: str, index: int, step: Step) -> dict[str, str]:
        return {"id": "words", "text": " ".join(f"w{number}" for number in range(4000))}


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
    model.encoder.codec.fit(Words(), Step())
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


def alternate(variants: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each; they take turns, so that a busy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, call in variants.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {}
    for title, size in SIZES.items():
        results[title] = compare(size, 1 if options.quick else 7)
        print(f"\n{TARGET} tokens, {title}")
        for key, value in results[title].items():
            print(f"  {key}: {value}", flush=True)
    if not options.quick:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
        report = {"machine": machine, "threads": options.threads, "results": results}
        out = Path(__file__).parent / "results" / "text_decoding.json"
        out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
