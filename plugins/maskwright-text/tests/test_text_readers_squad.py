"""dataset:squad: questions and answers as texts to write, and what can be wrong with a file."""

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from text_reading import items, written

from maskwright_testing import assert_one_error
from maskwright_text.params_squad import Squad

CONTEXT = "Ada wrote the first programme. It ran in 1843, on paper, and nobody saw it."
QUESTIONS = [
    {"id": "q1", "question": " Who wrote it? ", "answers": [{"text": "Ada", "answer_start": 0}]},
    {
        "id": "q2",
        "question": "When did it run?",
        "answers": [{"text": "1843", "answer_start": 41}, {"text": "in 1843", "answer_start": 38}],
    },
    {"id": "q3", "question": "Where?", "answers": [], "is_impossible": True},
]


def layout(title: str = "Ada", questions: list[dict[str, Any]] = QUESTIONS) -> dict[str, Any]:
    return {
        "version": "v2.0",
        "data": [{"title": title, "paragraphs": [{"context": CONTEXT, "qas": questions}]}],
    }


def squad(folder: Path, content: Any, name: str = "a.json", **settings: Any) -> Any:
    path = written(folder / name, content if isinstance(content, str) else json.dumps(content))
    return Squad(path=path, **{"test_share": 0.0, **settings}).build()


def test_a_question_is_written_from_its_answer_and_the_paragraph(tmp_path):
    data = squad(tmp_path, layout())
    assert items(data) == [
        {
            "id": "q1",
            "text": f"Ada | {CONTEXT}",
            "summary": "Who wrote it?",
            "question": "Who wrote it?",
            "answer": "Ada",
        },
        {
            "id": "q2",
            "text": f"1843 | {CONTEXT}",
            "summary": "When did it run?",
            "question": "When did it run?",
            "answer": "1843",
        },
    ]
    assert "1 questions without an answer are left out" in data.about("train")["notices"]


def test_an_answer_is_written_from_its_question_and_the_paragraph(tmp_path):
    first = items(squad(tmp_path, layout(), write="answer"))[0]
    assert first["text"] == f"Who wrote it? | {CONTEXT}" and first["summary"] == "Ada"
    rights = [item["answers"] for item in items(squad(tmp_path, layout(), write="answer"))]
    assert rights == [["Ada"], ["1843", "in 1843"]]


def test_only_words_around_the_answer_may_be_read(tmp_path):
    texts = [item["text"] for item in items(squad(tmp_path, layout(), around=2))]
    assert texts == ["Ada | Ada wrote the", "1843 | ran in 1843, on paper,"]
    # An answer that ends within a word, or is the last of the paragraph.
    inner = [
        {"id": "q", "question": "What?", "answers": [{"text": "saw i", "answer_start": CONTEXT.index("saw")}]}
    ]
    (item,) = items(squad(tmp_path, layout(questions=inner), name="b.json", around=1))
    assert item["text"] == "saw i | nobody saw it."
    one, two = squad(tmp_path, layout(), around=2), squad(tmp_path, layout())
    assert one.fingerprint() != two.fingerprint() == squad(tmp_path, layout()).fingerprint()
    assert squad(tmp_path, layout(), write="answer").fingerprint() != two.fingerprint()


def test_files_by_name_are_the_splits(tmp_path):
    for split, name in (("train", "train-v1.1.json"), ("dev", "dev-v1.1.json")):
        questions = copy.deepcopy(QUESTIONS)
        for question in questions:
            question["id"] += split
        written(tmp_path / "squad" / name, json.dumps(layout(split, questions)))
    data = Squad(path=tmp_path / "squad").build()
    assert [item["id"] for item in items(data)] == ["q1train", "q2train"]
    assert [item["id"] for item in items(data, "test")] == ["q1dev", "q2dev"]
    with zipfile.ZipFile(tmp_path / "squad.zip", "w") as archive:
        for path in (tmp_path / "squad").iterdir():
            archive.write(path, path.name)
    assert items(Squad(path=tmp_path / "squad.zip").build(), "test") == items(data, "test")


def test_all_questions_of_an_article_lie_in_one_split(tmp_path):
    articles = []
    for number in range(30):
        questions = copy.deepcopy(QUESTIONS[:2])
        for question in questions:
            question["id"] = f"{number}-{question['id']}"
        articles += layout(f"article {number}", questions)["data"]
    data = squad(tmp_path, {"data": articles}, test_share=0.4)
    sides = [{item["id"].split("-")[0] for item in items(data, split)} for split in ("train", "test")]
    assert not sides[0] & sides[1] and len(sides[0]) + len(sides[1]) == 30 and min(map(len, sides)) > 3
    # Where an article goes depends on its title, not on the file's other articles.
    fewer = squad(tmp_path, {"data": articles[10:]}, name="b.json", test_share=0.4)
    assert {item["id"] for item in items(fewer, "test")} <= {item["id"] for item in items(data, "test")}


def test_articles_without_a_title_are_told_apart_by_their_places(tmp_path):
    articles = []
    for number in range(30):
        questions = [{**QUESTIONS[0], "id": f"{number}"}]
        articles += [{"paragraphs": layout(questions=questions)["data"][0]["paragraphs"]}]
    data = squad(tmp_path, {"data": articles}, test_share=0.5)
    assert min(data.length("train"), data.length("test")) > 5


def changed(path: str, value: Any) -> dict[str, Any]:
    """The layout with one entry changed, or removed where the value is None."""
    made = copy.deepcopy(layout())
    *before, last = path.split(".")
    place: Any = made
    for key in before:
        place = place[int(key) if key.isdecimal() else key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


QA = "data.0.paragraphs.0.qas.1"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"data": [', ("a.json is no JSON", "Expecting value", 'do:    a file with {"data"')),
        ("[" * 100_000, ("a.json is no JSON", "a.json")),
        ("[1]", ('there is no list "data"', "a.json", "here is [1]")),
        ({"dat": []}, ('there is no list "data"', "there are dat")),
        ({"data": 3}, ('there is no list "data"', "it is 3")),
        ({"data": ["x"]}, ('there is no list "paragraphs"', "a.json, data[0]", "here is 'x'")),
        (changed("data.0.paragraphs.0.context", None), ('no text "context"', "data[0].paragraphs[0]", "there are qas")),
        (changed("data.0.paragraphs.0.context", " "), ('no text "context"', "it is ' '")),
        (changed(f"{QA}.question", None), ('there is no text "question"', "data[0].paragraphs[0].qas[1]")),
        (changed(f"{QA}.id", 7), ('there is no text "id"', "qas[1]", "it is 7")),
        (changed(f"{QA}.id", "q1"), ('two questions have the id "q1"', "qas[1]", "the first is", "qas[0]")),
        (changed(f"{QA}.answers", {"text": "1843"}), ('there is no list "answers"', "qas[1]")),
        (changed(f"{QA}.answers.1.text", 7), ('there is no text "text"', "qas[1].answers[1]", "it is 7")),
        (changed(f"{QA}.answers.0.text", ""), ('there is no text "text"', "qas[1].answers[0]")),
        (changed(f"{QA}.answers.0.answer_start", True), ('no whole number "answer_start"', "it is True")),
        (
            changed(f"{QA}.answers.0.answer_start", 4),
            (
                'the answer "1843" does not stand at character 4 of its paragraph',
                "qas[1].answers[0]",
                '"wrote the first programme.',
                "counted in characters",
            ),
        ),
        (
            changed("data.0.paragraphs.0.qas.0.answers", [{"text": "saw it", "answer_start": -7}]),
            ('the answer "saw it" does not stand at character -7 of its paragraph', '"Ada wrote'),
        ),
        (
            layout(questions=QUESTIONS[2:]),
            ("there is no question with an answer", "1 questions have none", "train-v1.1.json"),
        ),
        ({"data": []}, ("there is no question with an answer", "there are no questions at all")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_named(tmp_path, content, says):
    assert_one_error(lambda: squad(tmp_path, content), *says)


def test_settings_that_do_not_go_together(tmp_path):
    both = Squad(path=tmp_path, write="answer", around=5)
    assert [name for name, _ in both.check()] == ["around"]
    assert [name for name, _ in Squad(path=tmp_path, test_share=0.6, valid_share=0.4).check()] == [
        "valid_share"
    ]
