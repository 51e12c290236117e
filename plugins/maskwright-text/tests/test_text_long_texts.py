"""Texts of different lengths, and texts that are too long: what is written together, cut, or refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from maskwright import Step
from maskwright_testing import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_text.decoding_settings import Decoding
from maskwright_text.example_writers import example_writer
from maskwright_text.generate import READ_AHEAD, Generate
from maskwright_text.params_seq2seq import Seq2Seq, example_pairs
from maskwright_text.seq2seq_batches import PairPrepare, SourcePrepare
from maskwright_torch.batches import collate

DATA = example_pairs(ListedData)
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
LENGTHS = [3, 8, 1, 9, 2, 7, 3, 5]
ITEMS = [{"id": f"item-{n}", "text": " ".join(WORDS[:length])} for n, length in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def model():
    made = example_writer(DATA)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made.double()


@pytest.fixture
def read(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Tokens of each source, batch by batch, as they are written for."""
    found: list[list[int]] = []
    usual = SourcePrepare.__call__

    def watched(self: SourcePrepare, items: Any, step: Step) -> dict[str, Tensor]:
        batch = usual(self, items, step)
        found.append(batch["real"].sum(dim=1).tolist())
        return batch

    monkeypatch.setattr(SourcePrepare, "__call__", watched)
    return found


# -- lengths -----------------------------------------------------------------------------------------------------


def test_texts_of_like_length_are_written_for_together_the_longest_first(model, read):
    model.generate(ITEMS, Step(), Decoding(rows=3))
    assert read == [[11, 10, 9], [7, 5, 5], [4, 3]]


@pytest.mark.parametrize("decoding", [{}, {"beam": 2}, {"temperature": 1.0, "candidates": 2}, {"block": 2}])
def test_each_item_gets_its_own_text_in_its_place(model, decoding: dict[str, Any]):
    together = model.generate(ITEMS, Step(), Decoding(rows=3, **decoding))
    alone = [model.generate([item], Step(), Decoding(**decoding))[0] for item in ITEMS]
    assert [[each.text for each in texts] for texts in together] == [
        [each.text for each in texts] for texts in alone
    ]
    assert len({texts[0].text for texts in alone}) > 3  # else it would say nothing about places


def test_the_pipeline_reads_some_batches_ahead_and_keeps_the_order(model, read):
    count = 2 * READ_AHEAD + 3
    items = [{"id": str(n), "text": " ".join(WORDS[: 1 + n % 9]), "mine": n} for n in range(count)]
    found = list(Generate(model, Decoding(rows=2))(iter(items), Step()))
    assert [item["mine"] for item in found] == list(range(count))
    assert {len(rows) for rows in read} == {1, 2}
    ahead = [tokens for rows in read[:READ_AHEAD] for tokens in rows]
    assert ahead == sorted(ahead, reverse=True) and len(ahead) == 2 * READ_AHEAD
    one_by_one = list(Generate(model, Decoding(rows=1))(items, Step()))
    assert [item["generated"] for item in found] == [item["generated"] for item in one_by_one]


def test_nothing_is_read_beyond_what_is_written_for(model):
    taken = []

    def stream():
        for n in range(10 * READ_AHEAD):
            taken.append(n)
            yield {"id": str(n), "text": "the fox"}

    next(Generate(model, Decoding(rows=2))(stream(), Step()))
    assert len(taken) == 2 * READ_AHEAD


# -- texts that do not fit ---------------------------------------------------------------------------------------

LONG = {"id": "long", "text": "the fox " * 12, "summary": "a fox"}
WORDY = {"id": "wordy", "text": "the fox", "summary": "a fox " * 6}
SHORT = {"id": "short", "text": "the fox", "summary": "a fox"}


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (LONG, ('the text of the item "long" has 26 tokens, 16 fit', "a greater length of the encoder")),
        (WORDY, ('the summary of the item "wordy" has 13 tokens, 8 fit', "a greater target_length")),
    ],
)
def test_training_may_refuse_texts_that_do_not_fit(item: dict[str, str], says: tuple[str, ...]):
    model = example_writer(DATA, on_long="error")
    collate([SHORT], range(1), model.prepare, Step())
    why = 'on_long is "error"'
    assert_one_error(lambda: collate([SHORT, item], range(2), model.prepare, Step()), *says, why, "do:")
    cut = example_writer(DATA)
    batch = collate([SHORT, item], range(2), cut.prepare, Step())
    assert batch["cut"].tolist() == [0, 10 if item is LONG else 0]
    assert batch["target_cut"].tolist() == [0, 5 if item is WORDY else 0]


def test_the_pipeline_decides_whatever_training_did():
    strict = example_writer(DATA, on_long="error")
    found = list(Generate(strict, Decoding(), "cut")([SHORT, LONG], Step()))
    assert [item["source_cut"] for item in found] == [0, 10]
    assert_one_error(
        lambda: list(Generate(strict, Decoding(), "error")([SHORT, LONG], Step())),
        'of the item "long" has 26',
    )


def test_a_text_that_does_not_fit_is_refused_before_any_is_written_for(model, read):
    refusing = Generate(model, Decoding(rows=1), "error")
    assert_one_error(lambda: next(refusing([SHORT] * (2 * READ_AHEAD) + [LONG], Step())), 'item "long"')
    assert read == []


def test_the_pipeline_may_refuse_texts_that_do_not_fit_or_says_how_many(model, capsys):
    refusing = Generate(model, Decoding(), "error")
    assert len(list(refusing([SHORT], Step()))) == 1
    assert_one_error(
        lambda: list(refusing([SHORT, LONG], Step())),
        'the text of the item "long" has 26 tokens, 16 fit',
        "pipeline:generate",
        "a run with a longer encoder",
    )
    capsys.readouterr()
    assert [item["source_cut"] for item in Generate(model, Decoding())([LONG, SHORT, LONG], Step())] == [
        10,
        0,
        10,
    ]
    assert capsys.readouterr().err == (
        "note: 2 of 3 texts did not fit and were read in part: source_cut says how many tokens were not\n"
    )
    list(Generate(model, Decoding())([SHORT], Step()))
    assert capsys.readouterr().err == ""


# -- the cap of v1 -----------------------------------------------------------------------------------------------


def test_v1_masks_no_more_target_tokens_than_it_may():
    pairs = [DATA.item("train", number, Step()) for number in range(4)]

    def masked(**settings: Any) -> list[int]:
        model = example_writer(DATA, mode="v1", word_drop=1.0, **settings)
        batch = collate(pairs, range(4), model.prepare, Step())
        layout, wanted = model.layout(batch, Step())
        assert int((layout.tokens[:, layout.context :] == 4).sum()) == int(wanted.sum())
        return wanted.sum(dim=1).tolist()

    assert masked() == [4, 4, 5, 3]
    assert masked(most_masked=4) == [4, 4, 4, 3]
    assert masked(most_masked=1) == [1, 1, 1, 1]


def test_the_cap_is_for_v1_alone():
    params = Seq2Seq.example()
    params.most_masked = 3
    assert list(params.check()) == [
        ("most_masked", "only v1 masks a share of the target, the mode is v2: most_masked = 0")
    ]
    params.mode = "v1"
    assert not list(params.check())


def test_prepare_is_told_what_to_do(model):
    assert model.prepare.on_long == "cut" and isinstance(model.prepare, PairPrepare)
    assert example_writer(DATA, on_long="error").prepare.on_long == "error"
