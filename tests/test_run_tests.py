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
