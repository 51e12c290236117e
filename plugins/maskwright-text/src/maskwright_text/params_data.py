"""Settings of the text data sets. Imports nothing heavy: numpy and pyarrow arrive when one is built."""

import re
from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot
from maskwright.tags import CAPABILITIES, CAVEATS, FIELDS

PATH = "a file, or a folder or .zip of files whose names say train, valid (or dev) and test"
SPLITS = 'split -> name of its files, with * for anything: { train = "a*.txt", test = "b.txt" }; empty: by their names'
TEST_SHARE = (
    "share of the training texts that becomes the test, by hash of the id, if there is no test and no valid"
)
VALID_SHARE = "likewise the split validation, if there is none"
_FIELDS = (
    'our name -> name of the column: { text = "sentence", label = "stars" }; a.b.0 goes into tables and lists'
)
_EMPTY = (
    "what is done about a text without a character: end with an error, or leave its record out and count it"
)
_LABEL_FROM = "file: the name of the file is the class; folder: that of the folder it lies in"

_TEXT_FIELDS = {name for name, what in FIELDS.items() if what.startswith(("str", "list[str]"))} | {"label"}
_NOT_READ = (FIELDS.keys() - _TEXT_FIELDS) | {"id"} | CAPABILITIES.keys() | CAVEATS.keys()


def check_shares(settings):
    if settings.test_share + settings.valid_share >= 1:
        both = settings.test_share + settings.valid_share
        yield "valid_share", f"test_share + valid_share is {both:g}, which leaves nothing to train on"


def _check_fields(settings):
    if not settings.fields:
        yield "fields", 'is empty; name at least one column: { text = "text" }'
    for ours, theirs in settings.fields.items():
        if ours == "id":
            yield "fields", "id is made of the file and the line; read a column of names as name"
        elif ours in _NOT_READ or not re.fullmatch(r"[a-z][a-z0-9_]*", ours):
            yield (
                "fields",
                f'"{ours}" cannot be read from a column; what can: {", ".join(sorted(_TEXT_FIELDS - {"id"}))}, '
                "or a name of your own in small letters",
            )
        if not theirs:
            yield "fields", f"{ours} has no column; name one, or leave {ours} out"


@params
class Lines:
    """Plain text, one document a line; blank lines are passed over."""

    path: Path = setting(help=PATH)
    splits: dict[str, str] = setting({}, help=SPLITS)
    label_from: Literal["nothing", "file", "folder"] = setting("nothing", help=_LABEL_FROM)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def tags(self):
        return set() if self.label_from == "nothing" else {"label"}

    def check(self):
        yield from check_shares(self)

    def build(self):
        from maskwright_text.line_data import lines

        return lines(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import lines_file

        return cls(path=lines_file(folder), test_share=0.5)


@params
class Documents:
    """Plain text, documents of several lines: blank lines between them, or a file for each."""

    path: Path = setting(help=PATH)
    unit: Literal["block", "file"] = setting(
        "block", help="block: blank lines separate documents; file: every file is one document"
    )
    splits: dict[str, str] = setting({}, help=SPLITS)
    label_from: Literal["nothing", "file", "folder"] = setting("nothing", help=_LABEL_FROM)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def tags(self):
        return set() if self.label_from == "nothing" else {"label"}

    def check(self):
        yield from check_shares(self)

    def build(self):
        from maskwright_text.line_data import documents

        return documents(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import documents_folder

        return cls(path=documents_folder(folder), unit="file", label_from="folder")


@params
class JsonLines:
    """One JSON object a line.

    A list of texts (sentences, words, word pieces with ##) is read as one text with spaces between.
    """

    path: Path = setting(help=PATH)
    fields: dict[str, str] = setting({"text": "text"}, help=_FIELDS)
    splits: dict[str, str] = setting({}, help=SPLITS)
    empty: Literal["refuse", "skip"] = setting("refuse", help=_EMPTY)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def tags(self):
        return set(self.fields)

    def check(self):
        yield from _check_fields(self)
        yield from check_shares(self)

    def build(self):
        from maskwright_text.json_data import json_lines

        return json_lines(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import json_file

        return cls(path=json_file(folder), fields={"text": "src", "summary": "tgt", "label": "kind"})


@params
class Csv:
    """A table: a header with the names of the columns, then one record a line."""

    path: Path = setting(help=PATH)
    fields: dict[str, str] = setting({"text": "text"}, help=_FIELDS)
    separator: Literal["by-suffix", "comma", "semicolon", "tab"] = setting(
        "by-suffix", help="what stands between columns; by-suffix: a comma in .csv, a tab in all others"
    )
    quotes: bool = setting(
        True, help='whether "quotes" may enclose an entry; false: they are letters like any other, as in GLUE'
    )
    splits: dict[str, str] = setting({}, help=SPLITS)
    empty: Literal["refuse", "skip"] = setting("refuse", help=_EMPTY)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def tags(self):
        return set(self.fields)

    def check(self):
        yield from _check_fields(self)
        yield from check_shares(self)

    def build(self):
        from maskwright_text.csv_data import csv_table

        return csv_table(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import csv_file

        return cls(path=csv_file(folder), fields={"text": "sentence", "other": "reply"}, test_share=0.5)


@params
class Arrow:
    """What the library `datasets` saved (save_to_disk), or .arrow and .parquet files. Needs pyarrow."""

    path: Path = setting(help="the folder, or one file")
    fields: dict[str, str] = setting({"text": "text"}, help=_FIELDS)
    splits: dict[str, str] = setting({}, help=SPLITS)
    empty: Literal["refuse", "skip"] = setting("refuse", help=_EMPTY)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def tags(self):
        return set(self.fields)

    def check(self):
        yield from _check_fields(self)
        yield from check_shares(self)

    def build(self):
        from maskwright_text.arrow_data import arrow

        return arrow(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import arrow_folder

        return cls(path=arrow_folder(folder), fields={"text": "sentence", "label": "label"})


@params
class Conllu:
    """Sentences with gold tags, in CoNLL-U: the fourth column is the tag of a word."""

    path: Path = setting(help=PATH)
    splits: dict[str, str] = setting({}, help=SPLITS)
    test_share: float = setting(0.1, ge=0, lt=1, help=TEST_SHARE)
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def check(self):
        yield from check_shares(self)

    def build(self):
        from maskwright_text.conllu_data import conllu

        return conllu(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import conllu_file

        return cls(path=conllu_file(folder), test_share=0.5)


@params
class Passages:
    """Texts joined and cut again into passages of about one length; tags move with their words.

    Fields other than text and tags are those of the text that a passage begins in.
    """

    inner: Any = slot("dataset", needs={"text"}, inherit=True, help="where the texts come from")
    words: int = setting(96, ge=1, help="length of a passage, in words between white space")
    join: bool = setting(
        True, help="whether a passage may go on in the next text; false: each is cut by itself"
    )
    fewest: int = setting(1, ge=1, help="texts with fewer words are dropped, e.g. headlines")

    def build(self):
        from maskwright_text.passages import Passages as Built

        return Built(self.inner, self.words, self.join, self.fewest)

    @classmethod
    def example(cls, folder):
        return cls(inner=Conllu.example(folder), words=7, fewest=2)


@params
class Tagged:
    """A Universal POS tag for each word of the text, by a tagger for English; tagged once, then kept."""

    inner: Any = slot(
        "dataset", needs={"text"}, refuses={"tags"}, inherit=True, help="where the texts come from"
    )
    tagger: str = setting(
        "pattern",
        help="pattern: textblob, fast (maskwright-text[pos]); hanta: 7 times slower (maskwright-text[hanta]); "
        "nltk, spacy: need data of their own",
    )
    model: str = setting("", help="spacy: name or path of the pipeline, e.g. en_core_web_sm")

    def check(self):
        from maskwright_text.taggers import TAGGERS, what_there_is

        if self.tagger not in TAGGERS:
            yield "tagger", f'there is no tagger "{self.tagger}"; {what_there_is()}'
            return
        if self.tagger == "spacy" and not self.model:
            yield "model", 'is empty; tagger = "spacy" needs a pipeline, e.g. model = "en_core_web_sm"'
        if self.tagger != "spacy" and self.model:
            yield "model", f'is for tagger = "spacy" only; "{self.tagger}" has one model'

    def build(self):
        from maskwright_text.tagged import Tagged as Built

        return Built(self.inner, self.tagger, self.model)

    @classmethod
    def example(cls, folder):
        return cls(inner=Lines.example(folder))
