"""The generated sentences: words follow the topic's chain, every fourth says the attribute."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from maskwright import Step
from maskwright_cap.params_data import TopicAttributes
from maskwright_cap.topic_attributes import EVERY, SUCCESSORS, Language
from maskwright_testing import assert_user_error

STEP = Step()


def built(seed: int = 0, **settings: Any) -> Any:
    return TopicAttributes(**{"count": 200, "test_count": 50, "noise": 0.0, **settings}).build(seed)


def test_words_follow_the_chain_of_their_topic():
    data = built()
    used, after = data.language.chains()
    assert len({tuple(sorted(words)) for words in used.tolist()}) == 12, (
        "each topic has words of its own choice"
    )
    for row in range(200):
        topic = int(data.topic[row])
        where = {int(word): place for place, word in enumerate(used[topic])}
        content = [int(word) for place, word in enumerate(data.words[row]) if place % EVERY != EVERY - 1]
        for first, second in itertools.pairwise(content):
            assert where[second] in after[topic, where[first]]


def test_every_fourth_word_tells_the_attribute():
    data = built()
    each, content = data.language.attribute_words, data.language.content
    marks = data.words[:, EVERY - 1 :: EVERY] - content
    assert marks.shape[1] == 6 and bool((marks // each == data.attribute[:, None]).all())
    item = data.item("train", 3, STEP)
    assert item["text"].split()[EVERY - 1] == f"a{marks[3, 0]}" and item["label"] == data.attribute[3]


@pytest.mark.parametrize(("label", "classes"), [("attribute", 4), ("topic", 12)])
def test_one_of_the_two_is_the_label(label: str, classes: int):
    data = built(label=label)
    assert len(data.about("train")["classes"]) == classes
    labels = [data.item("train", row, STEP)["label"] for row in range(200)]
    assert labels == (data.topic if label == "topic" else data.attribute)[:200].tolist()
    assert len(Counter(labels)) == classes
    other = built(label="topic" if label == "attribute" else "attribute")
    assert other.item("test", 7, STEP)["text"] == data.item("test", 7, STEP)["text"]
    assert other.fingerprint() != data.fingerprint()


def test_seeds_draw_other_sentences_of_the_same_language():
    first, second = built(1), built(2)
    assert not np.array_equal(first.words, second.words)
    for mine, theirs in zip(first.language.chains(), second.language.chains(), strict=True):
        assert np.array_equal(mine, theirs)
    assert not np.array_equal(Language(600, 12, 4, 0).chains()[0], Language(600, 12, 4, 1).chains()[0])
    assert first.language.chains()[1].shape == (12, 160, SUCCESSORS)


def test_every_attribute_needs_a_word():
    assert not list(TopicAttributes(words=20, attributes=4).check())
    ((setting, why),) = TopicAttributes(words=20, attributes=5).check()
    assert setting == "attributes"
    assert why == "5 attributes need a word each out of a fifth of all: words >= 25"


def test_noise_is_the_share_of_other_words():
    data = built(noise=1.0, count=2000)
    each, content = data.language.attribute_words, data.language.content
    own = (data.words[:, EVERY - 1 :: EVERY] - content) // each == data.attribute[:, None]
    assert float(own.mean()) == pytest.approx(1 / 4, abs=0.02)


def test_what_is_not_there_is_told():
    assert_user_error(lambda: built().length("dev"), 'no split "dev"', "train, test")
    with pytest.raises(IndexError):
        built().item("test", 50, STEP)
