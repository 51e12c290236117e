"""evaluators sparsity, size-on-disk and latency: how much smaller and how much faster a pruned encoder is."""

import statistics
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from safetensors.torch import save

from maskwright.contracts import Dataset, Findings, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_cap.pruned_sides import Sides, count_of, in_blocks, plain_state, sides_of
from maskwright_cap.sparse_files import without_zeros
from maskwright_cap.sparse_maps import with_plain_maps, with_sparse_maps
from maskwright_torch.inference import in_use, prepared

Metrics = Mapping[str, Literal["max", "min"]]


class Sparsity:
    """Counts what is gone: of the blocks alone, as papers do, and of the whole model."""

    metrics: ClassVar[Metrics] = {
        "encoder_sparsity": "max", "model_sparsity": "max", "parameters": "min", "held_back": "min",
    }  # fmt: skip

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        sides = sides_of(subject, "evaluator:sparsity")
        if sides.has_shape:
            gone = count_of(sides.dense) - count_of(sides.small)
            table, title = units_table(sides), "what is left of each block"
        else:
            gone = sum(int((~keep).sum()) for keep in sides.kept)
            table, title = weights_table(sides), "what is left of each matrix"
        whole = count_of(sides.dense) + sides.beside
        held = int(getattr(subject, "held_back", 0))
        values = {
            "encoder_sparsity": gone / max(in_blocks(sides.dense), 1),
            "model_sparsity": gone / max(whole, 1),
            "parameters": float(whole - gone),
            "held_back": float(held),
        }
        notes = [f"{held} units stay because of the floor of heads in each layer"] if held else []
        return Findings(values, tables={title: table}, notes=notes)


def _timed(sides: Sides) -> list[Any]:
    """The dense encoder, and what may be faster."""
    if sides.has_shape:
        return [sides.dense, sides.small]
    return [with_plain_maps(sides.dense, sides.paths), with_sparse_maps(sides.dense, sides.paths)]


def units_table(sides: Sides) -> list[dict[str, Any]]:
    return [
        {"block": number, "heads": f"{heads} of {of_heads}", "neurons": f"{neurons} of {of_neurons}"}
        for number, ((heads, neurons), (of_heads, of_neurons)) in enumerate(
            zip(sides.small.shape, sides.dense.shape, strict=True)
        )
    ]


def weights_table(sides: Sides) -> list[dict[str, Any]]:
    return [
        {"matrix": path, "weights": keep.numel(), "kept": round(float(keep.double().mean()), 4)}
        for path, keep in zip(sides.paths, sides.kept, strict=True)
    ]


class SizeOnDisk:
    """Bytes of the encoder's weights as a file."""

    metrics: ClassVar[Metrics] = {"dense_bytes": "min", "pruned_bytes": "min", "times_smaller": "max"}

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        sides = sides_of(subject, "evaluator:size-on-disk")
        dense = len(save(plain_state(sides.dense)))
        values = {"dense_bytes": float(dense)}
        state = plain_state(sides.small)
        notes = []
        if not sides.has_shape:
            names = [f"{path}.weight" for path in sides.paths]
            masked = {name: state[name] * keep.cpu() for name, keep in zip(names, sides.kept, strict=True)}
            state = without_zeros(state | masked, names)
            notes = [
                "single weights were pruned: the small file is that of export --to sparse, without the zeros"
            ]
        pruned = len(save(state))
        values |= {"pruned_bytes": float(pruned), "times_smaller": dense / max(pruned, 1)}
        return Findings(values, notes=notes)


class Latency:
    """Times the dense and the compact encoder in turn, on the same items, and gives medians.

    Where single weights are masked, maps that skip zeros (`sparse_maps`) take the place of the compact encoder.
    """

    metrics: ClassVar[Metrics] = {"dense_ms": "min", "pruned_ms": "min", "times_faster": "max"}

    def __init__(self, batch: int, rounds: int, warmup: int, threads: int, length: int = 0) -> None:
        self.batch, self.rounds, self.warmup, self.threads, self.length = (
            batch,
            rounds,
            warmup,
            threads,
            length,
        )

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        where = "evaluator:latency"
        sides = sides_of(subject, where)
        split = "test" if "test" in data.splits() else data.splits()[0]
        items = [item for item, _ in zip(items_of(data, split, step), range(self.batch), strict=False)]
        if not items:
            raise UserError(f'the split "{split}" is empty', where=where, cure="data with items to encode")
        batch = prepared(sides.dense, sides.dense.prepare, items, step)
        if self.length:
            batch = of_length(batch, self.length, sides.dense)
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            dense, small = self._medians(_timed(sides), batch)
            used = torch.get_num_threads()
        finally:
            torch.set_num_threads(before)
        device = batch["rows"].device.type
        name = "compact" if sides.has_shape else "sparse"
        table = [
            {"encoder": word, "ms a batch": round(1000 * took, 3), "items a second": round(len(items) / took)}
            for word, took in (("dense", dense), (name, small))
        ]
        values = {"dense_ms": 1000 * dense, "pruned_ms": 1000 * small, "times_faster": dense / small}
        size = f"{len(items)} items a batch" + (f" of {self.length} tokens each" if self.length else "")
        title = f"{size}, median of {self.rounds}, {device}, {used} threads"
        notes = self._notes(sides)
        return Findings(values, tables={title: table}, notes=notes)

    def _medians(self, encoders: list[Any], batch: Any) -> list[float]:
        """Seconds. In turn, so that what else the machine does meets both."""
        times: list[list[float]] = [[] for _ in encoders]
        for number in range(self.warmup + self.rounds):
            for encoder, found in zip(encoders, times, strict=True):
                with in_use(encoder):
                    start = self._now(batch)
                    encoder(batch)
                    took = self._now(batch) - start
                if number >= self.warmup:
                    found.append(took)
        return [statistics.median(found) for found in times]

    @staticmethod
    def _now(batch: Any) -> float:
        if batch["rows"].is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    @staticmethod
    def _notes(sides: Sides) -> list[str]:
        if not sides.has_shape:
            return [
                "single weights were pruned: dense kernels multiply the zeros too, so it is 1.0 times as fast; "
                "sparse: with torch.sparse_csr in their place, see maskwright_cap.sparse_maps"
            ]
        share = (count_of(sides.dense) - count_of(sides.small)) / max(in_blocks(sides.dense), 1)
        return [
            f"{share:.1%} of the blocks is gone: that alone would make it {1 / (1 - share):.2f} times as fast"
        ]


def of_length(batch: Any, length: int, encoder: Any) -> Any:
    """A batch of tokens in which each row has so many: its own, from the beginning again where they end."""
    where = "evaluator:latency, setting length"
    if "tokens" not in batch or "real" not in batch:
        raise UserError(
            f"{type(encoder).__name__} reads no tokens",
            where=where,
            cure="length=0: items as the data have them",
        )
    limit = encoder.space.grid[0]
    if length > limit:
        raise UserError(
            f"length = {length}, and the encoder reads {limit} tokens at most",
            where=where,
            cure=f"at most {limit}; 0: items as the data have them",
        )
    own = batch["real"].sum(dim=1, keepdim=True).clamp(min=1)
    places = torch.arange(length, device=own.device) % own
    return {
        name: tensor.gather(1, places) if tensor.shape == batch["tokens"].shape else tensor
        for name, tensor in batch.items()
    }
