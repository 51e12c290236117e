"""dataset:glyphs — drawings of named characters in twelve text faces, and in four of another family."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskwright_samples.array_items import Pictures
from maskwright_samples.glyph_drawing import Frame
from maskwright_samples.glyph_labels import known_words, labels_of
from maskwright_samples.glyph_shapes import FACES, FAR, SANS, SERIF
from maskwright_samples.glyph_table import GlyphTable, depends_on, glyph_table

NOTICE = (
    "Drawn with DejaVu and STIX fonts as shipped by matplotlib (LICENSE_DEJAVU, LICENSE_STIX in its font folder); "
    "captions are character names of the Unicode Character Database."
)


class GlyphData(Pictures):
    """One item for each shape and face.

    Characters are split by hash of their Unicode name: below 20 held out, 20..29 validation, from 30 train.
    train, validation and test are drawn in the eight sans and mono faces, test-serif and test-far (held characters)
    in the serif and the STIX faces. With task `identity` the held letters themselves are the classes, and train is
    their drawing in the eight faces. An item outside train that equals a train picture byte by byte is left out.
    """

    def __init__(self, frame: Frame = "line", task: str = "caption") -> None:
        table = glyph_table(frame)
        labels, classes = ({}, []) if task == "caption" else labels_of(task, table.shapes)
        number = {name: place for place, name in enumerate(classes)}
        chosen = _split(table, identity=task == "identity")
        splits: dict[str, list[dict[str, Any]]] = {}
        left_out: dict[str, int] = {}
        for split, places in chosen.items():
            if task != "caption":
                places = [place for place in places if table.shapes[table.shape[place]].character in labels]
            kept = places if split == "train" else _without_copies(table, places, chosen)
            left_out[split] = len(places) - len(kept)
            splits[split] = [_item(table, place, labels, number) for place in kept]
        facts: dict[str, Any] = {"frame": frame, "task": task, "notice": NOTICE, "depends_on": depends_on()}
        super().__init__("glyphs", splits, facts | ({"classes": classes} if classes else {}))
        self._left_out = left_out
        self._known = known_words(table.shapes)

    def about(self, split: str) -> Mapping[str, Any]:
        """`captions`: names to choose from; `known_captions`: those whose words all occur in other characters' names.

        `left_out`: pictures that equal a train picture.
        """
        captions = sorted({item["caption"] for item in self._items(split)})
        return {
            **super().about(split),
            "captions": captions,
            "known_captions": [caption for caption in captions if self._known.issuperset(caption.split())],
            "left_out": self._left_out[split],
        }


def _split(table: GlyphTable, identity: bool) -> dict[str, list[int]]:
    """Split -> places in the table."""
    side = np.array([shape.hash for shape in table.shapes])[table.shape]
    seen, serif, far = (np.isin(table.face, [FACES.index(f) for f in faces]) for faces in (SANS, SERIF, FAR))
    held, validation = side < 20, (side >= 20) & (side < 30)
    if identity:
        masks = {"train": seen & held, "test-serif": serif & held, "test-far": far & held}
    else:
        masks = {
            "train": seen & (side >= 30),
            "validation": seen & validation,
            "test": seen & held,
            "test-serif": serif & held,
            "test-far": far & held,
        }
    return {split: np.flatnonzero(mask).tolist() for split, mask in masks.items()}


def _without_copies(table: GlyphTable, places: list[int], chosen: Mapping[str, list[int]]) -> list[int]:
    """Symbols do not slant and some letters have no serifs: a sixth of the serif pictures are sans pictures too."""
    train = {table.pixels[place].tobytes() for place in chosen["train"]}
    return [place for place in places if table.pixels[place].tobytes() not in train]


def _item(
    table: GlyphTable, place: int, labels: Mapping[str, str], number: Mapping[str, int]
) -> dict[str, Any]:
    shape, face = table.shapes[table.shape[place]], FACES[table.face[place]]
    item = {
        "id": f"U+{ord(shape.character):04X}/{face}",
        "pixels": table.pixels[place][:, :, None],
        "caption": shape.caption,
        "aliases": shape.aliases,
        "face": face,
    }
    return item | ({"label": number[labels[shape.character]]} if labels else {})
