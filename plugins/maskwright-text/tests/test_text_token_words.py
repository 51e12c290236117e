"""Which word a token belongs to: scripts with and without spaces, tokenizers that cut at words and others."""

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from maskwright import Step
from maskwright_text.maskers import WholeWordMasker
from maskwright_text.token_words import _SPACE, words_of_tokens
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of

CHINESE = "我们训练模型，它学习语言。"
ENGLISH = "The dog's  quick-brown foxes,\n\n  it isn't here: 12,000.5 ünïcodé xyzzy"


def by_bytes() -> Tokenizer:
    """As GPT-2 and RoBERTa: cut at words, then bytes and pairs of them. A letter of three bytes is three tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["the dog is here, the dog isn't"] * 3,
        BpeTrainer(vocab_size=275, initial_alphabet=alphabet, show_progress=False),
    )
    return made


def pieces(cut_first: bool) -> Tokenizer:
    """As T5 and XLM-R: spaces are written as ▁, and pieces may begin with it."""
    known = [
        ("<unk>", 0.0),
        ("▁", -3.0),
        ("▁he", -2.0),
        ("llo", -2.0),
        ("▁dog", -2.0),
        ("s", -4.0),
        (".", -3.0),
    ]
    known += [(letter, -5.0) for letter in "我们训练你好です猫ก็มาA"] + [("训练", -4.0)]
    made = Tokenizer(models.Unigram(known, 0))
    if cut_first:
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def groups(made: Tokenizer, text: str) -> list[list[str]]:
    """What stands under the tokens of each word; a letter of several tokens is there several times."""
    encoding = made.encode(text)
    found: dict[int, list[str]] = {}
    for word, (start, end) in zip(words_of_tokens(encoding, text).tolist(), encoding.offsets, strict=True):
        found.setdefault(word, []).append(text[start:end])
    assert list(found) == list(range(len(found))), "numbered one after the other"
    return list(found.values())


def test_where_a_tokenizer_cuts_at_words_and_a_script_has_spaces_its_words_stay():
    encoding = by_bytes().encode(ENGLISH)
    assert words_of_tokens(encoding, ENGLISH).tolist() == encoding.word_ids
    assert len(set(encoding.word_ids)) < len(encoding.ids) - 10, (
        "words of several tokens, with and without a space"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("我们。", ["我", "们", "。"]),
        ("猫です ABCです", ["猫", "で", "す", " |A|B|C", "で", "す"]),
        ("𠀀猫", ["𠀀", "猫"]),
        ("한국어 책", ["한|국|어", " |책"]),  # Korean has spaces
    ],
)
def test_letters_of_a_script_without_spaces_are_words_and_their_bytes_stay_together(
    text: str, wanted: list[str]
):
    found = ["|".join(dict.fromkeys(group)) for group in groups(by_bytes(), text)]
    assert found == wanted


@pytest.mark.parametrize("cut_first", [True, False])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hello dogs. hello", [[" he", "llo"], [" dog", "s", "."], [" he", "llo"]]),
        (
            "我们训练你好",
            [["我", "我"], ["们"], ["训练"], ["你"], ["好"]],
        ),  # ▁ before the first letter is a token
        ("dogs猫 猫", [["dog", "s"], ["猫"], [" ", "猫"]]),
        ("มาก็มา", [["ม", "ม"], ["า"], ["ก", "็"], ["ม"], ["า"]]),  # a tone sign stays on its letter
    ],
)
def test_pieces_with_spaces_in_them(cut_first: bool, text: str, wanted: list[list[str]]):
    found = groups(pieces(cut_first), text)
    first = [[piece.lstrip() for piece in found[0]], *found[1:]]
    assert first == [[piece.lstrip() for piece in wanted[0]], *wanted[1:]]


def test_words_of_a_second_text_go_on_and_go_by_its_own_letters():
    made = by_bytes()
    encoding = made.encode("the dog", "我们 dog")
    found = words_of_tokens(encoding, "the dog", "我们 dog").tolist()
    assert found[-1] == 4 and found == sorted(found)
    assert len({word for word, side in zip(found, encoding.sequence_ids, strict=True) if side == 1}) == 3


@pytest.mark.parametrize("made", [by_bytes(), pieces(cut_first=False)])
@pytest.mark.parametrize("text", [CHINESE, "猫です" * 20, "มา" * 40])
def test_letters_are_hidden_and_not_only_marks(made: Any, text: str):
    encoding = made.encode(text)
    word = torch.from_numpy(words_of_tokens(encoding, text))[None].expand(200, -1)
    valid = torch.ones_like(word, dtype=torch.bool)
    units = Units(valid, (word.shape[1],), torch.arange(word.shape[1]), torch.arange(200), {"word": word})
    ratio = torch.full((200,), 0.3, dtype=torch.float64)
    hidden = WholeWordMasker()(units, ratio, Step(1, 0, 1))
    wanted = counts_of(ratio, valid)
    assert bool((hidden.sum(dim=1) <= wanted).all())
    assert float(hidden.sum()) > 0.9 * float(wanted.sum())
    assert bool(hidden.any(dim=0).all()), "every token, some time"


def test_spaces_are_what_python_calls_so():
    assert np.flatnonzero(_SPACE).tolist() == [code for code in range(0x110000) if chr(code).isspace()]
