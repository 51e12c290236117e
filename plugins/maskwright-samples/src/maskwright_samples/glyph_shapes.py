"""Which characters the fonts of matplotlib hold, and which of them are the same drawing under several names.

The result depends on the font files and on `unicodedata.unidata_version`; `glyph_table` records both.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font
from networkx.utils import UnionFind

from maskwright.errors import UserError
from maskwright_samples.splits import h

# An allow-list, never a folder listing: matplotlib's folder also holds LastResortHE-Regular (a few boxes under 136k
# names), Computer Modern at code points that are not its own, private-use fonts and fonts of one size only.
SANS = tuple(
    f"DejaVuSans{mono}{slope}" for mono in ("", "Mono") for slope in ("", "-Bold", "-Oblique", "-BoldOblique")
)
SERIF = tuple(f"DejaVuSerif{slope}" for slope in ("", "-Bold", "-Italic", "-BoldItalic"))
FAR = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
TEXT_FACES = SANS + SERIF
FACES = TEXT_FACES + FAR


@dataclass(frozen=True)
class Shape:
    """One drawing: the character it is named after, and the characters drawn alike in some text face."""

    character: str
    others: tuple[str, ...]

    @property
    def caption(self) -> str:
        return caption_of(self.character)

    @property
    def aliases(self) -> list[str]:
        return [caption_of(other) for other in self.others]

    @property
    def hash(self) -> int:
        """0..99, from the Unicode name: held out below 20, validation below 30, train from there."""
        return h(unicodedata.name(self.character))


def caption_of(character: str) -> str:
    """The Unicode name with spaces for hyphens."""
    return unicodedata.name(character).replace("-", " ")


def font_file(face: str) -> Path:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    if not path.is_file():
        raise UserError(
            f"the font {face} is not there",
            where=str(path),
            why="dataset:glyphs draws with the fonts that come with matplotlib; some system packages leave them out",
            cure="install matplotlib from a wheel (pip install --force-reinstall matplotlib)",
        )
    return path


def characters_in(face: str) -> list[str]:
    """What the font maps and Unicode names, by code point; no controls, separators or combining marks."""
    codes = sorted(FT2Font(str(font_file(face))).get_charmap())
    characters = [chr(code) for code in codes]
    return [c for c in characters if unicodedata.name(c, "") and unicodedata.category(c)[0] not in "CZM"]


def same_shapes(drawn: Mapping[str, Mapping[str, bytes]]) -> list[Shape]:
    """Shapes of the characters common to all faces; `drawn` is face -> character -> bytes of the picture.

    Characters that are equal in *any* face belong to one shape. It is named after its lowest code point that all
    faces have, in order of these code points.
    """
    groups = UnionFind(character for pictures in drawn.values() for character in pictures)
    for pictures in drawn.values():
        first: dict[bytes, str] = {}
        for character, picture in pictures.items():
            groups.union(first.setdefault(picture, character), character)
    common = set.intersection(*(set(pictures) for pictures in drawn.values()))
    return sorted(_shapes(groups.to_sets(), common), key=lambda shape: shape.character)


def _shapes(groups: Iterable[set[str]], common: set[str]) -> Iterable[Shape]:
    for group in groups:
        if named := group & common:
            character = min(named)
            yield Shape(character, tuple(sorted(group - {character})))
