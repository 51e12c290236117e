"""dataset:squad — questions about paragraphs, in the JSON layout of SQuAD, as texts and what is to be written.

A question or an answer is written from the paragraph; what is given beside the paragraph stands before it, so that it
is read even where a long paragraph has to be cut. All questions of an article lie in one split: another question about
the same paragraph would give much of the answer away.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright_text.text_data import SplitRows, arrange_files
from maskwright_text.text_files import TextFile, find_files, scan_lines
from maskwright_text.word_offsets import spaced_words

GIVEN_ENDS = " | "
"""Between what is given and the paragraph."""

_LAYOUT = 'a file with {"data": [{"title": …, "paragraphs": [{"context": …, "qas": […]}]}]}, as SQuAD has it'


@attrs.frozen
class Asked:
    """A question with an answer."""

    id: str
    article: str
    """The title of the article that it is about."""
    context: str
    question: str
    answer: str
    answers: tuple[str, ...]
    """All that count as right, `answer` the first of them."""


class Squad(SplitRows):
    """Rows of `asked`, with `text` and `summary` by what is to be written, `question` or `answer`.

    Where it is the answer, `answers` has all that count as right.
    """

    def __init__(
        self, asked: Sequence[Asked], chosen: Mapping[str, np.ndarray], facts: Mapping[str, Any], content: Any
    ) -> None:
        super().__init__("squad", chosen, facts, content)
        self._asked, self._write = asked, content["write"]

    def _item(self, row: int) -> dict[str, Any]:
        asked = self._asked[row]
        texts = {"question": asked.question, "answer": asked.answer}
        given = next(text for name, text in texts.items() if name != self._write)
        text = f"{given}{GIVEN_ENDS}{asked.context}"
        right = {"answers": list(asked.answers)} if self._write == "answer" else {}
        return {"id": asked.id, "text": text, "summary": texts[self._write], **texts, **right}


def squad(settings: Any) -> Squad:
    """The data set for `maskwright_text.params_squad.Squad`."""
    files, splits = zip(*find_files(settings.path, (".json",), settings.splits), strict=True)
    asked: list[list[Asked]] = []
    digests, unanswered, seen = [], 0, {}
    for file in files:
        found = scan_lines(file)  # for the checksum, and because it says where a file is no text
        digests.append([file.name, found.digest])
        own = []
        for one, where in _questions(file, int(found.starts[0]), int(found.ends[-1]), settings.around):
            if one is None:
                unanswered += 1
                continue
            if one.id in seen:
                raise UserError(
                    f'two questions have the id "{one.id}"',
                    where=where,
                    why=f"the first is {seen[one.id]}",
                    cure="give each question an id of its own, and each file once",
                )
            seen[one.id] = where
            own.append(one)
        asked.append(own)
    if not seen:
        raise UserError(
            "there is no question with an answer",
            where=str(settings.path),
            why=f"{unanswered} questions have none" if unanswered else "there are no questions at all",
            cure="a file with answers, such as train-v1.1.json or dev-v1.1.json of SQuAD",
        )
    chosen, notices = arrange_files(
        [len(own) for own in asked],
        splits,
        lambda place: (one.article for one in asked[place]),
        settings.test_share,
        settings.valid_share,
    )
    if unanswered:
        notices.append(f"{unanswered} questions without an answer are left out")
    content = {"files": digests, "write": settings.write, "around": settings.around}
    return Squad([one for own in asked for one in own], chosen, {"notices": notices}, content)


def _questions(file: TextFile, start: int, end: int, around: int) -> Iterator[tuple[Asked | None, str]]:
    """Each question of a file and where it stands; None where it has no answer."""
    try:
        whole = json.loads(file.piece(start, end).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file.shown} is no JSON", where=file.shown, why=str(error), cure=_LAYOUT) from None
    for at, article in enumerate(_entry(whole, "data", list, file.shown)):
        place = f"{file.shown}, data[{at}]"
        for number, paragraph in enumerate(_entry(article, "paragraphs", list, place)):
            inner = f"{place}.paragraphs[{number}]"
            context = _entry(paragraph, "context", str, inner)
            for count, asked in enumerate(_entry(paragraph, "qas", list, inner)):
                where = f"{inner}.qas[{count}]"
                # Whoever publishes questions for others to answer leaves the answers out.
                answers = asked.get("answers", []) if isinstance(asked, dict) else []
                given = {name: _entry(asked, name, str, where) for name in ("id", "question")}
                if not answers:
                    yield None, where
                    continue
                first = _entry({"answers": answers}, "answers", list, where)[0]
                answer = _entry(first, "text", str, f"{where}.answers[0]")
                begin = _entry(first, "answer_start", int, f"{where}.answers[0]")
                if begin < 0 or context[begin : begin + len(answer)] != answer:
                    raise UserError(
                        f'the answer "{answer[:40]}" does not stand at character {begin} of its paragraph',
                        where=f"{where}.answers[0]",
                        why=f'"{context[max(begin, 0) : max(begin, 0) + 40]}" stands there',
                        cure="answer_start is counted in characters, not in bytes; correct it, or remove the question",
                    )
                near = context if not around else _near(context, begin, begin + len(answer), around)
                title = str(article.get("title") or f"{file.name}#{at}")
                texts = [
                    _entry(one, "text", str, f"{where}.answers[{number}]")
                    for number, one in enumerate(answers)
                ]
                all_right = tuple(dict.fromkeys(text.strip() for text in texts))
                question = given["question"].strip()
                yield Asked(given["id"], title, near.strip(), question, answer.strip(), all_right), where


def _entry(record: Any, name: str, kind: type, where: str) -> Any:
    """record[name], which is of a kind and not empty; a list may be."""
    value = record.get(name) if isinstance(record, dict) else None
    right = isinstance(value, kind) and not isinstance(value, bool)
    if right and (not isinstance(value, str) or value.strip()):
        return value
    words = {list: "list", str: "text", int: "whole number"}[kind]
    if isinstance(record, dict):
        has = (
            f"it is {value!r:.40}" if name in record else f"there are {', '.join(map(str, record)) or 'none'}"
        )
    else:
        has = f"here is {record!r:.40}"
    raise UserError(f'there is no {words} "{name}"', where=where, why=has, cure=_LAYOUT)


def _near(context: str, begin: int, end: int, around: int) -> str:
    """The words of the answer, and so many words before and after them."""
    words = spaced_words(context)
    first = next(place for place, (_, stop) in enumerate(words) if stop > begin)
    last = max(place for place, (start, _) in enumerate(words) if start < end)
    low, high = max(first - around, 0), min(last + around, len(words) - 1)
    return context[words[low][0] : words[high][1]]
