"""All glyphs of one frame: drawn once, kept in the cache."""

import functools
import hashlib
import io
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import __version__ as pillow_version
from PIL import features

from maskwright_samples.cache import remember
from maskwright_samples.glyph_drawing import RECIPE, Frame, Pen
from maskwright_samples.glyph_shapes import (
    FACES,
    FAR,
    TEXT_FACES,
    Shape,
    characters_in,
    font_file,
    same_shapes,
)


@dataclass(frozen=True, eq=False)
class GlyphTable:
    """Every shape in every face that draws its character, ordered by face, then shape."""

    shapes: list[Shape]
    pixels: np.ndarray
    """(glyphs, 32, 32) uint8"""
    shape: np.ndarray
    """(glyphs,) index into `shapes`"""
    face: np.ndarray
    """(glyphs,) index into FACES"""


@functools.lru_cache(maxsize=2)
def glyph_table(frame: Frame) -> GlyphTable:
    """The table of a frame; the first call on a machine draws for several seconds."""
    content = remember(f"glyphs-{frame}", {"frame": frame, **depends_on()}, lambda: _pack(draw_all(frame)))
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        members: list[list[str]] = [[] for _ in range(int(stored["owner"].max()) + 1)]
        for owner, code in zip(stored["owner"].tolist(), stored["code"].tolist(), strict=True):
            members[owner].append(chr(code))
        shapes = [Shape(first, tuple(others)) for first, *others in members]
        return GlyphTable(shapes, stored["pixels"], stored["shape"], stored["face"])


def depends_on() -> dict[str, Any]:
    """Everything the pictures and names depend on."""
    fonts = hashlib.sha256()
    for face in FACES:
        fonts.update(hashlib.sha256(font_file(face).read_bytes()).digest())
    return {
        "recipe": RECIPE,
        "unicode": unicodedata.unidata_version,
        "pillow": pillow_version,
        "freetype": features.version("freetype2"),
        "fonts": fonts.hexdigest(),
    }


def draw_all(frame: Frame) -> GlyphTable:
    """Draw without the cache. The far faces take no part in deciding which characters look alike."""
    drawn = {face: draw_face(face, frame) for face in TEXT_FACES}
    shapes = same_shapes(
        {face: {c: p.tobytes() for c, p in pictures.items()} for face, pictures in drawn.items()}
    )
    named = {shape.character for shape in shapes}
    drawn |= {face: draw_face(face, frame, only=named) for face in FAR}
    rows = [
        (drawn[face][shape.character], place, number)
        for number, face in enumerate(FACES)
        for place, shape in enumerate(shapes)
        if shape.character in drawn[face]
    ]
    pixels, places, faces = zip(*rows, strict=True)
    return GlyphTable(shapes, np.stack(pixels), np.array(places, np.int32), np.array(faces, np.int8))


def draw_face(face: str, frame: Frame, only: set[str] | None = None) -> dict[str, np.ndarray]:
    """Character -> (32, 32) uint8 for the characters of a face, or for those of them in `only`."""
    pen = Pen(face, frame)
    wanted = (c for c in characters_in(face) if only is None or c in only)
    pictures = ((c, pen.draw(c)) for c in wanted)
    return {c: picture for c, picture in pictures if picture is not None}


def _pack(table: GlyphTable) -> bytes:
    names = [(place, c) for place, shape in enumerate(table.shapes) for c in (shape.character, *shape.others)]
    file = io.BytesIO()
    np.savez_compressed(
        file,
        pixels=table.pixels,
        shape=table.shape,
        face=table.face,
        owner=np.array([place for place, _ in names], np.int32),
        code=np.array([ord(character) for _, character in names], np.int32),
    )
    return file.getvalue()
