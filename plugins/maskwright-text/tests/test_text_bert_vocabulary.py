"""Old BERT folders: a list of word pieces in vocab.txt, beside what their configuration says of letters."""

import json
from pathlib import Path

import pytest

from maskwright.errors import UserError
from maskwright_text.codecs import Loaded

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def folder(place: Path, words: list[str], ends: str = "\n", **config: object) -> Path:
    (place / "vocab.txt").write_bytes(ends.join([*SPECIALS, *words, ""]).encode())
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    return place


def tokens(place: Path, text: str) -> list[str]:
    return Loaded(place).encode([text])[0].tokens[1:-1]


def test_a_bert_vocabulary(tmp_path: Path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "row", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    codec = Loaded(tmp_path)
    assert codec.encode(["The rows"])[0].ids == [2, 5, 6, 7, 3]
    assert codec.vocabulary == 8 and codec.specials.mask == 4 and codec.specials.all == (0, 1, 2, 3, 4)
    (tmp_path / "vocab.txt").write_text("the\nrow")
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == "vocab.txt lacks [UNK], [CLS], [SEP]"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_line_is_a_piece_even_if_it_is_a_mark_that_ends_lines_elsewhere(tmp_path: Path, ends: str):
    codec = Loaded(folder(tmp_path, ["a", "\u2028", "\x85", "\x0b", "\x1c", "row", "##s"], ends))
    assert codec.encode(["a rows"])[0].ids == [2, 5, 10, 11, 3]
    assert codec.vocabulary == 12


@pytest.mark.parametrize(
    ("config", "text", "wanted"),
    [
        ({}, "Élan", ["elan"]),
        ({"do_lower_case": True, "strip_accents": False}, "Élan", ["élan"]),
        ({"do_lower_case": False}, "Élan", ["Élan"]),
        ({"do_lower_case": False, "strip_accents": True}, "Élan", ["Elan"]),
        ({"strip_accents": None}, "我们 elan", ["我", "们", "elan"]),
        ({"tokenize_chinese_chars": False}, "我们 elan", ["我们", "elan"]),
        ({"tokenizer_class": "BertTokenizer"}, "elan", ["elan"]),
        ({"tokenizer_class": "DistilBertTokenizerFast"}, "elan", ["elan"]),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, "elan", ["elan"]),
    ],
)
def test_letters_are_treated_as_the_folder_says(
    tmp_path: Path, config: dict[str, object], text: str, wanted: list[str]
):
    assert (
        tokens(folder(tmp_path, ["elan", "élan", "Élan", "Elan", "我", "们", "我们"], **config), text)
        == wanted
    )


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_a_tokenizer_that_cuts_otherwise_is_refused(tmp_path: Path, file: str):
    folder(tmp_path, ["row"])
    (tmp_path / file).write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == f"the vocab.txt in {tmp_path} belongs to a BertJapaneseTokenizer"
    assert caught.value.cure.startswith("a tokenizer.json: transformers writes it")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == f"{tmp_path / 'vocab.txt'} is no text in UTF-8"
