"""A picture of who reads whom in the extended input of PMLM: a row for each reader, a column for what it may read.

Lengths are inches. A cell has the colour of what is read.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright_text.mask_drawing import (
    DOTS_PER_INCH,
    FONT,
    FORMATS,
    INK,
    LETTER,
    MARGIN,
    PAPER,
    POINTS,
    QUIET,
)

COLOURS = {"text": "#7f9fc4", "pseudo mask": "#e39a4a", "original": "#7fae7a"}
EMPTY = "#f1f1f1"
CELL, AIR = 0.2, 0.015
WORDS = 2.2
"""Width of what explains the colours."""
LONGEST = 14
"""Letters of a label; the rest of a long word is cut off."""
MOST = 150
"""Tokens in a picture; more could not be read, nor opened everywhere."""


def label(entry: Mapping[str, Any]) -> str:
    """What enters the model, and its position."""
    word = str(entry["token"])
    word = word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"
    return f"{word} {entry['position']}"


def drawn(layout: Sequence[Mapping[str, Any]], matrix: Sequence[str], kind: str = "png") -> bytes:
    """The picture as bytes, the same each time."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas
    from matplotlib.patches import Rectangle

    count = len(layout)
    labels = [label(entry) for entry in layout]
    side = MARGIN + max(map(len, labels)) * LETTER + 0.08
    edge = side + count * CELL
    width, height = max(edge + MARGIN, side + WORDS), edge + 0.8
    canvas = Canvas(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor=PAPER)
    axis = canvas.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axis.axis("off")
    style = {"fontsize": POINTS - 1, "family": FONT, "parse_math": False}
    for number, (entry, words) in enumerate(zip(layout, labels, strict=True)):
        middle = side + (number + 0.5) * CELL
        colour = INK if entry["kind"] == "text" else _darker(COLOURS[entry["kind"]])
        axis.text(side - 0.06, middle, words, color=colour, ha="right", va="center", **style)
        axis.text(middle, side - 0.06, words, color=colour, ha="center", va="bottom", rotation=90, **style)
        for column, other in enumerate(layout):
            reads = matrix[number][column] == "#"
            corner = side + column * CELL + AIR, side + number * CELL + AIR
            face = COLOURS[other["kind"]] if reads else EMPTY
            axis.add_patch(Rectangle(corner, CELL - 2 * AIR, CELL - 2 * AIR, facecolor=face, linewidth=0))
    for place in borders(layout):
        at = side + place * CELL
        axis.plot([at, at], [side, edge], color=QUIET, linewidth=0.7)
        axis.plot([side, edge], [at, at], color=QUIET, linewidth=0.7)
    _explain(axis, side, edge + 0.24)
    target = io.BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with matplotlib.rc_context({"svg.hashsalt": "maskwright", "svg.fonttype": "path"}):
        canvas.savefig(target, format=kind, metadata=metadata)
    return target.getvalue()


def borders(layout: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places before which a line is drawn: where the appendix begins, and each block in it."""
    found: list[int] = []
    pseudo = [number for number, entry in enumerate(layout) if entry["kind"] == "pseudo mask"]
    for number in pseudo:
        before = layout[number - 1]
        if before["kind"] != "pseudo mask" or before["block"] != layout[number]["block"]:
            found.append(number)
    return found


def _explain(axis: Any, left: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    axis.text(left, top, "a row reads:", color=QUIET, fontsize=POINTS, va="center")
    for number, (name, colour) in enumerate(COLOURS.items()):
        row = top + CELL * number
        axis.add_patch(Rectangle((left + 0.82, row - 0.06), 0.12, 0.12, facecolor=colour, linewidth=0))
        axis.text(left + 1.0, row, name, color=INK, fontsize=POINTS, va="center")


def _darker(colour: str) -> str:
    """For letters on white."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(part * 0.62):02x}" for part in parts)


def write_matrix(layout: Sequence[Mapping[str, Any]], matrix: Sequence[str], path: Path) -> None:
    """The picture as a file, which is then there whole or not at all; a PNG where the path has no suffix."""
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f'"{path.suffix}" is no kind of picture that can be written',
            where=str(path),
            why="the result is a drawing of who reads whom",
            cure=f"one of {', '.join(FORMATS)}; without --out the layout is printed as JSON lines",
        )
    if len(layout) > MOST:
        raise UserError(
            f"a picture of {len(layout)} tokens could not be read, {MOST} are the most",
            where=str(path),
            cure="a shorter text, a lower ratio; or without --out, as JSON lines",
        )
    write_atomic(path, drawn(layout, matrix, kind))
