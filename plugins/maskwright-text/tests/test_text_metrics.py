"""Evaluators of written texts, and the numbers they are made of."""

import importlib.util
import math

import pytest
import torch
from rouge_score.tokenizers import DefaultTokenizer

from maskwright import Step
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.answer_scores import answer_scores
from maskwright_text.decoding_settings import Decoding
from maskwright_text.example_writers import Parrot, example_writer
from maskwright_text.generation import Generation, Infill, drawn_items
from maskwright_text.params_seq2seq import Generation as GenerationParams
from maskwright_text.params_seq2seq import example_pairs
from maskwright_text.text_metrics import _Words, first_sentence, score, words_of_name
from maskwright_torch.contracts import Generated

STEP = Step(seed=2)


class Says:
    """Writes the same for each item, cut or not, of a source of which some tokens were lost."""

    def __init__(self, text: str, complete: bool = True, cut: int = 0) -> None:
        self.found = Generated(text, complete, -1.0, cut)
        self.asked: list[Decoding] = []

    def generate(self, items: list[dict[str, str]], step: Step, decoding: Decoding) -> list[list[Generated]]:
        self.asked.append(decoding)
        return [[self.found, Generated("something worse", True, -2.0)] for _ in items]


def judged(subject: object, data: object = None, **settings: object):
    made = {"most": 0, "examples": 2, "decoding": Decoding(), **settings}
    return Generation(**made).evaluate(subject, data or example_pairs(ListedData), STEP)


# -- numbers -----------------------------------------------------------------------------------------------------


def test_scores_worked_out_by_hand():
    """Three of four and of five words, two pairs of three and of four; nothing; the same but for white space."""
    written = ["the cat sat down", "nothing here", "all of  this is the same"]
    right = ["the cat sat on it", "a dog", "all of this is the same"]
    found = score(written, right)
    first, second, third = found.rows
    assert first["rouge1"] == pytest.approx(2 * 3 / (4 + 5))
    assert first["rouge2"] == pytest.approx(2 * 2 / (3 + 4))
    assert first["rougeL"] == pytest.approx(2 * 3 / (4 + 5)) and first["exact"] == 0.0
    assert set(second.values()) == {0.0} and set(third.values()) == {1.0}
    assert found.values["rouge1"] == pytest.approx((6 / 9 + 1) / 3) and found.values[
        "exact"
    ] == pytest.approx(1 / 3)


def test_words_of_any_script_count():
    """A word of two; three characters of four; nothing in common."""
    found = score(["большой дом", "我喜欢猫", "дом"], ["большой лес", "我喜欢狗", "лес"]).rows
    assert [row["rouge1"] for row in found] == [pytest.approx(1 / 2), pytest.approx(3 / 4), 0.0]
    assert score(["Le Café"], ["le café"]).rows[0]["rouge1"] == 1.0


@pytest.mark.parametrize(
    "text",
    ["The foxes' jumping_over, U.S. dogs 3.14 times!", "state-of-the-art", "a\tb\nc", "__init__", "", "!?"],
)
def test_english_words_are_those_of_rouge_score(text: str):
    assert _Words().tokenize(text) == DefaultTokenizer(use_stemmer=True).tokenize(text)


def test_rouge_l_of_a_summary_goes_sentence_by_sentence():
    """The sentences stand in another order: none of all words in a row is long, each sentence is found whole."""
    row = score(["One fox ran. Two dogs slept."], ["Two dogs slept. One fox ran."]).rows[0]
    assert row["rougeLsum"] == 1.0 and row["rougeL"] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("written", "right", "exact", "f1"),
    [
        ("The Fox.", ["a dog", "fox"], 1.0, 1.0),
        ("in March 1843", ["1843", "in 1843"], 0.0, 2 * 2 / (3 + 2)),
        ("the the fox fox", ["fox"], 0.0, 2 * 1 / (2 + 1)),
        ("", ["fox"], 0.0, 0.0),
        ("a", ["the", "fox"], 1.0, 1.0),
    ],
)
def test_answers_by_the_nearest_right_one(written: str, right: list[str], exact: float, f1: float):
    found = answer_scores(written, right)
    assert found == {"answer_exact": exact, "answer_f1": pytest.approx(f1)}


def test_answers_are_judged_where_items_have_several():
    items = [
        {"id": str(n), "text": "one", "summary": "x", "answers": answers}
        for n, answers in enumerate((["the fox", "dog"], ["a cat"]))
    ]
    found = judged(Says("Fox"), ListedData({"test": items}))
    assert found.values["answer_exact"] == found.values["answer_f1"] == 0.5
    assert {row["id"]: row["answer_exact"] for row in found.rows} == {"0": 1.0, "1": 0.0}
    assert "answer_f1" not in judged(Says("Fox")).values


def test_bleu_is_that_of_the_whole_and_counts_runs_of_four_words():
    """9, 7, 5 and 3 runs of 1 to 4 words are found, of 13, 11, 9 and 7 in both texts together."""
    written = ["one two three four five six seven", "a b c d x y"]
    right = ["one two three four five p q", "a b c d e f"]
    found = [9 / 13, 7 / 11, 5 / 9, 3 / 7]
    assert score(written, right).values["bleu"] == pytest.approx(
        100 * math.exp(sum(math.log(share) for share in found) / 4)
    )


def test_the_first_sentence_ends_where_white_space_follows_its_end():
    assert first_sentence("Uses numpy.array. Then stops.") == "Uses numpy.array."
    assert first_sentence("  What? Yes\nand") == "What?"
    assert first_sentence("no end") == "no end" and first_sentence("") == ""


@pytest.mark.parametrize("short", ["e.g.", "i.e.", "etc.", "cf.", "vs.", "J."])
def test_an_abbreviation_ends_no_sentence(short: str):
    assert first_sentence(f"Sorts, {short} files. Then stops.") == f"Sorts, {short} files."


def test_a_word_that_only_ends_like_an_abbreviation_ends_a_sentence():
    assert first_sentence("Calls fetc. Then stops.") == "Calls fetc."
    assert first_sentence("Opens avs. Then stops.") == "Opens avs."


def test_names_are_taken_apart_into_words():
    assert words_of_name("package.HTTPServer.send_all") == "package HTTP Server send all"
    assert words_of_name("__init__") == "init" and words_of_name("base64Encode") == "base64 Encode"
    item = {"id": "a", "text": "One. Two.", "summary": "parse Html page", "name": "parse_HtmlPage"}
    item["summary"] = "parse Html Page"
    assert judged(Parrot(), ListedData({"test": [item]})).values["name_rougeL"] == 1.0


# -- generation -----------------------------------------------------------------------------------------------------


def test_trivial_answers_stand_beside_the_model():
    found = judged(Says("a fox jumps"))
    (title, table), (shown, examples) = found.tables.items()
    assert title == "4 texts"
    assert [row["text"] for row in table] == [
        "this model",
        "the first sentence of the text",
        "the item's name",
    ]
    assert found.values["first_sentence_rougeL"] == table[1]["rougeL"] > 0
    assert found.values["name_rougeL"] == table[2]["rougeL"] > 0
    assert shown == "2 examples, not picked"
    assert [row["id"] for row in examples] == [row["id"] for row in found.rows[:2]]
    assert {row["written"] for row in examples} == {"a fox jumps"} and found.values["exact"] == 0.25
    right = {
        item["id"]: item["summary"]
        for item in (example_pairs(ListedData).item("test", n, STEP) for n in range(4))
    }
    assert all(row["right"] == right[row["id"]] for row in examples)
    assert {row["id"]: row["exact"] for row in found.rows} == {
        id: float(s == "a fox jumps") for id, s in right.items()
    }


def test_a_model_that_writes_no_better_than_a_trivial_answer_is_told_so():
    notes = judged(Says("zzz")).notes
    assert sum("it writes no better than that" in note for note in notes) == 2
    assert not judged(Parrot()).notes


def test_texts_without_an_end_and_sources_read_in_part_are_counted():
    found = judged(Says("a fox jumps", complete=False, cut=3))
    assert found.values["complete"] == 0.0
    assert "4 of 4 texts were cut at the greatest length" in found.notes
    assert "4 of 4 sources did not fit and were read in part" in found.notes


def test_items_without_names_have_no_row_for_them():
    items = [{"id": "a", "text": "One. Two.", "summary": "One."}]
    found = judged(Parrot(), ListedData({"test": items}))
    assert "name_rougeL" not in found.values and len(found.tables["1 texts"]) == 2


def test_settings_reach_the_model():
    subject = Says("a")
    GenerationParams(beam=3, block_ngrams=2, exempt=["x"]).build().evaluate(
        subject, example_pairs(ListedData), STEP
    )
    assert (subject.asked[0].beam, subject.asked[0].block_ngrams, subject.asked[0].exempt) == (3, 2, ("x",))


def test_drawn_texts_are_the_same_at_every_moment_of_a_run():
    data = example_pairs(ListedData)
    model, made = example_writer(data), GenerationParams(temperature=1.0).build()
    one, two, other = (made.evaluate(model, data, step).rows for step in (Step(1), Step(1, 7, 9), Step(2)))
    texts = [[row["generated"] for row in rows] for rows in (one, two, other)]
    assert texts[0] == texts[1] != texts[2]


def test_without_the_libraries_the_pip_line_is_given_before_anything_runs(monkeypatch: pytest.MonkeyPatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sacrebleu" else found(name)
    )
    with pytest.raises(UserError) as raised:
        GenerationParams().build()
    assert raised.value.what == "sacrebleu cannot be found"
    assert raised.value.cure == 'pip install "maskwright-text[metrics]"'


# -- items -------------------------------------------------------------------------------------------------------


def test_items_are_drawn_by_their_ids_alone():
    items = [{"id": f"item {n}", "text": str(n)} for n in range(50)]
    some = [item["id"] for item in drawn_items(ListedData({"test": items}), 10, Step(1), "")]
    again = [item["id"] for item in drawn_items(ListedData({"test": items[::-1]}), 10, Step(2), "")]
    assert some == again and len(set(some)) == 10 and some != [item["id"] for item in items[:10]]
    assert len(drawn_items(ListedData({"test": items}), 0, Step(1), "")) == 50


@pytest.mark.parametrize("items", [{"train": [{"id": "a"}]}, {"train": [{"id": "a"}], "test": []}])
def test_data_without_test_items_is_refused(items: dict[str, list[dict[str, str]]]):
    with pytest.raises(UserError) as raised:
        drawn_items(ListedData(items), 5, STEP, "evaluator:infill")
    assert raised.value.what == "there are no test items" and raised.value.where == "evaluator:infill"


# -- infill -------------------------------------------------------------------------------------------------------


def test_the_likelihood_is_the_mean_over_tokens():
    class Knows:
        def target_losses(self, items: list[dict[str, str]], step: Step) -> list[torch.Tensor]:
            loss = 1.0 if items[0]["text"] else 2.0
            return [torch.full((len(item["summary"].split()),), loss * n) for n, item in enumerate(items)]

    data = ListedData(
        {"test": [{"id": n, "text": "t", "summary": s} for n, s in (("a", "x y z"), ("b", "u"))]}
    )
    found = Infill(0).evaluate(Knows(), data, STEP)
    rows = {row["id"]: row for row in found.rows}
    total = sum(row["nll"] * row["tokens"] for row in rows.values())
    assert {row["tokens"] for row in rows.values()} == {1, 3} and total in (1.0, 3.0)
    assert found.values["nll"] == pytest.approx(total / 4)
    assert found.values["perplexity"] == pytest.approx(math.exp(total / 4))
    assert found.values["no_source_nll"] == pytest.approx(2 * total / 4) and not found.notes


def test_a_source_that_does_not_help_is_told():
    found = Infill(0).evaluate(Parrot(), example_pairs(ListedData), STEP)
    assert found.notes == ["the source does not help: targets are as likely without it"]
    data = example_pairs(ListedData)
    model = example_writer(data)
    values = Infill(0).evaluate(model, data, STEP).values
    losses = torch.cat(model.target_losses([data.item("test", n, STEP) for n in range(4)], STEP))
    assert values["nll"] == pytest.approx(float(losses.mean()), rel=1e-6) != values["no_source_nll"]
