"""A contact sheet: pictures side by side, each with the words that belong to it."""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskwright.errors import UserError
from maskwright_samples.glyph_shapes import font_file

CELL = 112  # pixels: pictures are enlarged by the largest whole factor that stays within
GAP = 12  # pixels between cells
LETTERS = 11  # pixels per em of the words
LINES = 5  # most lines of words below a picture
WIDTH, FACE_WIDTH = 18, 15  # characters in a line, about CELL pixels; names of faces have more capitals
PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (150, 150, 150)


def contact_sheet(
    items: Sequence[Mapping[str, Any]], columns: int | None = None, classes: Sequence[str] | None = None
) -> bytes:
    """PNG bytes. `items` have `pixels`, uint8 (H, W, 1 or 3), and are shown in rows of `columns`.

    Below each picture: its caption, or the class name of its label, or its id; then its face, if it has one.
    """
    if not items:
        raise UserError("there is nothing to draw", why="no item was given", cure="ask for at least one item")
    columns = columns or min(len(items), max(4, math.ceil(math.sqrt(1.5 * len(items)))))
    rows = math.ceil(len(items) / columns)
    font = ImageFont.truetype(str(font_file("DejaVuSans")), LETTERS, layout_engine=ImageFont.Layout.BASIC)
    line = LETTERS + 3
    words = [_words(item, classes) for item in items]
    width, height = CELL + GAP, CELL + GAP + max(map(len, words)) * line
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, item in enumerate(items):
        x, y = GAP + place % columns * width, GAP + place // columns * height
        picture = _enlarged(item)
        left, top = x + (CELL - picture.width) // 2, y + (CELL - picture.height) // 2
        pen.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=FAINT)
        sheet.paste(picture, (left, top))
        for number, text in enumerate(words[place]):
            pen.text((x, y + CELL + 3 + number * line), text, fill=INK, font=font)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _enlarged(item: Mapping[str, Any]) -> Image.Image:
    """RGB, no smoothing: one looks at the very pixels."""
    pixels = item.get("pixels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3:
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise UserError(
            "this item holds no picture",
            where=f"item {item.get('id', '?')}, field pixels",
            why=f"expected a uint8 array (height, width, 1 or 3), found {found}",
            cure="take items of a data set that provides pixels (maskwright list datasets)",
        )
    height, width, channels = pixels.shape
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).convert("RGB")
    if max(height, width) > CELL:
        picture.thumbnail((CELL, CELL))
        return picture
    factor = CELL // max(height, width)
    return picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def _words(item: Mapping[str, Any], classes: Sequence[str] | None) -> list[str]:
    if "caption" in item:
        text = item["caption"].lower()
    elif "label" in item:
        text = str(classes[item["label"]] if classes else item["label"])
    else:
        text = str(item["id"])
    face = textwrap.wrap(item.get("face", ""), FACE_WIDTH)
    lines = textwrap.wrap(text, WIDTH)
    room = LINES - len(face)
    if len(lines) > room:
        lines = [*lines[: room - 1], textwrap.shorten(" ".join(lines[room - 1 :]), WIDTH, placeholder=" …")]
    return lines + face
