"""evaluator:mask-report: moments of the schedule, shares by part of speech, weights, pictures, and what is refused."""

import pytest
import torch
from text_models import SENTENCES, model, sentences, tagged

from maskwright import Step, UserError
from maskwright.contracts import items_of
from maskwright_testing.listed_data import ListedData
from maskwright_text.params_evaluators import MaskReport
from maskwright_torch.inference import prepared

STEP = Step(seed=3, number=8, total=8)


def report(subject, data=None, **settings):
    return MaskReport(**settings).build().evaluate(subject, sentences() if data is None else data, STEP)


def first_table(found):
    return next(iter(found.tables.values()))


def test_the_ratio_follows_the_schedule_from_the_first_to_the_last_step():
    table = first_table(report(model(ratio={"use": "mrd-linear", "p": 0.4}, floor=0.1)))
    assert [row["% of the run"] for row in table] == ["0", "25", "50", "75", "100"]
    assert [row["ratio asked"] for row in table] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.1])
    assert [row["ratio realised"] for row in table] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.1], abs=0.04)


def test_what_is_realised_is_what_the_objective_hides():
    subject, data = model(ratio=0.1, masker="whole-word"), sentences()
    found = report(subject, data, moments=2)
    batch = prepared(subject, subject.prepare, list(items_of(data, "test", STEP)), STEP)
    valid = subject.encoder.units(batch).valid
    hidden = subject.choose(batch, Step(3, 1, 1).fork("mask-report"))
    row = first_table(found)[1]
    assert row["hidden tokens"] == int(hidden.sum()) > 0
    assert row["ratio realised"] == int(hidden.sum()) / int(valid.sum()) == found.values["hidden/100"]
    assert row["texts with none"] == 0, "a token of each text is hidden at least"


def test_texts_with_nothing_hidden_are_counted():
    found = report(model(ratio=0.05, at_least_one=False))
    assert [row["texts with none"] for row in first_table(found)] == [4] * 5  # 0.05 of 9 is no token
    assert found.notes == ["up to 4 texts have nothing hidden at a moment and bring no loss then"]


def test_shares_by_part_of_speech():
    subject, data = (
        model(masker={"use": "weighted", "source": "pos-loss", "sharpness": 20.0}, ratio=0.3),
        sentences(),
    )
    classes = {"tag": torch.tensor([7, 5, 15, 0, 1, 12])}  # nouns have been hard
    subject.masker.observe(classes, torch.tensor([9.0, 0.1, 0.1, 0.1, 0.1, 0.1]))
    subject.masker.after_step(STEP)
    found = report(subject, data)
    (shares,) = [rows for title, rows in found.tables.items() if title.startswith("by part of speech")]
    of = {row["class"]: row for row in shares}
    nouns = sum(word in ("dog", "fox", "park", "walk") for text in SENTENCES for word in text.split())
    words = sum(len(text.split()) for text in SENTENCES)
    assert of["NOUN"]["all"] == pytest.approx(nouns / words)
    assert sum(row["all"] for row in shares) == pytest.approx(1)
    assert sum(row["at 50 %"] for row in shares) == pytest.approx(1)
    assert of["NOUN"]["at 50 %"] > 2 * of["NOUN"]["all"]
    assert of["DET"]["at 50 %"] < of["DET"]["all"]
    (weights,) = [rows for title, rows in found.tables.items() if title.startswith("weights of the masker")]
    assert "weights of the masker as it was judged, the largest first" in found.tables
    assert weights[0]["class"] == "NOUN" and weights[0]["weight"] > weights[1]["weight"]


def test_weights_of_tokens_are_named_by_their_text_and_looking_changes_nothing():
    data = sentences()
    subject = model(masker={"use": "weighted", "source": "frequency"})
    batch = prepared(subject, subject.prepare, list(items_of(data, "train", STEP)), STEP)
    subject.train().choose(batch, STEP)
    subject.masker.after_step(STEP)
    before = subject.masker.seen.clone()
    found = report(subject, data)
    (weights,) = [rows for title, rows in found.tables.items() if title.startswith("weights of the masker")]
    assert {row["class"] for row in weights} == {word for text in SENTENCES for word in text.split()}
    assert weights[-1]["class"] == "the"
    subject.masker.after_step(STEP)
    assert torch.equal(before, subject.masker.seen)


def test_pictures_are_drawn_of_texts_that_are_not_too_short():
    found = report(model(ratio=0.3), pictures=3)
    schedule, masks = list(found.figures())
    assert schedule.name == "schedule" and b"asked" in schedule.data and b"realised" in schedule.data
    assert masks.media == "image/png" and masks.data.startswith(b"\x89PNG")
    assert found.notes == []
    short = report(model(ratio=0.3), ListedData({"test": [tagged(0, SENTENCES[0])]}))
    assert [figure.name for figure in short.figures()] == ["schedule"]
    assert short.notes == ["no picture of masks: no text has 20 tokens"]


def test_panels_show_the_hidden_words(monkeypatch):
    given = []
    monkeypatch.setattr(
        "maskwright_text.mask_report.drawn", lambda text, panels: given.append((text, panels)) or b""
    )
    list(report(model(ratio={"use": "mrd-linear", "p": 0.5}, masker="whole-word", cap=1.0)).figures())
    ((text, panels),) = given
    assert text == SENTENCES[5] and len(panels) == 5
    assert panels[0].title == "0% of the run · ratio 1 · 25 of 25 tokens hidden"
    assert [text[a:b] for a, b in panels[0].hidden] == text.split()
    assert len(panels[2].hidden) == 13 and {text[a:b] for a, b in panels[2].hidden} <= set(text.split())


def test_panels_of_a_pair_show_both_texts(monkeypatch):
    given = []
    monkeypatch.setattr(
        "maskwright_text.mask_report.drawn", lambda text, panels: given.append((text, panels)) or b""
    )
    pair = {"id": "p", "text": SENTENCES[0], "other": SENTENCES[1]}
    subject = model(ratio={"use": "mrd-linear", "p": 0.5}, cap=1.0)
    list(report(subject, ListedData({"test": [pair]})).figures())
    ((text, panels),) = given
    assert text == f"{SENTENCES[0]}\n{SENTENCES[1]}"
    assert [text[a:b] for a, b in panels[0].hidden] == text.split()
    batch = prepared(subject, subject.prepare, [pair], STEP)
    hidden = subject.choose(batch, Step(3, 2, 4).fork("mask-report"))[0]
    words = [
        subject.encoder.codec.tokenizer.id_to_token(token) for token in batch["tokens"][0][hidden].tolist()
    ]
    assert [text[a:b] for a, b in panels[2].hidden] == words
    mixed = report(subject, ListedData({"test": [pair, tagged(5, SENTENCES[5])]}), pictures=2)
    list(mixed.figures())
    assert given[1][0] == SENTENCES[5], "a batch of which some are pairs is read as texts"


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            ListedData({"test": [{"id": "a", "text": ""}]}),
            {},
            "none of 1 texts has a token that could be hidden",
        ),
        (sentences(), {"split": "dev"}, 'the data has no split "dev"\n  where: evaluator:mask-report'),
    ],
)
def test_data_with_nothing_to_hide_is_refused(data, settings, message):
    with pytest.raises(UserError) as caught:
        report(model(), data, **settings)
    assert message in str(caught.value)
    with pytest.raises(UserError, match="TextTransformer is no masked language model"):
        report(model().encoder)
