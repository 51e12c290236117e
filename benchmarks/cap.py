"""Speed of contrastive pruning: what removal gains, what contrasts and importance cost, what zeros alone are worth.

    python benchmarks/cap.py                         # everything, about eight minutes and 5 GB; needs cap and text
    python benchmarks/cap.py --only compact          # some of: compact, contrast, importance
    python benchmarks/cap.py --small                 # tiny sizes, to see that it works; nothing is kept

Sizes are those of BERT-base: 12 blocks of 12 heads, 3,072 neurons and width 768, 128 tokens, random weights. Variants
of one comparison take turns in one process, two threads, medians. Seconds depend on the machine and on what else it
does; ratios hold better. Results go to benchmarks/results/cap.json.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from cap_plain import multiplications, plain_encoder
from timing import THREADS, alternate, keep, show
from torch import Tensor

from maskwright import Step
from maskwright_cap.banks import FINE, PRE, SNAP, Banks, Snapshots
from maskwright_cap.choosing import Lowest, next_open
from maskwright_cap.contrast import BankContrast, contrast_terms
from maskwright_cap.gates import Gates, importance, magnitudes, normalised
from maskwright_cap.layers import share_of
from maskwright_cap.masks import Masks
from maskwright_cap.params_cap import Cap
from maskwright_cap.sparse_maps import with_plain_maps, with_sparse_maps
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_torch.noise import uniform
from maskwright_torch.params_classify import Classify

SHARES = {0.5: 0.95, 0.75: 0.95, 0.9: 0.8}
"""Share of heads and neurons that goes -> share of the speed-up 1 / (1 - f) that is aimed at."""
EXTRA, SNAPSHOTS = 4096, 3
MNLI = 392_702
"""Training items of MNLI, for which bytes are stated."""


@attrs.frozen
class Size:
    """Of the encoder, its input, and what is measured on it."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    length: int = 128
    vocabulary: int = 1000
    batch: int = 8
    """Rows of an inference pass, and of a gradient of importance."""
    step: int = 32
    """Rows of a training step with contrasts."""
    items: int = 20_000
    """In each bank."""
    subset: int = 16
    """Items of the importance pass, and of the epoch beside it."""
    repeats: int = 7


SMALL = Size(64, 2, 4, 16, 100, 2, 8, 200, 4, 2)


def encoder(size: Size) -> TextEncoder:
    """BERT's shape: the norm after each part."""
    codec = Subwords(vocabulary=size.vocabulary, model="words")
    return TextEncoder(
        codec=codec, length=size.length, width=size.width, depth=size.depth, heads=size.heads, pre_norm=False
    )


def pruner(size: Size) -> Any:
    """objective:cap on a classifier, without banks."""
    inner = Classify(encoder=encoder(size), classes=2, head_std=0.02)
    return Cap(inner=inner, prc=False, snc=False).build().train()


def batch_of(size: Size, rows: int, key: int = 1) -> dict[str, Tensor]:
    """Random tokens without padding, and labels."""
    tokens = 5 + (uniform(key, torch.arange(rows), size.length) * (size.vocabulary - 5)).long()
    special = torch.zeros_like(tokens, dtype=torch.bool)
    return {
        "tokens": tokens,
        "real": ~special,
        "special": special,
        "segment": torch.zeros_like(tokens),
        "rows": torch.arange(rows),
        "label": torch.arange(rows) % 2,
    }


def forward(model: Any, batch: dict[str, Tensor]) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            model(batch)

    return run


# -- what removal gains ----------------------------------------------------------------------------------------


def compacted(whole: Any, gates: Gates, share: float) -> Any:
    """The encoder without that share of its heads and of its neurons, by magnitude; a head stays in each block."""
    scores = dict(zip(gates.gates, map(normalised, magnitudes(gates, whole)), strict=True))
    for kind in gates.kinds:
        own = gates.of_kind(kind)
        opened = [torch.ones_like(gate.open) for gate in own]
        closed = share_of(sum(len(one) for one in opened), share)
        floor = 1 if kind == "heads" else 0
        now, _ = next_open(Lowest(), [scores[gate] for gate in own], opened, closed, floor, Step())
        for gate, value in zip(own, now, strict=True):
            gate.open.copy_(value)
    return gates.compacted(whole)


def compact_against_dense(size: Size) -> dict[str, Any]:
    """Forward passes. `aim` and `reached`: shares of 1 / (1 - f), f of the blocks' multiplications that are gone."""
    whole = encoder(size).build().eval()
    batch = batch_of(size, size.batch)
    gates = Gates(whole, ("heads", "neurons"))
    small, worst = {}, 0.0
    for share in SHARES:
        small[share] = compacted(whole, gates, share).eval()
        with torch.inference_mode():
            worst = max(worst, float((small[share](batch).states - whole(batch).states).abs().max()))
    whole = whole.compact([torch.arange(group.count) for group in whole.prunable()]).eval()  # no gates on it
    models = {"dense": whole} | {f"{share:.0%}": made for share, made in small.items()}
    head = size.width // size.heads
    flops = {
        name: multiplications(made.shape, size.width, head, size.length) for name, made in models.items()
    }
    plain = {
        f"plain {name}": plain_encoder(made.shape, size.width, head, size.vocabulary, size.length)
        for name, made in models.items()
    }

    times = alternate({name: forward(m, batch) for name, m in (models | plain).items()}, size.repeats)
    found: dict[str, Any] = {"gated and compact differ by at most": worst, "milliseconds": times}
    for share, aim in SHARES.items():
        name = f"{share:.0%}"
        ideal = flops["dense"] / flops[name]
        ours, plainly = times["dense"] / times[name], times["plain dense"] / times[f"plain {name}"]
        found[f"{name} of heads and neurons gone"] = {
            "multiplications of the blocks gone": round(1 - 1 / ideal, 4),
            "times as fast": round(ours, 2),
            "possible": round(ideal, 2),
            "reached": round(ours / ideal, 3),
            "aim": aim,
            "a plain model of these sizes": round(plainly / ideal, 3),
        }
    return found


def zeros_alone(size: Size) -> dict[str, Any]:
    """Forward passes with zeros in place, which dense kernels multiply and `maskwright_cap.sparse_maps` skips."""
    whole = encoder(size).build().eval()
    masks, batch = Masks(whole, scored=False), batch_of(size, size.batch)
    models = {}
    for kept in (0.1, 0.03):
        masks.keep_best(whole, kept, "matrix", Lowest(), Step())
        name = f"{1 - kept:.0%} zeros"
        models |= {f"{name}, dense": with_plain_maps(whole, masks.paths)}
        models |= {f"{name}, CSR": with_sparse_maps(whole, masks.paths)}
    times = alternate({name: forward(model, batch) for name, model in models.items()}, size.repeats)
    faster = {
        name: round(took / times[name.replace("dense", "CSR")], 2)
        for name, took in times.items()
        if "dense" in name
    }
    return {"milliseconds": times, "CSR, times as fast as dense": faster}


# -- what contrasts cost ---------------------------------------------------------------------------------------


class HeldBanks(Banks):
    """Banks that are there already."""

    def __init__(self, held: dict[str, Snapshots]) -> None:
        super().__init__(SNAPSHOTS)
        self.held = held

    def get(self, name: str) -> Snapshots | None:
        return self.held.get(name)


def bank(size: Size, folder: Path, moments: int) -> Snapshots:
    """Random unit vectors in files, as a run has them."""
    vectors = []
    for moment in range(moments):
        made = uniform(50 + moment, torch.arange(size.items), size.width).float() - 0.5
        file = folder / f"{moments}-{moment}.npy"
        np.save(file, torch.nn.functional.normalize(made, dim=1).half().numpy())
        vectors.append(np.load(file, mmap_mode="r", allow_pickle=False))
    places = torch.arange(size.items)
    return Snapshots(places, places % 2, tuple(vectors))


def contrasts_in_a_step(size: Size, folder: Path) -> dict[str, Any]:
    """A training step with and without the three contrasts, and these alone: sampling, reading, scores, gradient."""
    objective = pruner(size)
    held = {}
    for name, moments in ((PRE, 1), (FINE, 1), (SNAP, SNAPSHOTS)):
        (folder / name).mkdir()
        held[name] = bank(size, folder / name, moments)
    on = {name: BankContrast(name, 0.3, 0.03, 0.1, EXTRA) for name in held}
    objective.banks = HeldBanks(held)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-5, fused=True)
    batch, numbers = batch_of(size, size.step), iter(range(10**9))

    def train(contrasts: dict[str, BankContrast]) -> Callable[[], None]:
        def run() -> None:
            objective.contrasts = contrasts
            optimiser.zero_grad()
            objective(batch, Step(0, next(numbers), 10**9)).value.backward()
            optimiser.step()

        return run

    vectors = uniform(9, torch.arange(size.step), size.width).float().requires_grad_()
    pairs = [(contrast, held[name]) for name, contrast in on.items()]

    def alone() -> None:
        step = Step(0, next(numbers), 10**9)
        terms = contrast_terms(pairs, vectors, batch["rows"], batch["label"], step)
        torch.autograd.grad(sum(t.weight * t.sum / t.count for t in terms.values()), vectors)

    times = alternate({"with": train(on), "without": train({})}, max(size.repeats // 3, 2), warm=1)
    only = alternate({"contrasts alone": alone}, 3 * size.repeats)["contrasts alone"]
    files = sum(file.stat().st_size for file in folder.rglob("*.npy"))
    moments = len(held[PRE]) + len(held[FINE]) + len(held[SNAP])
    return {
        "milliseconds": {**times, "contrasts alone": only},
        "overhead, of the two steps": round(times["with"] / times["without"] - 1, 4),
        "overhead, of the contrasts alone": round(only / times["without"], 4),
        "aim": "at most 0.1",
        "bytes of the banks": {
            "files here": files,
            "items x width x 2 for each of them": size.items * size.width * 2 * moments,
            f"MNLI, pre + fine + {SNAPSHOTS} snapshots": MNLI * size.width * 2 * (2 + SNAPSHOTS),
            "read in a step, at most": size.width * 2 * (size.step * moments + EXTRA * len(held)),
        },
    }  # fmt: skip


# -- what importance costs -------------------------------------------------------------------------------------


def importance_against_epoch(size: Size) -> dict[str, Any]:
    """Gradients of all gates on some items, and one epoch of training on the same, in the same pieces."""
    objective = pruner(size)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-5, fused=True)
    batches = [batch_of(size, size.batch, key) for key in range(size.subset // size.batch)]

    def loss_of(batch: dict[str, Tensor], number: int) -> Tensor:
        return objective(batch, Step(0, number, 10**9)).value

    def epoch() -> None:
        for number, batch in enumerate(batches):
            optimiser.zero_grad()
            loss_of(batch, number).backward()
            optimiser.step()

    def measure(per: Any) -> Callable[[], None]:
        return lambda: importance(objective.gates, objective, loss_of, batches, per) and None

    variants = {"epoch": epoch, "per batch": measure("batch"), "per example": measure("example")}
    times = alternate(variants, max(size.repeats // 2, 2), warm=1)
    ratios = {name: round(times[name] / times["epoch"], 3) for name in ("per batch", "per example")}
    return {"milliseconds": times, "against an epoch": ratios, "aim": "at most 1.3"}


# -- all of it -------------------------------------------------------------------------------------------------


def sections(wanted: Iterable[str], size: Size) -> dict[str, Any]:
    results: dict[str, Any] = {}

    def add(title: str, make: Callable[[], dict[str, Any]]) -> None:
        results[title] = make()
        show(title, results[title])

    shape = f"{size.depth} x {size.width}, {size.length} tokens"
    if "compact" in wanted:
        add(f"compact against dense, {shape}, batch {size.batch}", lambda: compact_against_dense(size))
        add(f"zeros alone, {shape}, batch {size.batch}", lambda: zeros_alone(size))
    if "contrast" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            title = f"contrasts, {shape}, batch {size.step}, {EXTRA} extra vectors in each bank"
            add(title, lambda: contrasts_in_a_step(size, Path(folder)))
    if "importance" in wanted:
        add(f"importance, {shape}, {size.subset} items", lambda: importance_against_epoch(size))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ["compact", "contrast", "importance"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    results = sections(options.only, SMALL if options.small else Size())
    print(f"\n{time.perf_counter() - start:.0f} s")
    if not options.small:
        keep("cap", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
