"""Taggers of other libraries and their tag sets.

spaCy and nltk's data are not installed where these tests run: small modules of the same names and shapes stand in for
them, made here. They show what the adapters hand over and take back, not how well anybody tags.
"""

import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest
from text_reading import items, written

from maskwright_testing.assertions import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_text import taggers
from maskwright_text.params_data import Tagged
from maskwright_text.tag_tables import C5, PENN
from maskwright_text.taggers import TAGGERS, what_there_is
from maskwright_text.upos import UPOS

TEXT = "She didn't go ."


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def installed(monkeypatch):
    """Put a module in the place of a library, with a version."""

    def put(name, distribution, **members):
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
        found = metadata.version
        monkeypatch.setattr(
            taggers.metadata, "version", lambda asked: "1.0" if asked == distribution else found(asked)
        )
        return module

    return put


NO_DATA = SimpleNamespace(path=[])


def tags_of(text=TEXT, **settings):
    data = Tagged(inner=ListedData({"train": [{"id": "a", "text": text}]}), **settings).build()
    return [tag for *_, tag in items(data)[0]["tags"]], data.about("train")["notices"]


def test_hanta():
    assert tags_of("The dogs run quickly in a big garden , and he will .", tagger="hanta") == (
        ["DET", "NOUN", "VERB", "ADV", "ADP", "DET", "ADJ", "NOUN", "PUNCT", "CCONJ", "PRON", "AUX", "PUNCT"],
        [],
    )


def test_nltk(installed):
    installed("nltk", "nltk", data=NO_DATA, pos_tag=lambda words: [(word, "NNS") for word in words])
    assert tags_of(tagger="nltk")[0] == ["NOUN", "NOUN", "NOUN", "NOUN", "PUNCT"]


def test_nltk_without_its_data(installed):
    def pos_tag(words):
        raise LookupError("\n***\n  Resource not found.\n  Please download it\n***")

    installed("nltk", "nltk", data=NO_DATA, pos_tag=pos_tag)
    assert_one_error(
        lambda: tags_of(tagger="nltk"),
        "nltk has no tagger data",
        "Resource not found.",
        "python -m nltk.downloader averaged_perceptron_tagger_eng",
    )


def test_spacy(installed):
    class Doc(list):
        def __init__(self, vocab, words):
            super().__init__(SimpleNamespace(text=word, pos_="") for word in words)
            self.vocab = vocab

    class Pipeline:
        vocab = "the vocabulary"

        def __call__(self, document):
            assert document.vocab == self.vocab
            for token, tag in zip(document, ["PRON", "AUX", "PART", "SPACE", "PUNCT"], strict=True):
                token.pos_ = tag
            return document

    def load(name):
        if name != "small":
            raise OSError(f"[E050] Can't find model '{name}'.")
        return Pipeline()

    installed("spacy", "spacy", load=load)
    installed("spacy.tokens", "spacy", Doc=Doc)
    tags, notices = tags_of(tagger="spacy", model="small")
    assert tags == ["PRON", "AUX", "PART", "X", "PUNCT"]
    assert notices == ["1 words have a tag that is none of the 17, they count as X: SPACE 1"]
    assert_one_error(
        lambda: tags_of(tagger="spacy", model="large"),
        'spaCy has no pipeline "large"',
        "E050",
        "python -m spacy download large",
    )


@pytest.mark.parametrize("folder", [True, False])
def test_a_new_spacy_pipeline_of_the_same_name_tags_again(installed, monkeypatch, tmp_path, folder):
    loads = []

    def load(name):
        loads.append(name)
        pipeline = lambda words: [SimpleNamespace(pos_="NOUN") for _ in words]  # noqa: E731
        pipeline.vocab = None
        return pipeline

    installed("spacy", "spacy", load=load)
    installed("spacy.tokens", "spacy", Doc=lambda vocab, words: words)
    found, versions = metadata.version, {"small": "3.8.0"}
    monkeypatch.setattr(taggers.metadata, "version", lambda name: versions.get(name) or found(name))
    model = written(tmp_path / "own" / "ner" / "model", b"weights").parents[1] if folder else "small"
    for change in ("nothing", "nothing", "weights"):
        if change == "weights":
            versions["small"] = "3.8.1"
            written(tmp_path / "own" / "ner" / "model", b"others!")
        tags_of(tagger="spacy", model=str(model))
    assert len(loads) == 2


@pytest.mark.parametrize(
    "place", ["averaged_perceptron_tagger_eng/weights.json", "averaged_perceptron_tagger.zip"]
)
def test_new_data_of_nltk_tag_again(installed, tmp_path, place):
    asked = []
    data = SimpleNamespace(path=[str(tmp_path / "none"), str(tmp_path / "nltk")])
    installed(
        "nltk", "nltk", data=data, pos_tag=lambda words: asked.append(1) or [(word, "NN") for word in words]
    )
    for content in (b"1", b"1", b"2"):
        written(tmp_path / "nltk" / "taggers" / place, content)
        tags_of(tagger="nltk")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("name", "settings", "pip"),
    [
        ("pattern", {}, 'pip install "maskwright-text[pos]"'),
        ("hanta", {}, 'pip install "maskwright-text[hanta]"'),
        ("nltk", {}, "pip install nltk"),
        ("spacy", {"model": "small"}, "pip install spacy"),
    ],
)
def test_what_is_absent_is_named_with_its_pip_line(monkeypatch, name, settings, pip):
    library = TAGGERS[name].distribution

    def version(asked):
        raise metadata.PackageNotFoundError(asked)

    monkeypatch.setattr(taggers.metadata, "version", version)
    assert_one_error(
        lambda: tags_of(tagger=name, **settings), f"the tagger needs {library}", "not installed", pip
    )
    monkeypatch.setattr(taggers.metadata, "version", lambda asked: "1.0")
    for module in {TAGGERS[name].module, TAGGERS[name].module.partition(".")[0]}:
        monkeypatch.setitem(sys.modules, module, None)
    assert_one_error(lambda: tags_of(tagger=name, **settings), f"the tagger needs {library}", pip)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tagger": "spacy"}, 'tagger = "spacy" needs a pipeline'),
        ({"tagger": "hanta", "model": "de"}, '"hanta" has one model'),
    ],
)
def test_taggers_that_cannot_be(settings, says):
    with pytest.raises(Exception, match=".*") as caught:
        tags_of(**settings)
    assert says in str(caught.value)


def test_an_unknown_tagger_is_told_what_there_is_and_what_brings_the_rest(monkeypatch):
    def version(asked):
        if asked != "textblob":
            raise metadata.PackageNotFoundError(asked)
        return "1.0"

    monkeypatch.setattr(taggers.metadata, "version", version)
    others = (
        'hanta (pip install "maskwright-text[hanta]"), nltk (pip install nltk), spacy (pip install spacy)'
    )
    assert list(Tagged(inner=None, tagger="brill").check()) == [
        ("tagger", f'there is no tagger "brill"; installed: pattern; others: {others}')
    ]
    assert_one_error(
        lambda: tags_of(tagger="hanta"),
        "the tagger needs HanTa",
        f"it is not installed; installed: pattern; others: {others}",
        'pip install "maskwright-text[hanta]"',
    )
    monkeypatch.setattr(taggers.metadata, "version", lambda asked: "1.0")
    assert what_there_is() == "installed: pattern, hanta, nltk, spacy"


def test_tables_lead_to_universal_tags():
    assert len(PENN) >= 45 and len(C5) == 61
    assert {*PENN.values(), *C5.values()} <= {*UPOS}
    assert "SCONJ" not in {*PENN.values(), *C5.values()}


@pytest.mark.parametrize(
    ("name", "tag", "word", "found"),
    [
        ("pattern", "MD", "may", "AUX"),
        ("pattern", "TO", "to", "PART"),
        ("pattern", "POS", "'s", "PART"),
        ("pattern", "CC", "and", "CCONJ"),
        ("pattern", "IN", "because", "ADP"),
        ("pattern", "CC", "&", "CCONJ"),
        ("pattern", "NN", "*", "PUNCT"),
        ("pattern", "SYM", "+", "SYM"),
        ("pattern", "-LRB-", "(", "PUNCT"),
        ("pattern", "ODD", "word", None),
        ("hanta", "AJ0-NN1", "light", "ADJ"),
        ("hanta", "CJS", "because", "ADP"),
        ("spacy", "SCONJ", "because", "SCONJ"),
        ("spacy", "_SP", "word", None),
    ],
)
def test_single_tags(name, tag, word, found):
    assert TAGGERS[name].universal(tag, word) == found
