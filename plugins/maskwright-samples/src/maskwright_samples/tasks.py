"""dataset:docstring-tasks: supervised tasks cut from docstrings, all split by name and freed of copied texts.

Everything chosen here (negatives, distractors, places) follows from hashes of ids, so the same packages give the
same tasks everywhere.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

from maskwright.errors import UserError
from maskwright_samples.corpus import facts
from maskwright_samples.items import Items
from maskwright_samples.library import Text, library, unique
from maskwright_samples.name_masking import mask_names, own_parts
from maskwright_samples.prose import words
from maskwright_samples.splits import two_way, without_copies
from maskwright_samples.tasks_parameters import param_qa, param_type

FEWEST_WORDS = 10  # of a text in any task
_SUMMARY_WORDS, _BODY_WORDS = 4, 20  # fewest, where both are used
_OPTIONS = 4

Sides = dict[str, list[Text]]


def docstring_tasks(task: str, packages: Sequence[str], masked: bool, fewest: int) -> Items:
    """One task over the installed packages among `packages`."""
    return make_task(task, library(packages), masked, fewest, facts(packages))


def make_task(task: str, texts: Iterable[Text], masked: bool, fewest: int, about: dict[str, Any]) -> Items:
    """One task over any texts in walking order; see the functions below for the fields of each."""
    usable = [text for text in unique(texts) if text.words >= FEWEST_WORDS]
    if task == "topic":
        splits, facts_of_task = topic(usable, masked, fewest)
    elif task in {"pairs", "pick-one", "summary"}:
        make = {"pairs": pairs, "pick-one": pick_one, "summary": summary}[task]
        splits, facts_of_task = make(usable, masked)
    else:
        splits, facts_of_task = {"param-type": param_type, "param-qa": param_qa}[task](usable)
    return Items("docstring-tasks", splits, {**about, "task": task, **facts_of_task})


def topic(texts: Sequence[Text], masked: bool, fewest: int) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{text, label}: which sub-package a text comes from, among those with at least `fewest` texts.

    The methods of a class stay on one side: what they share would otherwise name the class.
    """
    inside = [text for text in texts if text.module != text.subpackage]
    counts = Counter(text.subpackage for text in inside)
    classes = sorted(name for name, count in counts.items() if count >= fewest)
    if len(classes) < 2:
        raise UserError(
            f"topic has {len(classes)} classes with {fewest} texts or more",
            where="dataset:docstring-tasks, settings packages and fewest",
            why=f"these packages have {len(inside)} texts in {len(counts)} sub-packages",
            cure="lower fewest, or name more packages",
        )
    place = {name: number for number, name in enumerate(classes)}
    sides = _sides(
        (text for text in inside if text.subpackage in place),
        lambda text: f"{text.module}:{text.name.split('.')[0]}",
    )

    def item(text: Text) -> dict[str, Any]:
        shown = mask_names(text.text, own_parts(text), identifiers=True) if masked else text.text
        return {"id": text.id, "text": shown, "label": place[text.subpackage]}

    return {side: [item(text) for text in members] for side, members in sides.items()}, {"classes": classes}


def pairs(texts: Sequence[Text], masked: bool) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{text, other, label}: is `other` the body that belongs to this summary (1), or one of the same module (0)?"""

    def items(members: list[Text]) -> Iterable[dict[str, Any]]:
        near = _grouped(members, lambda text: text.module)
        for text in members:
            wrong = _nearest_by_hash(text, near[text.module], 1)
            if wrong:
                query, body = _summary_and_body(text, masked)
                yield {"id": text.id, "text": query, "other": body, "label": 1}
                yield {
                    "id": f"{text.id}|{wrong[0].id}",
                    "text": query,
                    "other": _summary_and_body(wrong[0], masked)[1],
                    "label": 0,
                }

    sides = _sides(_with_summary_and_body(texts), lambda text: text.module)
    return {side: list(items(members)) for side, members in sides.items()}, {"classes": ["other", "own"]}


def pick_one(texts: Sequence[Text], masked: bool) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{text, options, label}: which of four bodies of the same sub-package belongs to this summary?"""

    def items(members: list[Text]) -> Iterable[dict[str, Any]]:
        near = _grouped(members, lambda text: text.subpackage)
        for text in members:
            wrong = _nearest_by_hash(text, near[text.subpackage], _OPTIONS - 1)
            if len(wrong) == _OPTIONS - 1:
                options = [_summary_and_body(other, masked)[1] for other in wrong]
                place = _hash(text.id) % _OPTIONS
                query, body = _summary_and_body(text, masked)
                options.insert(place, body)
                yield {"id": text.id, "text": query, "options": options, "label": place}

    sides = _sides(_with_summary_and_body(texts), lambda text: text.module)
    return {side: list(items(members)) for side, members in sides.items()}, {"options": _OPTIONS}


def summary(texts: Sequence[Text], masked: bool) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """{text, summary, name}: the first sentence of a docstring from the rest of it."""
    sides = _sides(_with_summary_and_body(texts), lambda text: text.module)
    splits = {
        side: [
            {"id": text.id, "text": body, "summary": query, "name": text.name.split("#")[0]}
            for text in members
            for query, body in [_summary_and_body(text, masked)]
        ]
        for side, members in sides.items()
    }
    return splits, {
        "notice": "half of the summary words are not in the body: compare systems, claim no quality"
    }


def _sides(texts: Iterable[Text], name: Callable[[Text], str]) -> Sides:
    sides: Sides = {"train": [], "test": []}
    for text in texts:
        sides[two_way(name(text))].append(text)
    sides["test"] = list(without_copies(sides["test"], sides["train"], lambda text: words(text.text)))
    return sides


def _with_summary_and_body(texts: Iterable[Text]) -> list[Text]:
    return [
        text
        for text in texts
        if len(text.summary.split()) >= _SUMMARY_WORDS and len(text.body.split()) >= _BODY_WORDS
    ]


def _summary_and_body(text: Text, masked: bool) -> tuple[str, str]:
    hidden = own_parts(text) if masked else frozenset()
    return mask_names(text.summary, hidden), mask_names(text.body, hidden)


def _grouped(texts: Iterable[Text], key: Callable[[Text], str]) -> dict[str, list[Text]]:
    groups: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        groups[key(text)].append(text)
    return groups


def _nearest_by_hash(text: Text, others: Iterable[Text], count: int) -> list[Text]:
    """`count` of the others, chosen by hash: a new text among them displaces at most one."""
    return sorted((o for o in others if o.id != text.id), key=lambda other: _hash(f"{text.id}|{other.id}"))[
        :count
    ]


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
