"""What can be asked about a glyph: classes read off the Unicode name of its character."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from maskwright_samples.glyph_shapes import Shape

LETTER = re.compile(r"(LATIN|GREEK|CYRILLIC|ARMENIAN) (CAPITAL|SMALL) LETTER (.+)")
BASE_LETTER = re.compile(r"(LATIN (?:CAPITAL|SMALL) LETTER [A-Z])(?: WITH .+)?")
MARKS = (
    "ACUTE",
    "GRAVE",
    "CIRCUMFLEX",
    "TILDE",
    "DIAERESIS",
    "MACRON",
    "CARON",
    "DOT ABOVE",
    "DOT BELOW",
    "BREVE",
)
FEWEST_PER_BASE = 4  # characters: base letters with fewer (such as Q) are left out

Labels = dict[str, str]
"""Character -> class name; characters that are not here have no label and no item."""


def letters_of(shapes: Sequence[Shape]) -> list[Shape]:
    """Capital and small letters of the four scripts with case that all faces hold."""
    return [shape for shape in shapes if LETTER.fullmatch(shape.caption)]


def labels_of(task: str, shapes: Sequence[Shape]) -> tuple[Labels, list[str]]:
    """The label of each character that `task` asks about, and the class names in order."""
    if task == "identity":
        return _identity(shapes)
    letters = letters_of(shapes)
    pairs = ((shape.character, TASKS[task](shape.caption)) for shape in letters)
    labels = {character: name for character, name in pairs if name is not None}
    if task == "base-letter":
        counts = Counter(labels.values())
        labels = {character: name for character, name in labels.items() if counts[name] >= FEWEST_PER_BASE}
    order = CLASS_ORDER.get(task)
    return labels, list(order) if order else sorted(set(labels.values()))


def known_words(shapes: Sequence[Shape]) -> set[str]:
    """Words in the captions of characters that are not held out."""
    return {word for shape in shapes if shape.hash >= 20 for word in shape.caption.split()}


def _identity(shapes: Sequence[Shape]) -> tuple[Labels, list[str]]:
    """Each held-out letter is a class; only names made of known words count.

    In order of the hash of their names, so that the first and the second half are the base and the new classes.
    """
    words = known_words(shapes)
    held = [s for s in letters_of(shapes) if s.hash < 20 and words.issuperset(s.caption.split())]
    held.sort(key=lambda shape: (shape.hash, shape.character))
    labels = {shape.character: shape.caption for shape in held}
    return labels, list(labels.values())


def _script(caption: str) -> str | None:
    return caption.split()[0].lower()


def _case(caption: str) -> str | None:
    return caption.split()[1].lower()


def _base_letter(caption: str) -> str | None:
    match = BASE_LETTER.fullmatch(caption)
    return match[1] if match else None


def _mark(caption: str) -> str | None:
    """The mark of a letter that carries exactly one, if it is one of ten."""
    mark = caption.partition(" WITH ")[2]
    return mark.lower() if mark in MARKS else None


def _any_mark(caption: str) -> str | None:
    return "marked" if " WITH " in caption else "plain"


def _stroke(caption: str) -> str | None:
    return "stroke" if "STROKE" in caption.split() else "no stroke"


TASKS: dict[str, Callable[[str], str | None]] = {
    "script": _script,
    "case": _case,
    "base-letter": _base_letter,
    "mark": _mark,
    "any-mark": _any_mark,
    "stroke": _stroke,
}
# The rare or telling class last, so that a binary score is about it.
CLASS_ORDER = {"any-mark": ("plain", "marked"), "stroke": ("no stroke", "stroke")}
