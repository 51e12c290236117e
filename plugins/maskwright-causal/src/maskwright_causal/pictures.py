"""Pictures as SVG: the graphs of all tasks in the common order, edge frequencies, weights, curves with spread.

Colours are the Okabe-Ito set, which readers with any common colour vision tell apart; kinds of edges also differ in
line style. The same input gives the same bytes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path

from maskwright.contracts import Figure
from maskwright_causal.graph_metrics import THRESHOLD, edge_kinds, kept, positions

Media = Literal["image/svg+xml", "image/png"]

INK, FAINT = "#22282e", "#c9ced3"
GREEN, ORANGE, PURPLE, BLUE, GREY = "#009e73", "#d55e00", "#a6559d", "#0072b2", "#6f7880"
# kind -> colour, line style, words of the legend; drawn in this order, the worst on top.
_KINDS: dict[str, tuple[str, Any, str]] = {
    "missed": (GREY, (0, (3.0, 2.0)), "missed"),
    "barred": (INK, (0, (1.0, 1.6)), "missed, and against this order"),
    "recovered": (GREEN, "-", "recovered"),
    "found": (BLUE, "-", "estimated"),
    "extra": (PURPLE, "-", "extra"),
    "reversed": (ORANGE, "-", "reversed"),
}
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "maskwright",
}


def graphs_figure(
    coef: np.ndarray,
    order: Sequence[int] | np.ndarray,
    variables: Sequence[str],
    tasks: Sequence[str],
    truth: np.ndarray | None = None,
    intervened: Sequence[np.ndarray | None] = (),
    threshold: float = THRESHOLD,
    media: Media = "image/svg+xml",
) -> Figure:
    """The K graphs (K, p, p) side by side. All panels list the variables in the common order, causes on top.

    Estimated edges run down, as arcs on the right; a true edge that the order cannot hold is an arc on the left.
    The thicker an arc, the larger its weight.
    """
    estimate = kept(coef, threshold)
    place = positions(order)
    panels = [
        _edges_of(estimate[k], None if truth is None else truth[k] != 0, place) for k in range(len(estimate))
    ]
    shown = [kind for kind in _KINDS if any(edges[kind] for edges in panels)]
    sizes = np.abs(coef[estimate]) if estimate.any() else np.ones(1)
    thick = float(np.quantile(sizes, 0.9))
    barred = [_reach(place, edge) for edges in panels for edge in edges["barred"]]
    left = 0.08 + max((-reach for reach in barred), default=0.0)
    with matplotlib.rc_context(_STYLE):
        canvas, axes = _panels(len(panels), len(variables), left, max(map(len, variables)))
        names = [variables[node] for node in order]
        for number, (axis, edges) in enumerate(zip(axes, panels, strict=False)):
            _draw_panel(axis, edges, coef[number], place, thick)
            hollow = intervened[number] if number < len(intervened) else None
            _draw_nodes(axis, place, hollow)
            axis.set_title(f"{tasks[number]}\n", fontsize=9, fontweight="bold", loc="left", pad=2)
            axis.annotate(
                _count(edges, truth is not None), (0, 1), xytext=(0, 3), fontsize=7.5, color=GREY,
                xycoords="axes fraction", textcoords="offset points",
            )  # fmt: skip
            if axis.get_subplotspec().is_first_col():
                axis.set_yticks(range(len(names)), names)
        handles = [
            Line2D([], [], color=_KINDS[k][0], linestyle=_KINDS[k][1], label=_KINDS[k][2]) for k in shown
        ]
        if any(mask is not None and mask.any() for mask in intervened):
            hollow_mark: dict[str, Any] = {
                "marker": "o",
                "markersize": 5,
                "markerfacecolor": "white",
                "markeredgecolor": INK,
            }
            handles.append(Line2D([], [], linestyle="", label="set from outside", **hollow_mark))
        canvas.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        words = "recovered, missed and wrong edges" if truth is not None else "estimated edges"
        caption = (
            f"The graphs of {len(tasks)} task{'s' * (len(tasks) > 1)} in the common order, causes on top: "
            f"{words} (weights of {threshold:g} or more)."
        )
        return _finished(canvas, "graphs", caption, media)


def _edges_of(
    estimate: np.ndarray, truth: np.ndarray | None, place: np.ndarray
) -> dict[str, list[tuple[int, int]]]:
    """Kind -> edges (i, j) of one panel."""
    edges: dict[str, list[tuple[int, int]]] = {kind: [] for kind in _KINDS}
    if truth is None:
        edges["found"] = _pairs(estimate)
        return edges
    kinds = edge_kinds(estimate, truth)
    edges["recovered"], edges["extra"], edges["reversed"] = map(
        _pairs, (kinds.recovered, kinds.extra, kinds.reversed)
    )
    for cause, effect in _pairs(kinds.missed):
        edges["missed" if place[cause] < place[effect] else "barred"].append((cause, effect))
    return edges


def _pairs(graph: np.ndarray) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in np.argwhere(graph)]


def _count(edges: Mapping[str, Sequence[Any]], judged: bool) -> str:
    if not judged:
        return f"{len(edges['found'])} edges"
    number = {kind: len(found) for kind, found in edges.items()}
    true = number["recovered"] + number["missed"] + number["barred"] + number["reversed"]
    return f"{number['recovered']} of {true} · {number['reversed']} reversed · {number['extra']} extra"


def _panels(number: int, variables: int, left: float, name_length: int) -> tuple[Canvas, list[Any]]:
    """A canvas with one axis per panel, at most four in a row; inches follow the number of variables."""
    rows = -(-number // 4)
    columns = -(-number // rows)
    high = max(1.5, 0.21 * variables) + 0.45
    wide = 2.05 + 0.012 * variables
    canvas = Canvas(
        figsize=(columns * wide + 0.075 * name_length + 0.3, rows * high + 0.6), layout="constrained"
    )
    FigureCanvasAgg(canvas)
    axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set(xlim=(-left, 1.06), ylim=(variables - 0.4, -0.6), xticks=[], yticks=[])
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
    for axis in axes[number:]:
        axis.set_axis_off()
    return canvas, axes


def _draw_panel(
    axis: Any,
    edges: Mapping[str, list[tuple[int, int]]],
    weights: np.ndarray,
    place: np.ndarray,
    thick: float,
) -> None:
    for row in range(len(place)):
        axis.axhline(row, color=FAINT, linewidth=0.4, alpha=0.6, zorder=0)
    for depth, (kind, (colour, style, _)) in enumerate(_KINDS.items(), start=1):
        for cause, effect in edges[kind]:
            start, end = place[cause], place[effect]
            handle = _reach(place, (cause, effect)) / 0.75  # a cubic arc reaches 3/4 of its handles
            path = Path(
                [(0, start), (handle, start), (handle, end), (0, end)],
                [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
            )
            size = min(abs(weights[cause, effect]) / thick, 1.0) if kind not in ("missed", "barred") else 0.25
            axis.add_patch(
                FancyArrowPatch(
                    path=path, arrowstyle="-|>,head_length=3.2,head_width=1.6", mutation_scale=1.0,
                    linewidth=0.5 + 1.3 * size, linestyle=style, color=colour, zorder=depth,
                    alpha=0.9, shrinkA=2.5, shrinkB=2.5,
                )
            )  # fmt: skip


def _reach(place: np.ndarray, edge: tuple[int, int]) -> float:
    """How far an arc swings out: at most 0.96 to the right, 0.4 to the left when it runs up the order."""
    steps = place[edge[1]] - place[edge[0]]
    # Short arcs get more than their share of width, or they would pile up on the axis.
    share = (abs(steps) / max(len(place) - 1, 1)) ** 0.7
    return float(0.96 * share if steps > 0 else -0.4 * share)


def _draw_nodes(axis: Any, place: np.ndarray, hollow: np.ndarray | None) -> None:
    fill = [INK if hollow is None or not hollow[node] else "white" for node in range(len(place))]
    size = 18 if len(place) <= 20 else 10
    axis.scatter(np.zeros(len(place)), place, s=size, c=fill, edgecolors=INK, linewidths=0.9, zorder=9)


def frequencies_figure(
    frequencies: np.ndarray,
    order: Sequence[int] | np.ndarray,
    variables: Sequence[str],
    truth: np.ndarray | None = None,
    name: str = "stability",
    media: Media = "image/svg+xml",
) -> Figure:
    """Edge frequencies (p, p) over resamples, in the common order; true edges (bool (p, p)) are framed."""
    order = np.asarray(order)
    matrix = frequencies[np.ix_(order, order)]
    count = len(order)
    names = [variables[node] for node in order]
    with matplotlib.rc_context(_STYLE):
        side = 1.6 + 0.22 * count
        canvas = Canvas(figsize=(side + 0.9, side), layout="constrained")
        FigureCanvasAgg(canvas)
        axis = canvas.subplots()
        image = axis.imshow(matrix, cmap="YlGnBu", vmin=0, vmax=1)
        axis.set_xticks(range(count), names, rotation=90)
        axis.set_yticks(range(count), names)
        axis.tick_params(length=0)
        axis.set(xlabel="effect", ylabel="cause")
        axis.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="white", linewidth=1.0)
        axis.tick_params(which="minor", length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        if count <= 12:
            for row, column in np.argwhere(matrix >= 0.05):
                share = matrix[row, column]
                colour = "white" if share > 0.55 else INK
                axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=6, color=colour)
        if truth is not None:
            for row, column in np.argwhere(truth[np.ix_(order, order)]):
                frame: dict[str, Any] = {"fill": False, "edgecolor": ORANGE, "linewidth": 1.3, "zorder": 5}
                axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
        bar = canvas.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
        bar.set_label("share of resamples with this edge")
        bar.outline.set_visible(False)
        framed = "; frames: true edges" if truth is not None else ""
        caption = f"How often each edge is found, rows cause columns, in the common order{framed}."
        return _finished(canvas, name, caption, media)


def weights_figure(
    coef: np.ndarray, truth: np.ndarray, threshold: float = THRESHOLD, media: Media = "image/svg+xml"
) -> Figure:
    """Estimated against true weights of all tasks, (K, p, p) each; the grey band is what the threshold drops."""
    estimate, true = kept(coef, threshold), truth != 0
    groups = {
        "recovered": (estimate & true, GREEN),
        "missed or reversed": (true & ~estimate, GREY),
        "extra or reversed": (estimate & ~true, ORANGE),
    }
    largest = 1.08 * max(np.abs(truth).max(), np.abs(coef).max(), 1e-9)
    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=(4.2, 4.0), layout="constrained")
        FigureCanvasAgg(canvas)
        axis = canvas.subplots()
        axis.axhspan(-threshold, threshold, color=FAINT, alpha=0.35, linewidth=0)
        axis.plot([-largest, largest], [-largest, largest], color=GREY, linewidth=0.8)
        for label, (chosen, colour) in groups.items():
            axis.scatter(
                truth[chosen], coef[chosen], s=11, color=colour, alpha=0.65, linewidths=0,
                label=f"{label} ({int(chosen.sum())})",
            )  # fmt: skip
        axis.set(xlabel="true weight", ylabel="estimated weight", aspect="equal")
        axis.set(xlim=(-largest, largest), ylim=(-largest, largest))
        axis.legend(frameon=False, fontsize=7.5, loc="upper left", handletextpad=0.1)
        caption = (
            "Estimated against true weights of all tasks; on the line they agree. A penalty pulls towards 0."
        )
        return _finished(canvas, "weights", caption, media)


def curves_figure(
    x: Sequence[float],
    curves: Mapping[str, np.ndarray],
    *,
    x_label: str,
    y_label: str,
    name: str,
    caption: str,
    log_x: bool = False,
    media: Media = "image/svg+xml",
) -> Figure:
    """One line per entry: the mean over runs of (runs, len(x)), with a band of one standard deviation."""
    palette = (BLUE, ORANGE, GREEN, PURPLE, GREY, INK)
    marks = "osD^vP"
    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=(4.8, 3.1), layout="constrained")
        FigureCanvasAgg(canvas)
        axis = canvas.subplots()
        for number, (label, values) in enumerate(curves.items()):
            values = np.atleast_2d(values)
            mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1 if len(values) > 1 else 0)
            colour = palette[number % len(palette)]
            axis.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
            axis.plot(
                x,
                mean,
                color=colour,
                marker=marks[number % len(marks)],
                markersize=4,
                linewidth=1.4,
                label=label,
            )
        if log_x:
            axis.set_xscale("log", base=2)
        axis.set_xticks(list(x), [f"{value:g}" for value in x])
        axis.minorticks_off()
        axis.set(xlabel=x_label, ylabel=y_label)
        axis.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.7)
        axis.set_axisbelow(True)
        if len(curves) > 1:
            axis.legend(frameon=False, fontsize=8)
        runs = max(len(np.atleast_2d(values)) for values in curves.values())
        band = f" Line: mean of {runs} runs; band: one standard deviation." if runs > 1 else ""
        return _finished(canvas, name, caption + band, media)


def _finished(canvas: Canvas, name: str, caption: str, media: Media) -> Figure:
    buffer = io.BytesIO()
    if media == "image/png":
        canvas.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    else:
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(name=name, caption=caption, data=buffer.getvalue(), media=media)
