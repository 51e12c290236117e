"""dataset:docstrings: cleaned docstrings, split by module, held-out texts free of copies of training texts."""

from collections.abc import Iterable, Sequence
from typing import Any

from maskwright_samples.items import Items
from maskwright_samples.library import Text, library, reference_texts, unique
from maskwright_samples.prose import words
from maskwright_samples.source import installed
from maskwright_samples.splits import three_way, without_copies

LICENCE = "that of each package: PSF-2.0 (Python), BSD-3-Clause (numpy, scipy, scikit-learn, networkx, torch)"


def docstrings(packages: Sequence[str], topics: bool, literals: bool) -> Items:
    """The corpus of the installed packages among `packages`: items {id, text, package, module, name}."""
    texts = library(packages, literals) + (reference_texts() if topics else [])
    return corpus(texts, facts(packages))


def corpus(texts: Iterable[Text], about: dict[str, Any]) -> Items:
    """The corpus of any texts, which must come in walking order."""
    sides: dict[str, list[Text]] = {"train": [], "validation": [], "test": []}
    for text in unique(texts):
        sides[three_way(text.module)].append(text)
    splits = {"train": sides["train"]}
    for name in ("validation", "test"):
        splits[name] = list(without_copies(sides[name], sides["train"], lambda text: words(text.text)))
    return Items("docstrings", {name: [_item(text) for text in side] for name, side in splits.items()}, about)


def facts(packages: Sequence[str]) -> dict[str, Any]:
    """What `about` says of every data set made from docstrings."""
    found = installed(packages)
    return {
        "packages": found,
        "not installed": [name for name in packages if name not in found],
        "licence": LICENCE,
        "notice": "numbers hold for these package versions only; nothing here speaks of general English",
    }


def _item(text: Text) -> dict[str, Any]:
    return {
        "id": text.id,
        "text": text.text,
        "package": text.package,
        "module": text.module,
        "name": text.name,
    }
