"""pipeline:show-masks and its drawing: what is hidden when, lines and boxes, files, and what is refused."""

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from PIL import Image
from text_models import SENTENCES, batch_of, model, tagged

from maskwright import Step, UserError
from maskwright.build import build_raw
from maskwright.cli.main import main
from maskwright.errors import RecipeError
from maskwright_text.mask_drawing import COLUMNS, Panel, drawn, lines_of, pieces, write_drawing
from maskwright_text.params_evaluators import ShowMasks
from maskwright_text.show_masks import bracketed
from maskwright_torch.noise import identities

LONG = tagged(5, SENTENCES[5])


def masks(item=LONG, seed=1, **settings):
    (found,) = ShowMasks(**settings).build()([item], Step(seed))
    return found["masks"]


def test_words_are_hidden_by_the_schedule_without_any_tokenizer():
    found = masks(ratio={"use": "mrd-linear", "p": 0.5}, floor=0.0, at_least_one=False)
    assert [entry["progress"] for entry in found] == [0, 0.25, 0.5, 0.75, 1]
    assert [entry["ratio"] for entry in found] == [0.95, 0.75, 0.5, 0.25, 0]  # the cap
    assert [entry["hidden"] for entry in found] == [24, 19, 13, 6, 0]
    assert {entry["tokens"] for entry in found} == {25}
    assert found[2]["realised"] == 13 / 25
    assert found[4]["text"] == SENTENCES[5]
    words = SENTENCES[5].split()
    for entry in found:
        marked = entry["text"].split()
        assert [word.strip("[]") for word in marked] == words
        assert sum(word.startswith("[") for word in marked) == entry["hidden"]
        assert [f"[{SENTENCES[5][a:b]}]" for a, b in entry["spans"]] == [
            w for w in marked if w.startswith("[")
        ]


def test_what_is_shown_is_what_training_hides():
    """A token of every text, and whole words that are larger than the count."""
    settings = {"ratio": {"use": "mrd-linear", "p": 0.3}, "masker": "whole-word", "floor": 0.0}
    subject = model(kind="bpe", vocabulary=262, **settings)
    for item in (tagged(3, SENTENCES[3]), tagged(4, SENTENCES[4])):
        found = masks(item, codec=subject.encoder.codec, **settings)
        batch = batch_of(subject, [{"id": item["id"], "text": item["text"]}])
        batch["rows"] = identities([item["id"]])
        step = Step(1).fork("show-masks")
        for number, entry in enumerate(found):
            hidden = subject.choose(batch, attrs.evolve(step, number=number, total=4))
            assert entry["hidden"] == int(hidden.sum()) > 0
    assert found[4]["ratio"] == 0.0
    none = masks(item, codec=subject.encoder.codec, at_least_one=False, **settings)
    assert none[4]["hidden"] == 0


def test_a_letter_of_two_tokens_is_bracketed_once():
    assert bracketed("a né b", [(2, 3), (3, 4), (3, 4), (5, 6)]) == "a [n][é] [b]"


def test_moments_floor_seed_and_id_decide():
    assert [entry["ratio"] for entry in masks(moments=2)] == pytest.approx([0.32, 0.02])
    assert masks(ratio=0.01, floor=0.1, moments=2)[0]["ratio"] == 0.1
    assert masks(ratio=0.3) == masks(ratio=0.3)
    assert masks(ratio=0.3) != masks(ratio=0.3, seed=2)
    assert masks(ratio=0.3)[0]["spans"] != masks({**LONG, "id": "other"}, ratio=0.3)[0]["spans"]


def test_steps_of_a_run_of_any_length_can_be_asked_for():
    found = masks(ratio={"use": "mrd-linear", "p": 0.15}, steps=[1000, 50_000], total=200_000)
    assert [entry["progress"] for entry in found] == [0.005, 0.25]
    assert [entry["ratio"] for entry in found] == pytest.approx([0.3 * 0.995, 0.225])


def test_the_schedule_is_drawn_below_the_masks(tmp_path: Path):
    pipeline = ShowMasks(ratio={"use": "mrd-linear", "p": 0.4}, moments=2).build()
    (item,) = pipeline([LONG], Step(1))
    pipeline.write(item, tmp_path / "masks.png")
    with_curve = np.asarray(Image.open(tmp_path / "masks.png").convert("RGB")).astype(int)
    height = shade([Panel("t", []), Panel("t", [])], SENTENCES[5])[1][0]
    assert len(with_curve) - height == pytest.approx(1.9 * 130, abs=2)
    rows, columns = np.where(np.abs(with_curve[height:] - [0xE3, 0x9A, 0x4A]).sum(axis=2) < 12)
    first, last = (rows[columns == column].mean() for column in (columns.min() + 5, columns.max() - 5))
    assert last > first + 50, "it falls from left to right"


def test_a_tokenizer_and_tags_are_used_where_there_are_any():
    codec = model(kind="bpe", vocabulary=262).encoder.codec
    (first, _) = masks(codec=codec, masker="whole-word", ratio=0.4, moments=2)
    assert first["tokens"] > 60
    assert first["hidden"] == round(0.4 * first["tokens"])
    assert first["hidden"] > len(first["spans"]) > 20, "a token of nothing but a space has no letters"
    assert any(word.startswith("[") and "][" in word for word in first["text"].split()), (
        "whole words, piece by piece"
    )
    alike = {"use": "weighted", "source": "uniform"}
    assert masks(masker=alike, ratio=0.5, moments=2)[0]["hidden"] == 13


def test_only_the_beginning_of_a_long_text_is_shown_and_all_of_it_counted():
    text = "dog fox . " * 200
    found = masks({"id": "long", "text": text}, ratio=0.5, shown=40, moments=2)[0]
    assert (found["hidden"], found["tokens"]) == (300, 600)
    assert found["text"].replace("[", "").replace("]", "") == text[:40]
    assert all(start < 40 for start, _ in found["spans"])


def test_the_command_line_draws_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "masks.png"
    source = tmp_path / "text.txt"
    source.write_text(SENTENCES[5])
    arguments = ["--set", "ratio=mrd-cosine", "--set", "masker=whole-word", "--set", "moments=3"]
    assert main(["apply", "pipeline:show-masks", str(source), *arguments, "--out", str(out)]) == 0
    picture = Image.open(out)
    assert picture.format == "PNG" and picture.width > 800
    capsys.readouterr()
    assert main(["apply", "pipeline:show-masks", SENTENCES[0], *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [round(entry["ratio"], 3) for entry in printed["masks"]] == [0.32, 0.17, 0.02]
    assert (
        main(["apply", "pipeline:show-masks", SENTENCES[0], *arguments, "--out", str(tmp_path / "a.gif")])
        == 2
    )
    message = capsys.readouterr().err
    assert '".gif" is no kind of picture that can be written\n' in message
    assert f"where: {tmp_path / 'a.gif'}" in message and "one of .png, .svg, .pdf; without --out" in message


# -- drawing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("indistinguishable", ["indistin", "guishabl", "e"]),
        ("a indistinguishable", ["a", "indistin", "guishabl", "e"]),
        ("exactly8 more", ["exactly8", "more"]),
        ("", []),
    ],
)
def test_lines_break_at_white_space_where_they_can(text, lines):
    assert [text[start:end] for start, end in lines_of(text, 8)] == lines


def test_boxes_are_cut_at_the_ends_of_lines():
    assert list(pieces([(0, 3), (5, 12), (20, 25)], (2, 10))) == [(2, 3), (5, 10)]


def shade(panels, text="the lazy dog"):
    """Number of dark-yellow pixels in each column of the picture."""
    import io

    picture = np.asarray(Image.open(io.BytesIO(drawn(text, panels))).convert("RGB")).astype(int)
    box = np.array([0xE3, 0x9A, 0x4A])
    return (np.abs(picture - box).sum(axis=2) < 12).sum(axis=0), picture.shape


def test_a_hidden_word_has_a_box_where_its_letters_are():
    none, _ = shade([Panel("t", [])])
    assert not none.any()
    columns, (_, width, _) = shade([Panel("t", [(4, 8)])])
    letter = (width - 2 * 0.18 * 130) / COLUMNS
    covered = columns.nonzero()[0]
    assert covered[0] == pytest.approx(0.18 * 130 + 4 * letter, abs=2.5)
    assert covered[-1] == pytest.approx(0.18 * 130 + 8 * letter, abs=2.5)


def test_each_panel_makes_the_picture_higher_and_long_texts_end_in_dots():
    heights = [shade([Panel("t", [])] * count)[1][0] for count in (1, 2, 3)]
    assert heights[2] - heights[1] == pytest.approx(heights[1] - heights[0], abs=1)
    assert heights[1] > heights[0]
    nine, many = ("word " * 17 + "\n") * 9, ("word " * 17 + "\n") * 50
    assert 20 < shade([Panel("t", [])], many)[1][0] - shade([Panel("t", [])], nine)[1][0] < 30


def test_any_letters_and_formulas_can_be_drawn_the_same_each_time(recwarn):
    text = "naïve $x^2$ \\frac 漢字 \U0001f600 \t tab\u00a0end"
    assert drawn(text, [Panel("$a$ _", [(0, 5)])]) == drawn(text, [Panel("$a$ _", [(0, 5)])])
    assert drawn(text, [Panel("t", [])], "svg") == drawn(text, [Panel("t", [])], "svg")
    assert drawn(text, [Panel("t", [])], "pdf").startswith(b"%PDF")
    assert not [warning for warning in recwarn if "lyph" in str(warning.message)]


def test_a_path_without_a_suffix_becomes_a_png(tmp_path: Path):
    write_drawing("text", [Panel("t", [])], tmp_path / "picture")
    assert Image.open(tmp_path / "picture.png").format == "PNG"


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"id": "a"}, 'the item "a" has no text\n  where: pipeline:show-masks'),
        (
            {"id": "a", "text": " \n"},
            'the text of the item "a" has no word in it\n  where: pipeline:show-masks',
        ),
    ],
)
def test_items_without_words_are_refused(item, message):
    with pytest.raises(UserError) as caught:
        masks(item)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["floor=0.9", "cap=0.5"], "0.9 is above the cap 0.5"),
        (["steps=[9]", "total=8"], "8 steps are less than step 9: give the length of the run"),
        (["ratio=1.5"], "a share of the tokens is above 0 and at most 1, found 1.5"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(RecipeError) as caught:
        build_raw({"use": "show-masks"}, ("pipeline",), "show-masks", 0, settings)
    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["pos-loss", "token-loss", "frequency"])
def test_a_masker_that_remembers_has_nothing_to_show(source, capsys: pytest.CaptureFixture[str]):
    settings = ["--set", "masker=weighted", "--set", f"masker.source={source}"]
    assert main(["apply", "pipeline:show-masks", SENTENCES[0], *settings]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert (
        "masker:weighted goes by what it remembers of a training run, and here is none judge a run" in message
    )
    assert "with evaluator:mask-report, or take a masker without memory" in message


def test_an_untrained_tokenizer_is_told():
    with pytest.raises(UserError, match="the tokenizer has not been trained yet"):
        masks(codec="subwords")
