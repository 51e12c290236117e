"""dataset:json-lines and dataset:csv: columns as fields, and everything that can be wrong with a line."""

import tracemalloc

import pytest
from text_reading import ids, items, texts, written

from maskwright_testing.assertions import assert_one_error
from maskwright_text.columns import MISSING, find, join_pieces
from maskwright_text.params_data import Csv, JsonLines


def json_lines(folder, content, **settings):
    return JsonLines(path=written(folder / "a.jsonl", content), **{"test_share": 0.0, **settings}).build()


def table(folder, content, name="a.csv", **settings):
    return Csv(path=written(folder / name, content), **{"test_share": 0.0, **settings}).build()


SEQ = {"text": "src", "summary": "tgt"}


def test_objects_as_items(tmp_path):
    content = (
        '\ufeff{"sentence": " One. ", "stars": 10, "of": {"by": ["Ann", "Bo"]}, "more": null}\r\n\r\n'
        '{"sentence": "Two\\ntwo.", "stars": 9, "of": {"by": ["Cy"]}}'
    )
    fields = {"text": "sentence", "label": "stars", "name": "of.by.0"}
    data = json_lines(tmp_path, content, fields=fields)
    assert items(data) == [
        {"id": "a.jsonl:1", "text": "One.", "label": 1, "name": "Ann"},
        {"id": "a.jsonl:3", "text": "Two\ntwo.", "label": 0, "name": "Cy"},
    ]
    assert data.about("train")["classes"] == ["9", "10"]
    assert JsonLines(path=tmp_path, fields=fields).tags() == {"text", "label", "name"}


def test_lists_are_texts_in_pieces(tmp_path):
    content = (
        '{"src": ["It", "un", "##fold", "##s", "."], "tgt": "short"}\n{"src": ["A b.", "C."], "tgt": "s"}\n'
    )
    data = json_lines(tmp_path, content, fields=SEQ)
    assert texts(data) == ["It unfolds .", "A b. C."] and items(data)[0]["summary"] == "short"


def test_some_lists_stay_lists(tmp_path):
    content = '{"src": "a", "tgt": ["one", "two"]}\n{"src": "b", "tgt": ["three"]}\n'
    fields = {"text": "src", "summary": "tgt.0", "aliases": "tgt"}
    data = json_lines(tmp_path, content, fields=fields)
    assert [(item["summary"], item["aliases"]) for item in items(data)] == [
        ("one", ["one", "two"]),
        ("three", ["three"]),
    ]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [(["##a", "##b"], "##ab"), (["a", "##", "b"], "a ## b"), ([], ""), (["C", "#", "##1"], "C #1")],
)
def test_joined_pieces(pieces, text):
    assert join_pieces(pieces) == text


def test_paths_into_records():
    record = {"a.b": 1, "a": {"b": 2, "c": [{"d": 3}]}, "e": "text"}
    assert [find(record, path) for path in ("a.b", "a.c.0.d")] == [1, 3]
    assert all(find(record, path) is MISSING for path in ("b", "a.d", "a.c.1", "a.c.x", "e.0", "a.c.-1"))


def test_labels_may_be_words_numbers_or_yes_and_no(tmp_path):
    for values, classes in [
        (('"b"', '"a"'), ["a", "b"]),
        (("10", "9"), ["9", "10"]),
        (("true", "false"), ["false", "true"]),
        (('"10"', '"x"'), ["10", "x"]),
    ]:
        content = "".join(f'{{"text": "t", "label": {value}}}\n' for value in values)
        data = json_lines(tmp_path, content, fields={"text": "text", "label": "label"})
        assert data.about("train")["classes"] == classes
        assert sorted(item["label"] for item in items(data)) == [0, 1]


def test_numbers_may_be_names_but_no_texts(tmp_path):
    content = '{"text": "t", "key": 7, "yes": true, "names": "x"}\n'
    fields = {"text": "text", "name": "key"}
    assert items(json_lines(tmp_path, content, fields=fields))[0]["name"] == "7"
    for fields, says in [
        ({"text": "key"}, '"key" is no text'),
        ({"text": "text", "name": "yes"}, '"yes" is no text'),
        ({"text": "text", "aliases": "names"}, '"names" is no list of texts'),
    ]:
        assert_one_error(lambda fields=fields: json_lines(tmp_path, content, fields=fields), says, "line 1")


def test_many_records_are_kept_as_numbers(tmp_path):
    content = "".join(f'{{"text": "{"word " * 80}", "kind": "{kind}"}}\n' for kind in "ab" * 5_000)
    path = written(tmp_path / "a.jsonl", content)
    tracemalloc.start()
    try:
        data = JsonLines(path=path, fields={"text": "text", "label": "kind"}, test_share=0.0).build()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data.length("train") == 10_000
    assert kept < 80 * 10_000  # bytes; the text alone has 400 a record


LINE_1 = '{"src": "one", "tgt": "1"}\n'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"src": "two",', ("a line is no JSON", "a.jsonl, line 2", "one object a line")),
        ("[1, 2]", ("a line is no JSON object", "a.jsonl, line 2", "it is a list", "one object a line")),
        ('"text"', ("a line is no JSON object", "it is a text")),
        ("3", ("a line is no JSON object", "it is a single value")),
        ("[" * 100_000, ("a line is no JSON", "a.jsonl, line 2")),
        (
            '{"src": "two", "tgtt": "2"}',
            (
                'there is no "tgt" — did you mean "tgtt"?',
                "line 2",
                "it is to be the summary; here are src, tgtt",
            ),
        ),
        ('{"src": "two", "tgt": null}', ('"tgt" is null', "line 2", "fields.summary=COLUMN")),
        ('{"src": "two", "tgt": "  "}', ('"tgt" is empty', "line 2", "the summary", 'empty = "skip"')),
        ('{"src": "two", "tgt": 2.5}', ('"tgt" is no text', "line 2", "it is 2.5", "a list of its pieces")),
        ('{"src": 2, "tgt": "2"}', ('"src" is no text', "line 2", "it is 2")),
        ('{"src": "two", "tgt": {"a": 1}}', ('"tgt" is no text', "it is {'a': 1}")),
        (
            '{"src": ["two"], "tgt": "2"}',
            ('"src" is a list here and a text before', "line 2", "line 1 it is a text", "write all of them"),
        ),
        ('{"src": "two", "tgt": ["2"]}', ('"tgt" is a list here and a text before', "line 2")),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, says):
    assert_one_error(lambda: json_lines(tmp_path, LINE_1 + line + "\n", fields=SEQ), *says)


def test_token_ids_are_no_text(tmp_path):
    content = '{"src": [101, 7592, 102], "tgt": "1"}\n'
    assert_one_error(
        lambda: json_lines(tmp_path, content, fields=SEQ),
        '"src" is no list of texts',
        "line 1",
        "[101, 7592, 102]",
        "token ids are not raw text",
    )


@pytest.mark.parametrize("value", ["1.5", "[1]", '""'])
def test_a_label_is_a_word_or_a_whole_number(tmp_path, value):
    content = f'{{"text": "t", "label": {value}}}\n'
    fields = {"text": "text", "label": "label"}
    assert_one_error(
        lambda: json_lines(tmp_path, content, fields=fields),
        '"label" is no class',
        "line 1",
        "fields.label out",
    )


def test_empty_entries_can_be_left_out(tmp_path):
    content = '{"src": "one", "tgt": ""}\n{"src": " ", "tgt": "2"}\n{"src": "three", "tgt": "3"}\n'
    data = json_lines(tmp_path, content, fields=SEQ, empty="skip")
    assert ids(data) == ["a.jsonl:3"]
    (notice, _) = data.about("train")["notices"][::-1]
    assert notice.startswith("2 records with an empty entry are left out, the first: ")
    assert notice.endswith("a.jsonl, line 1")
    assert_one_error(
        lambda: json_lines(tmp_path, content.rsplit("{", 1)[0], fields=SEQ, empty="skip"),
        "there are no records",
        "2 are empty and left out",
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "is empty; name at least one column"),
        ({"id": "key"}, "id is made of the file and the line"),
        ({"pixels": "text"}, '"pixels" cannot be read from a column; what can: aliases, answer, '),
        ({"torch": "text"}, '"torch" cannot be read from a column'),
        ({"tags": "text"}, '"tags" cannot be read from a column'),
        ({"My Text": "text"}, '"My Text" cannot be read from a column'),
        ({"text": ""}, "text has no column"),
    ],
)
def test_fields_that_cannot_be_read(tmp_path, fields, says):
    content = '{"text": "one"}\n'
    assert_one_error(lambda: json_lines(tmp_path, content, fields=fields), "fields", says)
    assert_one_error(lambda: table(tmp_path, "text\none\n", fields=fields), "fields", says)


@pytest.mark.parametrize(
    ("content", "name", "settings"),
    [
        ('text,kind\n"one, or\n""1""",a\n\ntwo,b\n', "a.csv", {}),
        ('\ufefftext,kind\r\n"one, or\r\n""1""",a\r\n\r\ntwo,b\r\n', "a.csv", {}),
        ('text;kind\n"one, or\n""1""";a\n\ntwo;b', "a.csv", {"separator": "semicolon"}),
        ('text\tkind\n"one, or\n""1"""\ta\n\ntwo\tb\n', "a.tsv", {}),
        (' text ,kind\n"one, or\n""1""",a\n  \ntwo,b\n', "a.txt", {"separator": "comma"}),
        (',\ntext,kind\n"one, or\n""1""",a\ntwo,b\n', "a.csv", {}),
    ],
    ids=["csv", "windows", "semicolons", "tabs", "spaces", "commas-above"],
)
def test_the_same_table_in_every_form(tmp_path, content, name, settings):
    first = 3 if content.startswith(",") else 2
    data = table(tmp_path, content, name, fields={"text": "text", "label": "kind"}, **settings)
    assert items(data) == [
        {"id": f"{name}:{first}", "text": 'one, or\n"1"', "label": 0},
        {"id": f"{name}:5", "text": "two", "label": 1},
    ]
    assert data.about("train")["classes"] == ["a", "b"]


def test_a_class_of_two_lines_is_one_class_whatever_ends_its_lines(tmp_path):
    content = 'text,kind\r\none,"a\r\nb"\r\ntwo,c\r\nthree,"a\r\nb"\r\n'
    data = table(tmp_path, content, fields={"text": "text", "label": "kind"})
    assert data.about("train")["classes"] == ["a\nb", "c"]
    assert [item["label"] for item in items(data)] == [0, 1, 0]


def test_a_row_of_separators_alone_is_a_record_with_empty_entries(tmp_path):
    content = "text,kind\none,a\n,\n\ntwo,b\n , \n"
    assert_one_error(lambda: table(tmp_path, content), '"text" is empty', "a.csv, line 3")
    data = table(tmp_path, content, empty="skip")
    assert texts(data) == ["one", "two"]
    assert any(
        note.startswith("2 records with an empty entry are left out")
        for note in data.about("train")["notices"]
    )


def test_quotes_may_be_letters(tmp_path):
    content = 'text\tkind\n"He said\ta\nno" more\tb\n'
    data = table(tmp_path, content, "a.tsv", quotes=False)
    assert texts(data) == ['"He said', 'no" more']
    assert_one_error(
        lambda: table(tmp_path, content, "a.tsv"), "cannot be read as CSV", "a.tsv, line 2", "quotes = false"
    )


def test_long_entries_are_read(tmp_path):
    text = "word " * 40_000
    assert texts(table(tmp_path, f"text,kind\n{text},a\n")) == [text.strip()]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "text,kind\none,a\ntwo\n",
            ("a line has 1 entry, the header has 2", "a.csv, line 3", "quotes = false"),
        ),
        ('text,kind\n"a\nb",a\none, two,a\n', ("a line has 3 entries, the header has 2", "a.csv, line 4")),
        (
            "text,kind,text\none,a,b\n",
            ('the header names "text" twice', "a.csv, line 1", "a name of its own"),
        ),
        ("body,kind\none,a\n", ('there is no "text"', "a.csv, line 2", "here are body, kind")),
        ("text,kind\n,a\n", ('"text" is empty', "a.csv, line 2")),
        ("text,kind\n", ("there are no records", "no line holds one")),
        ('text,kind\n"one,a\n', ("a line cannot be read as CSV", "a.csv, line 2", "unexpected end")),
    ],
)
def test_a_wrong_row_is_named(tmp_path, content, says):
    assert_one_error(lambda: table(tmp_path, content), *says)


def test_what_items_depend_on_is_in_the_fingerprint(tmp_path):
    content = "text,kind\none,a\ntwo,b\n"
    made = [
        table(tmp_path, content),
        table(tmp_path, content, fields={"text": "kind"}),
        table(tmp_path, content, separator="semicolon", fields={"text": "text,kind"}),
        table(tmp_path, content, quotes=False),
        table(tmp_path, content, splits={"test": "*"}),
    ]
    assert len({data.fingerprint() for data in made}) == 5
    assert made[0].fingerprint() == table(tmp_path, content).fingerprint()


def test_several_files_have_headers_of_their_own(tmp_path):
    written(tmp_path / "in" / "train.csv", "text,kind\none,a\n")
    written(tmp_path / "in" / "test.csv", "kind,text\nb,two\na,three\n")
    fields = {"text": "text", "label": "kind"}
    data = Csv(path=tmp_path / "in", fields=fields).build()
    assert texts(data) == ["one"] and texts(data, "test") == ["two", "three"]
    assert data.about("train")["notices"] == ["classes without training texts: b (1 in all)"]
