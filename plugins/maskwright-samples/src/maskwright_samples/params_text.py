"""Settings of the text components: imports nothing heavy."""

from typing import ClassVar, Literal

from maskwright.params import params, setting

_ALL = ("stdlib", "numpy", "scipy", "sklearn", "networkx", "torch")
_DEFAULT = ["stdlib", "numpy", "scipy", "sklearn", "networkx"]
_PACKAGES_HELP = (
    "whose docstrings: any of stdlib, numpy, scipy, sklearn, networkx, torch; those not installed are left out. "
    "torch's are the shortest and cost more time than all others together"
)
_TASK_FIELDS = {
    "topic": {"text", "label"},
    "pairs": {"text", "other", "label"},
    "pick-one": {"text", "options", "label"},
    "param-type": {"text", "label", "name"},
    "param-qa": {"question", "document", "answer"},
    "summary": {"text", "summary", "name"},
}


def _unknown_packages(packages):
    unknown = [name for name in packages if name not in _ALL]
    if unknown:
        yield "packages", f"unknown: {', '.join(unknown)}; docstrings are read from {', '.join(_ALL)}"
    if not packages:
        yield "packages", f"is empty; name at least one of {', '.join(_ALL)}"


@params
class Docstrings:
    """Technical English: cleaned docstrings, split by module, held-out copies removed."""

    packages: list[str] = setting(_DEFAULT, help=_PACKAGES_HELP)
    topics: bool = setting(False, help="add the language reference that help() shows: 79 long texts")
    literals: bool = setting(False, help="add the texts that compiled functions get by add_newdoc")

    def check(self):
        yield from _unknown_packages(self.packages)

    def build(self):
        from maskwright_samples.corpus import docstrings

        return docstrings(tuple(self.packages), self.topics, self.literals)

    @classmethod
    def example(cls):
        return cls(packages=["networkx"])


@params
class DocstringTasks:
    """A supervised task cut from docstrings, split by name, held-out copies removed."""

    task: Literal["topic", "pairs", "pick-one", "param-type", "param-qa", "summary"] = setting(
        "topic",
        help="topic: which sub-package; pairs: do summary and body belong together; pick-one: which of four bodies; "
        "param-type: type of a parameter from its description; param-qa: what is parameter x; summary: from the body",
    )
    packages: list[str] = setting(_DEFAULT, help=_PACKAGES_HELP)
    masked: bool = setting(
        True,
        help="replace a text's own names by X (topic, pairs, pick-one, summary); plain texts make string matching win",
    )
    fewest: int = setting(60, ge=2, help="topic: texts that a sub-package must have to be a class")

    def tags(self):
        return _TASK_FIELDS[self.task]

    def check(self):
        yield from _unknown_packages(self.packages)

    def build(self):
        from maskwright_samples.tasks import docstring_tasks

        return docstring_tasks(self.task, tuple(self.packages), self.masked, self.fewest)

    @classmethod
    def example(cls):
        return cls(packages=["networkx"])


@params
class DocstringSearch:
    """A search collection: summaries as queries, docstrings as documents."""

    kind: Literal["known-item", "see-also"] = setting(
        "known-item",
        help="known-item: find the rest of the same docstring; see-also: find the functions it links to",
    )
    packages: list[str] = setting(_DEFAULT, help=_PACKAGES_HELP)

    def tags(self):
        return {"excluded"} if self.kind == "see-also" else set()

    def check(self):
        yield from _unknown_packages(self.packages)

    def build(self):
        from maskwright_samples.search import docstring_search

        return docstring_search(self.kind, tuple(self.packages))

    @classmethod
    def example(cls):
        return cls(packages=["networkx"])


@params
class TfIdf:
    """Weights of a text's words, rarer words heavier: a sparse vector of length 1."""

    split: str = setting("train", help="split to learn the vocabulary and the weights from")
    field: str = setting(
        "text", help="field of that split to learn from, e.g. document for a search collection"
    )
    min_count: int = setting(2, ge=1, help="texts a word must occur in")
    longest: int = setting(1, ge=1, le=3, help="words in a row that count as one feature")
    stop_words: bool = setting(False, help="leave out English function words")

    def build(self):
        from maskwright_samples.tfidf import TfIdfVectors

        return TfIdfVectors(self.split, self.field, self.min_count, self.longest, self.stop_words)

    @classmethod
    def example(cls):
        return cls(min_count=1)


@params
class KnownItem:
    """Rank documents for queries by the vectors that a text pipeline gives them."""

    feeds: ClassVar[dict[str, tuple[str, ...]]] = {"text": ("query", "document")}
    """The pipeline under test gets queries and documents as `text`."""

    corpus: str = setting("corpus", help="split that holds the documents")
    split: str = setting("test", help="split that holds the queries")
    similarity: Literal["cosine", "dot"] = setting("cosine", help="how two vectors are compared")
    bm25: bool = setting(True, help="print BM25 beside it, where maskwright-samples[baselines] is installed")

    def build(self):
        from maskwright_samples.known_item import KnownItemSearch

        return KnownItemSearch(self.corpus, self.split, self.similarity, self.bm25)

    @classmethod
    def example(cls):
        return cls(bm25=False)

    @classmethod
    def example_case(cls):
        from maskwright_samples.examples_text import axes_of_items, search_items

        return cls.example(), axes_of_items(1.0), search_items()

    @classmethod
    def perfect(cls):
        from maskwright_samples.examples_text import axes_of_items, search_items

        return axes_of_items(0.0), search_items(), {"ndcg@10": 1.0, "mrr@10": 1.0, "recall@100": 1.0}


@params
class Classification:
    """How well classes can be told apart by a linear model on the vectors of a pipeline."""

    train: str = setting("train", help="split to fit the classifier on")
    split: str = setting("test", help="split to judge it on")
    c: float = setting(10.0, gt=0, help="inverse strength of the L2 penalty")
    balanced: bool = setting(True, help="weigh classes by the inverse of their size, as macro-F1 does")

    def build(self):
        from maskwright_samples.classification import LinearClassification

        return LinearClassification(self.train, self.split, self.c, self.balanced)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls):
        from maskwright_samples.examples_text import axes_of_items, labelled_items

        return cls.example(), axes_of_items(1.0), labelled_items()

    @classmethod
    def perfect(cls):
        from maskwright_samples.examples_text import axes_of_items, labelled_items

        return axes_of_items(0.0), labelled_items(), {"accuracy": 1.0, "macro_f1": 1.0}
