"""dataset:tagged with textblob's PatternTagger: tags on their characters, kept, and gone on with after a stop."""

import copy
import json

import numpy as np
import pytest
from text_reading import items, texts, written

from maskwright.tags import FIELDS
from maskwright_testing.assertions import assert_one_error
from maskwright_testing.field_types import wrong_fields
from maskwright_testing.listed_data import ListedData
from maskwright_text import tagged, taggers
from maskwright_text.params_data import Conllu, Lines, Tagged
from maskwright_text.tag_cache import cache_folder
from maskwright_text.upos import UPOS
from maskwright_text.word_offsets import spaced_words, word_offsets


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def asked(monkeypatch):
    """The word lists that the tagger was given; its tags are the words' lengths, as far as there are such tags."""
    seen = []

    def start(module, model):
        def tag(words):
            seen.append(list(words))
            return ["NN" if len(word) % 2 else "VB" for word in words]

        return tag

    fake = taggers.Tagger("textblob", "json", "x", taggers.PENN, start)
    monkeypatch.setitem(taggers.TAGGERS, "pattern", fake)
    return seen


def listed(*given):
    return ListedData({"train": [{"id": f"n{n}", "text": text} for n, text in enumerate(given)]})


def spelled(item):
    return [(item["text"][start:end], tag) for start, end, tag in item["tags"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I didn't, can’t.", ["I", "did", "n't", ",", "ca", "n’t", "."]),
        ("It's the dogs' well-known o'clock", ["It", "'s", "the", "dogs", "'", "well-known", "o'clock"]),
        ("U.S. a 1,000.5 at 12:30 ...", ["U.S.", "a", "1,000.5", "at", "12:30", "..."]),
        ("<unk> (a/b) -- 你好 naïve", ["<unk>", "(", "a", "/", "b", ")", "--", "你好", "naïve"]),
        ("cafe\u0301 x", ["cafe\u0301", "x"]),
        ("we'll they’re I'd", ["we", "'ll", "they", "’re", "I", "'d"]),
        (" \n", []),
    ],
)
def test_words_of_a_text(text, words):
    assert [text[start:end] for start, end in word_offsets(text)] == words


def test_words_cover_all_but_white_space():
    text = "Some, «odd» text\u00a0with\ttabs — e\u0301 😀😀 x_y @-@ $5.00 a--b ''"
    covered = {place for start, end in word_offsets(text) for place in range(start, end)}
    assert {place for place, letter in enumerate(text) if not letter.isspace()} == covered
    assert spaced_words(" a\u00a0b \n c,d ") == [(1, 2), (3, 4), (7, 10)]


def test_the_pattern_tagger(tmp_path):
    path = written(tmp_path / "a.txt", "The dog didn't see two cats / or a bird in London. Lamps fell!\n")
    (item,) = items(Tagged(inner=Lines(path=path, test_share=0.0)).build())
    assert spelled(item) == [
        ("The", "DET"), ("dog", "NOUN"), ("did", "VERB"), ("n't", "ADV"), ("see", "VERB"), ("two", "NUM"),
        ("cats", "NOUN"), ("/", "CCONJ"), ("or", "CCONJ"), ("a", "DET"), ("bird", "NOUN"), ("in", "ADP"),
        ("London", "PROPN"), (".", "PUNCT"), ("Lamps", "NOUN"), ("fell", "VERB"), ("!", "PUNCT"),
    ]  # fmt: skip
    assert wrong_fields(item) == [] and "tags" in FIELDS


def test_every_split_is_tagged_and_other_fields_stay(asked):
    rows = {
        "train": [{"id": "a", "text": "one four", "label": 0}],
        "none": [],
        "test": [{"id": "b", "text": "six"}],
    }
    data = Tagged(inner=ListedData(rows, {"classes": ["x"]})).build()
    assert items(data) == [
        {"id": "a", "text": "one four", "label": 0, "tags": [(0, 3, "NOUN"), (4, 8, "VERB")]}
    ]
    assert items(data, "test")[0]["tags"] == [(0, 3, "NOUN")] and items(data, "none") == []
    assert data.splits() == ("train", "none", "test") and data.length("test") == 1
    assert data.about("train") == {"classes": ["x"], "notices": []}
    assert items(copy.deepcopy(data)) == items(data)


def test_texts_without_words_have_no_tags(asked):
    assert [item["tags"] for item in items(Tagged(inner=listed(" ", "one")).build())] == [
        [],
        [(0, 3, "NOUN")],
    ]
    assert asked == [["one"]]


def test_tags_are_kept(asked):
    first = Tagged(inner=listed("one", "four five")).build()
    assert len(asked) == 2
    again = Tagged(inner=listed("one", "four five")).build()
    assert len(asked) == 2 and items(again) == items(first)
    assert again.fingerprint() == first.fingerprint()
    other = Tagged(inner=listed("one", "four six")).build()
    assert len(asked) == 4 and other.fingerprint() != first.fingerprint()


def test_another_version_tags_again(asked, monkeypatch):
    first = Tagged(inner=listed("one")).build()
    monkeypatch.setattr(taggers.metadata, "version", lambda name: "9.9")
    second = Tagged(inner=listed("one")).build()
    for name in ("VERSION", "WORDS_VERSION"):
        monkeypatch.setattr(tagged, name, 99)
        third = Tagged(inner=listed("one")).build()
    assert len(asked) == 4
    assert len({data.fingerprint() for data in (first, second, third)}) == 3


def test_a_tagging_that_is_stopped_goes_on_where_it_was(asked, monkeypatch):
    monkeypatch.setattr(tagged, "SHARD", 4)
    given = [f"text {n}" for n in range(18)]
    fake = taggers.TAGGERS["pattern"]

    def stopping(module, model):
        tag = fake.start(module, model)

        def stopped(words):
            if words[1] == "10":
                raise KeyboardInterrupt
            return tag(words)

        return stopped

    monkeypatch.setitem(taggers.TAGGERS, "pattern", taggers.attrs.evolve(fake, start=stopping))
    with pytest.raises(KeyboardInterrupt):
        Tagged(inner=listed(*given)).build()
    assert len(asked) == 10
    monkeypatch.setitem(taggers.TAGGERS, "pattern", fake)
    data = Tagged(inner=listed(*given)).build()
    assert [words[1] for words in asked[10:]] == [str(n) for n in range(8, 18)]  # two whole shards were kept
    assert all(item["tags"] == [(0, 4, "VERB"), (5, len(item["text"]), tag_of(item))] for item in items(data))
    assert texts(data) == given


def tag_of(item):
    return "NOUN" if len(item["text"]) == 6 else "VERB"


def test_a_damaged_or_foreign_shard_is_made_again(asked):
    first = items(Tagged(inner=listed("one", "four")).build())
    (kept,) = cache_folder().glob("tags-*/*.npz")
    whole = kept.read_bytes()
    np.savez(kept.with_name("other.npz"), tags=np.zeros(3, np.uint8), counts=np.array([1, 1]), told=_told())
    np.savez(kept.with_name("fewer.npz"), tags=np.zeros(1, np.uint8), counts=np.array([1]), told=_told())
    contents = [
        b"",
        b"PK",
        whole[:-30],
        b"\x93NUMPY",
        *(kept.with_name(f"{n}.npz").read_bytes() for n in ("other", "fewer")),
    ]
    for number, content in enumerate(contents, start=1):
        kept.write_bytes(content)
        assert items(Tagged(inner=listed("one", "four")).build()) == first
        assert len(asked) == 2 + 2 * number
        assert kept.read_bytes() == whole


def _told():
    return np.frombuffer(json.dumps({"strange": {}, "misfits": []}).encode(), np.uint8)


def test_a_cache_that_cannot_be_written_is_told_once(asked, tmp_path, monkeypatch):
    written(tmp_path / "file", "")
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(tagged, "SHARD", 1)
    with pytest.warns(
        UserWarning, match="every start will tag all texts again. Set MASKWRIGHT_CACHE"
    ) as told:
        data = Tagged(inner=listed("one", "four")).build()
    assert len(told) == 1 and items(data)[1]["tags"] == [(0, 4, "VERB")]


def test_long_work_tells_how_far_it_is(asked, monkeypatch, capsys):
    monkeypatch.setattr(tagged, "SHARD", 2)
    monkeypatch.setattr(tagged, "_SECONDS", 0.0)
    Tagged(inner=listed(*"abcde")).build()
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "tagging train 2/5",
        "tagging train 4/5",
    ]


def test_a_tag_list_of_another_length_is_x_and_named(asked, monkeypatch):
    fake = taggers.TAGGERS["pattern"]
    lose = {"long": lambda tags: [*tags, "NN"], "short": lambda tags: tags[:1], "good": lambda tags: tags}

    def start(module, model):
        tag = fake.start(module, model)
        return lambda words: lose[words[0]](tag(words))

    monkeypatch.setitem(taggers.TAGGERS, "pattern", taggers.attrs.evolve(fake, start=start))
    given = ["good words", "short  words here", "long words"]
    for _ in range(2):  # the second time from the cache
        data = Tagged(inner=listed(*given)).build()
        assert [[tag for *_, tag in item["tags"]] for item in items(data)] == [
            ["VERB", "NOUN"],
            ["X", "X", "X"],
            ["X", "X"],
        ]
        assert data.about("train")["notices"] == [
            "texts that got another number of tags than words count as X: "
            "n1 (1 tags for 3 words, from character 7); n2 (3 tags for 2 words, from character 10)"
        ]


def test_unknown_tags_are_x_and_counted(asked, monkeypatch):
    fake = taggers.TAGGERS["pattern"]
    table = {"NN": "NOUN"}
    monkeypatch.setitem(taggers.TAGGERS, "pattern", taggers.attrs.evolve(fake, table=table))
    for _ in range(2):
        data = Tagged(inner=listed("four words", "five one .")).build()
        assert [tag for item in items(data) for *_, tag in item["tags"]] == [
            "X",
            "NOUN",
            "X",
            "NOUN",
            "PUNCT",
        ]
        assert data.about("train")["notices"] == [
            "2 words have a tag that is none of the 17, they count as X: VB 2"
        ]


def test_gold_tags_are_not_overwritten(tmp_path):
    inner = Conllu(path=tmp_path / "a.conllu")
    assert_one_error(lambda: Tagged(inner=inner).build(), "refuses tags", "conllu")


def test_the_order_of_the_tags_is_fixed():
    assert len(UPOS) == 17 and list(UPOS) == sorted(UPOS)
