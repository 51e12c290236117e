"""Pictures of what a model was shown, what was hidden, and what it made of it.

Left to right: the picture as the model sees it, the same with its hidden patches grey, and filled in. What a picture
cannot show stands below it in words: for normalised targets, brightness and contrast come from the hidden original.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright_vision.pictures import ImagePrepare, as_pixels

TITLES = ("original", "hidden", "filled")
LEGIBLE = 160
"""Pixels that the longer side of a small picture is enlarged to, by a whole factor and without smoothing."""
GAP, LETTERS, LINE = 8, 12, 16
PAPER, INK, HIDDEN = (255, 255, 255), (30, 30, 30), (127, 127, 127)

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip

Row = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Three pictures of a row, uint8 (H, W, 3) each."""


def triptych(item: Mapping[str, Any], prepare: ImagePrepare) -> Row:
    """The three pictures of an item with `pixels`, `filled` (H, W, C) and `hidden` (h, w)."""
    original = coloured(as_pixels(prepare.resized(item["pixels"], str(item.get("id", "")))))
    hidden = np.asarray(item["hidden"], dtype=bool)
    patch = original.shape[0] // hidden.shape[0], original.shape[1] // hidden.shape[1]
    covered = hidden.repeat(patch[0], axis=0).repeat(patch[1], axis=1)
    shown = np.where(covered[..., None], np.array(HIDDEN, np.uint8), original)
    return original, shown, coloured(np.asarray(item["filled"]))


def coloured(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) -> (H, W, 3): grey three times; of more channels the first three, of two the first."""
    return pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1].repeat(3, axis=-1)


def sheet(rows: Sequence[Row], notice: str = "") -> Image.Image:
    """Rows below each other under the three titles, the notice below all of them."""
    height, width = rows[0][0].shape[:2]
    factor = max(LEGIBLE // max(height, width), 1)
    height, width = height * factor, width * factor
    total = 3 * width + 4 * GAP
    words = textwrap.wrap(notice, max(total * 2 // LETTERS - 4, 20))  # a letter is about half as wide as high
    bottom = GAP + LINE + len(rows) * (height + GAP)
    canvas = Image.new("RGB", (total, bottom + len(words) * LINE + (GAP if words else 0)), PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(LETTERS)
    for column, title in enumerate(TITLES):
        pen.text((GAP + column * (width + GAP), GAP // 2), title, INK, font)
    for number, row in enumerate(rows):
        for column, pixels in enumerate(row):
            picture = Image.fromarray(np.ascontiguousarray(pixels)).resize(
                (width, height), Image.Resampling.NEAREST
            )
            canvas.paste(picture, (GAP + column * (width + GAP), GAP + LINE + number * (height + GAP)))
    for number, line in enumerate(words):
        pen.text((GAP, bottom + number * LINE), line, INK, font)
    return canvas


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of a picture file."""
    target = io.BytesIO()
    picture.save(target, kind)
    return target.getvalue()


def write_triptych(item: Mapping[str, Any], prepare: ImagePrepare, notice: str, path: Path) -> None:
    """Draw one item into a picture file, which is then there whole or not at all; a PNG where it has no suffix."""
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f'"{path.suffix}" is no kind of picture that can be written',
            where=str(path),
            why="the result is a drawing: original, hidden and filled side by side",
            cure=f"one of {', '.join(FORMATS)}",
        )
    write_atomic(path, encoded(sheet([triptych(item, prepare)], notice), kind))
