"""Which token is taken: likeliest, drawn, by a beam; and what may not follow."""

import math

import attrs
import pytest
import torch
from text_toy_writers import END, NoRules, TableWriter, all_texts

from maskwright import Step
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.beam import beam_search
from maskwright_text.choosing import Rules, Written, cooled, drawn, finished, one_by_one
from maskwright_text.decoding_settings import Decoding
from maskwright_text.example_writers import example_writer
from maskwright_text.params_seq2seq import Generate, Seq2Seq, example_pairs

DATA = example_pairs(ListedData)
ITEMS = [DATA.item("train", number, Step()) for number in range(4)]


@pytest.fixture(scope="module")
def model():
    made = example_writer(DATA, encoder=attrs.evolve(Seq2Seq.example().encoder))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made.double()


def greedy(size: int, items: int, limit: int, decoding: Decoding | None = None) -> list[Written]:
    draws = torch.zeros(items, limit, dtype=torch.float64)
    return one_by_one(TableWriter(size, items), NoRules(), decoding or Decoding(), limit, draws)


# -- beam ------------------------------------------------------------------------------------------------------------


def test_a_beam_that_holds_every_beginning_finds_the_best_of_all_texts():
    """Two words and the end, four tokens at most: 8 beginnings at the last step, 31 texts with those cut."""
    for item in range(6):
        texts = all_texts(3, 4, item)
        assert len(texts) == 1 + 2 + 4 + 8 + 16
        ended = sorted((text for text in texts if text[2]), key=lambda text: -text[1])
        cut = sorted((text for text in texts if not text[2]), key=lambda text: -text[1])
        found = beam_search(TableWriter(3, 6), NoRules(), 32, 0.0, 4)[item]
        assert [(each.tokens, each.complete) for each in found] == [(t, done) for t, _, done in ended + cut]
        assert [each.score for each in found] == pytest.approx([total for _, total, _ in ended + cut])


def test_a_beam_of_one_takes_the_likeliest_token():
    found = beam_search(TableWriter(5, 20), NoRules(), 1, 0.0, 6)
    wanted = greedy(5, 20, 6)
    assert [each.tokens for (each,) in found] == [each.tokens for each in wanted]
    assert [each.score for (each,) in found] == pytest.approx([each.score for each in wanted])
    assert [each.complete for (each,) in found] == [each.complete for each in wanted]
    assert {each.complete for each in wanted} == {True, False}


def test_a_beam_finds_texts_at_least_as_likely():
    single, several = greedy(4, 30, 5), beam_search(TableWriter(4, 30), NoRules(), 30, 0.0, 5)
    better = [
        max(each.score for each in found) - one.score for found, one in zip(several, single, strict=True)
    ]
    assert min(better) > -1e-12 and max(better) > 0.1


class ByHand(TableWriter):
    """What follows each text, written out; the end is likely after all others."""

    def __init__(self, chances: dict[tuple[int, ...], list[float]]) -> None:
        super().__init__(3)
        self.chances = chances

    def next(self, texts: torch.Tensor) -> torch.Tensor:
        rows = [self.chances.get(tuple(text), [0.9, 0.05, 0.05]) for text in texts.tolist()]
        return torch.tensor(rows, dtype=torch.float64).log()


def test_a_better_text_that_ends_later_replaces_those_that_ended_first():
    """Two texts have ended before [1, 1] does: 0.6 * 0.9 * 0.9 = 0.486, and the empty one 0.3."""
    writer = ByHand({(): [0.3, 0.6, 0.1], (1,): [0.05, 0.9, 0.05]})
    found = beam_search(writer, NoRules(), 2, 0.0, 6)[0]
    assert [(each.tokens, each.complete) for each in found] == [([1, 1], True), ([], True)]
    assert [math.exp(each.score) for each in found] == pytest.approx([0.486, 0.3])


def test_a_beginning_is_given_up_only_when_the_longest_text_could_not_be_better():
    """[1, 1] is worse than both texts that have ended: 0.2025 against 0.2475 for [1]. What follows it is sure."""
    sure = {(1,) * length: [0.03, 0.96, 0.01] for length in (2, 3)}
    writer = ByHand({(): [0.5, 0.45, 0.05], (1,): [0.55, 0.45, 0.0], **sure})
    found = beam_search(writer, NoRules(), 2, 2.0, 6)[0]
    assert [each.tokens for each in found] == [[1, 1, 1, 1], []]
    assert found[0].score == pytest.approx(math.log(0.2025 * 0.96 * 0.96 * 0.9) / (10 / 6) ** 2)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_the_best_text_of_a_beam_is_no_worse_than_the_likeliest_token_after_the_other(length_penalty: float):
    single = greedy(4, 300, 6, Decoding(length_penalty=length_penalty))
    several = beam_search(TableWriter(4, 300), NoRules(), 3, length_penalty, 6)
    gains = [found[0].score - one.score for found, one in zip(several, single, strict=True) if one.complete]
    assert len(gains) > 200 and min(gains) > -1e-12 and max(gains) > 0.1


def test_items_are_searched_apart_from_each_other():
    together = beam_search(TableWriter(4, 6), NoRules(), 3, 0.6, 5)
    for item in range(6):
        alone = TableWriter(4, 1)
        alone.source[:] = item
        assert beam_search(alone, NoRules(), 3, 0.6, 5)[0] == together[item]


def test_a_search_goes_on_until_as_many_texts_have_ended_as_the_beam_is_wide():
    """The end is always likeliest: the beam's second text is found one step later."""

    class Ends(TableWriter):
        asked = 0

        def next(self, texts: torch.Tensor) -> torch.Tensor:
            Ends.asked += 1
            return torch.tensor([2.0, 1.0, 0.0]).double().log_softmax(dim=0).expand(len(texts), -1)

    found = beam_search(Ends(3), NoRules(), 2, 0.0, 50)[0]
    assert [each.tokens for each in found] == [[], [1]] and Ends.asked == 2


def test_long_texts_are_favoured_by_the_length_penalty():
    assert finished([5, 6, END, 9], [-1.0, -2.0, -3.0, -50.0], END, 0.0) == Written([5, 6], -6.0, True)
    assert finished([5, 6, END], [-1.0, -2.0, -3.0], END, 0.9).score == pytest.approx(-6.0 / (8 / 6) ** 0.9)
    assert finished([5, 6], [-1.0, -2.0], END, 1.0) == Written([5, 6], pytest.approx(-3.0 / (7 / 6)), False)
    plain, long = (beam_search(TableWriter(3, 6), NoRules(), 32, exponent, 4) for exponent in (0.0, 3.0))
    for item in range(6):
        ended = [text for text in all_texts(3, 4, item) if text[2]]
        best = max(ended, key=lambda text: text[1] / ((6 + len(text[0])) / 6) ** 3)
        assert long[item][0].tokens == best[0]
        assert long[item][0].score == pytest.approx(best[1] / ((6 + len(best[0])) / 6) ** 3)
    assert sum(len(found[0].tokens) for found in long) > sum(len(found[0].tokens) for found in plain)


# -- drawing ------------------------------------------------------------------------------------------------------


def shares(top_k: int = 0, top_p: float = 1.0) -> list[float]:
    """How often each of four tokens is drawn, whose probabilities are 0.4, 0.1, 0.3 and 0.2."""
    scores = torch.tensor([0.4, 0.1, 0.3, 0.2], dtype=torch.float64).log().expand(1000, -1)
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    found = drawn(scores, top_k, top_p, draws)
    return (torch.bincount(found, minlength=4) / 1000).tolist()


def test_tokens_are_drawn_by_their_probability():
    assert shares() == pytest.approx([0.4, 0.1, 0.3, 0.2], abs=2e-3)
    assert shares(top_k=2) == pytest.approx([4 / 7, 0, 3 / 7, 0], abs=2e-3)
    assert shares(top_k=1) == [1, 0, 0, 0]
    assert shares(top_p=0.65) == pytest.approx([4 / 7, 0, 3 / 7, 0], abs=2e-3)
    assert shares(top_p=0.75) == pytest.approx([4 / 9, 0, 3 / 9, 2 / 9], abs=2e-3)
    assert shares(top_p=0.1) == [1, 0, 0, 0]


def test_what_may_not_follow_is_never_drawn():
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf]], dtype=torch.float64).expand(3, -1)
    assert drawn(scores, 0, 1.0, torch.tensor([0.0, 0.5, 1 - 2.0**-53]).double()).tolist() == [1, 1, 1]


def test_drawn_texts_depend_on_item_and_step_but_not_on_the_batch(model):
    decoding = Decoding(temperature=1.0, candidates=3)
    together = model.generate(ITEMS, Step(1), decoding)
    for item, texts in zip(ITEMS, together, strict=True):
        alone = model.generate([item], Step(1), decoding)[0]
        assert [each.text for each in alone] == [each.text for each in texts]
        assert len({each.text for each in texts}) == 3
        assert [each.score for each in texts] == sorted((each.score for each in texts), reverse=True)
    again = model.generate(ITEMS, Step(2), decoding)
    assert [each[0].text for each in again] != [each[0].text for each in together]


@pytest.mark.parametrize("temperature", [1e-40, 5e-324])
def test_scores_by_the_lowest_temperature_are_those_of_the_likeliest(temperature: float):
    scores = torch.tensor([[-2.0, -1.0, -torch.inf], [-3.0, -3.0, -1e-3]])
    cold = cooled(scores, temperature)
    assert cold.argmax(dim=1).tolist() == [1, 2] and not bool(cold.isnan().any())
    assert drawn(cold, 0, 1.0, torch.tensor([0.0, 0.999]).double()).tolist() == [1, 2]


def test_a_low_temperature_takes_the_likeliest_token(model):
    cold = model.generate(ITEMS, Step(1), Decoding(temperature=1e-6))
    assert [each[0].text for each in cold] == [each[0].text for each in model.generate(ITEMS, Step(1))]


# -- what may not follow ----------------------------------------------------------------------------------------------


def may_follow(model: object, text: str, **settings: object) -> set[str]:
    """Words that may follow a text, `end` among them."""
    codec = model.encoder.codec
    ids = [number for number in codec.encode([text])[0].ids if number not in codec.specials.all]
    rules = Rules(model.encoder, Decoding(**settings))
    allowed = rules(torch.zeros(1, codec.vocabulary).double(), len(ids), torch.tensor([ids]))
    found = (allowed[0] > -torch.inf).nonzero()[:, 0].tolist()
    assert rules.possible >= len(found)
    return {"end" if number == codec.specials.sep else codec.decode([number]) for number in found}


def test_only_words_and_the_end_are_written(model):
    words = may_follow(model, "the fox")
    assert {"end", "fox", "the", "dog"} < words and "" not in words
    codec = model.encoder.codec
    assert len(words) == codec.tokenizer.get_vocab_size() - len(codec.specials.all) + 1 < codec.vocabulary


def test_a_text_does_not_end_before_its_least_length(model):
    assert "end" not in may_follow(model, "the fox", min_length=3)
    assert "end" in may_follow(model, "the fox", min_length=2)


def test_no_run_of_words_is_written_twice(model):
    every = may_follow(model, "a fox")
    assert every - may_follow(model, "the lazy dog and the lazy", block_ngrams=3) == {"dog"}
    assert every - may_follow(model, "the fox the dog the", block_ngrams=2) == {"fox", "dog"}
    assert every - may_follow(model, "fox dog", block_ngrams=1) == {"fox", "dog"}
    assert every == may_follow(model, "the lazy", block_ngrams=3)


def test_of_a_text_that_has_ended_nothing_is_looked_up(model, monkeypatch):
    seen: list[list[int]] = []
    monkeypatch.setattr(Rules, "_said_before", lambda self, text: seen.append(text) or [])
    rules = Rules(model.encoder, Decoding(block_ngrams=2))
    rules(torch.zeros(2, model.encoder.codec.vocabulary), 2, torch.tensor([[7, rules.sep], [7, 8]]))
    assert seen == [[7, 8]]


def test_the_rules_are_made_once_for_all_batches(model, monkeypatch):
    made: list[object] = []
    usual = Rules.__init__
    monkeypatch.setattr(Rules, "__init__", lambda self, *given: made.append(given) or usual(self, *given))
    model.generate(ITEMS, Step(), Decoding(rows=1))
    assert len(made) == 1


def test_runs_with_an_exempt_word_may_be_written_again(model):
    every = may_follow(model, "a fox")
    for exempt in ("lazy", "dog"):
        assert may_follow(model, "the lazy dog the lazy", block_ngrams=3, exempt=(exempt,)) == every
    assert may_follow(model, "the lazy dog the lazy", block_ngrams=3, exempt=("fox",)) == every - {"dog"}


def test_where_nothing_may_follow_the_text_ends(model):
    codec = model.encoder.codec
    known = codec.tokenizer.get_vocab_size()
    rules = Rules(model.encoder, Decoding(block_ngrams=1, min_length=100))
    text = torch.tensor([[*range(5, known)]])
    allowed = rules(torch.zeros(1, codec.vocabulary), text.shape[1], text)
    assert (allowed[0] > -torch.inf).nonzero()[:, 0].tolist() == [codec.specials.sep]


# -- lengths, and settings that do not fit -------------------------------------------------------------------------


def test_a_text_that_reaches_the_greatest_length_is_not_complete(model):
    found = [each[0] for each in model.generate(ITEMS, Step(), Decoding(min_length=4, max_length=5))]
    assert all(4 <= len(each.text.split()) <= 5 for each in found)
    assert [each.complete for each in found] == [len(each.text.split()) == 4 for each in found]
    assert not all(each.complete for each in found)


@pytest.mark.parametrize(
    ("decoding", "what"),
    [
        (Decoding(max_length=9), "texts of 9 tokens are asked for, the model has written 8 at most"),
        (Decoding(min_length=8), "a text of 8 tokens and its end do not fit into 8"),
        (Decoding(min_length=3, max_length=3), "settings of how to write do not go together"),
        (Decoding(beam=2, temperature=1.0), "settings of how to write do not go together"),
        (Decoding(block=2, candidates=2), "settings of how to write do not go together"),
        (Decoding(beam=31), "a beam of 31 is more than the 23 tokens that can be written"),
    ],
)
def test_settings_that_the_model_cannot_meet(model, decoding: Decoding, what: str):
    with pytest.raises(UserError) as raised:
        model.generate(ITEMS, Step(), decoding)
    assert raised.value.what == what and raised.value.cure


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(beam=2), Decoding(temperature=1.0), Decoding(block=2), Decoding(cache=False)],
)
def test_weights_that_are_not_finite_write_nothing(decoding: Decoding):
    model = example_writer(DATA)
    with torch.no_grad():
        model.encoder.blocks[0].mlp.fc1.weight[0, 0] = torch.nan
    with pytest.raises(UserError) as raised:
        model.generate(ITEMS, Step(), decoding)
    assert raised.value.what == "the model gives no probabilities: its numbers are not finite"
    assert raised.value.where == "decoding" and "at = STEP of from-run" in raised.value.cure


def test_a_causal_model_cannot_write_several_tokens_at_once():
    with pytest.raises(UserError) as raised:
        example_writer(DATA, mode="v0").generate(ITEMS, Step(), Decoding(block=2))
    assert raised.value.what == "a model of mode v0 writes one token after the other"


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ({"min_length": 9, "max_length": 9}, "min_length", "9 tokens and the end token do not fit"),
        ({"beam": 2, "temperature": 1.0}, "temperature", "a beam takes the likeliest tokens"),
        ({"top_k": 5}, "temperature", "top_k and top_p are about tokens that are drawn"),
        ({"top_p": 0.5}, "temperature", "top_k and top_p are about tokens that are drawn"),
        ({"block": 2, "beam": 2}, "block", "several tokens at once go without beam"),
        ({"block": 2, "block_ngrams": 3}, "block", "several tokens at once go without beam"),
        (
            {"candidates": 3, "beam": 2},
            "candidates",
            "there are no 3 likeliest texts with beam = 2: beam = 3",
        ),
        ({"block": 2, "candidates": 2}, "block", "several tokens at once go without beam"),
        ({"passes": 3}, "passes", "rounds are over a block of several tokens"),
        ({"exempt": ["the"]}, "exempt", "the words are exempt from block_ngrams, which is 0"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, object], name: str, message: str):
    ((found, words),) = Generate(objective=Seq2Seq.example(), **settings).check()
    assert found == name and message in words
