"""Texts that are written from and learned to write: special tokens in them, lists of pieces, random tokens, losses."""

import pytest
import torch

from maskwright import Step
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.decoding_settings import Decoding
from maskwright_text.example_writers import example_writer
from maskwright_text.generate import Generate
from maskwright_text.generation import Generation
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_text.params_seq2seq import example_pairs
from maskwright_text.writers import ReencodingWriter
from maskwright_torch.batches import collate

DATA = example_pairs(ListedData)
ITEMS = [DATA.item("train", number, Step()) for number in range(4)]
SEP = 3


def byte_pieces():
    """A writer that knows every text, "[SEP]" among them."""
    codec = Subwords(vocabulary=270, model="bpe")
    encoder = TextEncoder(codec=codec, length=64, width=8, depth=1, heads=2)
    return example_writer(DATA, encoder=encoder, target_length=30)


@pytest.mark.parametrize("name", ["[SEP]", "[PAD]", "[CLS]", "[MASK]"])
def test_special_tokens_in_a_text_are_words_of_it(name: str):
    model = byte_pieces()
    text = f"the {name} fox"
    batch = collate([{"id": "a", "text": text, "summary": text}], range(1), model.prepare, Step())
    special = set(model.encoder.space.specials)
    target, source = batch["target"][0].tolist(), batch["tokens"][0].tolist()
    assert [n for n in target if n in special] == [SEP] and target[-1] == SEP
    assert [n for n in source if n in special] == [2, SEP] and source[0] == 2 and source[-1] == SEP
    codec = model.encoder.codec
    assert codec.decode(target) == codec.decode(source) == text
    assert model.sources.whole_lengths([{"text": text}]) == [len(source)]
    # Elsewhere they still are what they are called: a text to fill has its masks so.
    assert 4 in codec.encode(["the [MASK] fox"])[0].ids


def test_unknown_words_stay_unknown():
    model = example_writer(DATA)
    item = {"id": "a", "text": "the zebra", "summary": "a zebra"}
    batch = collate([item], range(1), model.prepare, Step())
    assert batch["tokens"][0].tolist()[2] == batch["target"][0].tolist()[1] == 1


def test_pieces_in_a_list_are_one_text():
    model = example_writer(DATA)
    lists = {"id": "a", "src": ["the", "qu", "##ick", "fox"], "tgt": ["a", "fox"]}
    one, two = (
        collate([item], range(1), model.prepare, Step())
        for item in (lists, {"id": "a", "text": "the quick fox", "summary": "a fox"})
    )
    assert torch.equal(one["tokens"], two["tokens"]) and torch.equal(one["target"], two["target"])
    (found,) = Generate(model, Decoding())([lists], Step())
    assert found["generated"] == model.generate([{"id": "a", "text": "the quick fox"}], Step())[0][0].text


@pytest.mark.parametrize("value", [[], [1, 2], 7, None])
def test_what_is_neither_text_nor_pieces_is_shown(value: object):
    with pytest.raises(UserError) as raised:
        list(Generate(example_writer(DATA), Decoding())([{"id": "a", "src": value}], Step()))
    assert raised.value.what == 'the item "a" has no text'
    assert f"src is {value!r}, neither a text nor a list of its pieces" in str(raised.value.why)


def test_the_evaluator_reads_the_names_of_s2s_ft():
    data = ListedData({"test": [{"id": "a", "src": ["the", "fox"], "tgt": "a fox"}]})
    found = Generation(Decoding(), 0, 1).evaluate(example_writer(DATA), data, Step())
    examples = next(table for name, table in found.tables.items() if "example" in name)
    assert (examples[0]["text"], examples[0]["right"]) == ("the fox", "a fox")


# -- random tokens ---------------------------------------------------------------------------------------------------


def many(**settings: float):
    """What stands in the pseudo masks of 400 targets of ten tokens, all the same token."""
    model = example_writer(DATA, **settings)
    rows, token = 400, 9
    batch = {
        "tokens": torch.full((rows, 1), 2),
        "real": torch.ones(rows, 1).bool(),
        "target": torch.full((rows, 10), token),
        "target_real": torch.ones(rows, 10).bool(),
        "rows": torch.arange(rows),
    }
    return model, model.layout(batch, Step())[0].tokens[:, -10:]


def test_random_tokens_are_those_that_the_tokenizer_has():
    model, drawn = many(pseudo_random=1.0)
    known = model.encoder.codec.known
    assert known < model.encoder.space.vocabulary
    assert set(drawn.flatten().tolist()) == set(range(5, known))


def test_shares_of_pseudo_masks_are_those_of_the_papers_code():
    model, drawn = many(pseudo_keep=0.1, pseudo_random=0.1)
    usual = model.encoder.codec.known - 5
    kept, masked = ((drawn == token).double().mean().item() for token in (9, 4))
    assert masked == pytest.approx(0.8, abs=0.02)
    assert kept == pytest.approx(0.1 + 0.1 / usual, abs=0.02)


# -- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["v2", "v1", "v0"])
def test_losses_of_a_target_are_those_of_writing_it(mode: str):
    """Token by token, as decoding asks for them, which for v0 is the next token and else a mask."""
    model = example_writer(DATA, mode=mode).double().eval()
    losses = model.target_losses(ITEMS, Step())
    batch = collate(ITEMS, range(4), model.prepare, Step())
    with torch.no_grad():
        writer = ReencodingWriter(model, batch)
        for place in range(batch["target"].shape[1]):
            log_probs = writer.next(batch["target"][:, :place])
            for row, own in enumerate(losses):
                if place < len(own):
                    token = int(batch["target"][row, place])
                    assert float(own[place]) == pytest.approx(-float(log_probs[row, token]), abs=1e-9)
    if mode == "v0":
        other = example_writer(DATA, mode="v2").double().target_losses(ITEMS, Step())
        assert not torch.allclose(losses[0], other[0])
