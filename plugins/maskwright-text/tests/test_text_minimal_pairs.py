"""evaluator:minimal-pairs: scores by hand, paradigms, ties, lengths, the layout of BLiMP, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from text_models import model, sentences

from maskwright import Step, UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.example_texts import AllKnowing
from maskwright_text.params_data import JsonLines
from maskwright_text.params_evaluators import MinimalPairs
from maskwright_torch.inference import prepared

STEP = Step(seed=2)
PAIRS = [
    {"id": "a", "text": "the dog sleeps .", "other": "the dog runs over .", "label": 0},
    {"id": "b", "text": "a quick fox likes the dog .", "other": "a quick fox sleeps the dog .", "label": 1},
    {"id": "c", "text": "the park", "other": "the park", "label": 1},
]


def pairs(items=PAIRS, **about):
    return ListedData({"test": items}, about)


def judge(subject, data, **settings):
    return MinimalPairs(**settings).build().evaluate(subject, data, STEP)


def pieces():
    """A model over words of several tokens, with weights large enough for every token to matter."""
    subject = model(kind="bpe", vocabulary=280)
    for name, weight in subject.named_parameters():
        if "norm" not in name:
            weight.data *= 8
    return subject


def score_by_hand(subject, text, score):
    """Each token hidden in a pass of its own."""
    batch = prepared(subject, subject.prepare, [{"id": "x", "text": text}], STEP)
    total, count = 0.0, batch["tokens"].shape[1]
    for place in range(1, count - 1):
        hidden = torch.zeros(1, count, dtype=torch.bool)
        hidden[0, place] = True
        if score == "pll-word-l2r":
            for later in range(place + 1, count):
                hidden[0, later] = batch["word"][0, later] == batch["word"][0, place]
        with torch.no_grad():
            state = subject.eval().encoder(batch, hidden).states[0, place]
            chances = subject.head(state, subject.encoder.table).log_softmax(dim=0)
        total += float(chances[batch["tokens"][0, place]])
    return total, count - 2


@pytest.mark.parametrize("score", ["pll", "pll-word-l2r"])
def test_scores_are_those_of_one_pass_for_each_token(score):
    subject = pieces()
    found = judge(subject, pairs(), score=score).rows
    for row, item in zip(found, PAIRS, strict=True):
        for side, text in (("good", item["text"]), ("bad", item["other"])):
            total, count = score_by_hand(subject, text, score)
            assert row[side] == pytest.approx(total, abs=1e-3)
            assert row[f"{side}_tokens"] == count > len(text.split())


def test_later_pieces_of_a_word_make_a_difference():
    subject = pieces()
    plain, within = (judge(subject, pairs(), score=score).rows for score in ("pll", "pll-word-l2r"))
    assert all(abs(one["good"] - two["good"]) > 0.1 for one, two in zip(plain, within, strict=True))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_number_of_rows_at_a_time_plays_no_part(size):
    subject = model()
    usual, other = judge(subject, pairs()).rows, judge(subject, pairs(), batch=size).rows
    assert [row["good"] for row in usual] == pytest.approx([row["good"] for row in other], abs=1e-4)


def test_accuracy_by_paradigm_and_half_a_point_for_a_tie():
    subject = AllKnowing(model(), unknown=["sleeps"])  # prefers whatever has no "sleeps" in it
    found = judge(subject, pairs(classes=["verbs", "others"]))
    assert [row["correct"] for row in found.rows] == [0.0, 1.0, 0.5]
    assert [row["group"] for row in found.rows] == ["verbs", "others", "others"]
    assert found.values == {"accuracy": 0.5, "accuracy/others": 0.75, "accuracy/verbs": 0.0}
    (table,) = found.tables.values()
    assert table[0] == {
        "group": "all pairs", "pairs": 3, "accuracy": 0.5, "of equal length": 2, "accuracy of these": 0.75,
    }  # fmt: skip
    assert table[2] == {
        "group": "verbs", "pairs": 1, "accuracy": 0.0, "of equal length": 0, "accuracy of these": None,
    }  # fmt: skip
    assert found.notes == [
        "in 1 of 3 pairs the sentences have different numbers of tokens: each further token makes a score lower, so "
        "these pairs favour the shorter sentence"
    ]


def test_a_pair_is_scored_as_two_texts_and_not_as_one_row_of_both():
    subject, seen = model(), []
    usual = subject.encoder.prepare.__call__

    class Watched:
        length = subject.encoder.prepare.length

        def __call__(self, items, step):
            seen.extend(items)
            return usual(items, step)

    subject.encoder.prepare = Watched()
    judge(subject, pairs())
    assert len(seen) == 6 and all(item.keys() == {"id", "text"} for item in seen)


def test_pairs_without_a_group_and_with_a_field_of_their_own():
    bare = [{key: item[key] for key in ("id", "text", "other")} for item in PAIRS]
    assert judge(model(), pairs(bare)).values.keys() == {"accuracy"}
    named = [{**item, "field": "syntax"} for item in bare]
    assert judge(model(), pairs(named), by="field").values.keys() == {"accuracy", "accuracy/syntax"}


def test_the_layout_of_blimp(tmp_path: Path):
    """Its fields and file names; the sentences are ours."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, good, bad in (
        ("verb_kind", "The dog likes the fox.", "The dog sleeps the fox."),
        ("word_order", "The lazy dog runs.", "The dog lazy runs."),
    ):
        lines = [
            {
                "sentence_good": good, "sentence_bad": bad, "field": "syntax", "linguistics_term": "ours", "UID": name,
                "simple_LM_method": True, "one_prefix_method": False, "pairID": str(number),
            }
            for number in range(3)
        ]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    fields = {"text": "sentence_good", "other": "sentence_bad", "label": "UID"}
    data = JsonLines(path=folder, fields=fields, splits={"test": "*.jsonl"}).build()
    subject = model(ListedData({"train": [{"id": "0", "text": "The dog lazy runs likes the fox sleeps ."}]}))
    found = judge(AllKnowing(subject, unknown=["sleeps"]), data)
    assert found.values == {"accuracy": 0.75, "accuracy/verb_kind": 1.0, "accuracy/word_order": 0.5}
    assert len({row["id"] for row in found.rows}) == 6


def test_some_of_the_pairs_are_drawn_from_the_whole_split():
    """As in BLiMP's files: one phenomenon after the other."""
    items = [
        {"id": f"pair {n}", "text": "the dog", "other": "the dog sleeps", "field": f"f{n // 40}"}
        for n in range(200)
    ]

    def kept(items, seed=2, **settings):
        evaluator = MinimalPairs(most=40, by="field", **settings).build()
        found = evaluator.evaluate(model(), pairs(items), Step(seed=seed, number=7, total=9))
        return [row["id"] for row in found.rows], found.values

    ids, values = kept(items)
    assert len(ids) == 40 and values.keys() == {"accuracy", *(f"accuracy/f{n}" for n in range(5))}
    assert ids == sorted(ids, key=lambda name: int(name.split()[1])), "in the order of the split"
    assert set(kept(items[::-1])[0]) == set(ids) != set(kept(items, seed=3)[0])
    assert len(judge(model(), pairs(items[:5]), by="field", most=9).rows) == 5


def test_empty_sentences_do_not_win():
    items = [*PAIRS, {"id": "d", "text": "", "other": "the dog", "label": 0}]
    found = judge(model(), pairs(items))
    assert len(found.rows) == 3
    assert "1 pairs with an empty sentence were left out" in found.notes


def test_a_word_that_the_tokenizer_does_not_know_costs_nothing_and_so_its_pair_is_left_out():
    """Were [UNK] passed over, "the zebra sleeps" would be the sum of two words against three."""
    items = [
        *PAIRS,
        {"id": "u", "text": "the dog sleeps", "other": "the zebra sleeps", "label": 0},
        {"id": "v", "text": "zebra", "other": "", "label": 0},
        {"id": "w", "text": "the [MASK]", "other": "the dog", "label": 0},
    ]
    found = judge(model(), pairs(items))
    assert [row["id"] for row in found.rows] == ["a", "b", "c"]
    assert found.notes[1:] == [
        "3 pairs with words that the tokenizer does not know were left out: [UNK] has no likelihood"
    ]
    assert found.values == judge(model(), pairs()).values
    by_bytes = judge(model(kind="bpe", vocabulary=280), pairs(items[3:4]))
    assert [row["id"] for row in by_bytes.rows] == ["u"], "no byte is unknown"


@pytest.mark.parametrize(
    ("items", "settings", "message"),
    [
        ([{"id": "d", "text": "the dog"}], {}, 'the item "d" has no other\n  where: evaluator:minimal-pairs\n'
         "  why:   it has id, text\n  do:    the good sentence in the field text, the bad one in other"),
        ([{"id": "d", "text": "", "other": ""}], {}, "none of 1 pairs can be judged\n  where: evaluator:minimal-pairs\n"
         "  why:   0 have words that the tokenizer does not know, 1 an empty sentence"),
        ([*PAIRS, {"id": "d", "text": "a", "other": "b"}], {},
         '1 of 4 pairs have no field "label" to be grouped by\n  where: evaluator:minimal-pairs, setting by, item "d"'
         "\n  do:    one of label, or leave by out"),
        (PAIRS, {"by": "field"}, '3 of 3 pairs have no field "field"'),
        ([], {}, 'the split "test" is empty'),
    ],
)  # fmt: skip
def test_data_that_are_no_pairs_are_refused(items, settings, message):
    with pytest.raises(UserError) as caught:
        judge(model(), pairs(items), **settings)
    assert message in str(caught.value)


def test_texts_beyond_the_length_are_said_to_be_cut():
    items = [{"id": "long", "text": "dog " * 60, "other": "fox " * 50}]
    notes = judge(model(sentences()), pairs(items)).notes
    assert notes == ["18 tokens did not fit into the encoder's length and were not judged"]
