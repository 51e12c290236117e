"""dataset:key-values: what the generated sentences hold, and what follows from what."""

import numpy as np
import pytest

from maskwright import Step
from maskwright_testing.assertions import assert_mistakes
from maskwright_text.key_values import KeyValues, key_values
from maskwright_text.params_generated import KeyValues as Params


def made(noise: float = 0.0, turned: float = 0.5, seed: int = 1) -> KeyValues:
    return key_values(
        keys=8, words=30, classes=3, facts=3, span=6, noise=noise, turned=turned, train=600, test=100, seed=seed
    )  # fmt: skip


def items(data: KeyValues, split: str = "train") -> list[dict[str, object]]:
    return [dict(data.item(split, index, Step())) for index in range(data.length(split))]


def pairs_of(text: str) -> dict[str, list[str]]:
    """Key -> its words, in the order of the sentence; a key that stands there twice is an error."""
    found: dict[str, list[str]] = {}
    for word in text.split():
        if word.endswith(":"):
            assert word[:-1] not in found
            found[word[:-1]] = []
        else:
            found[list(found)[-1]].append(word)
    return found


def test_two_keys_have_the_span_and_three_a_word_each():
    data = made()
    assert [data.length(split) for split in data.splits()] == [600, 100]
    for item in items(data) + items(data, "test"):
        values = pairs_of(item["text"])
        assert sorted(map(len, values.values())) == [1, 1, 1, 1, 6, 6]
        one, other = (words for words in values.values() if len(words) == 6)
        assert one == other
        asked = one[::-1] if values["order"] == ["turned"] else one
        assert item["summary"] == " ".join(asked)


def test_the_share_of_spans_to_be_turned_is_a_setting():
    def share(turned: float) -> float:
        return float(np.mean(["order: turned" in item["text"] for item in items(made(turned=turned))]))

    assert share(0.0) == 0 and share(1.0) == 1
    assert abs(share(0.25) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 600)


def facts_of(data: KeyValues) -> dict[str, dict[int, list[str]]]:
    """Key -> class -> the words that it has in facts."""
    found: dict[str, dict[int, list[str]]] = {}
    for item in items(data):
        for key, words in pairs_of(item["text"]).items():
            if len(words) == 1 and key != "order":
                found.setdefault(key, {}).setdefault(item["label"], []).extend(words)
    return found


def test_the_class_tells_the_word_of_a_key_and_the_word_tells_the_class():
    found = facts_of(made())
    assert len(found) == 8
    for of_class in found.values():
        assert sorted(of_class) == [0, 1, 2]
        assert all(len(set(words)) == 1 for words in of_class.values())
        assert len({words[0] for words in of_class.values()}) == 3


def test_noise_puts_any_word_in_its_share():
    kept = [
        words.count(max(set(words), key=words.count))
        for c in facts_of(made(0.4)).values()
        for words in c.values()
    ]
    share = sum(kept) / (600 * 3)
    wanted = 1 - 0.4 * 29 / 30  # any word is the usual one now and then
    assert abs(share - wanted) < 4 * np.sqrt(0.25 / 1800)


def test_pairs_stand_in_any_order():
    firsts = [list(pairs_of(item["text"])).index("order") for item in items(made())]
    assert np.bincount(firsts, minlength=6).min() > 600 / 6 - 4 * np.sqrt(600 * 5 / 36)


def test_the_same_seed_gives_the_same_and_others_other_sentences():
    one, again, other = made(), made(), made(seed=2)
    assert items(one) == items(again) != items(other)
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()
    about = one.about("train")
    assert about["generated"] is True and about["classes"] == ["class-0", "class-1", "class-2"]
    assert {item["label"] for item in items(one)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"keys": 4}, "keys", "3 facts and two spans need 5 keys, there are 4"),
        ({"words": 3}, "words", "4 classes with words of their own need as many, there are 3"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, int], path: str, message: str):
    assert list(Params(**settings).check()) == [(path, message)]


def test_a_recipe_with_too_few_keys_is_refused_before_anything_runs():
    recipe = {"use": "train", "steps": 1, "data": {"use": "key-values", "keys": 4}, "objective": "pmlm"}
    assert_mistakes(recipe, {"data.keys": "3 facts and two spans need 5 keys"})
