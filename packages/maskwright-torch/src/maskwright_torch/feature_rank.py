"""evaluator:feature-rank — how many directions the vectors of an encoder really use.

An encoder that has collapsed gives nearly the same vector for everything; a probe then stays near chance without saying
why. Effective rank: exp of the entropy of the singular values, scaled to sum 1, of the centred vectors (Roy & Vetterli,
"The effective rank", EUSIPCO 2007).
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from maskwright.charts import Series, line_chart, thin
from maskwright.contracts import Dataset, Figure, Findings, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.features import Pool, features_of

DEAD = 0.01
"""A dimension is dead when its deviation over items is below this share of the root mean square of all numbers."""
LOW_RANK, MANY_DEAD = 2.0, 0.5
"""The alarm: an effective rank below the first, or a share of dead dimensions above the second."""
ROUNDING = 1e-6
"""Singular values below this share of the largest length that vectors could have are rounding errors of float32."""


@attrs.frozen
class Spread:
    """How vectors (items, dimensions) are spread."""

    effective_rank: float
    """Between 0, where all vectors are the same, and the smaller of dimensions and items - 1."""
    min_std: float
    median_std: float
    dead_share: float
    spectrum: np.ndarray
    """Singular values of the centred vectors, falling."""


def spread_of(vectors: np.ndarray) -> Spread:
    vectors = vectors.astype(np.float64)
    size = np.linalg.norm(vectors)
    spectrum = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    real = spectrum[spectrum > ROUNDING * size]
    share = real / real.sum() if len(real) else real
    rank = float(np.exp(-(share * np.log(share)).sum())) if len(real) else 0.0
    std = vectors.std(axis=0)
    dead = float((std <= DEAD * size / np.sqrt(vectors.size)).mean())
    return Spread(rank, float(std.min()), float(np.median(std)), dead, spectrum)


class FeatureRank:
    """Needs no labels: it can watch a pre-training run."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "effective_rank": "max",
        "min_std": "max",
        "median_std": "max",
        "dead_share": "min",
    }

    def __init__(self, split: str, most: int, pool: Pool) -> None:
        self.split, self.most, self.pool = split, most, pool

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        items = list(islice(items_of(data, self.split, step), self.most))
        if len(items) < 2:
            raise UserError(
                f'the split "{self.split}" has {len(items)} items',
                where="evaluator:feature-rank, setting split",
                why="vectors of two items at least can differ",
                cure="another split, or more items",
            )
        vectors = features_of(subject, items, step, self.pool)
        found = spread_of(vectors)
        values = {name: float(getattr(found, name)) for name in self.metrics}
        most = min(vectors.shape[1], len(items) - 1)
        notes = [
            f"an effective rank of {most} at most is possible: {vectors.shape[1]} numbers, {len(items)} items"
        ]
        if found.effective_rank < LOW_RANK or found.dead_share > MANY_DEAD:
            notes.append(
                f"collapse is likely: effective rank {found.effective_rank:.1f} (alarm below {LOW_RANK:g}), "
                f"{found.dead_share:.0%} of the dimensions dead (alarm above {MANY_DEAD:.0%}); "
                "the encoder gives nearly the same vector for everything"
            )
        return Findings(
            values=values,
            tables={f"vectors of {len(items)} items": [{"numbers": vectors.shape[1], **values}]},
            figures=lambda: [spectrum_figure(found.spectrum)],
            notes=notes,
        )


def spectrum_figure(spectrum: np.ndarray) -> Figure:
    """Singular values as shares of their sum, on a log scale."""
    shares = spectrum / max(float(spectrum.sum()), np.finfo(float).tiny)
    points = [
        (float(place), float(np.log10(max(share, 1e-12))), 0.0) for place, share in enumerate(shares, start=1)
    ]
    chart = line_chart([Series("spectrum", thin(points))], "singular value", "log10 of its share of the sum")
    return Figure(
        "spectrum",
        "Singular values of the centred vectors, largest first. A steep fall: few directions carry everything.",
        chart.encode(),
    )
