"""Hide in a text the words that give away where it comes from: its own names, and identifiers."""

import re

from maskwright_samples.library import Text

HIDDEN = "X"
_PACKAGE_WORDS = frozenset(
    ["python", "stdlib", "numpy", "scipy", "sklearn", "scikit", "networkx", "torch", "pytorch"]
)
_SHORTEST_PART = 3  # letters; shorter parts ("to", "is") are ordinary words
_IDENTIFIER = re.compile(
    r"[_=(\d]|\w\.\w|[a-z][A-Z]"
)  # inner dot or capital, digit, underscore, call, assignment
_PUNCTUATION = ".,;:!?\"'()[]{}<>-"


def name_parts(*names: str) -> frozenset[str]:
    """Lower-case parts of identifiers, cut at underscores, dots and changes of case, three letters or more."""
    found = set()
    for name in names:
        for word in re.split(r"[\W_]+", name):
            parts = [word, *re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", word)]
            found |= {part.lower() for part in parts if len(part) >= _SHORTEST_PART}
    return frozenset(found)


def own_parts(text: Text) -> frozenset[str]:
    """Words that occur in the text's module path, qualified name or argument names, and names of packages."""
    return name_parts(text.module, text.name, *text.arguments) | _PACKAGE_WORDS


def mask_names(passage: str, hidden: frozenset[str], identifiers: bool = False) -> str:
    """`passage` with every word of `hidden` replaced by X; with `identifiers` every identifier-like word as well."""

    def masked_token(match: re.Match[str]) -> str:
        token = match[0]
        if identifiers and _IDENTIFIER.search(token.strip(_PUNCTUATION)):
            return HIDDEN
        return re.sub(r"[A-Za-z]+", lambda word: HIDDEN if word[0].lower() in hidden else word[0], token)

    return re.sub(r"\S+", masked_token, passage)


def mask_last_name(passage: str, name: str) -> str:
    """`passage` with the last part of a qualified name blanked where it stands as a word of its own.

    Only names of four letters or more, or with an underscore: shorter ones are ordinary words.
    """
    last = name.split("#")[0].rsplit(".", maxsplit=1)[-1]
    if len(last) < 4 and "_" not in last:
        return passage
    return re.sub(rf"(?<!\w){re.escape(last)}(?!\w)", HIDDEN, passage, flags=re.IGNORECASE)
