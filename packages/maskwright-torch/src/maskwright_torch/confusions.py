"""Which class is taken for which, as a picture with the same bytes every time."""

import io
from collections.abc import Mapping

import numpy as np

from maskwright.contracts import Figure

MOST_CLASSES = 40
"""Beyond these labels can no longer be read; the classes with most mistakes are drawn."""


def confusion_figure(right: np.ndarray, predicted: np.ndarray, names: Mapping[int, str]) -> Figure:
    """Share of each class (row) that was taken for another (column)."""
    labels, caption = list(names), "Share of each class (row) that was taken for another (column)"
    if len(labels) > MOST_CLASSES:
        wrong = {label: int(((right == label) & (predicted != label)).sum()) for label in labels}
        labels = sorted(sorted(labels, key=lambda label: -wrong[label])[:MOST_CLASSES])
        caption += f"; the {MOST_CLASSES} classes with most mistakes of {len(names)}"
    shares = np.array([_row(predicted[right == label], labels) for label in labels])
    return Figure("confusions", f"{caption}.", heat_map(shares, [names[label] for label in labels]))


def _row(predicted: np.ndarray, labels: list[int]) -> list[float]:
    return [float((predicted == label).mean()) if len(predicted) else 0.0 for label in labels]


def heat_map(shares: np.ndarray, labels: list[str]) -> bytes:
    """A square SVG of shares (n, n) in [0, 1], dark for 1, with n labels on both sides."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    size = min(12.0, 2.5 + 0.25 * len(labels))  # inches: a label needs a quarter
    canvas = Canvas(figsize=(size + 0.8, size), layout="constrained")
    axis = canvas.add_subplot()
    image = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    # Names come from folders of the user: a dollar sign in them is no formula.
    words = [label.replace("$", r"\$") for label in labels]
    axis.set_xticks(range(len(words)), words, rotation=90, fontsize=7)
    axis.set_yticks(range(len(words)), words, fontsize=7)
    axis.set(xlabel="predicted", ylabel="right")
    canvas.colorbar(image, ax=axis, shrink=0.6)
    target = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "maskwright", "svg.fonttype": "path"}):
        canvas.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
