"""dataset:tied-words: each text says its words twice, and nothing else tells what they are."""

import numpy as np

from maskwright import Step
from maskwright_text.tied_words import TiedWords, tied_words


def words_of(data: TiedWords, split: str) -> list[list[str]]:
    return [data.item(split, index, Step())["text"].split() for index in range(data.length(split))]


def test_a_text_is_its_first_half_twice():
    data = tied_words(21, 5, 30, 10, seed=1)
    assert [data.length(split) for split in ("train", "test")] == [30, 10]
    for row in words_of(data, "train") + words_of(data, "test"):
        assert len(row) == 10 and row[:5] == row[5:]


def test_words_are_equally_frequent_at_every_place_and_neighbours_tell_nothing():
    drawn = np.array(
        [[int(word[1:]) for word in row[:3]] for row in words_of(tied_words(4, 3, 4000, 1, 2), "train")]
    )
    for place in range(3):
        shares = np.bincount(drawn[:, place], minlength=4) / 4000
        assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 4000)
    pairs = np.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16) / 4000
    assert np.abs(pairs - 1 / 16).max() < 4 * np.sqrt(1 / 16 / 4000)


def test_seeds_give_other_texts_and_the_same_seed_the_same():
    one, again, other = (words_of(tied_words(21, 5, 20, 1, seed), "train") for seed in (1, 1, 2))
    assert one == again != other
    assert tied_words(21, 5, 20, 1, 1).fingerprint() != tied_words(21, 5, 20, 1, 2).fingerprint()
    assert tied_words(21, 5, 20, 1, 1).about("train")["generated"] is True
