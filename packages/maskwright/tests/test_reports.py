"""report.html is one page that stands alone; text from data is text in it, and no name leaves the run folder."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toyplugin.parts import CountEncoder

from maskwright import api
from maskwright.contracts import Figure, Findings
from maskwright.errors import UserError
from maskwright.findings import check_findings
from maskwright.report import render
from maskwright.runs import folder_name
from maskwright.values import format_cell

EVIL = "</td><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & {{ 7*7 }}"


class Tags(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(page: str) -> Tags:
    found = Tags(page)
    for tag, attributes in found.tags:
        assert tag not in ("script", "iframe", "object", "link", "base", "form", "svg")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            address = attributes.get(name) or ""
            assert re.match(r"^(data:image/(svg\+xml|png);base64,|children/|stages/|$)", address), address
    return found


class EvilEvaluator:
    def __init__(self, word: str) -> None:
        self.word = word
        self.metrics = {"*": "max"}

    def evaluate(self, subject: Any, data: Any, step: Any) -> Findings:
        word = self.word
        return Findings(
            {word: 1.0},
            rows=[{"id": word, word: word, "score": 1.0}],
            tables={word: [{word: word, "verdict": word, "list": [word], "table": {word: word}}]},
            figures=lambda: [Figure(word, word, b"<svg onload='alert(1)'><script>x</script></svg>")],
            notes=[word],
        )


def test_text_from_data_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toyplugin.parts.ScoreEvaluator", lambda *settings: EvilEvaluator(EVIL))
    words = {"evaluators": [{"use": "toy-score", "note": EVIL, "every": 1}], "values": {EVIL: 1.0}}
    run = api.run("toy-train", words, out=tmp_path / "a")
    found = harmless((run.folder / "report.html").read_text())
    assert found.text.count(EVIL) >= 8
    assert "49" not in found.text.split("Settings")[0]


def test_an_error_message_is_escaped(tmp_path: Path):
    run = api.run("toy-train", out=tmp_path / "a", pictures=False)
    (run.folder / "status.json").write_text(json.dumps({"status": EVIL, "step": 1, "error": EVIL}))
    assert EVIL in harmless(render(run.folder)).text


def test_the_page_stands_alone(tmp_path: Path):
    words = {"evaluators": [{"use": "toy-score", "every": 1, "note": "what one sees"}]}
    run = api.run("toy-train", words, out=tmp_path / "a")
    page = (run.folder / "report.html").read_text()
    found = harmless(page)
    assert "default-src 'none'" in page
    assert sum(tag == "img" for tag, _ in found.tags) >= 5
    assert "what one sees" in found.text
    assert "objective.encoder.width" in found.text


def test_a_run_without_pictures_says_why(tmp_path: Path):
    run = api.run("toy-train", out=tmp_path / "a")
    assert "No evaluator has reported" in (run.folder / "report.html").read_text()
    run = api.run("toy-train", {"evaluators": ["toy-score"]}, out=tmp_path / "b", pictures=False)
    assert "pictures were not asked for" in render(run.folder)


def test_cells():
    assert format_cell(0.123456) == "0.1235"
    assert format_cell(None) == "–"
    assert format_cell(True) == "yes"
    assert format_cell([1, 0.5]) == "1, 0.5"
    assert format_cell({"a": 0.5}) == "a 0.5"


NAMES = [
    "../../escaped",
    "../" * 12 + "tmp/escaped",
    "/tmp/escaped-absolute",
    "a/../../../b",
    "..",
    ".",
    "",
    ".hidden",
    ".tmp-1-x",
    "a\0b",
    "a\nb",
    "x" * 300,
    "ä/ö",
    "findings.json",
    "con\\..\\up",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:30])
def test_no_name_from_data_leaves_the_run_folder(name: str, tmp_path: Path):
    """Titles, figures and files are named after data; what cannot be kept under its name is refused."""
    before = {path for path in tmp_path.parent.rglob("*") if "inside" not in path.parts}
    words = {"evaluators": [{"use": "toy-score", "title": name}]}
    try:
        run = api.run("toy-train", words, out=tmp_path / "inside")
        harmless((run.folder / "report.html").read_text())
    except UserError as error:
        assert "leads out of" in str(error) or "is no name for a file" in str(error)
    assert {path for path in tmp_path.parent.rglob("*") if "inside" not in path.parts} == before
    assert not Path("/tmp/escaped-absolute").exists()
    assert not Path("/tmp/escaped-absolute.txt").exists()


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "../artefacts-not/x", "..", ".", ""], ids=lambda name: name or "empty"
)
def test_no_artefact_leaves_its_folder(name: str, tmp_path: Path):
    from maskwright.folder import RunLock
    from maskwright.planning import plan
    from maskwright.runs import new_folder, open_run, write_start

    made = plan("toy-train")
    folder = new_folder("a", tmp_path / "a")
    write_start(folder, made, [])
    run = open_run(folder, made, RunLock(folder))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="artefacts"):
        run.artefact(name, b"x")
    with pytest.raises(UserError, match="parts"):
        run.save_part(name, CountEncoder(1))
    assert set(tmp_path.rglob("*")) == before
    assert run.artefact("deep/er/x.txt", b"x") == folder / "artefacts" / "deep" / "er" / "x.txt"
    run.close()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(max_size=80))
def test_names_of_run_folders(recipe: str):
    name = folder_name(recipe)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z0-9-]{1,40}-[0-9a-f]{4}", name)


def test_figures_of_one_name_do_not_overwrite_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Twice(EvilEvaluator):
        def evaluate(self, subject: Any, data: Any, step: Any) -> Findings:
            figures = [Figure(name, "c", f"<svg>{name}</svg>".encode()) for name in ("a/b", "a-b", "a b")]
            return Findings({"x": 1.0}, figures=lambda: figures)

    monkeypatch.setattr("toyplugin.parts.ScoreEvaluator", lambda *settings: Twice(""))
    run = api.run("toy-train", {"evaluators": ["toy-score"]}, out=tmp_path / "a")
    [record] = run.findings()
    contents = {(record["folder"] / figure["file"]).read_text() for figure in record["figures"]}
    assert contents == {"<svg>a/b</svg>", "<svg>a-b</svg>", "<svg>a b</svg>"}


def test_what_was_not_declared_is_the_evaluators_fault():
    evaluator = EvilEvaluator("")
    evaluator.metrics = {"accuracy": "max", "each/*": "min"}
    check_findings("e", evaluator, Findings({"accuracy": 1.0, "each/a": 2.0}))
    with pytest.raises(TypeError, match=r"evaluator e: undeclared metrics \['other'\]"):
        check_findings("e", evaluator, Findings({"accuracy": 1.0, "other": 2.0}))
    with pytest.raises(TypeError, match=r"declared but not reported \['accuracy'\]"):
        check_findings("e", evaluator, Findings({"each/a": 2.0}))
