"""dataset:docstring-search: a docstring's summary as query, docstrings as documents.

known-item: the right document is the rest of the same docstring. see-also: right are the functions that its See
Also section links to, directly (gain 2) or over one other function (gain 1).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from maskwright_samples.corpus import facts
from maskwright_samples.items import Items
from maskwright_samples.library import Text, library, unique
from maskwright_samples.name_masking import mask_last_name
from maskwright_samples.prose import fingerprint_words, paragraphs
from maskwright_samples.splits import three_way

_QUERY_WORDS, _DOCUMENT_WORDS = 4, 20  # fewest
_DIRECT, _TWO_AWAY = 2, 1  # gains
# A dotted link may be written with the usual short name of its package.
_SHORT_NAMES = {"np": "numpy", "nx": "networkx", "sp": "scipy"}


def docstring_search(kind: str, packages: Sequence[str]) -> Items:
    """The collection over the installed packages among `packages`."""
    return make_search(kind, library(packages), facts(packages))


def make_search(kind: str, texts: Iterable[Text], about: dict[str, Any]) -> Items:
    """Splits `corpus` {id, document}, and `queries` (all of them), `train`, `validation`, `test` {id, query, relevant}.

    A query is on the side of its module; the documents are common to all sides.
    """
    make = known_item if kind == "known-item" else see_also_links
    documents, queries, modules = make(unique(texts))
    splits: dict[str, list[dict]] = {"corpus": documents, "queries": queries}
    for side in ("train", "validation", "test"):
        splits[side] = [query for query in queries if three_way(modules[query["id"]]) == side]
    return Items("docstring-search", splits, {**about, "kind": kind})


def known_item(texts: Sequence[Text]) -> tuple[list[dict], list[dict], dict[str, str]]:
    """Find a docstring by its first sentence.

    The document holds the rest and what is said of parameters and results, without summary, names and signature;
    its own last name is blanked on both sides. Equal summaries share their relevant documents.
    """
    usable = [text for text in texts if text.kind != "module" and len(text.summary.split()) >= _QUERY_WORDS]
    documents: list[dict[str, Any]] = []
    asked: list[tuple[Text, str]] = []
    same: dict[str, dict[str, int]] = defaultdict(dict)
    for text in usable:
        document = mask_last_name(_rest(text), text.name)
        if len(document.split()) >= _DOCUMENT_WORDS:
            documents.append({"id": text.id, "document": document})
            query = mask_last_name(text.summary, text.name)
            asked.append((text, query))
            same[fingerprint_words(text.summary)][text.id] = 1
    queries = [
        {"id": text.id, "query": query, "relevant": same[fingerprint_words(text.summary)]}
        for text, query in asked
    ]
    return documents, queries, {text.id: text.module for text, _ in asked}


def see_also_links(texts: Sequence[Text]) -> tuple[list[dict], list[dict], dict[str, str]]:
    """Find related functions. `excluded` names the query's own document, which evaluators leave out of the ranking."""
    neighbours = links(texts)
    documents = [{"id": text.id, "document": mask_last_name(text.text, text.name)} for text in texts]
    queries, modules = [], {}
    for text in texts:
        if not text.see_also or not neighbours[text.id] or len(text.summary.split()) < _QUERY_WORDS:
            continue
        gains = {far: _TWO_AWAY for near in neighbours[text.id] for far in neighbours[near]}
        gains |= dict.fromkeys(neighbours[text.id], _DIRECT)
        gains.pop(text.id, None)
        query = mask_last_name(text.summary, text.name)
        queries.append({"id": text.id, "query": query, "relevant": gains, "excluded": text.id})
        modules[text.id] = text.module
    return documents, queries, modules


def links(texts: Sequence[Text]) -> dict[str, set[str]]:
    """id -> ids linked to or from it. A name is looked for in the module, the sub-package, the package, then whole."""
    places: dict[str, dict[str, list[str]]] = {}
    for scope in ("module", "subpackage", "package"):
        table: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            if text.name:
                table[f"{getattr(text, scope)}:{text.name}"].append(text.id)
                last = text.name.rsplit(".", maxsplit=1)[-1]
                if last != text.name:
                    table[f"{getattr(text, scope)}:{last}"].append(text.id)
        places[scope] = table
    neighbours: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for name in text.see_also:
            target = _resolved(name, text, places)
            if target is not None and target != text.id:
                neighbours[text.id].add(target)
                neighbours[target].add(text.id)
    return neighbours


def link_counts(texts: Sequence[Text]) -> Counter[str]:
    """How many texts link, how many links there are and how many queries come of them."""
    neighbours = links(texts)
    return Counter(
        texts=sum(bool(text.see_also) for text in texts),
        links=sum(len(text.see_also) for text in texts),
        pairs=sum(len(near) for near in neighbours.values()) // 2,
    )


def _resolved(name: str, text: Text, places: dict[str, dict[str, list[str]]]) -> str | None:
    first, _, rest = name.partition(".")
    if rest and first in _SHORT_NAMES:
        name = f"{_SHORT_NAMES[first]}.{rest}"
    for scope in ("module", "subpackage", "package"):
        found = places[scope].get(f"{getattr(text, scope)}:{name}")
        if found:
            return found[0]
    if "." in name:  # numpy.linalg.norm: its last part, anywhere below the folder or package named before it
        *folder, last = name.split(".")
        for depth in range(len(folder), 0, -1):
            scope = "package" if depth == 1 else "subpackage"
            found = places[scope].get(f"{'.'.join(folder[:depth])}:{last}")
            if found:
                return found[0]
    return None


def _rest(text: Text) -> str:
    described = [
        paragraph
        for entry in (*text.parameters, *text.returns)
        for paragraph in paragraphs(entry.description)
    ]
    return "\n".join(part for part in (text.body, *described) if part)
