"""dataset:topic-chains: what the generated sentences are made of."""

import itertools

import numpy as np

from maskwright import Step
from maskwright_text.topic_chains import topic_chains


def made(noise: float = 0.0, seed: int = 0, length: int = 12):  # type: ignore[no-untyped-def]
    return topic_chains(8, 3, 2, length, noise, 400, 100, seed)


def test_every_third_word_is_a_function_word_and_tagged_so():
    item = made().item("train", 5, Step())
    words = item["text"].split()
    assert [word[0] for word in words] == list("ccf" * 4)
    assert [item["text"][start:end] for start, end, _ in item["tags"]] == words
    assert [tag for _, _, tag in item["tags"]] == ["NOUN", "NOUN", "DET"] * 4


def test_without_noise_a_word_and_the_topic_tell_the_next():
    data = made(length=36)
    follows: dict[str, set[str]] = {}
    for index in range(data.length("train")):
        content = [word for word in data.item("train", index, Step())["text"].split() if word[0] == "c"]
        for word, after in itertools.pairwise(content):
            follows.setdefault(word, set()).add(after)
    assert len(follows) == 8
    assert max(map(len, follows.values())) == 2  # one for each topic


def test_noise_breaks_the_chain_in_its_share():
    data = topic_chains(100, 3, 1, 30, 0.25, 400, 1, 0)
    pairs = []
    for index in range(400):
        content = [word for word in data.item("train", index, Step())["text"].split() if word[0] == "c"]
        pairs += list(itertools.pairwise(content))
    after: dict[str, list[str]] = {}
    for word, following in pairs:
        after.setdefault(word, []).append(following)
    usual = sum(max(found.count(word) for word in set(found)) for found in after.values())
    assert abs(usual / len(pairs) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / len(pairs)) + 0.01


def test_function_words_are_drawn_by_rank():
    data = made()
    found = [
        word for i in range(400) for word in data.item("train", i, Step())["text"].split() if word[0] == "f"
    ]
    shares = [found.count(f"f{n}") / len(found) for n in range(3)]
    wanted = np.array([1, 1 / 2, 1 / 3]) / (11 / 6)
    assert np.abs(np.array(shares) - wanted).max() < 4 * np.sqrt(0.25 / len(found))


def test_splits_share_no_row_and_seeds_differ():
    data = made()
    ids = {data.item(split, i, Step())["id"] for split in data.splits() for i in range(data.length(split))}
    assert len(ids) == 500
    assert made().fingerprint() == data.fingerprint() != made(seed=1).fingerprint()
