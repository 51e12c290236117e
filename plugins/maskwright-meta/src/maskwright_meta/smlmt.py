"""dataset:smlmt — subset-masked language model tasks from any texts (Bansal et al., arXiv:2009.08445).

A task has N words. Its items are texts that hold exactly one of them, with a mask token in its place: which word was
there? Labels are given out anew by each task, so only a few examples tell what a label means. No labels are needed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.contracts import Dataset, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_meta.task_rows import TaskRows, digest

MOST_WALKS = 20
"""Through all words, before a data set of that many tasks is given up."""

WORD = re.compile(r"\b[A-Za-z][A-Za-z0-9]*\b")


@attrs.frozen
class Asked:
    """What makes a task."""

    ways: int
    texts: int
    """For each word, at most; a word of a task has as many as the others, or fewer."""
    fewest: int
    """Texts of each word, at least."""
    commonest: float
    """Nor is one that stands in more than this share of the texts."""
    letters: int
    window: int
    """Words kept on each side of the mask."""
    mask: str


@attrs.frozen(eq=False)
class Masked(Sequence):
    """The items of one task, made when they are asked for."""

    texts: Sequence[str]
    ids: Sequence[str]
    places: Sequence[tuple[int, str, int]]
    """(text, word, label)"""
    asked: Asked

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        row, word, label = self.places[index]
        text = around(self.texts[row], word, self.asked.window, self.asked.mask)
        return {"id": f"{self.ids[row]}:{word}", "text": text, "label": label}


def around(text: str, word: str, window: int, mask: str) -> str:
    """The text near the first occurrence of a word, with the mask in place of all occurrences."""
    found = re.search(rf"(?i)\b{re.escape(word)}\b", text)
    assert found is not None  # the table says that it is there
    before, after = text[: found.start()].split(), text[found.end() :]
    left = " ".join(before[-window:])
    right = " ".join(after.split()[:window])
    # What stood at the word without a space, such as a comma, still does.
    left += "" if not left or not text[found.start() - 1].isspace() else " "
    right = ("" if not right or not after[0].isspace() else " ") + right
    return (
        re.sub(rf"(?i)\b{re.escape(word)}\b", lambda _: mask, left)
        + mask
        + re.sub(rf"(?i)\b{re.escape(word)}\b", lambda _: mask, right)
    )


def smlmt(inner: Dataset, asked: Asked, tasks: int, test_tasks: int, seed: int) -> TaskRows:
    """Words of test tasks are asked for in no training task."""
    step, splits = Step(seed), [split for split in ("train", "test") if split in inner.splits()]
    made: dict[str, dict[str, Masked]] = {}
    words_of: dict[str, list[str]] = {}
    taken: set[str] = set()
    for split in reversed(splits):  # test first: it has fewer texts to choose words from
        count = test_tasks if split == "test" else tasks
        read = list(items_of(inner, split, step))
        texts, ids = [str(item.get("text", "")) for item in read], [str(item["id"]) for item in read]
        table = _table(texts, asked)
        usable = [
            word for word, rows in table.items() if _fits(word, rows, len(texts), asked) and word not in taken
        ]
        made[split] = {}
        for group in _groups(sorted(usable), asked, step.fork(split), split):
            places = _places(group, table, asked, step.fork(split, len(made[split])))
            if len(places) >= asked.fewest * asked.ways:
                name = f"words-{len(made[split]):03d}"
                made[split][name] = Masked(texts, ids, places, asked)
                words_of[f"{split}/{name}"] = group
                taken.update(group)
            if len(made[split]) == count:
                break
        else:
            raise _too_few_words(split, len(usable), asked, f"they make {len(made[split])} of {count} tasks")
    facts = {"classes": [f"word {n}" for n in range(asked.ways)], "words": words_of}
    content = [inner.fingerprint(), attrs.astuple(asked), tasks, test_tasks, seed]
    return TaskRows("smlmt", {split: made[split] for split in splits}, facts, digest(content))


def _table(texts: Sequence[str], asked: Asked) -> dict[str, list[int]]:
    """Word -> the texts that it stands in."""
    table: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in {word.lower() for word in WORD.findall(text) if len(word) >= asked.letters}:
            table.setdefault(word, []).append(row)
    return table


def _fits(word: str, rows: Sequence[int], count: int, asked: Asked) -> bool:
    # A word that is a part of the mask token would be found in it again.
    return asked.fewest <= len(rows) <= asked.commonest * count and word not in asked.mask.lower()


def _groups(words: Sequence[str], asked: Asked, step: Step, split: str) -> Iterator[list[str]]:
    """Groups of words; a word is in a second group only when every word has been in one."""
    if len(words) < asked.ways:
        raise _too_few_words(split, len(words), asked, f"a task has {asked.ways}")
    for walk in range(MOST_WALKS):
        rng = np.random.Generator(np.random.Philox(key=step.at(walk).stream("words")))
        order = [words[n] for n in rng.permutation(len(words))]
        for start in range(0, len(order) - asked.ways + 1, asked.ways):
            yield order[start : start + asked.ways]


def _too_few_words(split: str, count: int, asked: Asked, why: str) -> UserError:
    return UserError(
        f'the split "{split}" has {count} words that could be asked for, too few',
        where="dataset:smlmt",
        why=f"{why}; a word stands in {asked.fewest} texts without the others, and in at most {asked.commonest:.0%}",
        cure="a smaller fewest, ways or number of tasks, a greater commonest, or more texts",
    )


def _places(
    group: Sequence[str], table: Mapping[str, Sequence[int]], asked: Asked, step: Step
) -> list[tuple[int, str, int]]:
    """Texts with one of the words, by chance; each label as often as the rarest."""
    rng = np.random.Generator(np.random.Philox(key=step.stream("texts")))
    found = []
    for label, word in enumerate(group):
        others = {row for other in group if other != word for row in table[other]}
        rows = [row for row in table[word] if row not in others]
        found.append([(rows[n], word, label) for n in rng.permutation(len(rows))[: asked.texts]])
    least = min(map(len, found))
    return [own[n] for n in range(least) for own in found]
