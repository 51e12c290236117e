"""Taggers of other libraries, each imported when it is used: words in, one tag of its own tag set for each out."""

import functools
import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from maskwright.errors import UserError
from maskwright_text.tag_tables import C5, PENN
from maskwright_text.upos import UPOS

Tag = Callable[[Sequence[str]], Sequence[str]]
"""The words of a text -> their tags. The lists should be of one length; `tagged` looks whether they are."""

_OF_MARKS = frozenset({"PUNCT", "SYM", "CCONJ"})  # CCONJ: &
_SENTENCE_ENDS = frozenset({".", "!", "?", "...", "…"})


@attrs.frozen
class Tagger:
    """A tagger as it can be named in a recipe."""

    distribution: str
    """What has to be installed; its version decides whether kept tags are still right."""
    module: str
    pip: str
    """What pip installs, as a shell takes it: it would read bare brackets as a pattern."""
    table: Mapping[str, str]
    """Its tags -> Universal POS tags."""
    start: Callable[[Any, str], Tag]
    """(module, model) -> the function that tags."""
    data: Callable[[Any, str], str] | None = None
    """(module, model) -> what tells one model from another, where models come apart from the library."""

    def is_installed(self) -> bool:
        try:
            metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return False
        return True

    def version(self, model: str) -> str:
        """What tags depend on: the library, and its model. UserError with the pip line where it is not installed."""
        if not self.is_installed():
            raise self._absent(f"it is not installed; {what_there_is()}")
        own = metadata.version(self.distribution)
        return own if self.data is None else f"{own} {self.data(self._module(), model)}"

    def load(self, model: str) -> Tag:
        return self.start(self._module(), model)

    def _module(self) -> Any:
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise self._absent(str(error)) from error

    def universal(self, tag: str, word: str) -> str | None:
        """The Universal POS tag; None where the tag set has no such tag."""
        # Of "AJ0-NN1", which means that the tagger could not decide, the first is the likelier one.
        found = self.table.get(tag) or self.table.get(tag.split("-")[0])
        if found in _OF_MARKS or any(letter.isalnum() for letter in word):
            return found
        return "PUNCT"  # marks that a tagger does not know are nouns to it

    def _absent(self, why: str) -> UserError:
        return UserError(
            f"the tagger needs {self.distribution}",
            where="dataset:tagged",
            why=why,
            cure=f"pip install {self.pip}",
        )


def _pattern(module: Any, model: str) -> Tag:
    tagger = module.PatternTagger()

    def tag(words: Sequence[str]) -> list[str]:
        # It looks up the first word of a line in lower case too, so sentences stand in lines of their own.
        text = "".join(word + ("\n" if word in _SENTENCE_ENDS else " ") for word in words).strip()
        return [found for _, found in tagger.tag(text, tokenize=False)]

    return tag


def _hanta(module: Any, model: str) -> Tag:
    tagger = module.HanoverTagger("morphmodel_en.pgz")
    return lambda words: [found[-1] for found in tagger.tag_sent(list(words))]


def _nltk(module: Any, model: str) -> Tag:
    def tag(words: Sequence[str]) -> list[str]:
        try:
            return [found for _, found in module.pos_tag(list(words))]
        except LookupError as error:
            raise UserError(
                "nltk has no tagger data",
                where="dataset:tagged",
                why=next(
                    (line.strip() for line in str(error).splitlines() if line.strip(" *")), "it is not found"
                ),
                cure="python -m nltk.downloader averaged_perceptron_tagger_eng; or tagger = pattern, which needs none",
            ) from None

    return tag


def _spacy(module: Any, model: str) -> Tag:
    try:
        pipeline = module.load(model)
    except (OSError, ValueError) as error:
        raise UserError(
            f'spaCy has no pipeline "{model}"',
            where="dataset:tagged",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cure=f"python -m spacy download {model}; or model = PATH of an unpacked one",
        ) from None
    document = functools.partial(importlib.import_module(f"{module.__name__}.tokens").Doc, pipeline.vocab)
    return lambda words: [token.pos_ for token in pipeline(document(words=list(words)))]


def _nltk_data(module: Any, model: str) -> str:
    found = (
        place
        for root in module.data.path
        for place in sorted(Path(root).glob("taggers/averaged_perceptron_*"))
    )
    return " ".join(_digest(place) for place in found)


def _spacy_data(module: Any, model: str) -> str:
    """A pipeline that is trained on keeps its name and, in a folder, its version."""
    if Path(model).is_dir():
        return _digest(Path(model))
    try:
        return metadata.version(model)
    except metadata.PackageNotFoundError:
        return ""  # there is none, or a link to one; loading it will tell


def _digest(place: Path) -> str:
    """sha256 of a file, or of all files of a folder and their names."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    found = hashlib.sha256()
    for path in files:
        if path.is_file():
            found.update(path.relative_to(place.parent).as_posix().encode() + b"\0")
            with path.open("rb") as handle:
                found.update(hashlib.file_digest(handle, "sha256").digest())
    return found.hexdigest()


TAGGERS = {
    "pattern": Tagger("textblob", "textblob.en.taggers", '"maskwright-text[pos]"', PENN, _pattern),
    "hanta": Tagger("HanTa", "HanTa.HanoverTagger", '"maskwright-text[hanta]"', C5, _hanta),
    "nltk": Tagger("nltk", "nltk", "nltk", PENN, _nltk, _nltk_data),
    "spacy": Tagger("spacy", "spacy", "spacy", {tag: tag for tag in UPOS}, _spacy, _spacy_data),
}


def what_there_is() -> str:
    """The taggers that are installed, and what brings the others."""
    here = [name for name, tagger in TAGGERS.items() if tagger.is_installed()]
    others = [f"{name} (pip install {TAGGERS[name].pip})" for name in TAGGERS if name not in here]
    words = [f"installed: {', '.join(here) or 'none'}"]
    return "; ".join([*words, f"others: {', '.join(others)}"] if others else words)
