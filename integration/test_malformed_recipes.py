"""A thousand malformed recipe files: exit code 2, and one message with file, place, value and what fits instead."""

import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from malformed import EXPERIMENTS, Case, base_names
from malformed_files import EMPTY, JSON, TEXT, TOGETHER, text_cases
from malformed_recipes import TREE, cases

from maskwright.catalogue import catalogue
from maskwright.cli.main import main

assert (len(TREE), len(TOGETHER), len(TEXT), len(JSON), len(EMPTY)) == (15, 10, 5, 13, 6)

LIMIT = 10
"""Seconds for one file."""


def _hangs(*_: object) -> None:
    raise TimeoutError(f"more than {LIMIT} s")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, _hangs)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refuse_all(made: Iterable[Case], capfd: pytest.CaptureFixture[str]) -> int:
    """How many files were refused by `check`: in one message that names the file and holds every word."""
    count = 0
    for case in made:
        file = Path(f"bad{case.suffix}")
        file.write_bytes(case.content)
        signal.alarm(LIMIT)
        code = main(["check", str(file)])
        signal.alarm(0)
        printed = capfd.readouterr()
        shown = f"{case.told}\n{printed.err}"
        assert code == 2, shown
        assert printed.out == "", shown
        head, *lines = printed.err.splitlines()
        assert head.startswith("maskwright: ") and printed.err.count("maskwright: ") == 1, shown
        assert file.name in head, shown
        if case.path:
            assert any(line.startswith(f"  {case.path} ") for line in lines), shown
        flat = " ".join(printed.err.split())
        for word in case.words:
            assert " ".join(word.split()) in flat, f"without {word!r}: {shown}"
        assert [path.name for path in Path().iterdir()] == [file.name], shown
        file.unlink()
        count += 1
    return count


def test_a_thousand_over_every_recipe():
    counts = [count for _, count in TREE.values()] + [count for _, count, _ in TOGETHER.values()]
    counts += [count for _, count in TEXT.values()] + [len(EMPTY), len(JSON)]
    assert sum(counts) >= 1_000 and min(counts) > 0
    packages = {x.package for x in catalogue().of_kind("recipe") if x.name in base_names()}
    assert packages == {
        f"maskwright{p}" for p in ("", "-cap", "-causal", "-meta", "-samples", "-text", "-vision")
    }


@pytest.mark.parametrize("kind", TREE)
def test_one_thing_in_a_valid_recipe_is_changed(kind: str, capfd: pytest.CaptureFixture[str]):
    damage, count = TREE[kind]
    assert refuse_all(cases(kind, damage, count, base_names()), capfd) == count


@pytest.mark.parametrize("kind", TOGETHER)
def test_parts_arms_and_stages_that_do_not_fit_together(kind: str, capfd: pytest.CaptureFixture[str]):
    damage, count, names = TOGETHER[kind]
    assert refuse_all(cases(kind, damage, count, names or base_names()), capfd) == count


@pytest.mark.parametrize("kind", TEXT)
def test_text_that_is_no_toml(kind: str, capfd: pytest.CaptureFixture[str]):
    assert refuse_all(text_cases(kind), capfd) == TEXT[kind][1]


@pytest.mark.parametrize("kind", JSON)
def test_json_that_is_no_recipe(kind: str, capfd: pytest.CaptureFixture[str]):
    content, words = JSON[kind]
    assert refuse_all([Case(content, ".json", "", words, kind)], capfd) == 1


@pytest.mark.parametrize("kind", EMPTY)
def test_a_file_with_nothing_in_it(kind: str, capfd: pytest.CaptureFixture[str]):
    case = Case(EMPTY[kind], ".toml", "(recipe)", ('needs use = "name" of a recipe',), kind)
    assert refuse_all([case], capfd) == 1


def test_the_experiments_are_there():
    assert set(EXPERIMENTS) <= set(base_names())
