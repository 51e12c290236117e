"""Line charts as SVG text, so that reports need no drawing library. All text is escaped."""

import math
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

import attrs

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 26, 42

COLOURS = ("#2563a8", "#c2542d", "#3b8a52", "#8a5aa8", "#a8862b", "#4d8f9c", "#b0476f", "#6b6b6b")
"""Distinguishable in print and for most colour-blind readers."""

NOT_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@attrs.frozen
class Series:
    """A named line: (x, mean, spread) points, spread 0 where there is none."""

    name: str
    points: Sequence[tuple[float, float, float]]


def short_names(names: Sequence[str]) -> tuple[str, list[str]]:
    """A title and a label for each of several metric names: what they share, and what tells them apart.

    >>> short_names(["arms/joint/shd", "arms/pooled/shd"])
    ('shd', ['joint', 'pooled'])
    """
    parts = [name.split("/") for name in names]
    if len(names) < 2:
        return "".join(names), list(names)
    shortest = min(map(len, parts))
    first = next((i for i in range(shortest) if len({p[i] for p in parts}) > 1), shortest)
    last = next((i for i in range(1, shortest - first + 1) if len({p[-i] for p in parts}) > 1), 1) - 1
    labels = ["/".join(p[first : len(p) - last]) or name for p, name in zip(parts, names, strict=True)]
    return "/".join(parts[0][len(parts[0]) - last :]) or ", ".join(labels), labels


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / count
    size = 10 ** math.floor(math.log10(raw))
    size *= next((m for m in (1, 2, 2.5, 5, 10) if m * size >= raw), 10)
    first = math.ceil(low / size - 1e-9)
    return [k * size for k in range(first, math.floor(high / size + 1e-9) + 1)]


def _widened(low: float, high: float, share: float) -> tuple[float, float]:
    """The range and `share` of it on both sides; one that is too narrow for floats to divide is made wide."""
    size = max(abs(low), abs(high))
    margin = (high - low) * share if high - low > max(size * 1e-9, 1e-150) else size * 0.1 or 0.5
    return low - margin, high + margin


def _is_drawable(point: Sequence[float]) -> bool:
    return all(abs(value) < 1e150 for value in point)  # not so for nan


def _text(text: str) -> str:
    """Text inside an element; what XML cannot hold at all becomes a question mark."""
    return escape(NOT_XML.sub("?", text))


def line_chart(series: Sequence[Series], x_label: str, title: str) -> str:
    """A chart with axes, one line for each series, and a band of one spread around it."""
    right = RIGHT if len(series) < 2 else RIGHT + 7 * max(len(line.name) for line in series)
    width = WIDTH + right - RIGHT  # the names of the lines stand beside the plot
    points = [p for line in series for p in line.points if _is_drawable(p)]
    if not points:
        points = [(0.0, 0.0, 0.0)]
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    y_low, y_high = min(p[1] - p[2] for p in points), max(p[1] + p[2] for p in points)
    x_low, x_high = _widened(x_low, x_high, 0.0)
    y_low, y_high = _widened(y_low, y_high, 0.06)

    def x(value: float) -> float:
        return round(LEFT + (value - x_low) / (x_high - x_low) * (width - LEFT - right), 2)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 2)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}"',
        f' height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="15" font-size="12" fill="#222">{_text(title)}</text>',
    ]
    for tick in ticks(y_low, y_high):
        parts.append(f'<path d="M{LEFT} {y(tick)}H{width - right}" stroke="#e3e3e3"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end" fill="#555">{tick:.4g}</text>'
        )
    for tick in ticks(x_low, x_high):
        below = HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{x(tick)}" y="{below}" text-anchor="middle" fill="#555">{tick:.4g}</text>')
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{width - right}" fill="none" stroke="#888"/>')
    middle = (LEFT + width - right) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle" fill="#444">{_text(x_label)}</text>'
    )
    for number, line in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        drawn = [p for p in line.points if _is_drawable(p)]
        if any(p[2] for p in drawn):
            upper = [f"{x(p[0])} {y(p[1] + p[2])}" for p in drawn]
            lower = [f"{x(p[0])} {y(p[1] - p[2])}" for p in reversed(drawn)]
            parts.append(f'<path d="M{"L".join(upper + lower)}Z" fill="{colour}" opacity="0.15"/>')
        if len(drawn) > 1:
            path = "L".join(f"{x(p[0])} {y(p[1])}" for p in drawn)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        if len(drawn) <= 40:
            parts += [f'<circle cx="{x(p[0])}" cy="{y(p[1])}" r="2.4" fill="{colour}"/>' for p in drawn]
        if len(series) > 1:
            place = TOP + 12 + 14 * number
            at = f'x="{width - right + 8}" y="{place}" fill="{colour}"'
            parts.append(f"<text {at}>{_text(line.name)}</text>")
    return "".join([*parts, "</svg>"])


def thin(points: Sequence[tuple[float, float, float]], limit: int = 400) -> list[tuple[float, float, float]]:
    """At most `limit` points, evenly picked, the last one always in."""
    if len(points) <= limit:
        return list(points)
    stride = len(points) / limit
    picked = [points[int(i * stride)] for i in range(limit)]
    return picked if picked[-1] == points[-1] else [*picked, points[-1]]
