"""Settings of questions and answers in the layout of SQuAD. Imports nothing heavy."""

from pathlib import Path
from typing import Literal

from maskwright.params import params, setting
from maskwright_text.params_data import PATH, SPLITS, TEST_SHARE, VALID_SHARE, check_shares


@params
class Squad:
    """Questions about paragraphs in SQuAD's JSON, v1.1 or v2.0; one of question and answer is to be written.

    `text` is the other one and the paragraph, `summary` what is to be written. Of several answers the first is
    learned, and all are right (`answers`); questions without one are left out and counted. The articles of a
    file are split, not its questions.
    """

    path: Path = setting(help=PATH)
    write: Literal["question", "answer"] = setting(
        "question",
        help="question: from the answer and the paragraph; answer: from the question and the paragraph",
    )
    around: int = setting(
        0,
        ge=0,
        help="words of the paragraph before the answer, and after it, that are read; 0: the whole paragraph",
    )
    splits: dict[str, str] = setting({}, help=SPLITS)
    test_share: float = setting(
        0.1, ge=0, lt=1, help=f"{TEST_SHARE}; here the id is the title of the article"
    )
    valid_share: float = setting(0.0, ge=0, lt=1, help=VALID_SHARE)

    def check(self):
        yield from check_shares(self)
        if self.around and self.write == "answer":
            yield "around", "words around the answer would tell where it is: around = 0, or write = question"

    def build(self):
        from maskwright_text.squad_data import squad

        return squad(self)

    @classmethod
    def example(cls, folder):
        from maskwright_text.example_text_files import squad_file

        return cls(path=squad_file(folder))
