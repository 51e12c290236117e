"""All cleaned docstrings of the installed packages: what the corpus, the tasks and the search collection share."""

import gzip
import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import attrs

from maskwright.errors import UserError
from maskwright_samples.cache import remember
from maskwright_samples.prose import clean, fingerprint_words, paragraphs
from maskwright_samples.sections import Entry, entries, sections, see_also, short_entries
from maskwright_samples.source import Record, installed, language_reference, records

# Part of every cache key: raise it when source.py, sections.py or prose.py give another result.
RECIPE = 2

FEWEST_WORDS = 6  # of a text


@attrs.frozen
class Text:
    """A docstring, cleaned, with the sections that tasks are made of."""

    id: str
    package: str
    module: str
    name: str
    kind: str
    arguments: tuple[str, ...]
    raw: str
    text: str  # paragraphs, one line each
    summary: str
    body: str
    parameters: tuple[Entry, ...]
    returns: tuple[Entry, ...]
    see_also: tuple[str, ...]

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def subpackage(self) -> str:
        """The first folder below the package: scipy.linalg; in the standard library the top package: email."""
        depth = 1 if self.package == "stdlib" else 2
        return ".".join(self.module.split(".")[:depth])


def cleaned(record: Record) -> Text:
    """A record with its prose, its parameters and its links."""
    prose = clean(record.text)
    parameters: list[Entry] = []
    returns: list[Entry] = []
    links: list[str] = []
    for section in sections(record.text):
        if section.title in {"parameters", "other parameters"}:
            parameters += entries(section)
        elif section.title in {"args", "arguments", "keyword args", "keyword arguments"}:
            parameters += short_entries(section)
        elif section.title in {"returns", "return", "yields"}:
            returns += [Entry((), "", paragraph) for paragraph in paragraphs(section.text)]
        elif section.title == "see also":
            links += see_also(section)
    return Text(
        record.id, record.package, record.module, record.name, record.kind, record.arguments, record.text,
        prose.text, prose.summary, prose.body, tuple(parameters), tuple(returns), tuple(links),
    )  # fmt: skip


def library(packages: Sequence[str], literals: bool = False) -> list[Text]:
    """Every docstring of the packages that are installed, in walking order, short ones and copies included."""
    found = installed(packages)
    if not found:
        raise UserError(
            f"none of these packages is installed: {', '.join(packages)}",
            where="setting packages",
            why="docstrings are read from the sources of installed packages",
            cure="name another package (stdlib is always there), or install one of them",
        )
    return [text for name, version in found.items() for text in _package(name, version, literals)]


def unique(texts: Iterable[Text]) -> list[Text]:
    """Texts of six words or more; of texts equal but for case, punctuation and digits the first stays."""
    seen: set[str] = set()
    kept = []
    for text in texts:
        key = fingerprint_words(text.text)
        if text.words >= FEWEST_WORDS and key not in seen:
            seen.add(key)
            kept.append(text)
    return kept


def reference_texts() -> list[Text]:
    """The topics of the language reference as texts of the standard library: long, clean prose."""
    found = []
    for topic, raw in sorted(language_reference().items()):
        record = Record("stdlib", "pydoc_data.topics", topic, "topic", (), raw)
        lines = tuple(paragraphs(raw))
        found.append(
            attrs.evolve(cleaned(record), text="\n".join(lines), parameters=(), returns=(), see_also=())
        )
    return found


@cache
def _package(name: str, version: str, literals: bool) -> tuple[Text, ...]:
    def make() -> bytes:
        rows = (json.dumps(attrs.astuple(cleaned(record))) for record in records(name, literals))
        return gzip.compress("\n".join(rows).encode(), compresslevel=6, mtime=0)

    key = {"recipe": RECIPE, "package": name, "version": version, "literals": literals}
    stored = gzip.decompress(remember(f"docstrings-{name}", key, make)).decode()
    return tuple(_from_row(json.loads(line)) for line in stored.split("\n") if line)


def _from_row(row: list[Any]) -> Text:
    *plain, arguments, raw, text, summary, body, parameters, returns, links = row
    return Text(
        *plain,
        tuple(arguments),
        raw,
        text,
        summary,
        body,
        _entries(parameters),
        _entries(returns),
        tuple(links),
    )


def _entries(rows: list[list[Any]]) -> tuple[Entry, ...]:
    return tuple(Entry(tuple(names), kind, description) for names, kind, description in rows)
