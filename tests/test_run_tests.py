"""The bootstrap hands pip's settings to uv."""

import sys
import venv
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import run_tests


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip: the environments uv makes have none."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def test_settings_are_read_from_files_and_variables(python: Path, tmp_path: Path):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nfind-links =\n    first\n    second\nindex-url = https://example.org/global\n")
    environ = {"PIP_CONFIG_FILE": str(file), "PIP_INDEX_URL": "https://example.org/variable"}
    settings = run_tests.pip_settings(python, environ)
    assert settings["find-links"] == ["first", "second"]
    assert settings["index-url"] == ["https://example.org/variable"]


def test_places_reach_uv_with_commas_and_without_folders_that_are_gone(tmp_path: Path):
    links = [str(tmp_path), str(tmp_path / "gone"), "https://example.org/wheels"]
    settings = run_tests.uv_settings({"find-links": links, "index-url": [], "extra-index-url": []}, {})
    assert settings == {"UV_FIND_LINKS": f"{tmp_path},https://example.org/wheels"}


def test_indexes_reach_uv_and_are_searched_as_pip_does():
    pip = {
        "find-links": [],
        "index-url": ["https://example.org/a"],
        "extra-index-url": ["https://example.org/b"],
    }
    assert run_tests.uv_settings(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://example.org/a",
        "UV_INDEX": "https://example.org/b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_the_user_set_for_uv_stays(tmp_path: Path):
    pip = {"find-links": [str(tmp_path)], "index-url": [], "extra-index-url": []}
    assert run_tests.uv_settings(pip, {"UV_FIND_LINKS": "mine"}) == {}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tester@example.org")
    run_tests.git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".tox\n")
    run_tests.git(tmp_path, "add", ".")
    run_tests.git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def test_the_newest_released_core(clone: Path):
    assert run_tests.released(clone) == ""
    for tag in ("maskwright/v0.9.0", "maskwright/v0.10.0", "maskwright-text/v0.11.0"):
        run_tests.git(clone, "tag", tag)
    assert run_tests.released(clone) == "maskwright/v0.10.0"


def test_green_is_for_one_tree(clone: Path):
    assert not run_tests.green(clone)
    (clone / ".tox").mkdir()
    (clone / run_tests.GREEN).write_text(run_tests.tree(clone))
    assert run_tests.green(clone)
    (clone / "new.txt").touch()
    assert not run_tests.green(clone)
    run_tests.git(clone, "add", ".")
    run_tests.git(clone, "commit", "-q", "-m", "another tree")
    assert not run_tests.green(clone)
