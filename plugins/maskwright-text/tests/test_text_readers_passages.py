"""dataset:passages: joined and cut, with every word where it was and every tag on its word."""

import copy

import numpy as np
import pytest
from text_reading import ids, items, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_text.params_data import Lines, Passages
from maskwright_text.passages import _edges

TEXTS = ["a b c", "  d\te  f g ", "h", "i j k l m n o p q"]


def listed(train=TEXTS, test=("z",), **fields):
    rows = {"train": train, "test": test}
    return ListedData(
        {s: [{"id": f"{s}{n}", "text": text, **fields} for n, text in enumerate(rows[s])] for s in rows}
    )


def passages(data, **settings):
    return Passages(inner=data, **settings).build()


def test_texts_are_joined_and_cut(tmp_path):
    data = passages(listed(), words=5)
    assert texts(data) == ["a b c d\te", "f g h i j", "k l m n o p q"]  # two words too few for one more
    assert ids(data) == ["train0#0", "train1#2", "train3#2"]
    assert texts(data, "test") == ["z"]
    assert data.splits() == ("train", "test") and data.about("train") == {"count": 3}


def test_a_rest_of_half_the_length_is_a_passage():
    assert texts(passages(listed(["a b c d e f g h"]), words=5)) == ["a b c d e", "f g h"]
    assert texts(passages(listed(["a b c d e f g"]), words=5)) == ["a b c d e f g"]


def test_each_text_by_itself():
    data = passages(listed(), words=4, join=False)
    assert texts(data) == ["a b c", "d\te  f g", "h", "i j k l", "m n o p q"]
    assert ids(data) == ["train0#0", "train1#0", "train2#0", "train3#0", "train3#4"]


def test_short_texts_are_dropped_and_counted():
    data = passages(listed([*TEXTS, ""]), words=5, fewest=3)
    assert texts(data) == ["a b c d\te", "f g i j k", "l m n o p q"]
    assert data.about("train")["notices"] == ["2 of 5 texts of train have fewer than 3 words and are dropped"]
    assert data.about("test") == {
        "count": 0,
        "notices": ["1 of 1 texts of test have fewer than 3 words and are dropped"],
    }
    assert data.length("test") == 0 and texts(data, "test") == []


@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize("words", [1, 2, 3, 7, 100])
def test_no_word_is_lost_or_moved(join, words):
    many = [" ".join(f"w{n}.{k}" for k in range((n * 7) % 11)) for n in range(60)]
    data = passages(listed(many), words=words, join=join)
    assert " ".join(texts(data)).split() == " ".join(many).split()
    assert len(set(ids(data))) == data.length("train")
    lengths = [len(text.split()) for text in texts(data)]
    assert max(lengths) < 1.5 * words + 1
    assert not join or min(lengths) >= words / 2


def test_tags_move_with_their_words():
    rows = []
    for n, text in enumerate(TEXTS):
        spans = [(at, at + 1, letter.upper()) for at, letter in enumerate(text) if letter.strip()]
        rows.append({"id": str(n), "text": text, "tags": spans})
    data = passages(ListedData({"train": rows}), words=5)
    for item in items(data):
        assert [item["text"][start:end].upper() for start, end, _ in item["tags"]] == [
            tag for *_, tag in item["tags"]
        ]
        assert len(item["tags"]) == len(item["text"].split())


def test_a_tag_that_is_cut_through_is_left_out():
    rows = [{"id": "0", "text": "New York", "tags": [(0, 8, "PROPN")]}]
    assert [item["tags"] for item in items(passages(ListedData({"train": rows}), words=1))] == [[], []]


def test_other_fields_are_those_of_the_first_text():
    data = passages(listed(name="x"), words=5)
    assert {item["name"] for item in items(data)} == {"x"}
    labelled = listed(label=1)
    assert_one_error(
        lambda: passages(labelled), "would join texts of different classes", "train, train0", "join = false"
    )
    assert {item["label"] for item in items(passages(labelled, join=False))} == {1}


def test_nothing_left_is_an_error():
    assert_one_error(
        lambda: passages(listed(), fewest=50),
        "no text is left",
        "all 5 texts have fewer than 50 words",
        "lower fewest",
    )


def test_the_settings_are_in_the_fingerprint():
    made = [
        passages(listed()),
        passages(listed(), words=5),
        passages(listed(), join=False),
        passages(listed(["a"])),
    ]
    made.append(passages(listed(), fewest=2))
    assert len({data.fingerprint() for data in made}) == 5


def test_an_index_beyond_the_end_or_before_it():
    data = passages(listed(), words=5)
    for index in (3, -1):
        with pytest.raises(IndexError, match=f'3 passages in "train", none at {index}'):
            data.item("train", index, None)


def test_a_copy_gives_the_same(tmp_path):
    path = written(tmp_path / "a.txt", "one two three\nfour five\n")
    data = passages(Lines(path=path, test_share=0.0), words=2)
    assert items(copy.deepcopy(data)) == items(data)


def test_a_long_text_is_split_into_words_once(monkeypatch):
    seen = []
    from maskwright_text import passages as module

    spaced_words = module.spaced_words
    monkeypatch.setattr(module, "spaced_words", lambda text: seen.append(text) or spaced_words(text))
    data = passages(listed([" ".join(str(n) for n in range(300))]), words=3)
    assert len(texts(data)) == 100 and len(seen) == 1


def test_edges_of_many_stretches():
    assert _edges(np.array([0, 10, 10, 13]), 4).tolist() == [0, 4, 8, 10, 10, 13]
