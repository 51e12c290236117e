"""Pictures of masks on their text: the same lines in one panel for each moment, hidden tokens on a dark ground.

Lengths are inches. Letters have one width, so a token's place is a matter of counting, and nothing has to be measured.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright_text.text_subjects import Span

COLUMNS = 88
"""Letters in a line."""
LINES = 9
"""Lines of a text that are drawn; the rest is left out, with three dots."""
POINTS = 9.0
LETTER = 0.60205 * POINTS / 72
"""Width of a letter of DejaVu Sans Mono."""
LINE, TITLE, GAP, MARGIN, AIR = 0.19, 0.24, 0.16, 0.18, 0.008
CURVE = 1.9
"""Height of the schedule's curve, with what stands at its axes."""
DOTS_PER_INCH = 130
INK, QUIET, PAPER, HIDDEN = "#1f1f1f", "#6a6a6a", "#ffffff", "#e39a4a"
FONT = "DejaVu Sans Mono"
"""Comes with matplotlib, so pictures are the same everywhere."""

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}


@attrs.frozen
class Panel:
    """One moment: what stands above it, and the characters (start, end) of each hidden token."""

    title: str
    hidden: Sequence[Span]


def lines_of(text: str, columns: int = COLUMNS) -> list[Span]:
    """The text as lines of at most so many letters, broken at white space where there is any."""
    found: list[Span] = []
    start = 0
    while start < len(text):
        new_line = text.find("\n", start, start + columns + 1)
        end = new_line if new_line >= 0 else min(start + columns, len(text))
        if new_line < 0 and end < len(text):
            space = max(text.rfind(" ", start + 1, end + 1), text.rfind("\t", start + 1, end + 1))
            end = space if space > 0 else end
        found.append((start, end))
        start = end + 1 if end < len(text) and text[end].isspace() else end
    return found


def drawn(
    text: str, panels: Sequence[Panel], kind: str = "png", curve: Sequence[tuple[float, float]] = ()
) -> bytes:
    """The picture as bytes, the same each time; below it a curve of (share of the run, ratio) where there is one."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    lines = lines_of(text)
    shown, more = lines[:LINES], len(lines) > LINES
    panel = TITLE + (len(shown) + more) * LINE + GAP
    width = 2 * MARGIN + COLUMNS * LETTER
    height = 2 * MARGIN - GAP + panel * len(panels) + CURVE * bool(curve)
    canvas = Canvas(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor=PAPER)
    axis = canvas.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axis.axis("off")
    text = _drawable(text)
    for number, entry in enumerate(panels):
        middle = height - MARGIN - number * panel - LINE / 2
        axis.text(MARGIN, middle, entry.title, color=QUIET, fontsize=POINTS, va="center", parse_math=False)
        middle -= TITLE
        for line in shown:
            _draw_line(axis, text, line, entry.hidden, middle)
            middle -= LINE
        if more:
            axis.text(MARGIN, middle, "…", color=QUIET, fontsize=POINTS, va="center")
    if curve:
        _draw_curve(canvas, curve, width, height)
    target = io.BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with matplotlib.rc_context({"svg.hashsalt": "maskwright", "svg.fonttype": "path"}):
        canvas.savefig(target, format=kind, metadata=metadata)
    return target.getvalue()


def _draw_curve(canvas: Any, curve: Sequence[tuple[float, float]], width: float, height: float) -> None:
    left, bottom = 4 * MARGIN, 3 * MARGIN
    place = (left / width, bottom / height, 0.5 - left / width, (CURVE - bottom - GAP) / height)
    axis = canvas.add_axes(place, xlim=(0, 1), ylim=(0, 1.1 * max(ratio for _, ratio in curve)))
    axis.plot(*zip(*curve, strict=True), color=HIDDEN)
    axis.set_xlabel("share of the run", color=QUIET, fontsize=POINTS)
    axis.set_ylabel("ratio", color=QUIET, fontsize=POINTS)
    axis.tick_params(labelsize=POINTS - 1, colors=QUIET)


def _draw_line(axis: Any, text: str, line: Span, hidden: Sequence[Span], middle: float) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.textpath import TextPath

    start, end = line
    for left, right in pieces(hidden, line):
        # A little air, so that neighbours can be told from one longer token.
        place, size = MARGIN + (left - start) * LETTER + AIR, (right - left) * LETTER - 2 * AIR
        axis.add_patch(
            Rectangle((place, middle - LINE / 2 + AIR), size, LINE - 2 * AIR, facecolor=HIDDEN, linewidth=0)
        )
    if not text[start:end].strip():
        return
    # As outlines: letters drawn as text are moved to whole pixels and would run out of step with the boxes.
    base = middle - 0.25 * POINTS / 72
    outline = TextPath((MARGIN, base), text[start:end], size=POINTS / 72, prop=FontProperties(family=FONT))
    axis.add_patch(PathPatch(outline, facecolor=INK, linewidth=0))


def pieces(hidden: Sequence[Span], line: Span) -> Iterator[Span]:
    """What of the hidden tokens lies in a line."""
    for start, end in hidden:
        left, right = max(start, line[0]), min(end, line[1])
        if left < right:
            yield left, right


def _drawable(text: str) -> str:
    """The text with a box for each character that the font lacks; as long as before."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(FONT))
    known = {letter: letter if font.get_char_index(ord(letter)) else "□" for letter in set(text)}
    known |= {letter: " " for letter in known if letter.isspace()}
    return "".join(known[letter] for letter in text)


def write_drawing(
    text: str, panels: Sequence[Panel], path: Path, curve: Sequence[tuple[float, float]] = ()
) -> None:
    """The picture as a file, which is then there whole or not at all; a PNG where the path has no suffix."""
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f'"{path.suffix}" is no kind of picture that can be written',
            where=str(path),
            why="the result is a drawing of the masks on their text",
            cure=f"one of {', '.join(FORMATS)}; without --out the masks are printed as JSON lines",
        )
    write_atomic(path, drawn(text, panels, kind, curve))
