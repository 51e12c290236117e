"""WordPiece: one vocabulary in all processes, the pieces of the library's trainer, no letters as special tokens."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from maskwright import Step
from maskwright_testing.listed_data import ListedData
from maskwright_text.params_models import Subwords
from maskwright_text.wordpiece import inner_letters

TIED = [
    "the stars are cold and the sands are old",
    "a band of bold lads stands at the land",
    "hands hold the sand, brands mould the strand",
]
"""Many pairs of letters that occur equally often."""


def trained(texts: list[str], vocabulary: int, model: str = "wordpiece") -> Tokenizer:
    items = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    codec = Subwords(vocabulary=vocabulary, model=model).build()
    codec.fit(ListedData({"train": items}), Step())
    return codec.tokenizer


def digest(model: str, vocabulary: int) -> str:
    """Of all that is saved of a tokenizer."""
    return hashlib.sha256(trained(TIED, vocabulary, model).to_str().encode()).hexdigest()


@pytest.mark.parametrize(("model", "vocabulary"), [("wordpiece", 60), ("bpe", 280), ("words", 20)])
def test_every_process_trains_the_same(model: str, vocabulary: int):
    """The tables of hashes that the library uses are shuffled anew in each process."""
    script = f"import test_text_wordpiece as t; print(t.digest({model!r}, {vocabulary}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=os.path.dirname(__file__),
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout.strip()
        for seed in (1, 2)
    }
    assert found == {digest(model, vocabulary)}


def test_without_ties_the_pieces_are_those_of_the_librarys_trainer():
    texts = ["ab " * 17 + "cd " * 5 + "ef " * 11]
    size = 5 + 6 + 3 + 2  # special tokens, letters, letters within words, the two most frequent pairs
    plain = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    plain.normalizer = normalizers.BertNormalizer(lowercase=False)
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    plain.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=names, min_frequency=2, show_progress=False
        ),
    )
    ours = set(trained(texts, size).get_vocab())
    assert ours == set(plain.get_vocab())
    assert {"ab", "ef", "##d"} <= ours and len(ours) == size


def test_letters_within_words_are_no_special_tokens():
    made = trained(TIED, 60)
    assert [made.token_to_id(name) for name in ("[PAD]", "[MASK]", "##a", "##d")] == [0, 4, 5, 6]
    added = json.loads(made.to_str())["added_tokens"]
    assert [entry["content"] for entry in added] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    unknown = made.token_to_id("[UNK]")
    assert made.encode("##a", add_special_tokens=False).ids == [unknown, unknown, made.token_to_id("a")]


def test_a_letter_that_only_begins_words_has_no_inner_piece():
    made = trained(["ab ac", "ba"], 30)
    assert inner_letters(made, ["ab ac", "b, c"]) == ["##b", "##c"]
    assert made.token_to_id("##a") is not None and made.token_to_id(",") is None
