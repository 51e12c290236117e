import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples import glyph_shapes, glyphs
from maskwright_samples import glyph_table as glyph_table_module
from maskwright_samples.cache import cache_folder
from maskwright_samples.glyph_drawing import Pen
from maskwright_samples.glyph_labels import labels_of
from maskwright_samples.glyph_shapes import FACES, SANS, SERIF, TEXT_FACES, Shape, characters_in, same_shapes
from maskwright_samples.glyph_table import GlyphTable, glyph_table
from maskwright_samples.params_images import Glyphs
from maskwright_samples.splits import h

STEP = Step()


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """One cache for the module: every frame is drawn once, and nothing drawn by an older version is used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKWRIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        glyph_table.cache_clear()
        yield
        glyph_table.cache_clear()


@pytest.fixture(scope="module")
def captions(folder):
    return Glyphs().build()


@pytest.fixture(scope="module")
def table(folder):
    return glyph_table("line")


def items(data, split):
    return [data.item(split, index, STEP) for index in range(data.length(split))]


# --- which characters, which shapes ---


def test_characters_that_look_alike_in_any_face_are_one_shape_named_after_the_lowest_common_one():
    drawn = {
        "one": {"A": b"a", "B": b"b", "C": b"b", "D": b"d", "!": b"d"},
        "two": {"A": b"a", "B": b"b", "C": b"a", "D": b"d"},
    }
    # C equals B in one face and A in the other; "!" is not in both faces, so it names nothing.
    assert same_shapes(drawn) == [Shape("A", ("B", "C")), Shape("D", ("!",))]


def test_only_named_visible_characters_are_taken():
    characters = characters_in("DejaVuSans")
    assert {"A", "ß", "Ω", "→", "_"} <= set(characters)
    assert not {" ", "\N{NO-BREAK SPACE}", "\N{COMBINING ACUTE ACCENT}", "\N{SOFT HYPHEN}"} & set(characters)
    assert characters == sorted(characters)


def test_a_missing_font_says_which_file_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(glyph_shapes.matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(UserError) as caught:
        characters_in("DejaVuSans")
    text = str(caught.value)
    assert "the font DejaVuSans is not there" in text
    assert f"where: {tmp_path / 'fonts' / 'ttf' / 'DejaVuSans.ttf'}" in text
    assert "install matplotlib from a wheel" in text


def test_no_two_shapes_share_a_picture_in_a_text_face(table):
    for number, face in enumerate(TEXT_FACES):
        rows = np.flatnonzero(table.face == number)
        assert len(rows) == len(table.shapes) > 2000, face
        assert len({table.pixels[row].tobytes() for row in rows}) == len(rows), face


def test_homoglyphs_share_a_caption(table):
    shape = next(shape for shape in table.shapes if shape.character == "A")
    assert shape.caption == "LATIN CAPITAL LETTER A"
    assert {"GREEK CAPITAL LETTER ALPHA", "CYRILLIC CAPITAL LETTER A"} <= set(shape.aliases)


@pytest.mark.parametrize(
    ("face", "one", "other"),
    [
        ("DejaVuSansMono", "_", "\N{EN DASH}"),
        ("DejaVuSans", "\N{BRAILLE PATTERN DOTS-1}", "\N{BRAILLE PATTERN DOTS-2}"),
    ],
)
def test_the_line_frame_keeps_the_height_that_the_box_frame_loses(face, one, other):
    line, box = Pen(face, "line"), Pen(face, "box")
    assert not np.array_equal(line.draw(one), line.draw(other))
    assert np.array_equal(box.draw(one), box.draw(other))


def test_the_drawing_is_kept_and_read_back(table):
    kept = list((cache_folder() / "samples").glob("glyphs-line-*.bin"))
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    glyph_table.cache_clear()
    again = glyph_table("line")
    assert again is not table and again.shapes == table.shapes
    assert np.array_equal(again.pixels, table.pixels) and np.array_equal(again.face, table.face)
    assert kept[0].stat().st_mtime_ns == before


# --- drawing ---


def ink(pixels):
    """First and last row, first and last column with ink."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return rows[0], rows[-1], columns[0], columns[-1]


@pytest.mark.parametrize("face", FACES)
def test_capitals_stand_on_the_line_and_are_16_pixels_high(face):
    assert len(FACES) == 16
    top, bottom, left, right = ink(Pen(face, "line").draw("H"))
    # Hinting moves an edge by up to a quarter of a pixel, and a row with little ink is a row.
    assert top in (23 - 16 - 1, 23 - 16) and bottom in (23 - 1, 23)
    assert abs(left - (31 - right)) <= 1


def test_what_is_too_high_is_shifted_and_what_is_too_wide_is_shrunk():
    pen = Pen("DejaVuSans", "line")
    top, bottom, *_ = ink(pen.draw("\N{LATIN CAPITAL LETTER A WITH BREVE AND HOOK ABOVE}"))
    assert top == 0 and bottom == 23  # on the line its last row is 22: shifted down, not cut
    *_, left, right = ink(pen.draw("\N{LONG RIGHTWARDS ARROW}"))
    assert right - left >= 29
    narrow = pen.draw("\N{RIGHTWARDS ARROW}")
    assert ink(narrow)[3] - ink(narrow)[2] < right - left


@pytest.mark.parametrize("character", "oO_|@")
def test_box_frame_scales_the_larger_side_to_26_pixels(character):
    top, bottom, left, right = ink(Pen("DejaVuSerif", "box").draw(character))
    height, width = bottom - top + 1, right - left + 1
    assert max(height, width) == 26
    assert abs(top - (31 - bottom)) <= 1 and abs(left - (31 - right)) <= 1


def test_a_blank_gives_no_picture():
    assert Pen("DejaVuSans", "line").draw(" ") is None
    assert Pen("DejaVuSans", "box").draw(" ") is None


# --- splits ---

SIDES = {
    "train": (range(30, 100), SANS),
    "validation": (range(20, 30), SANS),
    "test": (range(20), SANS),
    "test-serif": (range(20), SERIF),
    "test-far": (range(20), FACES[12:]),
}


def test_splits_hold_out_characters_by_name_and_faces_by_family(captions):
    assert captions.splits() == tuple(SIDES)
    for split, (hashes, faces) in SIDES.items():
        found = items(captions, split)
        codes = [int(item["id"].split("/")[0].removeprefix("U+"), 16) for item in found]
        assert {h(unicodedata.name(chr(code))) for code in codes} == set(hashes)
        assert {item["face"] for item in found} == set(faces)
        assert len({item["id"] for item in found}) == len(found) > 500


def test_no_picture_of_another_split_is_a_train_picture(captions):
    train = {item["pixels"].tobytes() for item in items(captions, "train")}
    for split in captions.splits()[1:]:
        assert not any(item["pixels"].tobytes() in train for item in items(captions, split))


def test_a_copy_of_a_train_picture_is_left_out():
    pixels = np.zeros((3, 32, 32), np.uint8)
    pixels[1] = 1
    table = GlyphTable([Shape("A", ())], pixels, np.zeros(3, int), np.array([0, 8, 9]))
    assert glyphs._without_copies(table, [1, 2], {"train": [0]}) == [1]  # place 2 equals place 0


def test_items_and_facts(captions):
    item = captions.item("test", 0, STEP)
    assert item["pixels"].dtype == np.uint8 and item["pixels"].shape == (32, 32, 1)
    assert set(item) == {"id", "pixels", "caption", "aliases", "face"}
    about = captions.about("test")
    assert about["count"] == captions.length("test") and about["left_out"] == 0
    assert len(about["captions"]) == about["count"] / len(SANS)
    assert set(about["known_captions"]) < set(about["captions"])
    train = {
        word for s in ("train", "validation") for c in captions.about(s)["captions"] for word in c.split()
    }
    assert all(train.issuperset(caption.split()) for caption in about["known_captions"])
    assert about["depends_on"]["unicode"] == unicodedata.unidata_version


def test_a_caller_cannot_change_the_data(captions):
    before = captions.fingerprint()
    captions.item("train", 0, STEP)["pixels"][:] = 7
    captions.find("train", captions.item("train", 0, STEP)["id"])["pixels"][:] = 7
    assert captions.fingerprint() == before


def test_fingerprints_tell_settings_apart(captions):
    assert captions.fingerprint() == Glyphs().build().fingerprint()
    assert Glyphs(task="case").build().fingerprint() != Glyphs(task="any-mark").build().fingerprint()


def test_the_box_frame_merges_more_shapes(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(glyph_table_module, "characters_in", lambda face: list("Ab_\N{EN DASH}"))
    glyph_table.cache_clear()
    box, line = Glyphs(frame="box").build(), Glyphs().build()
    glyph_table.cache_clear()
    in_box, in_line = (
        {caption for split in data.splits() for caption in data.about(split)["captions"]}
        for data in (box, line)
    )
    assert in_line - in_box == {"EN DASH"} and not in_box - in_line
    assert box.about("train")["frame"] == "box" and box.fingerprint() != line.fingerprint()


def test_unknown_split_and_index(captions):
    with pytest.raises(UserError, match="dataset:glyphs has no split 'tests'"):
        captions.length("tests")
    with pytest.raises(IndexError, match="none at 99999"):
        captions.item("train", 99999, STEP)
    with pytest.raises(IndexError):
        captions.item("train", -1, STEP)


# --- tasks ---

A_GRAVE = "\N{LATIN CAPITAL LETTER A WITH GRAVE}"
U_TWO_MARKS = "\N{LATIN SMALL LETTER U WITH DIAERESIS AND CARON}"
O_STROKE, ARROW = "\N{LATIN SMALL LETTER O WITH STROKE}", "\N{RIGHTWARDS ARROW}"


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("script", {A_GRAVE: "latin", U_TWO_MARKS: "latin", O_STROKE: "latin", "Ж": "cyrillic"}),
        ("case", {A_GRAVE: "capital", U_TWO_MARKS: "small", O_STROKE: "small", "Ж": "capital"}),
        ("mark", {A_GRAVE: "grave"}),
        ("any-mark", {A_GRAVE: "marked", U_TWO_MARKS: "marked", O_STROKE: "marked", "Ж": "plain"}),
        ("stroke", {A_GRAVE: "no stroke", U_TWO_MARKS: "no stroke", O_STROKE: "stroke", "Ж": "no stroke"}),
    ],
)
def test_labels_are_read_off_the_name(task, expected):
    shapes = [Shape(character, ()) for character in (A_GRAVE, U_TWO_MARKS, O_STROKE, "Ж", ARROW)]
    assert labels_of(task, shapes)[0] == expected


def test_base_letters_with_fewer_than_four_characters_are_left_out():
    family = [Shape(c, ()) for c in ("E", *(f"{mark}" for mark in "ÈÉÊË"), "Q", "Ǝ")]
    labels, classes = labels_of("base-letter", family)
    assert classes == ["LATIN CAPITAL LETTER E"] and set(labels) == set("EÈÉÊË")


@pytest.mark.parametrize("task", ["script", "case", "base-letter", "mark", "any-mark", "stroke", "identity"])
def test_each_label_is_its_class(task):
    data = Glyphs(task=task).build()
    classes = data.about("train")["classes"]
    for split in data.splits():
        labels = {item["label"] for item in items(data, split)}
        assert labels <= set(range(len(classes)))
    assert {item["label"] for item in items(data, "train")} == set(range(len(classes)))


def test_identity_shows_held_letters_in_the_train_faces_and_asks_for_them_in_others(captions):
    data = Glyphs(task="identity").build()
    assert data.splits() == ("train", "test-serif", "test-far")
    classes = data.about("train")["classes"]
    assert len(set(classes)) == len(classes)
    assert data.length("train") == len(SANS) * len(classes)
    known = set(captions.about("test")["known_captions"])
    for item in items(data, "test-serif"):
        assert classes[item["label"]] == item["caption"] and item["caption"] in known
    hashes = [h(unicodedata.name(chr(int(i["id"][2:].split("/")[0], 16)))) for i in items(data, "train")]
    order = {item["label"]: value for item, value in zip(items(data, "train"), hashes, strict=True)}
    assert [order[k] for k in range(len(classes))] == sorted(order.values())


def test_tags_follow_the_task():
    assert Glyphs().tags() == set() and Glyphs(task="mark").tags() == {"label"}


def test_params_import_nothing_heavy():
    code = (
        "import sys, maskwright_samples.params_images, maskwright_samples.params_tables\n"
        "print(sorted({'numpy', 'sklearn', 'matplotlib', 'PIL', 'networkx', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
