"""Draw one character as a 32x32 grey picture, white on black."""

from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskwright_samples.glyph_shapes import font_file

Frame = Literal["line", "box"]

SIDE = 32  # pixels
RECIPE = 3  # raise it when a picture changes: cached pictures are then drawn again

SUPERSAMPLING = 4  # frame "line" is drawn this much larger
CAP_HEIGHT = 16  # pixels: height of H in frame "line"
BASELINE = 23  # row of the baseline in frame "line"

BOX_SIDE = 26  # pixels: larger side of every character in frame "box"
BOX_FONT_SIZE = 96  # pixels per em that frame "box" is drawn at before it is scaled down


class Pen:
    """One face in one frame."""

    def __init__(self, face: str, frame: Frame) -> None:
        path = str(font_file(face))
        # The basic layout: with the other one, pictures would depend on whether libraqm is installed.
        basic = ImageFont.Layout.BASIC
        self._frame = frame
        if frame == "box":
            self._font = ImageFont.truetype(path, BOX_FONT_SIZE, layout_engine=basic)
        else:
            probe = ImageFont.truetype(path, 1000, layout_engine=basic)
            cap = -probe.getbbox("H", anchor="ls")[1] / 1000  # of an em
            self._font = ImageFont.truetype(path, CAP_HEIGHT * SUPERSAMPLING / cap, layout_engine=basic)

    def draw(self, character: str) -> np.ndarray | None:
        """(32, 32) uint8, or None when the face draws nothing."""
        picture = self._on_line(character) if self._frame == "line" else self._in_box(character)
        if picture is None:
            return None
        pixels = np.asarray(picture)
        return pixels if pixels.any() else None

    def _on_line(self, character: str) -> Image.Image | None:
        """Size and height as in a line of text; ink centred in x; what is too large is shrunk, then shifted."""
        side = SIDE * SUPERSAMPLING
        found = _ink(character, self._font)
        if found is not None and max(found[0].size) > side:
            # One per cent less than fits: hinting rounds outlines up to whole pixels.
            smaller = self._font.font_variant(size=0.99 * self._font.size * side / max(found[0].size))
            found = _ink(character, smaller)
        if found is None:
            return None
        ink, top = found
        x = (side - ink.width) // 2
        y = min(max(BASELINE * SUPERSAMPLING + top, 0), side - ink.height)
        canvas = Image.new("L", (side, side))
        canvas.paste(ink, (x, y))
        # Area means: Lanczos would leave faint ripples of ink in patches that are meant to be empty.
        return canvas.reduce(SUPERSAMPLING)

    def _in_box(self, character: str) -> Image.Image | None:
        """The larger side scaled to 26 pixels, centred."""
        found = _ink(character, self._font)
        if found is None:
            return None
        ink, _ = found
        scale = BOX_SIDE / max(ink.size)
        width, height = (max(1, round(length * scale)) for length in ink.size)
        small = ink.resize((width, height), Image.Resampling.LANCZOS)
        picture = Image.new("L", (SIDE, SIDE))
        picture.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
        return picture


def _ink(character: str, font: ImageFont.FreeTypeFont) -> tuple[Image.Image, int] | None:
    """The drawing without margins, and its first row counted from the baseline (negative: above)."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")  # holds the advance, not only the ink
    if right <= left or bottom <= top:
        return None
    canvas = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(canvas).text((-left, -top), character, fill=255, font=font, anchor="ls")
    ink = canvas.getbbox()
    return None if ink is None else (canvas.crop(ink), top + ink[1])
