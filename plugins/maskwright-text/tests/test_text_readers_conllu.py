"""dataset:conllu: gold tags with the characters they stand at."""

import pytest
from text_reading import items, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_text.params_data import Conllu


def treebank(folder, *sentences, name="a.conllu", **settings):
    content = "\n".join("".join(f"{line}\n" for line in sentence) for sentence in sentences)
    return Conllu(path=written(folder / name, content), **{"test_share": 0.0, **settings}).build()


def word(number, form, tag="NOUN", misc="_"):
    return "\t".join([str(number), form, form.lower(), tag, *["_"] * 5, misc])


def spelled(item):
    return [(item["text"][start:end], tag) for start, end, tag in item["tags"]]


def test_words_with_their_tags(tmp_path):
    data = treebank(
        tmp_path,
        [
            "# sent_id = 1",
            "# text = …",
            word(1, "She", "PRON"),
            word(2, "sails", "VERB", "SpaceAfter=No|X=1"),
            word(3, ".", "PUNCT"),
        ],
        [word(1, "High", "ADJ"), word(2, "waters", "NOUN", "SpaceAfter=No")],
    )
    assert items(data) == [
        {
            "id": "a.conllu:1",
            "text": "She sails.",
            "tags": [(0, 3, "PRON"), (4, 9, "VERB"), (9, 10, "PUNCT")],
        },
        {"id": "a.conllu:7", "text": "High waters", "tags": [(0, 4, "ADJ"), (5, 11, "NOUN")]},
    ]
    assert data.about("train")["notices"][1:] == []


def test_contractions_are_spelled_by_their_words_or_have_one_tag(tmp_path):
    data = treebank(
        tmp_path,
        [
            word("1-2", "Don't", "_", "SpaceAfter=No"),
            word(1, "do", "AUX"),
            word(2, "n't", "PART"),
            word(3, "!", "PUNCT"),
        ],
        [
            word(1, "à", "ADP"),
            word("2-3", "du", "_"),
            word(2, "de", "ADP"),
            word(3, "le", "DET"),
            word(4, "pain"),
        ],
        [word(1, "He", "PRON"), word("1.1", "is", "AUX"), word(2, "here", "ADV")],
        # In small letters these are alike, but one character stands for two.
        [word("1-2", "İ", "_"), word(1, "i", "X"), word(2, "\u0307", "SYM"), word(3, "b")],
    )
    assert texts(data) == ["Don't!", "à du pain", "He here", "İ b"]
    assert [spelled(item) for item in items(data)] == [
        [("Do", "AUX"), ("n't", "PART"), ("!", "PUNCT")],
        [("à", "ADP"), ("du", "ADP"), ("pain", "NOUN")],
        [("He", "PRON"), ("here", "ADV")],
        [("İ", "X"), ("b", "NOUN")],
    ]


def test_unknown_tags_count_as_x(tmp_path):
    data = treebank(tmp_path, [word(1, "one", "_"), word(2, "two", "SPACE"), word(3, "three")])
    assert [tag for _, _, tag in items(data)[0]["tags"]] == ["X", "X", "NOUN"]
    assert "2 words have a tag that is none of the 17: they count as X" in data.about("train")["notices"]


def test_windows_line_breaks_and_a_byte_order_mark(tmp_path):
    content = "\ufeff# text\r\n" + word(1, "one") + "\r\n" + word(2, "two", misc="SpaceAfter=No") + "\r\n\r\n"
    path = written(tmp_path / "a.conllu", content)
    assert texts(Conllu(path=path, test_share=0.0).build()) == ["one two"]


def test_comments_alone_are_no_sentence(tmp_path):
    data = treebank(tmp_path, ["# newdoc"], [word(1, "one")])
    assert texts(data) == ["one"]
    assert_one_error(
        lambda: treebank(tmp_path, ["# newdoc"], ["# end"]),
        "there are no sentences",
        "there are comments only",
    )


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["one two three"], ("a line has 1 columns, not 10", "a.conllu, line 3", "dataset:lines")),
        ([word("1-x", "du", "_")], ('"1-x" is no range of words', "a.conllu, line 3", "mend the line")),
        (
            [word("1-3", "du", "_"), word(1, "de"), word(2, "le")],
            ('the contraction "du" has no word 3', "a.conllu, line 3", "mend the sentence"),
        ),
    ],
)
def test_a_wrong_line_is_named(tmp_path, lines, says):
    assert_one_error(lambda: treebank(tmp_path, [word(1, "one")], lines), *says)
