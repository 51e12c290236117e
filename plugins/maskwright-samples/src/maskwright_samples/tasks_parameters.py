"""Tasks on the parameter lists of docstrings: guess the type from the description, or answer what `x` is."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from maskwright_samples.library import Text
from maskwright_samples.prose import paragraphs, words
from maskwright_samples.splits import three_way, two_way, without_copies

_FEWEST_WORDS = 3  # of a description or an answer
_KNOWN = (
    0.5  # F1 with some training answer for the same name from which a question is answered without the text
)

# The first form that a type text shows before " of ": "list of int" is a sequence, "array of floats" an array.
_TYPES = {
    "array": r"array|matri(x|ces)",
    "bool": r"\bbool|\btrue\b|\bfalse\b",
    "callable": r"callable|\bfunction",
    "dict": r"\bdict|mapping",
    "float": r"\bfloat|\bscalar|\breal\b|\bdouble",
    "graph": r"graph",
    "int": r"\bint\b|\bints\b|\binteger",
    "sequence": r"\blist|\btuple|\bsequence|\biterable",
    "str": r"\bstr\b|\bstring|['\"]\w+['\"]",
}
_OTHER = re.compile(
    r"instance|generator|randomstate|estimator|object|path|file|constructor|dtype", re.IGNORECASE
)


def param_type(texts: Sequence[Text]) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{text, label, name}: the type of a parameter (9 classes) from the words that describe it.

    Parameters whose type text names several classes are left out. `name` is for the prior that a name gives.
    """
    classes = sorted(_TYPES)
    sides: dict[str, list[dict]] = {"train": [], "test": []}
    seen: set[tuple[str, str]] = set()
    for text, name, kind, description in _parameters(texts):
        label = type_class(kind)
        if label is None or (name, description) in seen:
            continue
        seen.add((name, description))
        row = {"id": f"{text.id}({name})", "text": description, "label": classes.index(label), "name": name}
        sides[two_way(text.module)].append(row)
    sides["test"] = list(without_copies(sides["test"], sides["train"], lambda row: words(row["text"])))
    return sides, {"classes": classes}


def type_class(kind: str) -> str | None:
    """The one class that a type text names; None when it names none or several (int or float)."""
    kind = re.split(r"\s+of\s+|->", kind.lower(), maxsplit=1)[0]
    kind = re.sub(r"default.*|\(.*?\)|optional", "", kind)
    if _OTHER.search(kind):
        return None
    found = [name for name, pattern in _TYPES.items() if re.search(pattern, kind)]
    return found[0] if len(found) == 1 else None


def param_qa(texts: Sequence[Text]) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{question, document, answer}: what is parameter x of f? The document is the whole docstring.

    With the text at hand the line `x :` holds the answer, so a score says something only when the document has
    first passed a bottleneck. Test questions that the training answers for the same name already answer are
    dropped.
    """
    splits: dict[str, list[dict]] = {"train": [], "validation": [], "test": []}
    known: dict[str, set[str]] = defaultdict(set)
    asked = []
    for text, name, _, description in _parameters(texts):
        answer = re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'(])", description, maxsplit=1)[0]
        if len(answer.split()) < _FEWEST_WORDS:
            continue
        side = three_way(text.module)
        if side == "train":
            known[name].add(answer)
        asked.append((side, name, text, answer))
    for side, name, text, answer in asked:
        if side == "train" or all(answer_f1(answer, other) < _KNOWN for other in known[name]):
            function = text.name.split("#")[0]
            splits[side].append(
                {
                    "id": f"{text.id}({name})",
                    "question": f"What is parameter `{name}` of `{function}`?",
                    "document": text.raw,
                    "answer": answer,
                }
            )
    return splits, {"notice": "with the full text the answer is looked up: report closed book beside it"}


def answer_f1(given: str, right: str) -> float:
    """F1 of the words that two answers share, counted with repetition."""
    a, b = Counter(words(given)), Counter(words(right))
    shared = sum((a & b).values())
    return 2 * shared / (a.total() + b.total()) if shared else 0.0


def _parameters(texts: Sequence[Text]) -> Iterator[tuple[Text, str, str, str]]:
    """(text, parameter, type, description on one line) of every parameter with a description."""
    for text in texts:
        taken: set[str] = set()
        for entry in text.parameters:
            description = " ".join(paragraphs(entry.description))
            if len(description.split()) < _FEWEST_WORDS:
                continue
            for name in entry.names:
                if name not in taken:
                    taken.add(name)
                    yield text, name, entry.type, description
