"""Tokens that stand for text, and how often the vocabulary is walked through to find them."""

import copy

import pytest
from text_models import model, sentences

from maskwright import Step
from maskwright_text import codecs
from maskwright_text.codecs import Subwords
from maskwright_text.usual_tokens import UsualTokens, unusual_tokens
from maskwright_torch.contracts import Space

SPACE = Space((0,), vocabulary=60, mask_id=4, specials=(0, 1, 2, 3, 4, 7))


def codec() -> Subwords:
    made = Subwords(60, "words", False, "train")
    made.fit(sentences(), Step())
    return made


def test_special_tokens_and_rows_without_a_token_are_left_out():
    made = codec()
    assert made.known == 23
    assert UsualTokens(SPACE, made)().tolist() == [5, 6, *range(8, 23)]
    assert UsualTokens(SPACE)().tolist() == [5, 6, *range(8, 60)]
    assert unusual_tokens(SPACE, made) == [0, 1, 2, 3, 4, 7, *range(23, 60)]


def test_a_tokenizer_that_is_trained_later_is_asked_then():
    made = Subwords(60, "words", False, "train")
    usual = UsualTokens(SPACE, made)
    made.fit(sentences(), Step())
    assert len(usual()) == 17


def test_training_does_not_walk_through_the_vocabulary_at_each_step(monkeypatch: pytest.MonkeyPatch):
    walks, count = [], codecs._rows
    monkeypatch.setattr(codecs, "_rows", lambda tokenizer: walks.append(1) or count(tokenizer))
    subject = model()
    for _ in range(3):
        subject.usual()
    copy.deepcopy(subject).usual()
    assert len(walks) == 1
    subject.encoder.codec.tokenizer = subject.encoder.codec.tokenizer
    assert len(subject.usual()) == 18 and len(walks) == 2, "another tokenizer is another vocabulary"
