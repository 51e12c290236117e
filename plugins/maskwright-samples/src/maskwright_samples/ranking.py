"""Rankings and their measures: nDCG with graded gains, reciprocal rank, recall."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DEPTH = 100  # documents kept of a ranking
METRICS = ("ndcg@10", "mrr@10", "recall@100")


def best(scores: np.ndarray, ids: Sequence[str], excluded: str | None = None) -> list[str]:
    """The first 100 ids by falling score, equal scores by id. `ids` must be sorted; `excluded` is left out."""
    order = np.argsort(-scores, kind="stable")  # stable: equal scores stay in the order of ids
    found = [ids[place] for place in order[: DEPTH + 1]]
    return [id for id in found if id != excluded][:DEPTH]


def measures(ranking: Sequence[str], relevant: Mapping[str, float]) -> dict[str, float]:
    """ndcg@10 with gain / log2(rank + 1), mrr@10 and recall@100 of one ranking; `relevant` is not empty."""
    gains = [relevant.get(id, 0.0) for id in ranking]
    ideal = _discounted(sorted(relevant.values(), reverse=True))
    first = next((rank for rank, gain in enumerate(gains[:10], start=1) if gain > 0), None)
    positive = sum(gain > 0 for gain in relevant.values())
    return {
        "ndcg@10": _discounted(gains) / ideal,
        "mrr@10": 1 / first if first else 0.0,
        "recall@100": sum(gain > 0 for gain in gains[:DEPTH]) / positive,
    }


def mean_measures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of each measure over queries."""
    return {name: float(np.mean([row[name] for row in rows])) for name in METRICS}


def _discounted(gains: Sequence[float]) -> float:
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains[:10], start=1)))
