"""Two small charts as SVG, drawn without matplotlib's global state and the same bytes every time."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np


def bars(labels: Sequence[str], heights: Sequence[float], x: str, y: str) -> bytes:
    """A bar chart."""
    drawing, axes = _axes(5.0, 3.0)
    axes.bar(range(len(labels)), heights, color="#3b6ea5")
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(drawing)


def heat_map(values: np.ndarray, labels: Sequence[str], x: str, y: str) -> bytes:
    """A square matrix (n, n) of shares in [0, 1], dark for 1, with n labels on both sides."""
    size = min(12.0, 2.5 + 0.25 * len(labels))  # inches: a label needs a quarter
    drawing, axes = _axes(size + 0.8, size)
    image = axes.imshow(values, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(xlabel=x, ylabel=y)
    drawing.colorbar(image, ax=axes, shrink=0.6)
    return _svg(drawing)


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), layout="constrained")
    return drawing, drawing.add_subplot()


def _svg(drawing: Any) -> bytes:
    import matplotlib

    target = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "maskwright", "svg.fonttype": "path"}):
        drawing.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
