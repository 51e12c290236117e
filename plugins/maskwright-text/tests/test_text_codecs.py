"""Tokenizers: trained or loaded, and what a batch holds of a text."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models

from maskwright import Step
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.codecs import Loaded, Subwords
from maskwright_text.params_models import Subwords as SubwordsParams
from maskwright_text.params_models import Tokenizer as TokenizerParams
from maskwright_text.text_batches import TextPrepare

TEXTS = ["a matrix of numbers", "the inverse of a matrix", "numbers in a row", "the sum of a row"]
DATA = ListedData({"train": [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]})


def build_mistakes(params: SubwordsParams) -> list[str]:
    return [text for _, text in params.check()]


def trained(model: str = "bpe", vocabulary: int = 300, lowercase: bool = False) -> Subwords:
    codec = Subwords(vocabulary, model, lowercase, "train")
    codec.fit(DATA, Step())
    return codec


@pytest.mark.parametrize("model", ["bpe", "wordpiece", "words"])
def test_specials_have_the_ids_that_models_were_built_with(model: str):
    codec = trained(model)
    found = [codec.tokenizer.token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    assert found == [0, 1, 2, 3, 4]
    ids = codec.encode(["the row"])[0].ids
    assert ids[0] == 2 and ids[-1] == 3
    assert codec.decode(ids) == "the row"


def test_bytes_bring_back_any_text():
    codec = trained()
    text = "Größe  ≤ 3\t(n − 1)"
    assert codec.decode(codec.encode([text])[0].ids) == text


def test_lower_case_on_request():
    assert (
        trained(lowercase=True).encode(["THE Row"])[0].ids
        == trained(lowercase=True).encode(["the row"])[0].ids
    )
    assert trained().encode(["THE Row"])[0].ids != trained().encode(["the row"])[0].ids


def test_saved_and_loaded_it_is_the_same(tmp_path: Path):
    codec, other = trained(), Subwords(300, "bpe", False, "train")
    codec.save(tmp_path)
    other.load(tmp_path)
    assert other.encode(TEXTS)[1].ids == codec.encode(TEXTS)[1].ids
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(UserError) as caught:
        other.load(tmp_path)
    assert caught.value.what == f"{tmp_path / 'tokenizer.json'} is no tokenizer that can be read"


def test_asked_before_it_was_trained():
    with pytest.raises(UserError) as caught:
        Subwords(300, "bpe", False, "train").encode(["a"])
    assert caught.value.what == "the tokenizer has not been trained yet"


def test_nothing_to_train_on():
    empty = ListedData({"train": [{"id": "0", "text": "  "}]})
    with pytest.raises(UserError) as caught:
        Subwords(300, "words", False, "train").fit(empty, Step())
    assert caught.value.what == 'no token was found in the split "train"'
    with pytest.raises(UserError) as caught:
        Subwords(300, "words", False, "dev").fit(DATA, Step())
    assert caught.value.what == 'the data has no split "dev" to train a tokenizer on'


def test_more_characters_than_tokens():
    with pytest.raises(UserError) as caught:
        trained("wordpiece", vocabulary=20)
    assert "tokens, 20 are allowed" in caught.value.what
    assert "model=bpe, which needs 261" in caught.value.cure
    (mistake,) = build_mistakes(SubwordsParams(vocabulary=260))
    assert mistake == "260 is too few: bpe begins with 261 tokens, one for each byte"


def test_tokens_that_were_not_found_are_not_known():
    codec = trained("words", vocabulary=300)
    assert codec.known == 5 + len(set(" ".join(TEXTS).split()))
    assert codec.vocabulary == 300


def test_names_of_specials_come_from_the_folder(tmp_path: Path):
    made = Tokenizer(
        models.WordLevel({"<pad>": 0, "@hide": 1, "<s>": 2, "</s>": 3, "row": 4}, unk_token="row")
    )
    made.add_special_tokens(["<pad>", "@hide", "<s>", "</s>"])
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == "the tokenizer has no mask token"
    assert "mask_token of tokenizer_config.json" in caught.value.where
    (tmp_path / "tokenizer_config.json").write_text('{"mask_token": "@hide"}')
    assert Loaded(tmp_path).specials.mask == 1


def test_no_tokenizer_there(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == f"no tokenizer at {tmp_path}"


# -- batches -------------------------------------------------------------------------------------------------------


def test_a_batch_is_as_long_as_its_longest_text():
    batch = TextPrepare(trained("words"), 16)(
        [{"id": "a", "text": "the row"}, {"id": "b", "text": "row"}], Step()
    )
    assert batch["tokens"].shape == (2, 4)
    assert batch["real"].tolist() == [[True] * 4, [True, True, True, False]]
    assert batch["special"].tolist() == [[True, False, False, True], [True, False, True, True]]
    assert batch["word"].tolist() == [[-1, 0, 1, -1], [-1, 0, -1, -1]]


def test_what_does_not_fit_is_counted():
    items = [{"id": "a", "text": "the sum of a row"}, {"id": "b", "text": "the row"}]
    batch = TextPrepare(trained("words"), 4)(items, Step())
    assert batch["tokens"].shape == (2, 4)
    assert batch["cut"].tolist() == [3, 0]


def test_two_texts_are_a_pair_and_their_words_go_on():
    batch = TextPrepare(trained("words"), 16)([{"id": "a", "text": "the row", "other": "a sum"}], Step())
    assert batch["segment"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert batch["word"].tolist() == [[-1, 0, 1, -1, 2, 3, -1]]


def test_subwords_of_a_word_share_its_number():
    codec = trained("bpe")
    (encoding,) = codec.encode(["rowmatrix row"])
    batch = TextPrepare(codec, 32)([{"id": "a", "text": "rowmatrix row"}], Step())
    assert len(encoding.ids) > 4
    assert batch["word"][0].tolist() == [-1 if word is None else word for word in encoding.word_ids]


def test_tags_go_by_the_characters_of_a_token():
    codec = trained("bpe")
    text = "the rowmatrix,"
    spans = [(0, 3, "DET"), (4, 13, "NOUN")]  # the comma has none
    batch = TextPrepare(codec, 32)([{"id": "a", "text": text, "tags": spans}], Step())
    names = {5: "DET", 7: "NOUN", 16: "X", -1: ""}
    words = batch["word"][0].tolist()
    found = [names[tag] for tag in batch["tag"][0].tolist()]
    wanted = {0: "DET", 1: "NOUN", 2: "X", -1: ""}
    assert found == [wanted[word] for word in words]


def test_a_text_is_needed():
    with pytest.raises(UserError) as caught:
        TextPrepare(trained(), 8)([{"id": "a", "pixels": 3}], Step())
    assert caught.value.what == 'the item "a" has no text'


def test_a_mask_token_in_the_text_is_one():
    batch = TextPrepare(trained("words"), 16)([{"id": "a", "text": "the [MASK] of a row"}], Step())
    assert (batch["tokens"] == 4).nonzero().tolist() == [[0, 2]]
    assert bool(batch["special"][0, 2])


def test_rows_of_a_batch_do_not_depend_on_it():
    prepare = TextPrepare(trained(), 16)
    items = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]
    whole = prepare(items, Step())
    for row, item in enumerate(items):
        alone = prepare([item], Step())["tokens"][0]
        assert torch.equal(whole["tokens"][row, : len(alone)], alone)


def test_padding_that_was_saved_with_a_tokenizer_is_switched_off(tmp_path: Path):
    made = trained("words").tokenizer
    made.enable_padding(pad_id=0, pad_token="[PAD]", length=12)
    made.enable_truncation(3)
    made.save(str(tmp_path / "tokenizer.json"))
    batch = TextPrepare(Loaded(tmp_path), 16)([{"id": "a", "text": "the row"}], Step())
    assert batch["tokens"].shape == (1, 4)


def test_a_loaded_tokenizer_is_kept_with_the_run():
    assert "fitted" in TokenizerParams(path=Path("somewhere")).tags()


def test_a_table_has_a_row_for_the_highest_id(tmp_path: Path):
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "row": 9}
    Tokenizer(models.WordLevel(words, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    assert Loaded(tmp_path).vocabulary == Loaded(tmp_path).known == 10


def test_damaged_configuration_of_a_tokenizer(tmp_path: Path):
    trained("words").save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError) as caught:
        Loaded(tmp_path)
    assert caught.value.what == f"{tmp_path / 'tokenizer_config.json'} is no sound JSON"


def test_what_is_cut_from_a_pair_is_counted_once():
    pair = [{"id": "a", "text": "the sum of a row", "other": "the inverse of a matrix"}]
    batch = TextPrepare(trained("words"), 8)(pair, Step())
    assert batch["tokens"].shape == (1, 8)
    assert batch["cut"].tolist() == [13 - 8]


def test_a_mask_takes_the_space_before_it():
    codec = trained("bpe")
    ids = codec.encode(["the [MASK] of a row"])[0].ids
    assert ids[ids.index(4) - 1] == codec.encode(["the"])[0].ids[-2]
