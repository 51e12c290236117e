"""evaluator:mlm-loss: fixed masks, the numbers by hand, what stands beside them, and what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from text_models import SENTENCES, model, sentences, tagged

from maskwright import Step, UserError
from maskwright.contracts import items_of
from maskwright_testing.listed_data import ListedData
from maskwright_text.example_texts import AllKnowing
from maskwright_text.params_evaluators import TokenLoss
from maskwright_text.upos import UPOS
from maskwright_torch.inference import prepared
from maskwright_torch.masking import counts_of, hide_lowest
from maskwright_torch.noise import uniform

STEP = Step(seed=4, number=30, total=100)


def judge(subject, data=None, step=STEP, **settings):
    return TokenLoss(**settings).build().evaluate(subject, sentences() if data is None else data, step)


def by_hand(subject, items, counts, masks):
    """Losses (n,) and right tokens (n,) of `counts(valid)` random tokens of each text, hidden by the mask token."""
    batch = prepared(subject, subject.prepare, items, STEP)
    valid = subject.encoder.units(batch).valid
    noise = uniform(masks.stream("mask"), batch["rows"], valid.shape[1])
    hidden = hide_lowest(noise, valid, counts(valid))
    with torch.no_grad():
        states = subject.eval().encoder(batch, hidden).states[hidden]
        logits = subject.head(states, subject.encoder.table)
    return F.cross_entropy(logits, batch["tokens"][hidden], reduction="none").double(), batch["tokens"][
        hidden
    ]


def test_the_numbers_are_those_of_random_masks_computed_by_hand():
    subject, data = model(masker="whole-word", ratio="mrd-linear"), sentences()
    items = list(items_of(data, "test", STEP))
    masks = Step(0, 1, 1).fork("mlm-loss")
    many, tokens = by_hand(
        subject, items, lambda v: counts_of(torch.full((len(v),), 0.15).double(), v).clamp(min=1), masks
    )
    one, _ = by_hand(subject, items, lambda v: torch.ones(len(v), dtype=torch.int64), masks.fork("one"))
    assert len(one) == len(items) < len(many)
    found = judge(subject, data).values
    assert found["loss"] == pytest.approx(float(many.mean()), abs=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(float(many.mean())), rel=1e-6)
    assert found["one_mask_loss"] == pytest.approx(float(one.mean()), abs=1e-6)
    counts = torch.bincount(
        torch.cat(list(_train_tokens(subject, data))), minlength=subject.encoder.space.vocabulary
    )
    known = subject.encoder.codec.known
    assert known < subject.encoder.space.vocabulary, "numbers without a token take no share"
    share = (counts + 1) / (counts.sum() + known - 5)
    assert found["unigram_loss"] == pytest.approx(float(-share[tokens].log().mean()), abs=1e-6)


def _train_tokens(subject, data):
    for item in items_of(data, "train", STEP):
        ids = torch.tensor(subject.encoder.codec.encode([item["text"]])[0].ids)
        yield ids[ids >= 5]


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, Step(seed=9, number=0, total=7)),  # another run, another moment
        ({"masker": "whole-word"}, STEP),
        ({"ratio": 0.9, "at_least_one": False}, STEP),
        ({"mask_share": 0.2}, STEP),
    ],
)
def test_masks_do_not_depend_on_the_run_the_moment_or_how_it_was_trained(changes, step):
    first, second = judge(model()), judge(model(**changes), step=step)
    assert first.values == second.values
    assert first.rows == second.rows


def test_another_seed_of_the_masks_and_corruption_change_the_numbers():
    subject = model()
    plain = judge(subject, ratio=0.9).values["loss"]
    assert judge(subject, ratio=0.9, seed=1).values["loss"] != plain
    assert judge(subject, ratio=0.9, corrupt=True).values["loss"] != plain
    sure = model(mask_share=1.0, random_share=0.0)
    assert judge(sure, ratio=0.9, corrupt=True).values["loss"] == plain


def test_a_token_of_each_text_is_judged_at_any_ratio():
    assert [row["tokens"] for row in judge(model(), ratio=0.001).rows] == [1] * 6


def test_the_size_of_batches_plays_no_part():
    subject = model()
    whole, small = judge(subject, batch=64), judge(subject, batch=2)
    assert whole.values == pytest.approx(small.values, rel=1e-6)
    assert (
        [row["id"] for row in whole.rows] == [row["id"] for row in small.rows] == [f"s{n}" for n in range(6)]
    )


def test_classes_and_items_add_up_to_the_whole():
    found = judge(model(), ratio=0.5)
    (table,) = [rows for title, rows in found.tables.items() if title == "by part of speech"]
    tokens = sum(row["tokens"] for row in table)
    assert {row["class"] for row in table} <= set(UPOS) and len(table) > 4
    assert sum(row["tokens"] * row["loss"] for row in table) / tokens == pytest.approx(found.values["loss"])
    assert sum(row["tokens"] * row["accuracy"] for row in table) / tokens == pytest.approx(
        found.values["accuracy"]
    )
    for row in table:
        assert found.values[f"loss/{row['class']}"] == row["loss"]
    assert sum(row["tokens"] for row in found.rows) == tokens
    mean = sum(row["tokens"] * row["loss"] for row in found.rows) / tokens
    assert mean == pytest.approx(found.values["loss"])


def test_classes_are_those_of_the_hidden_words():
    """A model that knows everything but one word: only that word's class has a loss."""
    subject = AllKnowing(model(), unknown=["sleeps"])
    values = judge(subject, ratio=1.0).values
    assert values["loss/VERB"] > 0.5
    assert values["loss/NOUN"] == values["loss/DET"] == 0


def test_without_tags_or_train_split_the_rest_is_there():
    items = [{"id": str(n), "text": text} for n, text in enumerate(SENTENCES)]
    found = judge(model(), ListedData({"test": items}))
    assert found.values.keys() == {"loss", "perplexity", "accuracy", "one_mask_loss"}
    assert found.notes == ["no loss by frequency: the data has no train split to count tokens in"]


def test_it_says_when_a_model_is_no_better_than_frequencies():
    (note,) = judge(model()).notes
    assert note.startswith("the model predicts no better than how frequent tokens are")
    assert judge(AllKnowing(model())).notes == []


def test_empty_texts_and_what_was_cut_are_counted():
    words = "dog fox " * 40
    unknown = {"id": "s3", "text": "the zebra sleeps by the river"}
    data = ListedData({"test": [tagged(0, SENTENCES[0]), tagged(1, ""), tagged(2, words.strip()), unknown]})
    found = judge(model(), data)
    assert [row["id"] for row in found.rows] == ["s0", "s2", "s3"]
    assert found.notes[1:] == [
        "34 tokens did not fit into the encoder's length and were not judged",
        "3 tokens stand for words that the tokenizer does not know: they are never hidden, so nothing is said of how "
        "well those words are predicted",
        "1 texts have no token that could be hidden and were left out",
    ]


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            ListedData({"test": [{"id": "a", "text": ""}]}),
            {},
            "none of 1 texts has a token that could be hidden",
        ),
        (ListedData({"test": []}), {}, 'the split "test" is empty\n  where: evaluator:mlm-loss'),
        (
            sentences(),
            {"split": "dev"},
            'the data has no split "dev"\n  where: evaluator:mlm-loss\n  do:    one of tr',
        ),
    ],
)
def test_data_with_nothing_to_judge_is_refused(data, settings, message):
    with pytest.raises(UserError) as caught:
        judge(model(), data, **settings)
    assert message in str(caught.value)


def test_other_parts_and_broken_weights_are_refused():
    with pytest.raises(UserError) as caught:
        judge(model().encoder)
    assert "TextTransformer is no masked language model\n  where: evaluator:mlm-loss" in str(caught.value)
    assert "why:   it has no logits, corrupted" in str(caught.value)
    subject = model()
    subject.head.dense.bias.data[0] = torch.nan
    with pytest.raises(UserError, match="1 weights hold infinite or missing numbers\n.*head.dense.bias"):
        judge(subject)
    subject = model()
    subject.head.bias.data[:] = 3e38
    subject.head.bias.data[7] = -3e38
    with pytest.raises(UserError, match="with a loss that is infinite or no number"):
        judge(subject, ratio=1.0)


def test_the_model_is_left_in_the_mode_it_was_in():
    subject = model().train()
    judge(subject)
    assert subject.training and subject.encoder.training


class Spy:
    """A model that keeps what it was asked for."""

    def __init__(self, inner):
        self.inner, self.hidden = inner, []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def logits(self, seen, masked, hidden):
        self.hidden.append((seen["word"], masked, hidden))
        return self.inner.logits(seen, masked, hidden)


def test_words_are_hidden_whole_where_that_is_asked_for():
    """With one hidden, it is one word of any length; the loss is over all of its pieces."""
    subject = model(masker="whole-word", kind="bpe", vocabulary=300)
    data = ListedData({"test": [{"id": "a", "text": "sleepsleep overdog lazylike walkwhile"}]})
    spy = Spy(subject)
    found = judge(spy, data, ratio=0.5, whole_words=True)
    many, one = spy.hidden
    for word, masked, hidden in (many, one):
        assert torch.equal(masked, hidden)
        for number in set(word[hidden].tolist()):
            assert bool(hidden[word == number].all())
    assert len(set(one[0][one[2]].tolist())) == 1 < len(set(many[0][many[2]].tolist()))
    assert "50% of the tokens, whole words, hidden in 1 texts" in found.tables
    assert not any("whole_words" in note for note in found.notes)


@pytest.mark.parametrize(
    ("masker", "text", "told"),
    [
        ("whole-word", "sleepsleep overdog", True),
        ("tokens", "sleepsleep overdog", False),
        ("whole-word", "a", False),
    ],
)
def test_a_model_of_whole_words_judged_on_pieces_is_told_of(masker: str, text: str, told: bool):
    data = ListedData({"test": [{"id": "a", "text": text}]})
    notes = judge(model(masker=masker, kind="bpe", vocabulary=300), data).notes
    assert any("whole_words = true judges it as it was trained" in note for note in notes) == told
