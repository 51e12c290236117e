"""pipeline:show-pseudo: the layout in words, the matrix in lines and as a picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskwright import Component, Step, UserError
from maskwright.cli.main import main
from maskwright_text import pseudo_drawing
from maskwright_text.params_maskers import Tokens
from maskwright_text.params_pmlm import ShowPseudo

ITEM = {"id": "a", "text": "the quick  brown fox jumps over"}


def shown(item: dict[str, str] = ITEM, seed: int = 0, **settings: object) -> dict:  # type: ignore[type-arg]
    (found,) = ShowPseudo(**settings).build()([item], Step(seed))
    return dict(found)


def test_the_example_of_two_blocks():
    found = shown(blocks=[[3, 4], [1]])
    words = [f"{entry['token']} {entry['position']}" for entry in found["layout"]]
    assert words[:6] == ["the 0", "[M] 1", "brown 2", "[M] 3", "[M] 4", "over 5"]
    assert words[6:] == ["[P] 3", "[P] 4", "fox 3", "jumps 4", "[P] 1"]
    kinds = [entry["kind"] for entry in found["layout"]]
    assert kinds == ["text"] * 6 + ["pseudo mask"] * 2 + ["original"] * 2 + ["pseudo mask"]
    assert [entry.get("block") for entry in found["layout"]] == [None, 1, None, 0, 0, None, 0, 0, 0, 0, 1]
    assert found["layout"][10]["word"] == found["layout"][1]["word"] == "quick"
    assert "word" not in found["layout"][0]
    rows = ["######....."] * 6 + ["########..."] * 2 + ["######..##."] * 2 + ["######..###"]
    assert found["matrix"] == rows
    assert found["text"] == ITEM["text"]


def test_blocks_are_drawn_from_seed_ratio_and_text():
    item = {"id": "b", "text": " ".join(f"w{n}" for n in range(40))}
    masked = [
        sum(entry["token"] == "[M]" for entry in shown(item, ratio=ratio)["layout"]) for ratio in (0.2, 0.6)
    ]
    assert 8 <= masked[0] < 8 + 6 and 24 <= masked[1] < 24 + 6
    assert shown(item) == shown(item) != shown(item, seed=1)
    assert shown(item)["matrix"] != shown({**item, "id": "c"})["matrix"]


def test_another_masker_is_put_in_order():
    item = {"id": "b", "text": " ".join(f"w{n}" for n in range(30))}
    found = shown(item, masker="tokens", order="left-to-right")
    places = [entry["position"] for entry in found["layout"] if entry["kind"] == "pseudo mask"]
    assert len(places) == 9 and places == sorted(places)
    single = shown(item, masker="tokens", order="single")
    assert {entry.get("block") for entry in single["layout"]} == {None, 0}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def test_the_picture_has_a_cell_for_each_pair(tmp_path: Path):
    item, path = shown(blocks=[[3, 4], [1]]), tmp_path / "matrix.png"
    pipeline = ShowPseudo().build()
    pipeline.write(item, path)
    picture = pixels(path)
    dots = pseudo_drawing.DOTS_PER_INCH
    letters = max(len(pseudo_drawing.label(entry)) for entry in item["layout"])
    side = pseudo_drawing.MARGIN + letters * pseudo_drawing.LETTER + 0.08
    for row, line in enumerate(item["matrix"]):
        for column, reads in enumerate(line):
            middle = [round((side + (place + 0.5) * pseudo_drawing.CELL) * dots) for place in (row, column)]
            colour = "#{:02x}{:02x}{:02x}".format(*picture[middle[0], middle[1]])
            kind = item["layout"][column]["kind"]
            assert colour == (pseudo_drawing.COLOURS[kind] if reads == "#" else pseudo_drawing.EMPTY)
    again = tmp_path / "again.png"
    pipeline.write(item, again)
    assert again.read_bytes() == path.read_bytes()
    pipeline.write(item, tmp_path / "plain")
    assert (tmp_path / "plain.png").is_file()


def test_lines_part_the_text_from_the_blocks_behind_it():
    assert pseudo_drawing.borders(shown(blocks=[[3, 4], [1]])["layout"]) == [6, 10]
    assert pseudo_drawing.borders(shown(blocks=[[1, 2, 3]])["layout"]) == [6]


def test_a_long_word_is_cut():
    found = pseudo_drawing.label({"token": "incomprehensibility", "position": 3})
    assert found == "incomprehensi… 3" and len(found) == pseudo_drawing.LONGEST + 2


@pytest.mark.parametrize(
    ("text", "what"),
    [("word", 'the text of the item "a" has 1 word'), (" ", 'the text of the item "a" has 0 words')],
)
def test_a_text_that_is_too_short(text: str, what: str):
    with pytest.raises(UserError) as caught:
        shown({"id": "a", "text": text})
    assert caught.value.what == what and caught.value.cure == "a text of two words or more"


def test_an_item_without_text():
    with pytest.raises(UserError, match='the text of the item "a" has 0 words'):
        shown({"id": "a"})


def test_an_item_needs_no_id_and_a_text():
    assert len(shown({"text": ITEM["text"]})["matrix"]) > 6
    with pytest.raises(UserError) as caught:
        shown({"id": "a", "text": ["the", "fox"]})  # type: ignore[dict-item]
    assert caught.value.what == "the text of the item \"a\" is ['the', 'fox']"


@pytest.mark.parametrize("ratio", ["0", "1.5", "-0.1"])
def test_a_ratio_that_is_no_share_is_refused(ratio: str, capsys: pytest.CaptureFixture[str]):
    assert main(["apply", "pipeline:show-pseudo", ITEM["text"], "--set", f"ratio={ratio}"]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert f"a share of the tokens is above 0 and at most 1, found {ratio}" in message


@pytest.mark.parametrize(
    ("blocks", "what"),
    [
        ([[3], [6]], "block 1 holds token 6"),
        ([[3, 4], [4]], "block 1 overlaps block 0"),
        ([[]], "block 0 is empty"),
    ],
)
def test_given_blocks_that_cannot_be(blocks: list[list[int]], what: str):
    with pytest.raises(UserError, match=what):
        shown(blocks=blocks)


def test_files_that_cannot_be_written(tmp_path: Path):
    pipeline = ShowPseudo().build()
    with pytest.raises(UserError) as caught:
        pipeline.write(shown(), tmp_path / "matrix.txt")
    assert caught.value.what == '".txt" is no kind of picture that can be written'
    long = shown({"id": "a", "text": "word " * 140}, ratio=0.1)
    with pytest.raises(UserError) as caught:
        pipeline.write(long, tmp_path / "matrix.png")
    assert (
        caught.value.what == f"a picture of {len(long['layout'])} tokens could not be read, 150 are the most"
    )
    assert list(tmp_path.iterdir()) == []


class Patches:
    """A catalogue in which every masker is one of patches."""

    name = "patch-blocks"
    component = Component("patch-blocks", "nowhere:Nothing", "rectangles", expects=frozenset({"patches"}))

    def of_class(self, wanted: type) -> "Patches":
        return self


def test_a_masker_of_other_units_is_refused(monkeypatch: pytest.MonkeyPatch):
    assert list(ShowPseudo(masker=Tokens()).check()) == []
    monkeypatch.setattr("maskwright_text.params_models.catalogue", Patches)
    (found,) = ShowPseudo(masker=Tokens()).check()
    assert found == ("masker", "masker:patch-blocks hides units with patches, a text has tokens")


def test_a_masker_that_remembers_has_nothing_to_show(capsys: pytest.CaptureFixture[str]):
    settings = ["--set", "masker=weighted", "--set", "masker.source=token-loss"]
    assert main(["apply", "pipeline:show-pseudo", ITEM["text"], *settings]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "masker:weighted goes by what it remembers of a training run, and here is none judge" in message
    uniform = ["--set", "masker=weighted", "--set", "masker.source=uniform"]
    assert main(["apply", "pipeline:show-pseudo", ITEM["text"], *uniform]) == 0
